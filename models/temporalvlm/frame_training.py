"""Trains the step head with everything before it on videos whose frames have labels.

Several vocabularies are learned together: a frame is scored against the texts of its own video's
steps, so another vocabulary needs no other layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.temporalvlm.config import SegmentationConfig
from models.temporalvlm.video import SegmentedVideos, segment_video
from models.temporalvlm.video_crops import LabelledVideo, VideoCrops
from models.training.distributed import device_of

IGNORED = -100
LABEL_SMOOTHING = 0.05
TRANSITION_WEIGHT = 0.15


class FrameModel(Protocol):
    """A network that scores the steps of the frames of segmented videos."""

    segmentation: SegmentationConfig

    def configuration(self) -> dict[str, Any]:
        """Return as JSON what decides what the network computes."""
        ...

    def step_logits(self, videos: SegmentedVideos, texts: Tensor) -> Tensor:
        """Return logits (B, C, T, K) by the embeddings (K, E) of the labels' texts."""
        ...


class FrameLoss(nn.Module):
    """The loss of a model's step logits on videos of one task, as a module that DDP can wrap.

    Cross-entropy plus the truncated mean squared error between neighbouring frames' log
    probabilities (MS-TCN, arXiv 1903.01945, equations 8 to 11, tau 4, weight 0.15).
    """

    def __init__(self, model: FrameModel, texts: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model = model
        self.texts = dict(texts)

    def forward(self, videos: SegmentedVideos, labels: Tensor, task: str) -> Tensor:
        """Return the loss of a batch of one task; `labels` int64 (B, C, T), -100 where none is."""
        logits = self.model.step_logits(videos, self.texts[task].to(labels.device))
        likelihood = functional.cross_entropy(
            logits.flatten(0, 2),
            labels.flatten(),
            ignore_index=IGNORED,
            label_smoothing=LABEL_SMOOTHING,
        )
        rows = functional.log_softmax(logits, dim=-1)
        change = (rows[:, :, 1:] - rows[:, :, :-1].detach()).abs().clamp(max=4).square()
        both = (labels[:, :, 1:] != IGNORED) & (labels[:, :, :-1] != IGNORED)
        if not both.any():  # no segment of the video has two frames
            return likelihood
        return likelihood + TRANSITION_WEIGHT * change[both].mean()


class FrameDraws:
    """Draws crops for `FrameLoss` by the number of the draw alone."""

    def __init__(self, crops: VideoCrops, segmentation: SegmentationConfig) -> None:
        self.crops = crops
        self.segmentation = segmentation

    def loss(self, module: nn.Module, draw: int) -> Tensor:
        """Return the loss of `FrameLoss` on a draw (what `run_loop` calls)."""
        video = self.crops.crop(draw).video
        videos, labels = cut_video(video, self.segmentation)
        device = device_of(module)
        loss: Tensor = module(videos.to(device), labels.to(device), video.task)
        return loss


def cut_video(
    video: LabelledVideo, segmentation: SegmentationConfig
) -> tuple[SegmentedVideos, Tensor]:
    """Cut one video; return it with the labels of the frames that are read, (1, C, T)."""
    videos, found = segment_video(video.features, video.times_s, segmentation, name=video.name)
    read = torch.from_numpy(video.labels[found.index])[None]
    return videos, read.masked_fill(~videos.present, IGNORED)


def frame_evidence(model: FrameModel, video: LabelledVideo, texts: Tensor) -> np.ndarray:
    """Return log probabilities (N, K) of every frame: those of the nearest frame that was read.

    The model must be where `texts` are.
    """
    videos, found = segment_video(
        video.features, video.times_s, model.segmentation, name=video.name
    )
    with torch.inference_mode():
        logits = model.step_logits(videos.to(texts.device), texts)[0]
    rows = functional.log_softmax(logits.float(), dim=-1).cpu().numpy()
    evidence: np.ndarray = rows[found.places()]
    return evidence
