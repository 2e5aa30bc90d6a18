"""For how long a network saw each label, weighted by how probable it was, second by second.

It tells what the decoder's path left out: a step that was seen for half of its time at even odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

MEMORY_S = 30 * 60
"""For how long it is remembered."""


class SoftTime:
    """Seconds of each label in the newest `MEMORY_S`; constant memory, 4 bytes a label and second.

    Its resolution is a second: the seconds that a span touches count whole.
    """

    def __init__(self, labels: Sequence[str], *, period_s: float) -> None:
        """A frame stands for `period_s`."""
        self._columns = {label: column for column, label in enumerate(labels)}
        self._period_s = period_s
        self._seconds = np.zeros((MEMORY_S, len(labels)), np.float32)  # (S, K), a ring
        self._first = self._newest = -1  # seconds of the stream; -1 before the first frame

    def add(self, probabilities: Floats, times_s: Floats) -> None:
        """Take probabilities (T, K) of frames at the ascending `times_s` (T,)."""
        for row, second in zip(probabilities, np.floor(times_s).astype(int), strict=True):
            self._begin(int(second))
            self._seconds[second % MEMORY_S] += row * self._period_s

    def knows(self, time_s: float) -> bool:
        """Tell whether `time_s` is not before the first frame, and not forgotten yet."""
        return self._newest >= 0 and int(time_s) >= max(self._first, self._newest - MEMORY_S + 1)

    def of(self, label: str, start_s: float, end_s: float) -> float:
        """Return for how many seconds of [start_s, end_s) `label` was seen, as far as known."""
        first = max(int(start_s), self._first, self._newest - MEMORY_S + 1)
        last = min(int(np.ceil(end_s)), self._newest + 1)
        if label not in self._columns or first >= last:
            return 0.0
        rows = np.arange(first, last) % MEMORY_S
        return float(self._seconds[rows, self._columns[label]].sum())

    def _begin(self, second: int) -> None:
        """Forget what is older than the memory before the first frame of `second` is added."""
        if self._newest < 0:
            self._first = self._newest = second
        fresh = np.arange(max(self._newest + 1, second - MEMORY_S + 1), second + 1)
        self._seconds[fresh % MEMORY_S] = 0.0
        self._newest = max(self._newest, second)
