"""The outlines of a bench that stay where they are: is it still the same view, is it covered?"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

ViewState = Literal["good", "occluded", "moved"]

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


class LastingEdges:
    """The edges that stay where they are, against those of the last seconds.

    An edge is the gradient of the logarithm of brightness, pressed to length below 1, float32
    (SIDE, SIDE, 2), so that light, exposure and noise change little. Moving hands average to
    nothing in `_recent`, a lasting change does not. Tiles vote, so no single object decides.
    """

    def __init__(self) -> None:
        self.verdict: tuple[ViewState, str] = ("good", "")
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

    def _judge(self) -> tuple[ViewState, str]:
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
