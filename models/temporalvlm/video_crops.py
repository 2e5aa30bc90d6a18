"""Labelled videos, and the random crops of them that the networks are trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.training.loop import seed_of

SHORTEST_CROP = 0.5
FEATURE_NOISE = 0.1


@dataclass(frozen=True, eq=False)
class LabelledVideo:
    """One video: features float32 (N, D), times in seconds (N,), label indices int64 (N,).

    The labels are indices in the vocabulary of the task named `task`.
    """

    name: str
    task: str
    features: np.ndarray
    times_s: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if not 0 < len(self.features) == len(self.times_s) == len(self.labels):
            raise ValueError(
                f"{self.name}: features {self.features.shape}, times {self.times_s.shape}, "
                f"labels {self.labels.shape}"
            )


@dataclass(frozen=True, eq=False)
class Crop:
    """A part of a video, its times counted anew from 0, and where it was: [start_s, end_s).

    The end is infinite for a video of one frame, of which nothing tells how long it lasts.
    """

    video: LabelledVideo
    start_s: float
    end_s: float


class VideoCrops:
    """Draws a crop of half a video to all of it, with noise, by the number of the draw alone.

    The noise is a tenth of each feature's spread over all videos.
    """

    def __init__(self, videos: Sequence[LabelledVideo], *, seed: int) -> None:
        if not videos:
            raise ValueError("no videos to train on")
        self.videos = videos
        self.seed = seed
        self._spread = np.concatenate([v.features for v in videos]).std(axis=0)

    def crop(self, number: int) -> Crop:
        """Return the crop of draw `number`; every video comes once before any comes again."""
        turn, place = divmod(number, len(self.videos))
        order = np.random.default_rng(seed_of(self.seed, "order", turn))
        video = self.videos[int(order.permutation(len(self.videos))[place])]
        rng = np.random.default_rng(seed_of(self.seed, "draw", number))
        num_frames = len(video.labels)
        length = max(1, round(num_frames * rng.uniform(SHORTEST_CROP, 1)))
        start = int(rng.integers(0, num_frames - length + 1))
        inside = slice(start, start + length)
        noise = FEATURE_NOISE * self._spread * rng.standard_normal(video.features[inside].shape)
        times_s = video.times_s[inside]
        spacing_s = float(np.median(np.diff(video.times_s))) if num_frames > 1 else math.inf
        return Crop(
            LabelledVideo(
                video.name,
                video.task,
                (video.features[inside] + noise).astype(np.float32),
                times_s - times_s[0],
                video.labels[inside],
            ),
            float(times_s[0]),
            float(times_s[-1]) + spacing_s,
        )
