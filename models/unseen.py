"""The stretches of a stream in which the work could not be seen: camera away, blind, or covered."""

from __future__ import annotations

from itertools import pairwise

MAX_SPANS = 64


class Unseen:
    """Spans [start_s, end_s) without sight, ascending; `forget` those that nobody asks about.

    Of more than `MAX_SPANS` the two nearest count as one: rather too much hidden than too little.
    """

    def __init__(self, spans: list[tuple[float, float]] | None = None) -> None:
        self.spans = list(spans or [])

    def note(self, start_s: float, end_s: float) -> None:
        """Add a span that ends behind those known; it takes in those that it touches."""
        while self.spans and start_s <= self.spans[-1][1]:
            last_start_s, last_end_s = self.spans.pop()
            start_s, end_s = min(start_s, last_start_s), max(end_s, last_end_s)
        if end_s > start_s:
            self.spans.append((start_s, end_s))
        if len(self.spans) > MAX_SPANS:
            gaps_s = [after[0] - before[1] for before, after in pairwise(self.spans)]
            nearest = gaps_s.index(min(gaps_s))
            joined = self.spans[nearest][0], self.spans[nearest + 1][1]
            self.spans[nearest : nearest + 2] = [joined]

    def forget(self, until_s: float) -> None:
        """Drop the spans that ended by `until_s`."""
        self.spans = [span for span in self.spans if span[1] > until_s]

    def seconds(self, start_s: float, end_s: float) -> float:
        """Return how much of [start_s, end_s) was not seen.

        >>> Unseen([(2.0, 4.0), (6.0, 9.0)]).seconds(3.0, 7.0)
        2.0
        """
        return sum(max(0.0, min(end, end_s) - max(start, start_s)) for start, end in self.spans)
