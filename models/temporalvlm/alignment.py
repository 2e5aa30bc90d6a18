"""First stage of language training: video tokens learn to lie where the words for them lie.

A token that stands for a stretch of video is drawn to the mean input embeddings of the phrases of
the steps that are done there, each by its share of the stretch. The language model is not run, so
a draw costs a twentieth of one with it, and it then meets tokens near words that it knows. Not in
the paper; every compared system goes through it, for it asks only for tokens with their stretches.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.temporalvlm.video import SegmentedVideos, segment_video
from models.temporalvlm.video_crops import LabelledVideo, VideoCrops
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.temporalvlm.video_tokens import VideoTokens
from models.training.distributed import device_of


class AlignmentLoss(nn.Module):
    """Cross-entropy of the phrases by cosine, and the squared distance to their mixture.

    The first tells phrases apart, whose mean embeddings are much alike; the second gives the scale.
    """

    def __init__(self, model: VideoLanguageModel, texts: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model = model
        self.texts = dict(texts)
        self.log_scale = nn.Parameter(torch.tensor(2.3))  # as of the step head
        self._spread = float(torch.cat(list(texts.values())).square().mean())

    def forward(self, videos: SegmentedVideos, labelled: LabelledVideo) -> Tensor:
        """Return the loss on a batch of one video, cut from `labelled`."""
        shown = self.model.projected(videos)
        texts = self.texts[labelled.task].to(shown.tokens.device)
        shares = token_shares(shown, labelled, num_labels=len(texts))[shown.present[0]]
        tokens = shown.tokens[shown.present]  # (N, E)
        cosine = functional.normalize(tokens, dim=-1) @ functional.normalize(texts, dim=-1).T
        likelihood = functional.log_softmax(cosine * self.log_scale.exp().clamp(max=100), dim=-1)
        distance = (tokens - shares @ texts).square().mean() / self._spread
        return distance - (shares * likelihood).sum(dim=-1).mean()


class AlignmentDraws:
    """Draws crops for `AlignmentLoss` by the number of the draw alone."""

    def __init__(self, crops: VideoCrops, model: VideoLanguageModel) -> None:
        self.crops = crops
        self.segmentation = model.segmentation

    def loss(self, module: nn.Module, draw: int) -> Tensor:
        """Return the loss of `AlignmentLoss` on a draw (what `run_loop` calls)."""
        video = self.crops.crop(draw).video
        videos, _ = segment_video(video.features, video.times_s, self.segmentation, name=video.name)
        loss: Tensor = module(videos.to(device_of(module)), video)
        return loss


def token_shares(shown: VideoTokens, video: LabelledVideo, *, num_labels: int) -> Tensor:
    """Return for each token of one video the share of each label in its stretch, (N, K).

    A stretch between two frames takes the frame before it; rows behind the length are of no use.
    """
    one_hot = np.eye(num_labels, dtype=np.float32)[video.labels]
    total = np.vstack([np.zeros((1, num_labels), np.float32), one_hot.cumsum(axis=0)])
    starts, ends = shown.start_s[0].cpu().numpy(), shown.end_s[0].cpu().numpy()
    first = np.maximum(np.searchsorted(video.times_s, starts, side="right") - 1, 0)
    last = np.maximum(np.searchsorted(video.times_s, ends, side="right"), first + 1)
    shares = (total[last] - total[first]) / (last - first)[:, None]
    return torch.from_numpy(shares.astype(np.float32)).to(shown.tokens.device)
