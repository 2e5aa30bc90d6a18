"""`linewatch export`: a trained model for another runtime, checked against what it was."""
