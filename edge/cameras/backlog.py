"""Finds that a camera's stream is decoded more slowly than it comes, and jumps to its newest.

What was not read in time waits in the network's buffers, and with it the delay grows to many
seconds. Coded pictures build on one another, so none can be left out singly: everything is skipped,
undecoded, until the buffers are empty and the next key picture comes.
"""

from __future__ import annotations

import math

MAX_DELAY_S = 2.0  # as long as a camera may be silent; shorter hiccups are caught up by decoding
LATE_S = 0.5  # a delay that is not caught up, and so will only grow, is ended from here on
WAITED_S = 0.005  # a read that took so long found no packet ready
NUM_READY = 10  # packets in a row without such a read: the reader is what is slow, not the camera
WINDOW_S = 150.0  # clocks drift by 0.03 s in that time


class Backlog:
    """Decides for each packet of a live stream whether it is skipped.

    The delay is arrival minus PTS, against its least value in the last minutes. A camera whose
    clock runs slow looks delayed too, but its packets are waited for. What a hiccup of the network
    held up comes at once and is decoded faster than in real time, so its delay shrinks; where it
    does not, the reader is too slow. What a starved reader waits for a core is no such waiting.
    """

    def __init__(self) -> None:
        self._least_s = self._least_before_s = math.inf
        self._window_end_s = -math.inf
        self._num_ready = 0
        self._before_s = math.inf  # the delay `NUM_READY` ready packets ago
        self._is_skipping = self._is_empty = False

    def skips(self, pts_s: float | None, *, is_key: bool, waited_s: float, now_s: float) -> bool:
        """Return whether the packet, which was waited for `waited_s`, is too old to be decoded."""
        self._num_ready = 0 if waited_s >= WAITED_S else self._num_ready + 1
        if self._is_skipping:
            self._is_empty |= self._num_ready == 0
            if not (self._is_empty and is_key):
                return True
            self._is_skipping = self._is_empty = False
            self._least_s = self._least_before_s = math.inf
        elif pts_s is not None:
            delay_s = self._delay_s(now_s - pts_s, now_s)
            self._is_skipping = self._is_too_late(delay_s)
        return self._is_skipping

    def _is_too_late(self, delay_s: float) -> bool:
        if self._num_ready == 0:
            self._before_s = math.inf
        if self._num_ready < NUM_READY:
            return False
        if self._num_ready % NUM_READY:
            return delay_s > MAX_DELAY_S
        is_growing, self._before_s = delay_s >= self._before_s, delay_s
        return delay_s > MAX_DELAY_S or (is_growing and delay_s > LATE_S)

    def _delay_s(self, lag_s: float, now_s: float) -> float:
        if now_s >= self._window_end_s:
            self._least_before_s, self._least_s = self._least_s, lag_s
            self._window_end_s = now_s + WINDOW_S
        self._least_s = min(self._least_s, lag_s)
        return lag_s - min(self._least_s, self._least_before_s)
