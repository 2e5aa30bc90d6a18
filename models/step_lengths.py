"""Steps that take too long, and steps that were left too soon; knows one cycle at a time."""

from __future__ import annotations

from industryasm.deviation import FoundKind
from industryasm.procedure import Procedure
from industryasm.segment import Segment
from models.cycle import Cycle
from models.deviation_ledger import DeviationLedger
from models.findings import Deviation
from models.shortness import shortness

_SHORT: tuple[FoundKind, FoundKind] = ("incomplete", "too_short")


class StepLengths:
    """Judges how long steps take.

    A step left too soon is suspected; going on with it withdraws that, and a step that comes after
    it or the end of the cycle confirms it. What was recognised with less than `least_confidence`,
    or may have gone on out of sight, accuses nobody.
    """

    def __init__(
        self, procedure: Procedure, ledger: DeviationLedger, *, least_confidence: float
    ) -> None:
        self._procedure, self._ledger = procedure, ledger
        self._least_confidence = least_confidence

    def suspect_overrun(self, cycle: Cycle, running: Segment, now_s: float) -> Deviation:
        """Suspect that the step going on takes too long, which it does by now."""
        step, span = running.label, (running.start_s, running.end_s)
        detail = f"goes on for more than its limit of {self._procedure.step(step).limit_s:g} s"
        return self._ledger.suspect(cycle, "too_long", step, span, now_s=now_s, detail=detail)

    def withdraw_wrong_overruns(self, segment: Segment, *, held: str | None) -> list[Deviation]:
        """Withdraw overruns of other steps that turn out to have been `segment` all the time.

        The step that is `held` is decided: it was itself, only its unit is not known yet.
        """
        return [
            self._ledger.settle(guess, "withdrawn", f"it was {segment.label}")
            for guess in self._ledger.all_suspected("too_long")
            if guess.step not in (segment.label, held) and segment.end_s > guess.end_s
        ]

    def judge(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Deviation]:
        """Judge a decided step before it is added to `cycle`."""
        found = self._judge_limit(cycle, segment, now_s) + self._confirm_before(cycle, segment)
        if segment.label in cycle.lacking_s:
            return found + self._go_on(cycle, segment)
        if segment.label not in cycle.done and segment.confidence >= self._least_confidence:
            found += self._judge_least(cycle, segment, now_s)
        return found

    def judge_end(self, cycle: Cycle) -> list[Deviation]:
        """Confirm what was left too soon when `cycle` ended."""
        left = (self._left(step) for step in cycle.lacking_s)
        return [self._confirm(cycle, guess) for guess in left if guess is not None]

    def _judge_limit(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Deviation]:
        step, limit_s = segment.label, self._procedure.step(segment.label).limit_s
        detail = f"took {segment.duration_s:.1f} s, its limit is {limit_s:g} s"
        if segment.duration_s <= limit_s:
            return self._ledger.withdraw("too_long", step, detail)
        span = segment.start_s, segment.end_s
        return [
            self._ledger.confirm(cycle, "too_long", step, span, now_s=now_s, detail=detail),
        ]

    def _judge_least(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Deviation]:
        step, span = segment.label, (segment.start_s, segment.end_s)
        short = shortness(self._procedure, segment, cycle.done)
        if short is None:
            return []
        cycle.lacking_s[step] = short.lacks_s
        if cycle.hidden_s(step):
            return []
        at_pace = " at the pace of this cycle" if short.kind == "incomplete" else ""
        least_s = segment.duration_s + short.lacks_s
        detail = f"took {segment.duration_s:.1f} s, its least is {least_s:.1f} s{at_pace}"
        return [self._ledger.suspect(cycle, short.kind, step, span, now_s=now_s, detail=detail)]

    def _go_on(self, cycle: Cycle, segment: Segment) -> list[Deviation]:
        step = segment.label
        cycle.lacking_s[step] -= segment.duration_s
        if cycle.lacking_s[step] > 0:
            return []
        del cycle.lacking_s[step]
        guess = self._left(step)
        return [self._ledger.settle(guess, "withdrawn", "it was taken up again")] if guess else []

    def _confirm_before(self, cycle: Cycle, following: Segment) -> list[Deviation]:
        before = self._procedure.predecessors(following.label)
        left = (self._left(step) for step in cycle.lacking_s if step in before)
        return [self._confirm(cycle, guess) for guess in left if guess is not None]

    def _confirm(self, cycle: Cycle, guess: Deviation) -> Deviation:
        if hidden_s := cycle.hidden_s(guess.step):
            detail = f"may have gone on in the {hidden_s:.0f} s in which the work was not seen"
            return self._ledger.settle(guess, "withdrawn", detail)
        return self._ledger.settle(guess, "confirmed", guess.detail)

    def _left(self, step: str) -> Deviation | None:
        return next((g for kind in _SHORT if (g := self._ledger.suspected(kind, step))), None)
