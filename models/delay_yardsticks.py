"""What decisions with little look-ahead are compared with: all of the future, and none of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.chunks import ChunkShape
from models.step_network import FrameNetwork, StepNetwork, StepNetworkShape

WHOLE_RECORDING = ChunkShape(chunk=16, lookahead=16)
"""How windows lie where the future is known: each frame has 16 or more after it in its view."""


class OfflineStepNetwork(StepNetwork):
    """The step network whose backward LSTM runs over the whole recording: an offline BiLSTM."""

    def _behind(self, local: Tensor, chunks: Tensor) -> Tensor:  # noqa: ARG002 (as the base)
        behind, _ = self.backward_lstm(chunks.flip(1))
        back: Tensor = behind.flip(1)
        return back


class CausalGRU(FrameNetwork):
    """A plain GRU over frames, as wide as the step network: each is decided when it comes."""

    def __init__(self, shape: StepNetworkShape) -> None:
        super().__init__(shape)
        self.embed = nn.Sequential(
            nn.LayerNorm(shape.feature_dim),
            nn.Dropout(shape.dropout),
            nn.Linear(shape.feature_dim, shape.dim),
        )
        self.absent = nn.Parameter(torch.zeros(shape.dim))
        self.gru = nn.GRU(shape.dim, shape.hidden, batch_first=True)
        self.head = nn.Sequential(
            nn.Dropout(shape.dropout), nn.Linear(shape.hidden + shape.dim, shape.num_labels)
        )

    def whole(self, features: Tensor, present: Tensor) -> Tensor:
        """Decide sequences: features (B, T, D), present (B, T) -> logits (B, T, K)."""
        frames = torch.where(present[..., None], self.embed(features), self.absent)
        logits: Tensor = self.head(torch.cat([frames, self.gru(frames)[0]], dim=-1))
        return logits
