"""Rendered stations: benches, workers and cameras that are drawn, with truth exact to the frame."""
