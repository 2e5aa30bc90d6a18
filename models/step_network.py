"""The recogniser of steps: segment encoder, BiLSTM over its local features, frame-wise step head.

The BiLSTM is latency-controlled (Zhang et al., arXiv 1510.08983): the forward LSTM carries its
state from chunk to chunk, the backward LSTM starts anew at the end of each chunk's look-ahead.
Training runs over the same chunks as the stream, so both compute the same function.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.chunks import ChunkShape, window_index
from models.segment_encoder import SegmentEncoder


@dataclass(frozen=True)
class StepNetworkShape:
    """Sizes of the network: `feature_dim` D in, `num_labels` K out."""

    num_labels: int
    feature_dim: int = 1280
    dim: int = 96
    heads: int = 4
    hidden: int = 96
    dropout: float = 0.3
    chunk: ChunkShape = field(default_factory=ChunkShape)


class FrameNetwork(nn.Module, ABC):
    """A network that labels the frames of whole sequences."""

    def __init__(self, shape: StepNetworkShape) -> None:
        super().__init__()
        self.shape = shape

    @abstractmethod
    def whole(self, features: Tensor, present: Tensor) -> Tensor:
        """Decide sequences: features (B, T, D), present (B, T) -> logits (B, T, K)."""


class StepNetwork(FrameNetwork):
    """Maps views of frame features to label logits, carrying the forward LSTM's state."""

    def __init__(self, shape: StepNetworkShape) -> None:
        super().__init__(shape)
        self.segment_encoder = SegmentEncoder(
            feature_dim=shape.feature_dim,
            dim=shape.dim,
            heads=shape.heads,
            dropout=shape.dropout,
            shape=shape.chunk,
        )
        self.forward_lstm = nn.LSTM(shape.dim, shape.hidden, batch_first=True)
        self.backward_lstm = nn.LSTM(shape.dim, shape.hidden, batch_first=True)
        self.head = nn.Sequential(
            nn.Dropout(shape.dropout), nn.Linear(2 * shape.hidden + shape.dim, shape.num_labels)
        )

    def forward(
        self, features: Tensor, present: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decide one chunk of each of B streams.

        Takes features (B, V, D), present (B, V) and the state (B, H), (B, H) that the chunk before
        returned (zeros at a stream's start); returns logits (B, chunk, K) and the next state.
        """
        local = self.segment_encoder(self.segment_encoder.embed(features, present))
        chunk = local[:, : self.shape.chunk.chunk]
        ahead, (hidden, cell) = self.forward_lstm(chunk, (hidden[None], cell[None]))
        return self._decide(chunk, ahead, self._look_back(local)), hidden[0], cell[0]

    def whole(self, features: Tensor, present: Tensor) -> Tensor:
        """Decide all chunks of each of B sequences at once, each frame and window encoded once.

        Takes features (B, T, D) and present (B, T); returns logits (B, T, K), equal to calls of
        `forward` on one chunk after the other that hand on the state.
        """
        shape = self.shape.chunk
        num_streams, num_frames = features.shape[:2]
        index, inside = (torch.from_numpy(a) for a in window_index(num_frames, shape))
        tokens = self.segment_encoder.embed(features, present)[:, index]  # (B, W, q, dim)
        tokens = torch.where(inside[..., None], tokens, self.segment_encoder.absent)
        windows = self.segment_encoder.encode(tokens.flatten(0, 1)).view(tokens.shape)
        between = shape.stride // shape.chunk  # windows from a view's first to its second
        views = windows[:, :-between].flatten(0, 1), windows[:, between:].flatten(0, 1)
        local = self.segment_encoder.fuse(*views)
        chunks = local[:, : shape.chunk].reshape(num_streams, -1, self.shape.dim)
        ahead, _ = self.forward_lstm(chunks)
        return self._decide(chunks, ahead, self._behind(local, chunks))[:, :num_frames]

    def _behind(self, local: Tensor, chunks: Tensor) -> Tensor:
        """Look back over all chunks of B sequences at once: from each one's look-ahead."""
        return self._look_back(local).reshape(len(chunks), -1, self.shape.hidden)

    def _look_back(self, local: Tensor) -> Tensor:
        behind, _ = self.backward_lstm(local.flip(1))
        back: Tensor = behind.flip(1)[:, : self.shape.chunk.chunk]
        return back

    def _decide(self, chunk: Tensor, ahead: Tensor, behind: Tensor) -> Tensor:
        # The local features pass the LSTMs by: what one frame shows needs no memory.
        logits: Tensor = self.head(torch.cat([ahead, behind, chunk], dim=-1))
        return logits
