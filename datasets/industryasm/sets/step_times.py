"""How long the steps of a published set take, measured on its training recordings."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

FALLBACK_S = (30.0, 120.0)
"""Expected time and limit of a step that no training recording shows done correctly."""
SHORTEST_S, LONGEST_S = 0.1, 3600.0
ROOM = 1.25  # how far above the longest correct one the limit is


class StepTimes:
    """The durations of steps that were done correctly, of one task.

    >>> times = StepTimes()
    >>> times.add("stir", 4.0), times.add("stir", 8.0), times.of("stir"), times.of("pour")
    (None, None, (6.0, 10.0), (30.0, 120.0))
    """

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def add(self, step: str, seconds: float) -> None:
        """Take the duration of one correct execution."""
        self._seconds[step].append(seconds)

    def of(self, step: str) -> tuple[float, float]:
        """Return expected time and limit in seconds: the median, and 1.25 times the longest."""
        seconds = self._seconds.get(step)
        if not seconds:
            return FALLBACK_S
        expected = min(max(round(median(seconds), 2), SHORTEST_S), LONGEST_S / ROOM)
        limit = max(round(max(seconds) * ROOM, 2), expected * ROOM)
        return expected, min(limit, LONGEST_S)
