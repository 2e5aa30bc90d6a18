"""Segments of a recording: half-open spans of time with a label, and their frame-wise form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from industryasm.vocabulary import BACKGROUND


@dataclass(frozen=True, order=True)
class Segment:
    """The half-open time [start_s, end_s) in which `label` was going on.

    Times are seconds from the start of the recording or of the station's stream.
    Raises `ValueError` for times that are not finite, negative, or not in order, and for a
    confidence that is not from 0 to 1.
    """

    start_s: float
    end_s: float
    label: str
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and math.isfinite(self.end_s)):
            raise ValueError(f"segment {self.label!r}: times {self.start_s}, {self.end_s}")
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(
                f"segment {self.label!r}: [{self.start_s}, {self.end_s}) must be 0 <= start < end"
            )
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"segment {self.label!r}: confidence {self.confidence} is not 0 to 1")

    @property
    def duration_s(self) -> float:
        """Length of the segment in seconds."""
        return self.end_s - self.start_s


def frame_labels(segments: Sequence[Segment], times_s: Sequence[float]) -> list[str]:
    """Return the label at each of the ascending `times_s`, background where no segment is.

    >>> frame_labels([Segment(0.2, 0.4, "place")], [0.0, 0.2, 0.4])
    ['background', 'place', 'background']
    """
    ordered = sorted(segments)
    labels: list[str] = []
    index = 0
    for time_s in times_s:
        while index < len(ordered) and ordered[index].end_s <= time_s:
            index += 1
        inside = index < len(ordered) and ordered[index].start_s <= time_s
        labels.append(ordered[index].label if inside else BACKGROUND)
    return labels


def runs(labels: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return (label, start, end) for each run of equal labels, ends half-open.

    >>> runs(["a", "a", "b"])
    [('a', 0, 2), ('b', 2, 3)]
    """
    out: list[tuple[str, int, int]] = []
    for index, label in enumerate(labels):
        if out and out[-1][0] == label:
            out[-1] = (label, out[-1][1], index + 1)
        else:
            out.append((label, index, index + 1))
    return out
