"""Frame-wise step head: which step each frame shows, for the edge and for action segmentation.

The paper asks its language model for the steps; the head is ours. Each window's frames read by
cross-attention from that window's globally aggregated tokens; a frame of two windows gets the mean
of both readings. Its own local feature and its features as they came go by them, since what one
frame shows needs no memory, nor the few queries through which the windows see it.
Dilated convolutions over the frames of the whole video then settle which of both is believed when:
tokens of many frames are too coarse for the steps' borders, and single frames flicker.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.temporalvlm.config import TemporalVLMConfig
from models.temporalvlm.segment_encoder import LocalFeatures
from models.temporalvlm.video_qformer import window_frames


class FrameReader(nn.Module):
    """Brings the windows' tokens back to the frames that they cover."""

    def __init__(self, dim: int, heads: int, window: int, overlap: int) -> None:
        super().__init__()
        self.window = window
        self.overlap = overlap
        self.place_in_window = nn.Parameter(0.02 * torch.randn(window, dim))
        self.norm = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)

    def forward(self, local: LocalFeatures, tokens: Tensor) -> Tensor:
        """Map frames (B, C, T, D) and global tokens (B, C, W, Q, D) to contexts (B, C, T, D)."""
        frames, used = local.frames.flatten(0, 1), local.used.flatten(0, 1)
        num_segments, num_frames, dim = frames.shape
        index = window_frames(num_frames, self.window, self.overlap).to(frames.device)
        covered = (index < num_frames) & used[..., None]  # (S, W, q)
        index = index.clamp(max=num_frames - 1)
        asking = self.norm(frames)[:, index][used] + self.place_in_window  # (M, q, D)
        keys = tokens.flatten(0, 1)[used]  # (M, Q, D)
        read, _ = self.attention(asking, keys, keys, need_weights=False)
        row = torch.arange(num_segments, device=frames.device)[:, None, None] * num_frames
        place = (row + index)[covered]  # which frame of all segments each reading belongs to
        total = read.new_zeros((num_segments * num_frames, dim))
        total = total.index_add(0, place, read[covered[used]])
        times = torch.bincount(place, minlength=len(total)).clamp(min=1)
        context: Tensor = total / times[:, None]
        return context.view_as(local.frames)


class Refinement(nn.Module):
    """Residual convolutions over frames, each layer seeing twice as far (MS-TCN, arXiv 1903.01945).

    `layers` of kernel 3 with dilations 1, 2, 4, ... see 2**layers frames to both sides.
    """

    def __init__(self, dim: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(layers))
        self.dilated = nn.ModuleList(
            nn.Conv1d(dim, dim, 3, padding=2**i, dilation=2**i) for i in range(layers)
        )
        self.mixed = nn.ModuleList(nn.Conv1d(dim, dim, 1) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, present: Tensor) -> Tensor:
        """Map frames (B, C, T, D), of which `present` (B, C, T), to as many; 0 where none is."""
        out = torch.zeros_like(frames)
        for row, there in zip(range(len(frames)), present, strict=True):
            video = frames[row][there]  # (N, D): the frames of all segments in temporal order
            for norm, dilated, mixed in zip(self.norms, self.dilated, self.mixed, strict=True):
                seen = functional.relu(dilated(norm(video).T))
                video = video + self.dropout(mixed(seen).T)
            out[row, there] = video.to(out.dtype)
        return out


class StepHead(nn.Module):
    """Scores the labels of a vocabulary for each frame, learned or by the steps' own texts."""

    def __init__(self, config: TemporalVLMConfig) -> None:
        super().__init__()
        if config.step_head is None:
            raise ValueError("the configuration has no step head")
        self.config = config.step_head
        dim, dropout = config.dim, self.config.dropout
        self.reader = FrameReader(dim, config.video_qformer.heads, config.window, config.overlap)
        self.norm = nn.LayerNorm(2 * dim)
        self.join = nn.Linear(2 * dim, dim)
        self.own = nn.Linear(config.feature_dim, dim)
        self.refinement = Refinement(dim, self.config.refinement_layers, dropout)
        self.last_norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, self.config.width)
        self.dropout = nn.Dropout(dropout)
        self.log_scale = nn.Parameter(torch.tensor(2.3))  # cosines times 10 at the start

    def forward(
        self, features: Tensor, local: LocalFeatures, tokens: Tensor, texts: Tensor | None
    ) -> Tensor:
        """Return logits (B, C, T, K).

        `features` (B, C, T, P, feature_dim) are what the segment encoder read, `tokens` the global
        features by window (B, C, W, Q, D). `texts` (K, E) are the embeddings of the vocabulary's
        step texts, with a `texts` classifier only. Raises `ValueError` when they are given to the
        other kind, missing, or of other width.
        """
        self._check(texts)
        context = self.reader(local, tokens)
        both = self.norm(torch.cat([local.frames, context], dim=-1))
        own = self.own(self.dropout(features.mean(dim=3)))
        refined = self.refinement(self.join(self.dropout(both)) + own, local.present)
        out: Tensor = self.project(self.dropout(self.last_norm(refined)))
        if texts is None:
            return out
        cosine = functional.normalize(out, dim=-1) @ functional.normalize(texts, dim=-1).T
        return cosine * self.log_scale.exp().clamp(max=100)

    def _check(self, texts: Tensor | None) -> None:
        if (texts is not None) != (self.config.classifier == "texts"):
            raise ValueError(
                f"a step head with classifier '{self.config.classifier}' takes "
                + ("no texts" if texts is not None else "the embeddings of the step texts")
            )
        if texts is not None and (texts.ndim != 2 or texts.shape[1] != self.config.width):
            raise ValueError(f"step texts {tuple(texts.shape)} must be (K, {self.config.width})")
