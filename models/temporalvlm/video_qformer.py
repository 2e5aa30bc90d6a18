"""Overlapping sliding video Q-Former: windows of frames in, a few tokens a window out.

```
frames    0 ........ 16 ........ 32 ........ 48 ........ 64        q = 32, o = 16
window 0  [-----------------------)                                each gives its Q tokens
window 1              [-----------------------)
window 2                          [-----------------------)
```
A window is used when it covers a frame that the one before does not, so every frame is covered and
what a segment gives depends on its frames alone, never on the padding behind them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from models.temporalvlm.config import QFormerConfig, initial_spread


def window_frames(num_frames: int, window: int, overlap: int) -> Tensor:
    """Return which frames each window holds, int64 (W, q); those from `num_frames` on are none.

    >>> window_frames(6, 4, 2).tolist()
    [[0, 1, 2, 3], [2, 3, 4, 5]]
    """
    stride = window - overlap
    count = -(-max(0, num_frames - window) // stride) + 1
    return torch.arange(count)[:, None] * stride + torch.arange(window)


def windows_used(present: Tensor, window: int, overlap: int) -> Tensor:
    """Return bool (S, W): the windows that segments with `present` frames (S, T) need."""
    starts = window_frames(present.shape[1], window, overlap)[:, 0].to(present.device)
    lengths = present.sum(dim=1, keepdim=True)
    return (lengths > 0) & ((starts == 0) | (starts + overlap < lengths))


def new_qformer(config: QFormerConfig, *, dim: int, reads: int) -> Blip2QFormerModel:
    """Build BLIP-2's Q-Former: `dim` wide, of new weights, for what is `reads` wide."""
    return Blip2QFormerModel(
        Blip2QFormerConfig(
            hidden_size=dim,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.mlp_dim,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
            initializer_range=initial_spread(dim),
            cross_attention_frequency=config.cross_attention_every,
            encoder_hidden_size=reads,
        )
    )


class SlidingVideoQFormer(nn.Module):
    """Learned queries that read the frames of one window, told their place in the segment."""

    def __init__(
        self, config: QFormerConfig, *, dim: int, frames: int, window: int, overlap: int
    ) -> None:
        super().__init__()
        self.window = window
        self.overlap = overlap
        self.position = nn.Embedding(frames, dim)
        nn.init.normal_(self.position.weight, std=0.02)
        self.queries = nn.Parameter(0.02 * torch.randn(1, config.queries, dim))
        self.qformer = new_qformer(config, dim=dim, reads=dim)

    def place(self, frames: Tensor) -> Tensor:
        """Add to frames (S, T, Q, D) the embedding of their place in the segment."""
        position: Tensor = self.position.weight[: frames.shape[1], None]
        return frames + position

    def forward(self, frames: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Map placed frames (S, T, Q, D), of which `present` (S, T), to windows' tokens.

        Returns tokens (S, W, Q', D), zero for windows not used, and `used` bool (S, W).
        """
        index = window_frames(frames.shape[1], self.window, self.overlap).to(frames.device)
        inside = index < frames.shape[1]
        index = index.clamp(max=frames.shape[1] - 1)
        used = windows_used(present, self.window, self.overlap)
        seen = (present[:, index] & inside)[used]  # (M, q): M used windows of all segments
        keys = frames[:, index][used].flatten(1, 2)  # (M, q * Q, D)
        read = self.qformer(
            query_embeds=self.queries.expand(len(keys), -1, -1),
            encoder_hidden_states=keys,
            encoder_attention_mask=seen.repeat_interleave(frames.shape[2], dim=1),
        ).last_hidden_state
        tokens = read.new_zeros((*used.shape, *read.shape[1:]))
        tokens[used] = read
        return tokens, used
