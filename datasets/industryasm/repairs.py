"""What an importer mended in foreign files: counted by kind, with places, never done silently."""

from __future__ import annotations

from dataclasses import dataclass, field

_MAX_PLACES = 3


@dataclass
class Repairs:
    """Counts repairs, and keeps the first places of each kind.

    >>> repairs = Repairs()
    >>> repairs.add("line ends with CRLF", "a.csv:1")
    >>> repairs.add("line ends with CRLF", "a.csv:2")
    >>> repairs.lines()
    ['2 x line ends with CRLF (a.csv:1, a.csv:2)']
    """

    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, place: str, number: int = 1) -> None:
        """Count `number` repairs of the kind `what`, of which the first is at `place`."""
        self.counts[what] = self.counts.get(what, 0) + number
        known = self.places.setdefault(what, [])
        if len(known) < _MAX_PLACES:
            known.append(place)

    def lines(self) -> list[str]:
        """Word the repairs for a terminal, the most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda item: -item[1])
        return [f"{number} x {what} ({', '.join(self.places[what])})" for what, number in ordered]
