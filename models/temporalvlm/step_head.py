"""Frame-wise step head: which step each frame shows, for the edge and for action segmentation.

The paper asks its language model for the steps; the head is ours. Each window's frames read by
cross-attention from that window's globally aggregated tokens; a frame of two windows gets the mean
of both readings. Its own local feature goes by them, since what one frame shows needs no memory.
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


class StepHead(nn.Module):
    """Scores the labels of a vocabulary for each frame, learned or by the steps' own texts."""

    def __init__(self, config: TemporalVLMConfig) -> None:
        super().__init__()
        if config.step_head is None:
            raise ValueError("the configuration has no step head")
        self.config = config.step_head
        heads = config.video_qformer.heads
        self.reader = FrameReader(config.dim, heads, config.window, config.overlap)
        self.norm = nn.LayerNorm(2 * config.dim)
        self.dropout = nn.Dropout(config.video_qformer.dropout)
        self.project = nn.Linear(2 * config.dim, self.config.width)
        self.log_scale = nn.Parameter(torch.tensor(2.3))  # cosines times 10 at the start

    def forward(self, local: LocalFeatures, tokens: Tensor, texts: Tensor | None) -> Tensor:
        """Return logits (B, C, T, K).

        `texts` (K, E) are the embeddings of the vocabulary's step texts, with a `texts` classifier
        only. Raises `ValueError` when they are given to the other kind, missing, or of other width.
        """
        self._check(texts)
        context = self.reader(local, tokens)
        both = self.norm(torch.cat([local.frames, context], dim=-1))
        out: Tensor = self.project(self.dropout(both))
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
