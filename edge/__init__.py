"""What runs beside the camera: sources, window, runtimes, station loop, outbox, messages."""
