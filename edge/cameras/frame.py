"""A picture of the station with its time, and what gives such pictures one after another.

    shots (a file's or a camera's pictures, unscaled, with their PTS)
      -> timeline (seconds that never go back) -> sampler (rate) -> view (size) -> Frame

Knows no file format and no camera; those are in the modules that make shots.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from industryasm.fault import UserFault

SourceState = Literal["connected", "reconnecting"]
StateCallback = Callable[[SourceState, str], None]
"""Told of a change of state and its reason, from the reader's thread."""


NETWORK_SCHEMES = ("http", "https", "rtsp", "rtsps")
"""The kinds of URL under which a network camera can be named."""


class SourceError(UserFault):
    """A file or camera gives no pictures; one line naming it, the reason and what to do."""


@dataclass(frozen=True, eq=False, repr=False)
class Frame:
    """One sampled picture: uint8 (H, W, 3) RGB, seconds since the source's start, UTC.

    `source_size` is the (width, height) that it had before scaling, None where that is not known.
    Raises `ValueError` for another shape or type, a time that is negative or not finite, or a
    `captured_at` without time zone.
    """

    image: NDArray[np.uint8]
    time_s: float
    captured_at: datetime
    source_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(
                f"image {self.image.dtype} {self.image.shape}: must be uint8 (H, W, 3)"
            )
        if not (math.isfinite(self.time_s) and self.time_s >= 0):
            raise ValueError(f"time_s {self.time_s}: must be finite and not negative")
        if self.captured_at.tzinfo is None:
            raise ValueError(f"captured_at {self.captured_at}: must have a time zone")

    def __repr__(self) -> str:
        height, width, _ = self.image.shape
        return f"Frame({width}x{height}, time_s={self.time_s:.3f}, captured_at={self.captured_at})"


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture as the file or camera has it, not yet scaled; `image` does that when called.

    `pts_s` is the presentation time in seconds on the source's own clock, None when it has none;
    `image` is None when the picture was not decoded: it could not be, and then `intact` is False as
    for any damage, or there was no need to. `interval_s` is the usual time between two pictures,
    `size` the (width, height) as it was stored, None where that is not known.
    """

    pts_s: float | None
    image: Callable[[], NDArray[np.uint8]] | None
    intact: bool = True
    interval_s: float = 1 / 25
    size: tuple[int, int] | None = None


class Source(ABC):
    """An iterator of `Frame`s sampled at a rate, which is closed by `with` or `close`.

    `name` is fit to be shown: it holds no password. `dropped` counts sampled frames that a late
    consumer never got, `damaged` pictures that were lost, flawed or had a time that went back.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dropped = 0
        self.damaged = 0

    def __iter__(self) -> Self:
        return self

    @abstractmethod
    def __next__(self) -> Frame:
        """Return the next sampled frame, waiting for it when the source is live."""

    @abstractmethod
    def close(self) -> None:
        """End the iteration and let go of file, camera and thread; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
