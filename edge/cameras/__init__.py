"""Pictures with their times: cameras, each in a process that can be ended, and recordings."""
