"""Cuts a sequence of frame features into the overlapping views that the network reads.

Windows of q = 32 frames start every q - o = 16 frames, so that each frame lies in two of them
(TemporalVLM, arXiv 2412.02930, section 3: q = 32, o = 16). A chunk is the 16 frames that one pair
of windows decides together; its view is everything the network may look at for that:

```
frames   -16 ......... 0 ......... 16 ......... 32      relative to the chunk's first
window 1  [-----------------------)
window 2              [------------------------)
chunk                 [............)
seen      ===================================)           up to 16 + look-ahead; the rest is absent
```
Whole recordings and streams go through the same views, so that both give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ChunkShape:
    """Frames per window, frames that neighbours share, frames of look-ahead."""

    window: int = 32
    overlap: int = 16
    lookahead: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.overlap < self.window or self.window - self.overlap != self.overlap:
            raise ValueError(f"overlap {self.overlap} must be half of window {self.window}")
        if not 0 <= self.lookahead <= self.stride:
            raise ValueError(f"lookahead {self.lookahead} must be within 0..{self.stride}")

    @property
    def stride(self) -> int:
        """Frames from one window's start to the next one's, and frames in a chunk."""
        return self.window - self.overlap

    @property
    def view(self) -> int:
        """Frames in a view: the window before the chunk's end, and the one after its start."""
        return self.window + self.stride


def view_index(num_frames: int, shape: ChunkShape) -> tuple[np.ndarray, np.ndarray]:
    """Return which frame is at each place of the views of a sequence's N = ceil(T / stride) chunks.

    Gives `index` int64 (N, V), 0 where there is none, and `inside` bool (N, V).

    >>> index, inside = view_index(20, ChunkShape())
    >>> index.shape, inside.sum(axis=1).tolist(), index[1, :2].tolist()
    ((2, 48), [20, 20], [0, 1])
    """
    num_chunks = -(-num_frames // shape.stride)
    first = np.arange(num_chunks)[:, None] * shape.stride - shape.overlap
    index = first + np.arange(shape.view)[None]
    inside = (index >= 0) & (index < num_frames)
    inside[:, shape.window + shape.lookahead :] = False
    return np.where(inside, index, 0), inside
