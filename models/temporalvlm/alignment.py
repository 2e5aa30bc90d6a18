"""First stage of language training: video tokens learn which phrases stand for their stretch.

A token that stands for a stretch of video learns the shares that the phrases of the steps done
there have of it (`PhraseProjection`). The language model is not run, so a draw costs a twentieth of
one with it, and it then meets words that it knows. Not in the paper; every compared system goes
through it, for it asks only for tokens with their stretches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.temporalvlm.phrase_projection import PhraseProjection
from models.temporalvlm.video import SegmentedVideos, segment_video
from models.temporalvlm.video_crops import LabelledVideo, VideoCrops
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.temporalvlm.video_tokens import VideoTokens
from models.training.distributed import device_of


class AlignmentLoss(nn.Module):
    """Cross-entropy of the phrases' shares of each token; the model speaks in phrases."""

    def __init__(self, model: VideoLanguageModel, labels: Mapping[str, Sequence[str]]) -> None:
        """`labels` are the phrases of each task's labels, all of them among the model's."""
        super().__init__()
        self.model = model
        self._places = {
            task: torch.tensor([model.phrases.index(phrase) for phrase in phrases])
            for task, phrases in labels.items()
        }

    def forward(self, videos: SegmentedVideos, labelled: LabelledVideo) -> Tensor:
        """Return the loss on a batch of one video, cut from `labelled`."""
        projection = self.model.projection
        assert isinstance(projection, PhraseProjection), "see VideoLanguageModel.speak_in"
        shown = self.model.video_tokens(videos)
        likelihood = projection.log_shares(shown.tokens[shown.present])  # (N, P)
        places = self._places[labelled.task].to(likelihood.device)
        shares = token_shares(shown, labelled, num_labels=len(places))[shown.present[0]]
        return -(shares * likelihood[:, places]).sum(dim=-1).mean()


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
