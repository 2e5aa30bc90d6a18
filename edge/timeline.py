"""From a source's own time stamps to seconds that never go back, and which pictures to sample."""

from __future__ import annotations

import math

MAX_BACK_S = 1.0  # pictures out of order are a few apart; more is a clock that was set or wrapped
MAX_GAP_S = 3600.0  # a recording may pause; a longer jump is a damaged time stamp
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

    def at(self, pts_s: float | None, interval_s: float) -> float:
        """Return the time of the next picture; `interval_s` stands in where PTS is of no use."""
        last_s = self._starts_at_s if self._last_s is None else self._last_s
        following_s = last_s if self._last_s is None else last_s + interval_s
        if pts_s is None or not math.isfinite(pts_s):
            time_s = following_s
        else:
            if self._offset_s is None:
                self._offset_s = following_s - pts_s
            time_s = pts_s + self._offset_s
            if not last_s - MAX_BACK_S <= time_s <= last_s + MAX_GAP_S:
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

    def takes(self, time_s: float) -> bool:
        """Return whether the picture at `time_s` is a sample; call it once per picture."""
        index = math.floor((time_s + TOLERANCE_S) * self._rate_hz)
        if index < self._next_index:
            return False
        self._next_index = index + 1
        return True
