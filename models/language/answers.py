"""The values of the four language tasks, as people and metrics use them; text is made elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class TimeSpan:
    """The half-open time [start_s, end_s) that a question asks for (temporal grounding).

    Raises `ValueError` for times that are not finite, negative, or not in order.
    """

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and math.isfinite(self.end_s)):
            raise ValueError(f"times {self.start_s}, {self.end_s} are not finite")
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(f"[{self.start_s}, {self.end_s}) must be 0 <= start < end")


@dataclass(frozen=True, order=True)
class CaptionedSpan:
    """What is said to happen in a span (dense video captioning)."""

    span: TimeSpan
    caption: str


@dataclass(frozen=True, order=True)
class Highlight:
    """How much a moment is what is asked for (highlight detection); `score` from 1 to 5.

    Raises `ValueError` for numbers that are not finite and a time before 0.
    """

    time_s: float
    score: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time_s) and math.isfinite(self.score) and self.time_s >= 0):
            raise ValueError(f"time {self.time_s}, score {self.score}")
