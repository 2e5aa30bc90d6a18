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
    """Turns views of frame features into local features of the frames from the chunk's start on."""

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
        """Map views of tokens (B, V, dim) to local features (B, V - overlap, dim)."""
        window, stride = self.shape.window, self.shape.stride
        earlier = self.window_encoder(tokens[:, :window] + self.position)
        later = self.window_encoder(tokens[:, stride:] + self.position)
        redundant = torch.cat([earlier + self.which_window[0], later + self.which_window[1]], dim=1)
        normed = self.fusion_norm(redundant)
        fused, _ = self.fusion(normed, normed, normed, need_weights=False)
        redundant = redundant + fused
        shared = (redundant[:, stride:window] + redundant[:, window : window + stride]) / 2
        return torch.cat([shared, redundant[:, window + stride :]], dim=1)
