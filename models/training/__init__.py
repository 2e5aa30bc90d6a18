"""Training: the step network on frames, and the loop that goes on where it was killed."""
