"""The suspected deviations of a station, each to be confirmed or withdrawn once."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from industryasm.deviation import FoundKind
from models.cycle import Cycle
from models.findings import Deviation, DeviationState

Span = tuple[float, float]
"""[start_s, end_s) in which a deviation can be looked at."""


class DeviationLedger:
    """Holds what is suspected, by id; knows no rules.

    There is at most one suspicion of each kind and step, but for `unexpected` work.
    """

    def __init__(self) -> None:
        self._open: dict[str, Deviation] = {}

    def suspect(
        self,
        cycle: Cycle,
        kind: FoundKind,
        step: str,
        span: Span,
        *,
        now_s: float,
        detail: str,
        probability: float | None = None,
    ) -> Deviation:
        """Raise a deviation of `cycle` that is to be settled later."""
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
            probability=probability,
        )
        self._open[deviation.id] = deviation
        return deviation

    def confirm(
        self, cycle: Cycle, kind: FoundKind, step: str, span: Span, *, now_s: float, detail: str
    ) -> Deviation:
        """Confirm what is suspected of this kind and step, with its final span, or raise it now."""
        guess = self.suspected(kind, step)
        if guess is None:
            guess = self.suspect(cycle, kind, step, span, now_s=now_s, detail=detail)
        return replace(self.settle(guess, "confirmed", detail), start_s=span[0], end_s=span[1])

    def settle(self, guess: Deviation, state: DeviationState, detail: str) -> Deviation:
        """Confirm or withdraw `guess`, which is suspected, and forget it."""
        return replace(self._open.pop(guess.id), state=state, detail=detail)

    def withdraw(self, kind: FoundKind, step: str, detail: str) -> list[Deviation]:
        """Take back what is suspected of this kind and step, if anything is."""
        guess = self.suspected(kind, step)
        return [] if guess is None else [self.settle(guess, "withdrawn", detail)]

    def withdraw_all(self, detail: str) -> list[Deviation]:
        """Take back everything that is still suspected."""
        return [self.settle(guess, "withdrawn", detail) for guess in list(self._open.values())]

    def suspected(self, kind: FoundKind, step: str) -> Deviation | None:
        """Return what is suspected of this kind and step."""
        return next((d for d in self._open.values() if (d.kind, d.step) == (kind, step)), None)

    def all_suspected(self, kind: FoundKind) -> list[Deviation]:
        """Return everything of this kind that is suspected."""
        return [deviation for deviation in self._open.values() if deviation.kind == kind]

    def extend(self, deviation: Deviation, end_s: float) -> None:
        """Note that `deviation`, which is suspected, went on until `end_s`."""
        end_s = max(deviation.end_s, end_s)
        self._open[deviation.id] = replace(deviation, end_s=end_s)

    def to_plain(self) -> list[dict[str, Any]]:
        """Return the ledger as JSON values."""
        return [asdict(deviation) for deviation in self._open.values()]

    @classmethod
    def from_plain(cls, plain: list[dict[str, Any]]) -> DeviationLedger:
        """Return the ledger that `to_plain` wrote."""
        ledger = cls()
        for values in plain:
            deviation = Deviation(**values)
            ledger._open[deviation.id] = deviation
        return ledger
