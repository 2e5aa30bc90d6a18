"""What a data set holds and whether it holds: checks, counts, splits, pictures, agreement."""
