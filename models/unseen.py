"""The stretches of a stream in which the work could not be seen: camera away, blind, or covered."""

from __future__ import annotations

MAX_SPANS = 64


class Unseen:
    """Spans [start_s, end_s) without sight, ascending; the oldest are forgotten."""

    def __init__(self, spans: list[tuple[float, float]] | None = None) -> None:
        self.spans = list(spans or [])

    def note(self, start_s: float, end_s: float) -> None:
        """Add a span behind those known; one that goes on where the last one ended joins it."""
        if self.spans and start_s <= self.spans[-1][1]:
            start_s, last_end_s = self.spans.pop()
            end_s = max(end_s, last_end_s)
        if end_s > start_s:
            self.spans = [*self.spans, (start_s, end_s)][-MAX_SPANS:]

    def seconds(self, start_s: float, end_s: float) -> float:
        """Return how much of [start_s, end_s) was not seen.

        >>> Unseen([(2.0, 4.0), (6.0, 9.0)]).seconds(3.0, 7.0)
        2.0
        """
        return sum(max(0.0, min(end, end_s) - max(start, start_s)) for start, end in self.spans)
