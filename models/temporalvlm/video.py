"""What the model reads of B videos: features, times and which of both are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from industryasm.fault import UserFault
from models.temporalvlm.config import SegmentationConfig
from models.temporalvlm.segmentation import Segmentation, cut


class VideoError(UserFault, ValueError):
    """A video's features or times cannot be read by the model."""


@dataclass(frozen=True)
class SegmentedVideos:
    """B videos, cut and sampled.

    `features` float (B, C, T, P, D): P tokens of width D a frame; `times_s` float64 (B, C, T);
    `present` bool (B, C, T), a prefix of each segment. What is not present is never looked at.
    """

    features: Tensor
    times_s: Tensor
    present: Tensor

    def __post_init__(self) -> None:
        if self.features.ndim != 5 or self.features.shape[:3] != self.present.shape:
            raise ValueError(
                f"features {tuple(self.features.shape)} must be (B, C, T, P, D) beside present "
                f"{tuple(self.present.shape)}"
            )
        if self.times_s.shape != self.present.shape:
            raise ValueError(
                f"times {tuple(self.times_s.shape)}, {tuple(self.present.shape)} present"
            )

    def __repr__(self) -> str:
        return f"SegmentedVideos(features={tuple(self.features.shape)})"

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> SegmentedVideos:
        """Return the same videos on `device`, with features of `dtype` (as they are)."""
        return SegmentedVideos(
            self.features.to(device, dtype), self.times_s.to(device), self.present.to(device)
        )


def segment_video(
    features: np.ndarray, times_s: np.ndarray, config: SegmentationConfig, *, name: str = "video"
) -> tuple[SegmentedVideos, Segmentation]:
    """Check, cut and sample one video of N frames, features (N, D) or (N, P, D), times (N,).

    Raises `VideoError` naming `name` when there is no frame, when features or times are not finite,
    or when times are negative or go back.
    """
    _check(features, times_s, name)
    segmentation = cut(features, config)
    tokens = features if features.ndim == 3 else features[:, None]
    present = torch.from_numpy(segmentation.present)
    rows = torch.from_numpy(tokens[segmentation.index].astype(np.float32))
    times = torch.from_numpy(times_s[segmentation.index].astype(np.float64))
    rows = rows * present[..., None, None]
    return SegmentedVideos(rows[None], (times * present)[None], present[None]), segmentation


def _check(features: np.ndarray, times_s: np.ndarray, name: str) -> None:
    if features.ndim not in (2, 3) or times_s.shape != features.shape[:1]:
        raise VideoError(
            f"{name}: features {features.shape} and times {times_s.shape}; give (N, D) or "
            "(N, P, D) features and one time for each frame"
        )
    if len(features) == 0:
        raise VideoError(f"{name}: no frames; leave the recording out or import it again")
    finite = np.isfinite(features.reshape(len(features), -1)).all(axis=1)
    if not finite.all():
        raise VideoError(
            f"{name}: the features of frame {int(np.argmin(finite))} are not finite "
            f"({int((~finite).sum())} of {len(finite)} frames); compute them again"
        )
    late = np.flatnonzero(np.diff(times_s) < 0)
    if not np.isfinite(times_s).all() or times_s[0] < 0 or len(late):
        place = int(late[0]) + 1 if len(late) else int(np.argmin(np.isfinite(times_s)))
        raise VideoError(
            f"{name}: the time of frame {place} is {times_s[place]} s; times must be seconds from "
            "the first frame, none negative and none before its predecessor"
        )
