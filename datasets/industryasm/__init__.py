"""What a manual assembly is: tasks and their steps, the order between them, segments, recordings.

Knows nothing of networks, cameras, sockets or SQL. See `docs/architecture.md` for the rooms.
"""
