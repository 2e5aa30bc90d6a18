"""`linewatch train-answers` with a language model of a test's size, for `torchrun` to start."""

import typer

from edge.answers import training
from edge.answers.ask import train_answers
from tests.tiny_system import tiny_system

if __name__ == "__main__":
    training.new_model = tiny_system  # type: ignore[assignment]
    training.VALIDATION_EXAMPLES = 2
    typer.run(train_answers)
