"""Cuts a video into C segments and samples at most T frames of each; arrays in, arrays out.

The paper cuts into equal parts and names the fixed number a weakness; `adaptive` cuts where the
features change: the C segments of least variance inside, found exactly by dynamic programming
(kernel change-point detection, Arlot et al., arXiv 1202.3878, with the linear kernel).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.temporalvlm.config import SegmentationConfig

MAX_CANDIDATES = 512
"""Places where an adaptive cut may lie: the work grows with their square."""


@dataclass(frozen=True)
class Segmentation:
    """Which frames of a video are read: row c holds segment c's frames, in order, then padding.

    `bounds` int64 (C + 1,): segment c is the frames [bounds[c], bounds[c + 1]), never empty.
    `index` int64 (C, T), 0 where there is none; `present` bool (C, T), a prefix of each row.
    """

    bounds: np.ndarray
    index: np.ndarray
    present: np.ndarray

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Return for each frame of the video the (segment, slot) of the nearest frame read.

        Two int64 arrays (N,). Of two frames equally near, the earlier one.
        """
        segments, slots = np.nonzero(self.present)
        read = self.index[segments, slots]
        middles = (read[:-1] + read[1:]) / 2
        nearest = np.searchsorted(middles, np.arange(self.bounds[-1]), side="left")
        return segments[nearest], slots[nearest]


def cut(features: np.ndarray, config: SegmentationConfig) -> Segmentation:
    """Cut a video of N >= 1 frames with features (N, ...) as `config` says.

    A video of fewer than C frames has as many segments as frames.

    >>> cut(np.zeros((7, 2)), SegmentationConfig(segments=2, frames=2)).index.tolist()
    [[0, 1], [3, 5]]
    """
    num_frames = len(features)
    if num_frames == 0:
        raise ValueError("a video without frames has no segments")
    segments = min(config.segments, num_frames)
    if config.how == "adaptive":
        bounds = change_points(features, segments, min_share=config.min_share)
    else:
        bounds = equal_parts(num_frames, segments)
    index = np.zeros((segments, config.frames), dtype=np.int64)
    present = np.zeros((segments, config.frames), dtype=bool)
    for row, (start, end) in enumerate(pairwise(bounds)):
        count = min(end - start, config.frames)
        index[row, :count] = start + np.arange(count) * (end - start) // count
        present[row, :count] = True
    return Segmentation(bounds, index, present)


def equal_parts(num_frames: int, segments: int) -> np.ndarray:
    """Return the bounds (segments + 1,) of parts whose lengths differ by one frame at most."""
    return np.arange(segments + 1) * num_frames // segments


def change_points(features: np.ndarray, segments: int, *, min_share: float) -> np.ndarray:
    """Return the bounds (segments + 1,) of the segments with the least variance inside.

    Rows are scaled to length 1 first, so that a brighter picture is not a change. No segment is
    shorter than `min_share` of an equal part (at least one candidate place).

    >>> change_points(np.repeat(np.eye(3), [5, 2, 9], axis=0), 3, min_share=0.25).tolist()
    [0, 5, 7, 16]
    """
    rows = features.reshape(len(features), -1).astype(np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    places = np.unique(np.linspace(0, len(rows), min(len(rows), MAX_CANDIDATES) + 1).astype(int))
    cost = _variance_inside(rows, places)
    shortest = max(1, int(min_share * (len(places) - 1) / segments))
    cost[np.subtract.outer(np.arange(len(places)), np.arange(len(places))) > -shortest] = np.inf
    bounds: np.ndarray = places[_cheapest_path(cost, segments)]
    return bounds


def _variance_inside(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return cost[i, j]: the sum of squared distances to the mean in [places[i], places[j])."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])[places]
    squares = np.concatenate([[0.0], np.cumsum((rows**2).sum(axis=1))])[places]
    products = sums @ sums.T
    diagonal = np.diag(products)
    length = np.maximum(places[None] - places[:, None], 1)
    of_mean = (diagonal[:, None] + diagonal[None] - 2 * products) / length
    return np.asarray(squares[None] - squares[:, None] - of_mean)


def _cheapest_path(cost: np.ndarray, steps: int) -> np.ndarray:
    """Return the `steps` + 1 places of the cheapest way from the first place to the last."""
    best = cost[0]
    came_from = []
    for _ in range(steps - 1):
        total = best[:, None] + cost
        came_from.append(total.argmin(axis=0))
        best = total.min(axis=0)
    path = [len(cost) - 1]
    for previous in reversed(came_from):
        path.append(int(previous[path[-1]]))
    return np.array([0, *reversed(path)])
