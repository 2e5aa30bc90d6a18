"""What an annotation file of another tool says: recordings, their layers, the layers' rows.

Every format is read into these values and written from them. Rows are half-open and counted from
zero in the unit of their recording, however the tool itself counts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal, TypeGuard

from industryasm.fault import UserFault
from industryasm.recording import SplitName

Unit = Literal["seconds", "frames"]

STEP_LAYER = "steps"
"""The layer that holds the steps where there are several and none was chosen; ours is named so."""
MAX_END = 10_000_000
"""No row ends later, in seconds or frames: 46 hours at 60 Hz; more is a slip or an attack."""
VIDEO_SUFFIXES = (
    ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv",
)  # fmt: skip


class ForeignFileError(UserFault, ValueError):
    """An annotation file of another tool cannot be read, does not hold or cannot be written."""


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a finite number that a float can hold; a truth is none.

    >>> is_number(2), is_number(10**400), is_number(float("nan")), is_number(True)
    (True, False, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


@dataclass(frozen=True)
class ForeignRow:
    """The half-open span [start, end) that a file labels, and where the file says so.

    Raises `ForeignFileError` naming the place for a span that is not 0 <= start < end <= MAX_END.
    """

    start: float
    end: float
    label: str
    place: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not (is_number(self.start) and is_number(self.end)):
            span = f"{str(self.start)[:40]} to {str(self.end)[:40]}"
            raise ForeignFileError(f"{self.place}: {span} is no span of time")
        if self.start < 0:
            raise ForeignFileError(f"{self.place}: {self.label!r} begins before 0, at {self.start}")
        if self.end <= self.start:
            raise ForeignFileError(
                f"{self.place}: {self.label!r} must end after it starts, not [{self.start}, "
                f"{self.end})"
            )
        if self.end > MAX_END:
            raise ForeignFileError(
                f"{self.place}: {self.label!r} ends at {self.end:g}, later than {MAX_END}"
            )


@dataclass(frozen=True)
class ForeignLayer:
    """One layer of a recording: an ELAN tier, a BORIS subject, a Label Studio control.

    `is_named` says whether the file names it; where not, `name` is the reader's word.
    """

    name: str
    rows: tuple[ForeignRow, ...]
    annotator: str | None = None
    is_named: bool = field(default=True, compare=False)


@dataclass(frozen=True)
class ForeignRecording:
    """One recording as a file describes it; `length` is in `unit`, `rate_hz` what the file says.

    `video` is a bare file name when it was read, and a path or file name when it is to be written.
    `size` is the width and height of the picture in pixels, where the format to be written asks.
    Raises `ForeignFileError` naming the place for a length beyond MAX_END.
    """

    name: str
    unit: Unit
    layers: tuple[ForeignLayer, ...]
    video: str | None = None
    rate_hz: float | None = None
    length: float | None = None
    split: SplitName | None = None
    size: tuple[int, int] | None = None
    place: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.length is not None and not (is_number(self.length) and 0 <= self.length <= MAX_END):
            raise ForeignFileError(
                f"{self.place}: its length is {str(self.length)[:40]} {self.unit}; 0 to {MAX_END} "
                "are possible"
            )


def base_name(path: str) -> str:
    """Return the last part of a path or URL, of whichever system wrote it.

    >>> base_name("file:///H:/takes/one.mpg"), base_name("C:\\\\takes\\\\one.mpg")
    ('one.mpg', 'one.mpg')
    """
    return re.split(r"[/\\]", path)[-1]


def video_stem(name: str) -> str:
    """Return a file name without its suffix if that is a video's.

    >>> video_stem("take.1.mp4"), video_stem("take.1")
    ('take.1', 'take.1')
    """
    suffix = next((s for s in VIDEO_SUFFIXES if name.lower().endswith(s)), "")
    return name[: len(name) - len(suffix)]
