"""A plain causal GRU over frames: the yardstick of time without segments, times or the future."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.temporalvlm.config import SegmentationConfig
from models.temporalvlm.video import SegmentedVideos
from models.temporalvlm.video_tokens import packed


class CausalGRU(nn.Module):
    """Scores the steps of the same frames as a TemporalVLM reads, each by those before it alone."""

    def __init__(
        self,
        *,
        segmentation: SegmentationConfig,
        feature_dim: int,
        dim: int,
        width: int,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.segmentation = segmentation
        self._sizes = {"feature_dim": feature_dim, "dim": dim, "width": width, "dropout": dropout}
        self.embed = nn.Sequential(
            nn.LayerNorm(feature_dim), nn.Linear(feature_dim, dim), nn.Dropout(dropout)
        )
        self.gru = nn.GRU(dim, dim, batch_first=True)
        self.project = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * dim, width))
        self.log_scale = nn.Parameter(torch.tensor(2.3))  # as of the step head

    def configuration(self) -> dict[str, Any]:
        """Return as JSON what decides what the network computes."""
        cut = self.segmentation.model_dump(mode="json")
        return {"name": "causal-gru", "segmentation": cut, **self._sizes}

    def step_logits(self, videos: SegmentedVideos, texts: Tensor) -> Tensor:
        """Return logits (B, C, T, K) by the embeddings of the steps' texts, (K, E)."""
        present = videos.present.flatten(1)  # (B, C * T)
        frames = self.embed(packed(videos.features.mean(dim=3).flatten(1, 2), present))
        sequence = pack_padded_sequence(
            frames, present.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(
            self.gru(sequence)[0], batch_first=True, total_length=frames.shape[1]
        )
        said = functional.normalize(self.project(torch.cat([frames, states], dim=-1)), dim=-1)
        cosine = said @ functional.normalize(texts, dim=-1).T
        there = torch.arange(frames.shape[1], device=present.device) < present.sum(1, keepdim=True)
        logits = cosine.new_zeros((*present.shape, len(texts)))
        logits[present] = (cosine * self.log_scale.exp().clamp(max=100))[there]
        return logits.view(*videos.present.shape, -1)
