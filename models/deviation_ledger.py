"""The suspected deviations of a station, each to be confirmed or withdrawn once."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from industryasm.deviation import FoundKind
from models.cycle import Cycle
from models.findings import Deviation

Span = tuple[float, float]
"""[start_s, end_s) in which a deviation can be looked at."""


class DeviationLedger:
    """Holds at most one suspicion of each kind and step; knows no rules."""

    def __init__(self) -> None:
        self._open: dict[tuple[FoundKind, str], Deviation] = {}

    def suspect(
        self, cycle: Cycle, kind: FoundKind, step: str, span: Span, *, now_s: float, detail: str
    ) -> Deviation:
        """Raise a deviation of `cycle` that is to be settled later; there must be none open."""
        deviation = Deviation(
            id=cycle.new_id(kind, step),
            kind=kind,
            state="suspected",
            step=step,
            cycle=cycle.number,
            start_s=span[0],
            end_s=span[1],
            detected_s=now_s,
            detail=detail,
        )
        self._open[kind, step] = deviation
        return deviation

    def confirm(
        self, cycle: Cycle, kind: FoundKind, step: str, span: Span, *, now_s: float, detail: str
    ) -> Deviation:
        """Confirm what is suspected of this kind and step, with its final span, or raise it now."""
        if (kind, step) not in self._open:
            self.suspect(cycle, kind, step, span, now_s=now_s, detail=detail)
        deviation = self._open.pop((kind, step))
        return replace(deviation, state="confirmed", start_s=span[0], end_s=span[1], detail=detail)

    def withdraw(self, kind: FoundKind, step: str, detail: str) -> list[Deviation]:
        """Take back what is suspected of this kind and step, if anything is."""
        deviation = self._open.pop((kind, step), None)
        return [] if deviation is None else [replace(deviation, state="withdrawn", detail=detail)]

    def withdraw_all(self, detail: str) -> list[Deviation]:
        """Take back everything that is still suspected."""
        left = list(self._open)
        return [deviation for kind, step in left for deviation in self.withdraw(kind, step, detail)]

    def suspected(self, kind: FoundKind, step: str) -> Deviation | None:
        """Return what is suspected of this kind and step."""
        return self._open.get((kind, step))

    def all_suspected(self, kind: FoundKind) -> list[Deviation]:
        """Return everything of this kind that is suspected."""
        return [deviation for deviation in self._open.values() if deviation.kind == kind]

    def extend(self, deviation: Deviation, end_s: float) -> None:
        """Note that `deviation`, which is suspected, went on until `end_s`."""
        end_s = max(deviation.end_s, end_s)
        self._open[deviation.kind, deviation.step] = replace(deviation, end_s=end_s)

    def to_plain(self) -> list[dict[str, Any]]:
        """Return the ledger as JSON values."""
        return [asdict(deviation) for deviation in self._open.values()]

    @classmethod
    def from_plain(cls, plain: list[dict[str, Any]]) -> DeviationLedger:
        """Return the ledger that `to_plain` wrote."""
        ledger = cls()
        for values in plain:
            deviation = Deviation(**values)
            ledger._open[deviation.kind, deviation.step] = deviation
        return ledger
