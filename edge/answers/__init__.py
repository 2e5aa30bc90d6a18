"""Questions about recordings: trains a video language model and asks it."""
