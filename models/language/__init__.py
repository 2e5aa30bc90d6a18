"""Questions about recordings in words: their four tasks, templates, answers and metrics."""
