"""Work that is not in the task, and what it was for: undoing a step, in a step's place, or neither.

Nothing of this can be told before it is over. So it is suspected to be `unexpected` work, until the
next step or the end of the cycle tells what it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from industryasm.procedure import Procedure
from industryasm.segment import Segment
from models.cycle import Cycle
from models.deviation_ledger import DeviationLedger, Span
from models.findings import Deviation

_FOREIGN = "work that is not in the task"
MOST = 32  # pieces between two steps, so that memory is constant
PLACE = 0.5  # of a step's usual time: foreign work so long may have been done in its place


class ForeignWork:
    """Explains the unexpected work of a cycle; knows no other rules."""

    def __init__(self, procedure: Procedure, ledger: DeviationLedger) -> None:
        self._procedure, self._ledger = procedure, ledger

    def suspect(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Deviation]:
        """Report unexpected work of a cycle that goes on; of `MOST` pieces the last goes on."""
        if len(pieces := self.stretch()) >= MOST:
            self._ledger.extend(pieces[-1], segment.end_s)
            return []
        return [self._suspect(cycle, segment, now_s)]

    def confirm(self, cycle: Cycle, segment: Segment, now_s: float) -> Deviation:
        """Report unexpected work that nothing of `cycle` follows."""
        return self._ledger.settle(self._suspect(cycle, segment, now_s), "confirmed", _FOREIGN)

    def stretch(self, *, until_s: float = math.inf) -> list[Deviation]:
        """Return the unexpected work begun before `until_s` that nothing explains yet."""
        places = self._ledger.all_suspected("wrong_part")
        return [
            work
            for work in self._ledger.all_suspected("unexpected")
            if work.start_s < until_s and not any(_holds(place, work) for place in places)
        ]

    def explain_as_undoing(self, cycle: Cycle, again: Segment, now_s: float) -> list[Deviation]:
        """Report that the stretch before `again` was the undoing of this step, done before."""
        stretch = self.stretch(until_s=again.start_s)
        step, span = again.label, (min(work.start_s for work in stretch), again.end_s)
        detail = "undone, and done again"
        rework = self._ledger.confirm(cycle, "rework", step, span, now_s=now_s, detail=detail)
        return [*self._withdraw(stretch, f"it was the undoing of {step}"), rework]

    def explain(self, cycle: Cycle, following: Segment, now_s: float) -> list[Deviation]:
        """Settle the stretch before the step `following`, or suspect what it was in place of."""
        stretch = self.stretch(until_s=following.start_s)
        missing = self._procedure.missing_before(following.label, cycle.done)
        step = self._replaced(cycle, missing, stretch, until_s=following.start_s)
        if step is None:
            return self._confirm(stretch)
        detail = f"not seen before {following.label}; something else was done in its place"
        span = _span(stretch)
        return [
            self._ledger.suspect(cycle, "wrong_part", step, span, now_s=now_s, detail=detail),
        ]

    def withdraw_place(self, step: str, detail: str) -> list[Deviation]:
        """Take back that something was done in the place of `step`; then it was for nothing."""
        place = self._ledger.suspected("wrong_part", step)
        if place is None:
            return []
        withdrawn = self._ledger.settle(place, "withdrawn", detail)
        return [withdrawn, *self._confirm(self.stretch(until_s=place.end_s))]

    def judge_end(self, cycle: Cycle, now_s: float, *, interrupted: bool) -> list[Deviation]:
        """Settle all unexpected work when `cycle` ends; an `interrupted` one has no last step."""
        stretch = self.stretch()
        undone = [] if interrupted or not cycle.done else cycle.undone()
        if step := self._replaced(cycle, undone, stretch):
            detail = "not done when the cycle ended; something else was done in its place"
            span = _span(stretch)
            self._ledger.suspect(cycle, "wrong_part", step, span, now_s=now_s, detail=detail)
        found: list[Deviation] = []
        for place in self._ledger.all_suspected("wrong_part"):
            works = [w for w in self._ledger.all_suspected("unexpected") if _holds(place, w)]
            found += self._withdraw(works, f"it was in the place of {place.step}")
            found.append(self._ledger.settle(place, "confirmed", place.detail))
        return found + self._confirm(self.stretch())

    def _suspect(self, cycle: Cycle, segment: Segment, now_s: float) -> Deviation:
        step, span = segment.label, (segment.start_s, segment.end_s)
        return self._ledger.suspect(cycle, "unexpected", step, span, now_s=now_s, detail=_FOREIGN)

    def _replaced(
        self,
        cycle: Cycle,
        missing: Sequence[str],
        stretch: Sequence[Deviation],
        *,
        until_s: float = math.inf,
    ) -> str | None:
        """Return the first of the `missing` steps that was due in the `stretch` and fits it."""
        if not stretch:
            return None
        length_s = sum(work.end_s - work.start_s for work in stretch)
        for step in missing:
            is_due = not self._procedure.missing_before(step, cycle.done)
            fits = length_s >= PLACE * self._procedure.step(step).expected_s
            is_hidden = cycle.hidden_s(step, until_s=until_s) > 0
            if is_due and fits and not cycle.overtakers(step) and not is_hidden:
                return step
        return None

    def _confirm(self, stretch: Sequence[Deviation]) -> list[Deviation]:
        return [self._ledger.settle(work, "confirmed", work.detail) for work in stretch]

    def _withdraw(self, stretch: Sequence[Deviation], detail: str) -> list[Deviation]:
        return [self._ledger.settle(work, "withdrawn", detail) for work in stretch]


def _span(stretch: Sequence[Deviation]) -> Span:
    return min(work.start_s for work in stretch), max(work.end_s for work in stretch)


def _holds(place: Deviation, work: Deviation) -> bool:
    return place.start_s <= work.start_s and work.end_s <= place.end_s
