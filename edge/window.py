"""The rolling window: features come in one by one, views of whole chunks go out.

Each frame has a slot on the grid k / rate_hz; slots without a frame are absent in the view, so a
dropped frame shifts nothing. After a gap longer than a view the stream starts afresh.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from edge.cameras.timeline import TOLERANCE_S
from models.chunks import ChunkShape


@dataclass(frozen=True, eq=False, repr=False)
class Chunk:
    """What the network needs to decide up to `chunk` frames.

    `view` float32 (V, D), `present` bool (V,); `times_s` (n,) and `positions` (n,) of the frames
    that were seen among those to decide; `fresh` when nothing of the past may be carried on.
    """

    view: np.ndarray
    present: np.ndarray
    times_s: np.ndarray
    positions: np.ndarray
    fresh: bool

    def __repr__(self) -> str:
        return f"Chunk({len(self.times_s)} frames from {self.times_s[:1]} s, fresh={self.fresh})"


@dataclass(frozen=True, eq=False)
class _Entry:
    slot: int
    time_s: float
    feature: np.ndarray


class RollingWindow:
    """Buffers the newest features of one stream; memory is bounded by one view."""

    def __init__(self, shape: ChunkShape, *, feature_dim: int, rate_hz: float) -> None:
        self._shape, self._feature_dim, self._rate_hz = shape, feature_dim, rate_hz
        self._entries: deque[_Entry] = deque()
        self._chunk_start: int | None = None  # slot of the first frame not yet decided
        self._fresh = True

    def push(self, feature: np.ndarray, time_s: float) -> list[Chunk]:
        """Take the feature (D,) of the frame at `time_s`; return the chunks it completes."""
        slot = math.floor((time_s + TOLERANCE_S) * self._rate_hz)
        chunks: list[Chunk] = []
        if self._entries and slot <= self._entries[-1].slot:
            return chunks  # a second frame of one slot adds nothing
        if self._entries and slot - self._entries[-1].slot > self._shape.view:
            chunks += self.close()
        if self._chunk_start is None:
            self._chunk_start = slot
        self._entries.append(_Entry(slot, time_s, feature))
        while slot >= self._chunk_start + self._shape.recent - 1:
            chunks += self._cut()
        return chunks

    def close(self) -> list[Chunk]:
        """Return what is left as chunks without their look-ahead, and start afresh."""
        chunks: list[Chunk] = []
        while self._chunk_start is not None and self._entries[-1].slot >= self._chunk_start:
            chunks += self._cut()
        self._entries.clear()
        self._chunk_start, self._fresh = None, True
        return chunks

    def _cut(self) -> list[Chunk]:
        assert self._chunk_start is not None
        shape, start = self._shape, self._chunk_start
        first = start + shape.recent - shape.view  # slot of the view's first place
        view = np.zeros((shape.view, self._feature_dim), np.float32)
        present = np.zeros(shape.view, bool)
        inside: list[_Entry] = []
        for entry in self._entries:
            position = entry.slot - first
            if 0 <= position < shape.view:
                view[position], present[position] = entry.feature, True
            if start <= entry.slot < start + shape.chunk:
                inside.append(entry)
        chunk = Chunk(
            view,
            present,
            np.array([entry.time_s for entry in inside]),
            np.array([entry.slot - start for entry in inside], np.int64),
            self._fresh,
        )
        self._fresh = False
        self._chunk_start = start + shape.chunk
        while self._entries and self._entries[0].slot < first + shape.chunk:
            if self._entries[-1] is self._entries[0]:
                break  # the newest slot marks where the stream is
            self._entries.popleft()
        return [chunk]
