"""What a video language model says to a question."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A text, and whether the model ended it itself, before the limit of its length."""

    text: str
    is_finished: bool
