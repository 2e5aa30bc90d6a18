"""Whether a camera's pictures can be judged at all: dark, frozen, covered, moved, resized.

    picture -> small and grey -> far too dark or bright?    -> state, once it has held its time
            -> same bytes as before?                        /
            -> edges against those that stay -> covered, moved?

Knows no camera and no station. It cannot tell a frozen picture under a running clock from a still
bench, nor a camera that moved before the first picture or sinks slower than the background learns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.lasting_edges import RECENT_S, SIDE, LastingEdges

# OpenCV shares even a picture of 224x224 out to all cores, where decoder and encoder then wait.
cv2.setNumThreads(1)

PictureState = Literal["good", "dark", "overexposed", "frozen", "resized", "occluded", "moved"]
STILL_USEFUL = ("good", "moved", "resized")
"""States of the pictures in which work is looked for."""

HOLD_S: dict[PictureState, float] = {
    "good": 3.0,  # back from any fault: longer than an automatic exposure swings
    "dark": 2.0,
    "overexposed": 3.0,
    "frozen": 0.0,  # its own, longer time has passed already
    "resized": 1.0,
    "occluded": 10.0,  # a worker leans over the bench for some seconds
    "moved": 10.0,
}
"""How long a condition lasts before it is told, in seconds."""

FROZEN_AFTER_S = 30.0
# H.264 repeats a still bench byte by byte until its next key frame: under sensor noise of 1 to 4
# grey levels for 4.8 s at a key frame every 5 s, for 19.8 s at one every 20 s. Without any noise it
# did so for 38.8 s, over key frames: there a still bench cannot be told from a frozen picture, and
# it needs a longer time (benchmarks/picture_health.py --freeze, 640x480 at 15 fps).

DARK_LEVEL, DARK_SHARE = 28, 0.98  # nearly all pixels below it; the darkest bench measured: 71
BRIGHT_LEVEL, BRIGHT_SHARE = 250, 0.6  # most pixels at the stop; benches measured: under 0.01


@dataclass(frozen=True)
class HealthChange:
    """The pictures' new state, the time since which it holds, and a sentence for a person."""

    state: PictureState
    since_s: float
    told_s: float
    detail: str


@dataclass(frozen=True)
class _Condition:
    state: PictureState
    since_s: float
    detail: str


class PictureHealth:
    """Judges the pictures of one stream as they come; memory does not grow.

    The background is learnt during the first `LEARN_S` seconds of usable pictures; `occluded` and
    `moved` are not told before. A camera that moved stays `moved` until it is put back, or judged
    anew. Across a gap between pictures nothing is concluded.
    """

    def __init__(self, rate_hz: float, *, frozen_after_s: float = FROZEN_AFTER_S) -> None:
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz {rate_hz}: must be finite and above 0")
        if not (math.isfinite(frozen_after_s) and frozen_after_s > 0):
            raise ValueError(f"frozen_after_s {frozen_after_s}: must be finite and above 0")
        self.state: PictureState = "good"
        self._frozen_after_s = frozen_after_s
        self._longest_gap_s = max(2.0, 5 / rate_hz)
        self._background = LastingEdges()
        self._gray = np.empty((SIDE, SIDE), np.uint8)
        self._last: NDArray[np.uint8] | None = None
        self._last_s = 0.0
        self._same_since_s = 0.0
        self._size: tuple[int, int] | None = None
        self._waiting = _Condition("good", 0.0, "")

    def look(
        self, image: NDArray[np.uint8], time_s: float, source_size: tuple[int, int] | None = None
    ) -> HealthChange | None:
        """Take the next picture, uint8 (H, W, 3) RGB; return the new state when one is told.

        `source_size` is the camera's (width, height) before scaling; None when it is not known.
        Raises `ValueError` for another type or shape than the first picture's, and for a time that
        is not finite or goes back.
        """
        self._check(image, time_s)
        same = self._is_same(image, time_s)
        condition = self._condition(image, time_s, same, source_size)
        self._last_s = time_s
        return self._hold(condition, time_s)

    def _check(self, image: NDArray[np.uint8], time_s: float) -> None:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                f"image {image.dtype} {image.shape}: must be uint8 (H, W, 3) and not empty"
            )
        if self._last is not None and image.shape != self._last.shape:
            raise ValueError(f"image {image.shape}: the first one had {self._last.shape}")
        if not math.isfinite(time_s):
            raise ValueError(f"time_s {time_s}: must be finite")
        if self._last is not None and time_s < self._last_s:
            raise ValueError(f"time_s {time_s}: goes back behind {self._last_s}")

    def _is_same(self, image: NDArray[np.uint8], time_s: float) -> bool:
        if self._last is None:
            self._last = image.copy()
            self._last_s = self._same_since_s = time_s
            self._waiting = _Condition("good", time_s, "")
            return False
        if time_s - self._last_s > self._longest_gap_s:
            self._same_since_s = time_s
            self._waiting = _Condition(self.state, time_s, "")
        if cv2.norm(image, self._last, cv2.NORM_INF) == 0:
            return True
        np.copyto(self._last, image)
        self._same_since_s = time_s
        return False

    def _condition(
        self,
        image: NDArray[np.uint8],
        time_s: float,
        same: bool,
        source_size: tuple[int, int] | None,
    ) -> _Condition:
        self._size = self._size or source_size
        if source_size and source_size != self._size:
            assert self._size
            sizes = "{}x{}, it was {}x{}".format(*source_size, *self._size)
            return _Condition("resized", time_s, f"the camera's pictures are {sizes}")
        if not same:
            self._shrink(image)
        exposure = self._exposure()
        if exposure:
            return _Condition(exposure[0], time_s, exposure[1])
        same_s = time_s - self._same_since_s
        if same and same_s >= self._frozen_after_s:
            detail = f"the same picture, byte by byte, for {same_s:.0f} s"
            return _Condition("frozen", self._same_since_s, detail)
        if not same:
            self._background.see(self._gray, time_s, learn=self.state in ("good", "occluded"))
        state, detail = self._background.verdict
        since_s = time_s if state == "good" else max(time_s - RECENT_S, 0.0)
        return _Condition(state, since_s, detail)

    def _shrink(self, image: NDArray[np.uint8]) -> None:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        cv2.resize(gray, (SIDE, SIDE), dst=self._gray, interpolation=cv2.INTER_AREA)

    def _exposure(self) -> tuple[PictureState, str] | None:
        num_pixels = SIDE * SIDE
        if np.count_nonzero(self._gray < DARK_LEVEL) > DARK_SHARE * num_pixels:
            return "dark", f"the picture is almost black (mean {self._gray.mean():.0f} of 255)"
        bright = np.count_nonzero(self._gray >= BRIGHT_LEVEL) / num_pixels
        if bright > BRIGHT_SHARE:
            return "overexposed", f"{bright:.0%} of the picture is plain white"
        return None

    def _hold(self, condition: _Condition, time_s: float) -> HealthChange | None:
        if condition.state != self._waiting.state:
            self._waiting = condition
        waiting = self._waiting
        if waiting.state == self.state or time_s - waiting.since_s < HOLD_S[waiting.state]:
            return None
        self.state = waiting.state
        return HealthChange(self.state, waiting.since_s, time_s, condition.detail)
