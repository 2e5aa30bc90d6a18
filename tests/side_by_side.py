"""Videos as one batch: the networks read it, the commands give them one video at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.temporalvlm.video import SegmentedVideos


def collate(videos: Sequence[SegmentedVideos]) -> SegmentedVideos:
    """Put videos of one width side by side; those with fewer segments are padded."""
    segments = max(video.present.shape[1] for video in videos)

    def pad(array: Tensor) -> Tensor:
        missing = array.new_zeros((array.shape[0], segments - array.shape[1], *array.shape[2:]))
        return torch.cat([array, missing], dim=1)

    return SegmentedVideos(
        torch.cat([pad(video.features) for video in videos]),
        torch.cat([pad(video.times_s) for video in videos]),
        torch.cat([pad(video.present) for video in videos]),
    )
