"""For how long a network saw each label, weighted by how probable it was, second by second.

It tells what the decoder's path left out: a step that was seen for half of its time at even odds.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.judge_state import JudgeStateError, SoftState

Floats = NDArray[np.floating[Any]]

MEMORY_S = 30 * 60
"""For how long it is remembered."""

_STORED = np.dtype("<f4")
_MOST_S = 3600.0
"""More is in no second, though the clock be set back and its frames counted again."""


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
        rows = self._known(start_s, end_s)
        if label not in self._columns or not len(rows):
            return 0.0
        return float(self._seconds[rows, self._columns[label]].sum())

    def of_all(self, start_s: float, end_s: float) -> Floats:
        """Return for how many seconds of [start_s, end_s) each label (K,) was seen."""
        seconds: Floats = self._seconds[self._known(start_s, end_s)].sum(axis=0)
        return seconds

    def state(self, since_s: float) -> SoftState:
        """Return what is remembered of the time since `since_s`, from which `resume` goes on."""
        first = max(int(since_s), self._first, self._newest - MEMORY_S + 1)
        rows = np.arange(first, self._newest + 1) % MEMORY_S  # none before the first frame
        seconds = self._seconds[rows].astype(_STORED).tobytes() if self._newest >= 0 else b""
        return SoftState(newest=self._newest, seconds=b64encode(seconds))

    def resume(self, state: SoftState) -> None:
        """Go on from `state` in place of what was seen; the stream's time must go on too.

        Raises `JudgeStateError` where it cannot be one of these labels; then nothing is changed.
        """
        stored, num_labels = np.frombuffer(state.seconds, np.uint8), len(self._columns)
        if len(stored) % (4 * num_labels):
            raise JudgeStateError(f"{len(stored)} bytes are no seconds of {num_labels} labels")
        seconds = stored.view(_STORED).reshape(-1, num_labels)  # (S, K)
        first = state.newest - len(seconds) + 1
        if len(seconds) > MEMORY_S or first < 0 or (state.newest < 0) != (len(seconds) == 0):
            raise JudgeStateError(f"{len(seconds)} seconds until second {state.newest}")
        if not ((seconds >= 0) & (seconds <= _MOST_S)).all():  # NaN is not
            raise JudgeStateError("a label was seen for less than 0 s or longer than there was")
        self._seconds[:] = 0.0
        self._seconds[np.arange(first, state.newest + 1) % MEMORY_S] = seconds
        self._first, self._newest = first if len(seconds) else -1, state.newest

    def _known(self, start_s: float, end_s: float) -> NDArray[np.integer[Any]]:
        """Return the rows of the seconds that [start_s, end_s) touches, those still known."""
        first = max(int(start_s), self._first, self._newest - MEMORY_S + 1)
        last = min(int(np.ceil(end_s)), self._newest + 1)
        return np.arange(first, last) % MEMORY_S  # none where first >= last

    def _begin(self, second: int) -> None:
        """Forget what is older than the memory before the first frame of `second` is added."""
        if self._newest < 0:
            self._first = self._newest = second
        fresh = np.arange(max(self._newest + 1, second - MEMORY_S + 1), second + 1)
        self._seconds[fresh % MEMORY_S] = 0.0
        self._newest = max(self._newest, second)
