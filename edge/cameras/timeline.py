"""From a source's own time stamps to seconds that never go back, and which pictures to sample."""

from __future__ import annotations

import math

MAX_BACK_S = 1.0  # pictures out of order are a few apart; more is a clock that was set or wrapped
MAX_GAP_S = 3600.0  # a recording may pause; a longer jump is a damaged time stamp
MAX_LIVE_GAP_S = 10.0  # beyond the time that passed; no camera is silent so long and connected
MAX_INTERVALS = 64  # in which coded pictures may lie that wait for one another; a codec has 16
TOLERANCE_S = 1e-6  # time stamps have steps of 11 microseconds (RTP) or more: below is rounding


class Timeline:
    """Maps PTS to seconds since the start: a gap stays a gap, a jump of the clock does not.

    `origin_s` is the PTS that means `starts_at_s`; without it, the first PTS is. A picture that
    comes slightly too early takes the time of the one before it. `num_backward` counts these and
    the jumps.

    >>> timeline = Timeline()
    >>> [timeline.at(pts, 0.5) for pts in (7.0, 7.5, 9.0, 8.75, 9.5, None, 0.0, 0.5)]
    [0.0, 0.5, 2.0, 2.0, 2.5, 3.0, 3.5, 4.0]
    """

    def __init__(self, *, starts_at_s: float = 0.0, origin_s: float | None = None) -> None:
        self.num_backward = 0
        self._offset_s = None if origin_s is None else starts_at_s - origin_s
        self._starts_at_s = starts_at_s
        self._last_s: float | None = None

    def at(self, pts_s: float | None, interval_s: float, *, max_gap_s: float = MAX_GAP_S) -> float:
        """Return the time of the next picture; `interval_s` stands in where PTS is of no use.

        That is also where it lies more than `max_gap_s` behind the last one's.
        """
        last_s = self._starts_at_s if self._last_s is None else self._last_s
        following_s = last_s if self._last_s is None else last_s + interval_s
        if pts_s is None or not math.isfinite(pts_s):
            time_s = following_s
        else:
            if self._offset_s is None:
                self._offset_s = following_s - pts_s
            time_s = pts_s + self._offset_s
            if not last_s - MAX_BACK_S <= time_s <= last_s + max_gap_s:
                self.num_backward += 1
                time_s = following_s
                self._offset_s = time_s - pts_s
            elif time_s < last_s:
                # at the very start this is lead-in before the origin, not disorder
                self.num_backward += self._last_s is not None
                time_s = last_s
        self._last_s = time_s
        return time_s


class Sampler:
    """Takes the first picture at or after each sampling instant k / rate_hz, each once.

    >>> sampler = Sampler(5.0)
    >>> [time_s for time_s in (0.0, 0.1, 0.21, 0.3, 0.4, 0.9, 1.0) if sampler.takes(time_s)]
    [0.0, 0.21, 0.4, 0.9, 1.0]
    """

    def __init__(self, rate_hz: float) -> None:
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz {rate_hz}: must be above 0")
        self._rate_hz = rate_hz
        self._next_index = 0  # of the sampling instant that waits for its picture

    def skip_to(self, time_s: float) -> None:
        """Take a picture at `time_s` for seen, as if `takes` had been asked for it."""
        self._next_index = self.index(time_s) + 1

    def takes(self, time_s: float) -> bool:
        """Return whether the picture at `time_s` is a sample; call it once per picture."""
        index = self.index(time_s)
        if index < self._next_index:
            return False
        self._next_index = index + 1
        return True

    def index(self, time_s: float) -> int:
        """Return the number of the sampling interval in which `time_s` lies."""
        return math.floor((time_s + TOLERANCE_S) * self._rate_hz)


class Needless:
    """Tells which coded pictures a `Sampler` at this rate will not take, whatever follows.

    The sampler takes the first picture of each interval, so another one is needless as soon as an
    earlier one is known. Asked in the order of coding, in which a picture that nothing refers to
    (a B-picture) comes behind the one that is shown after it. Holds only for times that are to be
    believed, and that a `Timeline` leaves as they are: `stop` it at damage; it stops at a jump.

    >>> needless = Needless(5.0)
    >>> [time_s for time_s in (0.0, 0.12, 0.04, 0.08, 0.24, 0.16, 0.2) if needless.has(time_s)]
    [0.12, 0.04, 0.08, 0.16]
    """

    def __init__(self, rate_hz: float) -> None:
        self._sampler = Sampler(rate_hz)
        self._earliest_s: dict[int, float] = {}  # of each of the last intervals
        self._last_s = 0.0
        self._has_stopped = False

    def stop(self) -> None:
        """Take no picture for needless from now on."""
        self._has_stopped = True

    def has(self, time_s: float) -> bool:
        """Return whether the picture at `time_s` is needless; call it once per coded picture."""
        if not self._last_s - MAX_BACK_S <= time_s <= self._last_s + MAX_GAP_S:
            self.stop()
        self._last_s = time_s
        if self._has_stopped or time_s < 0:
            return False
        index = self._sampler.index(time_s)
        earliest_s = self._earliest_s.setdefault(index, time_s)
        if len(self._earliest_s) > MAX_INTERVALS:
            del self._earliest_s[min(self._earliest_s)]
        if time_s < earliest_s:
            self._earliest_s[index] = time_s
        return time_s > earliest_s
