"""One thing that validation found wrong or doubtful in a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]
"""An error makes results wrong or a file unusable; a warning is for a person to look at."""

ProblemKind = Literal[
    "annotation",
    "boundary-off-grid",
    "cycle",
    "deviation",
    "features",
    "frame-count",
    "index",
    "irregular-times",
    "label",
    "no-segments",
    "overlap",
    "split-leak",
    "stray-file",
    "task",
    "video",
]


@dataclass(frozen=True)
class Problem:
    """A problem: its file relative to the data set's folder, the dotted place in it, and what.

    >>> print(Problem("error", "label", "recordings/a.json", "segments.3.label", "'x' is no step"))
    recordings/a.json: segments.3.label: 'x' is no step
    """

    level: Level
    kind: ProblemKind
    file: str
    place: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.place, self.message) if part)
