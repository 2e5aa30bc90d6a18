"""Segment encoder: attention inside overlapping windows, then fusion over their tokens.

After TemporalVLM (arXiv 2412.02930), section 3.1: an overlapping sliding window encoder whose
redundant token sequence S goes through a fusion module (multi-head self-attention over S).
Ours, for the edge: one token a frame instead of 32 queries a window (the step head is frame-wise),
one transformer layer as window encoder, and a learned "absent" token for frames not seen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.chunks import ChunkShape


class SegmentEncoder(nn.Module):
    """Turns views of frame features into local features of the chunk and its look-ahead."""

    def __init__(
        self, *, feature_dim: int, dim: int, heads: int, dropout: float, shape: ChunkShape
    ):
        super().__init__()
        self.shape = shape
        self.project = nn.Sequential(
            nn.LayerNorm(feature_dim), nn.Dropout(dropout), nn.Linear(feature_dim, dim)
        )
        self.absent = nn.Parameter(torch.zeros(dim))
        self.position = nn.Parameter(0.02 * torch.randn(shape.window, dim))
        self.window_encoder = nn.TransformerEncoderLayer(
            dim, heads, 2 * dim, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.which_window = nn.Parameter(0.02 * torch.randn(2, 1, dim))
        self.fusion_norm = nn.LayerNorm(dim)
        self.fusion = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)

    def embed(self, features: Tensor, present: Tensor) -> Tensor:
        """Map frame features (..., D) to tokens (..., dim); frames not `present` get "absent"."""
        mask = present.unsqueeze(-1).to(features.dtype)
        tokens: Tensor = self.project(features) * mask + self.absent * (1 - mask)
        return tokens

    def forward(self, tokens: Tensor) -> Tensor:
        """Map views of tokens (B, V, dim) to local features (B, chunk + look-ahead, dim)."""
        window = self.shape.window
        return self.fuse(self.encode(tokens[:, :window]), self.encode(tokens[:, -window:]))

    def encode(self, tokens: Tensor) -> Tensor:
        """Encode windows (B, q, dim), each by itself."""
        encoded: Tensor = self.window_encoder(tokens + self.position)
        return encoded

    def fuse(self, earlier: Tensor, later: Tensor) -> Tensor:
        """Map a view's two encoded windows, (B, q, dim) each, to its local features."""
        shape = self.shape
        earlier, later = earlier + self.which_window[0], later + self.which_window[1]
        # Only what is decided asks; frames that both windows hold are the mean of their two tokens.
        twice = max(shape.recent - shape.stride, 0)
        asking = torch.cat([earlier[:, shape.window - twice :], later[:, -shape.recent :]], dim=1)
        redundant = self.fusion_norm(torch.cat([earlier, later], dim=1))
        fused, _ = self.fusion(self.fusion_norm(asking), redundant, redundant, need_weights=False)
        local: Tensor = asking + fused
        if not twice:
            return local
        both = (local[:, :twice] + local[:, twice : 2 * twice]) / 2
        return torch.cat([both, local[:, 2 * twice :]], dim=1)
