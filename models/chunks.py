"""Cuts a sequence of frame features into the rolling views that the network reads.

A chunk is the few frames that are decided together. Its view is everything the network looks at for
that: two windows of q = 32 frames that overlap by o = 16 (TemporalVLM, arXiv 2412.02930, section 3)
and end with the look-ahead behind the chunk, so that no place of a view waits for frames to come.

```
frames   -39 ............ -23 ............ -7 .. 0 ... 4 ...... 9     relative to the chunk's first
window 1  [-------------------------------)
window 2                   [---------------------------------)
chunk                                            [....)               chunk 4, look-ahead 5
```
Whole recordings and streams go through the same views, so that both give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ChunkShape:
    """Frames per window, frames two windows share, frames decided at once, and of look-ahead."""

    window: int = 32
    overlap: int = 16
    chunk: int = 4
    lookahead: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.overlap < self.window or self.stride != self.overlap:
            raise ValueError(f"overlap {self.overlap} must be half of window {self.window}")
        if self.chunk < 1 or self.stride % self.chunk:
            raise ValueError(f"chunk {self.chunk} must divide the stride of {self.stride}")
        if not 0 <= self.lookahead <= self.window - self.chunk:
            raise ValueError(
                f"lookahead {self.lookahead} must be within 0..{self.window - self.chunk}: chunk "
                "and look-ahead lie in one window"
            )

    @property
    def stride(self) -> int:
        """Frames from the start of a view's earlier window to that of its later one."""
        return self.window - self.overlap

    @property
    def view(self) -> int:
        """Frames in a view: two windows that share `overlap` frames."""
        return self.window + self.stride

    @property
    def recent(self) -> int:
        """Frames of a view from the chunk's first on: the chunk and its look-ahead."""
        return self.chunk + self.lookahead


def window_index(num_frames: int, shape: ChunkShape) -> tuple[np.ndarray, np.ndarray]:
    """Return which frame is at each place of the windows that a sequence's N chunks look at.

    Window i is the earlier one of chunk i, and the later one of the chunk a stride before; there
    are N = ceil(T / chunk) chunks and N + stride / chunk windows. Gives `index` int64 (W, q), 0
    where there is none, and `inside` bool (W, q).

    >>> index, inside = window_index(10, ChunkShape())
    >>> index.shape, inside.sum(axis=1).tolist(), index[5, -9:].tolist()
    ((7, 32), [0, 0, 1, 5, 9, 10, 10], [4, 5, 6, 7, 8, 9, 0, 0, 0])
    """
    num_windows = -(-num_frames // shape.chunk) + shape.stride // shape.chunk
    ends = np.arange(num_windows)[:, None] * shape.chunk + shape.recent - shape.stride
    index = ends - shape.window + np.arange(shape.window)[None]
    inside = (index >= 0) & (index < num_frames)
    return np.where(inside, index, 0), inside
