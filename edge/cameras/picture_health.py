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

PictureState = Literal["good", "dark", "overexposed", "frozen", "resized", "occluded", "moved"]

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

SIDE, NUM_TILES = 112, 8
TILE = SIDE // NUM_TILES
RECENT_S = 3.0  # passing hands are averaged away, a covered lens is there within some seconds
LEARN_S = 30.0
BACKGROUND_S = 300.0
LONGEST_STEP_S = 1.0
SHORTEST_STEP_S = 0.18  # 5 pictures a second are enough for edges
JUDGE_EVERY_S = 1.0

CONTRAST = 0.15  # of the logarithm of brightness: an edge of this strength counts half
USABLE_STRENGTH = 0.005  # mean square of the lasting edges in a tile that has any
MIN_USABLE_TILES = 8
SEEN_IN_TILE = 0.5  # share of a tile's lasting edges that is there
SEEN_ENOUGH = 0.7  # share of tiles; untouched recordings stay above 0.72
SEEN_TOO_LITTLE = 0.5  # a bare cover of 60 % leaves 0.31 to 0.43
EDGES_LEFT_IN_TILE, BARE_SHARE = 0.4, 0.4  # a cover of 60 % leaves a share of 0.47 or more bare
EDGES_LEFT = 0.5  # of all; out of focus by 10 pixels of 224: 0.45 at most; another view: above 0.53

REACH = 14  # pixels of SIDE: moves up to an eighth of the picture are found again
FOUND_SCORE = 0.6
COHERENT_SHARE = 0.4  # share of tiles that agree on one move
COHERENT_PIXELS = 1.5
MIN_MOVE = 0.015  # of the picture's width, at the corner that moved most

BRIGHTNESS = np.log(np.arange(256, dtype=np.float32) + 16)  # light as a factor becomes a constant


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
    `moved` are not told before. A camera that moved stays `moved` until it is put back or
    `relearn` is called. Across a gap between pictures nothing is concluded.
    """

    def __init__(self, rate_hz: float, *, frozen_after_s: float = FROZEN_AFTER_S) -> None:
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz {rate_hz}: must be finite and above 0")
        if not (math.isfinite(frozen_after_s) and frozen_after_s > 0):
            raise ValueError(f"frozen_after_s {frozen_after_s}: must be finite and above 0")
        self.state: PictureState = "good"
        self._frozen_after_s = frozen_after_s
        self._longest_gap_s = max(2.0, 5 / rate_hz)
        self._background = _Background()
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

    def relearn(self) -> None:
        """Take the view and size from here on as the right ones: somebody says that they are."""
        self._background = _Background()
        self._size = None

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


class _Background:
    """The edges that stay where they are, against those of the last seconds.

    An edge is the gradient of the logarithm of brightness, pressed to length below 1, float32
    (SIDE, SIDE, 2), so that light, exposure and noise change little. Moving hands average to
    nothing in `_recent`, a lasting change does not. Tiles vote, so no single object decides.
    """

    def __init__(self) -> None:
        self.verdict: tuple[PictureState, str] = ("good", "")
        self._edges = np.zeros((SIDE, SIDE, 2), np.float32)
        self._recent = np.zeros_like(self._edges)
        self._lasting = np.zeros_like(self._edges)
        self._seen_s = self._learnt_s = 0.0
        self._last_s: float | None = None
        self._judged_s = -math.inf
        self._plain = False

    def see(self, gray: NDArray[np.uint8], time_s: float, *, learn: bool) -> None:
        """Take a picture, uint8 (SIDE, SIDE); `learn` unless a fault has been told."""
        step_s = LONGEST_STEP_S if self._last_s is None else time_s - self._last_s
        if step_s < SHORTEST_STEP_S:
            return
        step_s = min(step_s, LONGEST_STEP_S)
        self._last_s = time_s
        self._find_edges(gray)
        self._seen_s += step_s
        weight = max(1 - math.exp(-step_s / RECENT_S), step_s / self._seen_s)
        cv2.accumulateWeighted(self._edges, self._recent, weight)
        if learn and (self.verdict[0] == "good" or self._plain):
            self._learn(step_s)
        if self._learnt_s >= LEARN_S and time_s - self._judged_s >= JUDGE_EVERY_S:
            self._judged_s = time_s
            self.verdict = self._judge()

    def _find_edges(self, gray: NDArray[np.uint8]) -> None:
        light = cv2.LUT(gray, BRIGHTNESS)
        across = cv2.Sobel(light, cv2.CV_32F, 1, 0, scale=0.25)
        down = cv2.Sobel(light, cv2.CV_32F, 0, 1, scale=0.25)
        press = 1 / (cv2.magnitude(across, down) + CONTRAST)
        np.multiply(across, press, out=self._edges[:, :, 0])
        np.multiply(down, press, out=self._edges[:, :, 1])

    def _learn(self, step_s: float) -> None:
        self._learnt_s += step_s
        cv2.accumulateWeighted(
            self._edges, self._lasting, max(step_s / BACKGROUND_S, step_s / self._learnt_s)
        )

    def _judge(self) -> tuple[PictureState, str]:
        strength = _per_tile(self._lasting, self._lasting)
        usable = strength > USABLE_STRENGTH
        self._plain = int(np.count_nonzero(usable)) < MIN_USABLE_TILES
        if self._plain:
            self._learnt_s = 0.0  # look again: what covers the lens may be taken away
            return "occluded", "the picture shows nothing that has an edge"
        seen = _per_tile(self._recent, self._lasting)[usable] / strength[usable] > SEEN_IN_TILE
        if seen.mean() >= SEEN_ENOUGH:
            return "good", ""
        move = self._find_move(usable)
        if move:
            return "moved", move
        if seen.mean() > SEEN_TOO_LITTLE:
            return "good", ""
        left, usual = _per_tile(self._recent, self._recent)[usable], strength[usable]
        bare_share = (left < EDGES_LEFT_IN_TILE * usual).mean()
        if bare_share >= BARE_SHARE or left.sum() < EDGES_LEFT * usual.sum():
            return "occluded", f"only {seen.mean():.0%} of the bench's outlines can be seen"
        return "moved", "the picture shows something else than the bench it showed before"

    def _find_move(self, usable: NDArray[np.bool_]) -> str | None:
        """Look for each tile's edges round their place; say how the tiles moved, if as one."""
        rows, columns = np.nonzero(usable)
        around = np.pad(self._recent, ((REACH, REACH), (REACH, REACH), (0, 0)))
        places: list[tuple[int, int]] = []
        found: list[tuple[int, int]] = []
        for y, x in zip((rows * TILE).tolist(), (columns * TILE).tolist(), strict=True):
            tile = self._lasting[y : y + TILE, x : x + TILE]
            window = around[y : y + TILE + 2 * REACH, x : x + TILE + 2 * REACH]
            scores = cv2.matchTemplate(window, tile, cv2.TM_CCORR_NORMED)
            _, score, _, (right, below) = cv2.minMaxLoc(scores)
            if score > FOUND_SCORE:
                places.append((x, y))
                found.append((x + right - REACH, y + below - REACH))
        if len(places) < COHERENT_SHARE * len(rows):
            return None
        return _common_move(places, found, COHERENT_SHARE * len(rows))


def _per_tile(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean scalar product of two edge fields in each tile, (NUM_TILES, NUM_TILES)."""
    product = cv2.multiply(first, second)
    tiles = cv2.resize(product, (NUM_TILES, NUM_TILES), interpolation=cv2.INTER_AREA)
    return np.asarray(tiles.sum(axis=2))


def _common_move(
    places: list[tuple[int, int]], found: list[tuple[int, int]], min_agreeing: float
) -> str | None:
    """Say by which shift, turn and zoom enough tiles moved together; None for no real move."""
    centre = (SIDE - TILE) / 2
    start = np.array(places, np.float64) - centre
    end = np.array(found, np.float64) - centre
    matrix, agreeing = cv2.estimateAffinePartial2D(
        start, end, method=cv2.RANSAC, ransacReprojThreshold=COHERENT_PIXELS
    )
    if matrix is None or agreeing.sum() < min_agreeing:
        return None
    corners = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) * SIDE / 2
    travel = np.linalg.norm(corners @ matrix[:, :2].T + matrix[:, 2] - corners, axis=1)
    if travel.max() < MIN_MOVE * SIDE:
        return None
    right, down = matrix[:, 2] / SIDE
    turn = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
    zoom = math.hypot(matrix[0, 0], matrix[1, 0])
    return (
        f"the view lies {right:+.0%} to the right, {down:+.0%} down, "
        f"turned by {turn:+.0f} degrees and {zoom:.2f} times as large"
    )
