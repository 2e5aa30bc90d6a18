"""What a language model is shown of videos, and which stretch of its video each token stands for.

A frame is a moment here, so a stretch goes from the first to the last frame that a token was made
of. A window's queries share its stretch, query i of Q standing for the i-th of Q equal parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.temporalvlm.video_qformer import window_frames


@dataclass(frozen=True, eq=False)
class VideoTokens:
    """The tokens of B videos in the order in which they are shown.

    `tokens` float (B, N, D), `lengths` int64 (B,) how many are there; `start_s` and `end_s` float64
    (B, N) in seconds, 0 behind a row's length. The two are equal where a token was made of one
    frame, and windows that overlap have stretches that do.
    """

    tokens: Tensor
    lengths: Tensor
    start_s: Tensor
    end_s: Tensor

    def __post_init__(self) -> None:
        shape = self.tokens.shape[:2]
        if self.tokens.ndim != 3 or self.lengths.shape != shape[:1]:
            raise ValueError(
                f"tokens {tuple(self.tokens.shape)} must be (B, N, D) beside lengths "
                f"{tuple(self.lengths.shape)}"
            )
        if self.start_s.shape != shape or self.end_s.shape != shape:
            raise ValueError(
                f"starts {tuple(self.start_s.shape)} and ends {tuple(self.end_s.shape)} must be "
                f"{tuple(shape)}, one for each token"
            )

    def __repr__(self) -> str:
        return f"VideoTokens(tokens={tuple(self.tokens.shape)}, lengths={self.lengths.tolist()})"

    @property
    def present(self) -> Tensor:
        """Bool (B, N): the places before each row's length."""
        places = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        return places < self.lengths[:, None]


def packed(values: Tensor, there: Tensor) -> Tensor:
    """Move what is `there` (B, M) of values (B, M, ...) to the front of each row, (B, N, ...).

    The order stays; behind a row's last value there are zeros.

    >>> packed(torch.tensor([[5, 6, 7]]), torch.tensor([[True, False, True]])).tolist()
    [[5, 7]]
    """
    return pad_sequence(
        [row[mask] for row, mask in zip(values, there, strict=True)], batch_first=True
    )


def seen_stretch(times_s: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the last time (...) of what is `seen` (..., T); 0 where nothing is."""
    none = ~seen.any(dim=-1)
    first = times_s.masked_fill(~seen, torch.inf).amin(dim=-1).masked_fill(none, 0)
    last = times_s.masked_fill(~seen, -torch.inf).amax(dim=-1).masked_fill(none, 0)
    return first, last


def window_stretches(
    times_s: Tensor, present: Tensor, *, window: int, overlap: int, queries: int
) -> tuple[Tensor, Tensor]:
    """Return the start and end (..., W, Q) of each query's part of each window of times (..., T).

    >>> times, present = torch.tensor([0.0, 1.0, 2.0, 3.0, 9.0]), torch.tensor([True] * 4 + [False])
    >>> start, end = window_stretches(times, present, window=3, overlap=1, queries=2)
    >>> start.tolist(), end.tolist()
    ([[0.0, 1.0], [2.0, 2.5]], [[1.0, 2.0], [2.5, 3.0]])
    """
    index = window_frames(times_s.shape[-1], window, overlap).to(times_s.device)
    inside = index < times_s.shape[-1]
    index = index.clamp(max=times_s.shape[-1] - 1)
    first, last = seen_stretch(times_s[..., index], present[..., index] & inside)
    share = torch.arange(queries + 1, device=times_s.device) / queries
    edges = first[..., None] + (last - first)[..., None] * share
    return edges[..., :-1], edges[..., 1:]
