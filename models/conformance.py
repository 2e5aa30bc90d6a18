"""The rules by which a step departs from the procedure; knows one cycle, not when cycles begin."""

from __future__ import annotations

from industryasm.deviation import FoundKind
from industryasm.procedure import Procedure
from industryasm.segment import Segment
from models.cycle import Cycle
from models.deviation_ledger import DeviationLedger, Span
from models.findings import Deviation
from models.foreign_work import ForeignWork
from models.step_lengths import StepLengths

_NOT_DONE: tuple[FoundKind, ...] = ("missed", "unsure", "wrong_part")


class Conformance:
    """Judges what happens in a cycle, and keeps what is only suspected until it is settled.

    A step is repeated only if both times were recognised with `least_confidence`, else `unsure`: a
    stretch that may as well have been another step accuses nobody. Whether a required step was done
    that was recognised with less than `done_confidence` is `unsure`, until it is seen better.
    """

    def __init__(
        self,
        procedure: Procedure,
        ledger: DeviationLedger | None = None,
        *,
        least_confidence: float = 0.0,
        done_confidence: float = 0.0,
    ) -> None:
        self._procedure = procedure
        self._least_confidence = least_confidence
        self._done_confidence = done_confidence
        self.ledger = ledger or DeviationLedger()
        self.foreign = ForeignWork(procedure, self.ledger)
        self.lengths = StepLengths(procedure, self.ledger, least_confidence=least_confidence)

    def judge_step(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Deviation]:
        """Judge a decided step before it is added to `cycle`: length, then order or repetition."""
        is_repeat = self._is_repeat(cycle, segment)
        is_again = self._is_again(cycle, segment) and segment.label not in cycle.faint
        found = self.lengths.judge(cycle, segment, now_s)
        if is_repeat and self.foreign.stretch(until_s=segment.start_s):
            return found + self.foreign.explain_as_undoing(cycle, segment, now_s)
        found += self.foreign.explain(cycle, segment, now_s)
        if segment.label not in cycle.done:
            found += self._judge_order(cycle, segment, now_s)
            return found + self._suspect_faint(cycle, segment, now_s)
        found += self._see_better(cycle, segment)
        if is_repeat:
            found.append(self._confirm(cycle, "repeated", segment, now_s, "done again"))
        elif is_again:
            least = min(cycle.done[segment.label].confidence, segment.confidence)
            detail = f"only {int(100 * least)} % sure that it was done twice"
            found.append(self._confirm(cycle, "unsure", segment, now_s, detail))
        return found

    def suspect_repeat(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Deviation]:
        """Suspect a repetition, if it is one, in what may be the first step of the next unit."""
        step = segment.label
        if not self._is_repeat(cycle, segment):
            return []
        detail = "done again, unless the next unit was begun"
        undone = self.foreign.stretch(until_s=segment.start_s)
        kind: FoundKind = "rework" if undone else "repeated"
        span = min([segment.start_s, *(work.start_s for work in undone)]), segment.end_s
        return [self.ledger.suspect(cycle, kind, step, span, now_s=now_s, detail=detail)]

    def _is_repeat(self, cycle: Cycle, segment: Segment) -> bool:
        if not self._is_again(cycle, segment):
            return False
        least = min(cycle.done[segment.label].confidence, segment.confidence)
        return least >= self._least_confidence

    def _is_again(self, cycle: Cycle, segment: Segment) -> bool:
        """Tell whether a step that may be done once was done before, and not left or hidden."""
        step = segment.label
        if step not in cycle.done or self._procedure.step(step).repeatable:
            return False
        return step not in cycle.lacking_s and not cycle.goes_on_unseen(segment)

    def judge_end(
        self, cycle: Cycle, now_s: float, *, interrupted: bool, left: bool = False
    ) -> list[Deviation]:
        """Settle everything at the end of `cycle`: what was not done was missed.

        Of an `interrupted` cycle only what a later step has made suspect. All else that one lacks
        that was `left` is unsure, and so is all that one lacks that may be of the one before.
        """
        found = self.foreign.judge_end(cycle, now_s, interrupted=interrupted or left)
        replaced = {place.step for place in found if place.kind == "wrong_part"}
        if not interrupted:
            found += self.lengths.judge_end(cycle)
        found += [
            self.ledger.settle(guess, "confirmed", guess.detail)
            for step in cycle.faint
            if (guess := self.ledger.suspected("unsure", step)) is not None
        ]
        for step in cycle.undone() if cycle.done else ():  # a wrong guess alone has no steps
            is_overtaken = bool(cycle.overtakers(step))
            if step in replaced or (interrupted and not is_overtaken):
                continue
            guess = self.ledger.suspected("missed", step) or self.ledger.suspected("unsure", step)
            after_s = cycle.done_before(step)
            span = (guess.start_s, guess.end_s) if guess else (after_s, max(after_s, now_s))
            kind, detail = self._not_done(cycle, step, left=left and not is_overtaken)
            found.append(self.ledger.confirm(cycle, kind, step, span, now_s=now_s, detail=detail))
        return found + self.ledger.withdraw_all("not borne out when the cycle ended")

    def _not_done(self, cycle: Cycle, step: str, *, left: bool) -> tuple[FoundKind, str]:
        """Say what it is that `step` was not done in `cycle`, which is over, and why."""
        if hidden_s := cycle.hidden_s(step):
            return "unsure", _hidden(hidden_s)
        if left:
            return "unsure", "not done when the work stopped, and not due before anything done"
        if cycle.may_be_left_over:
            return "unsure", "all that was seen may belong to the unit before"
        if overtakers := cycle.overtakers(step):
            first = overtakers[0].label
            return "missed", f"not done when the cycle ended; {first}, which comes after it, was"
        return "missed", "not done when the cycle ended"

    def _judge_order(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Deviation]:
        step, found = segment.label, []
        if overtakers := cycle.overtakers(step):
            detail = f"done late, after {overtakers[0].label}"
            found += self.foreign.withdraw_place(step, detail)
            for kind in _NOT_DONE:
                found += self.ledger.withdraw(kind, step, detail)
            # One for each late step: where several overtook it, that one was misplaced, not they.
            early = next((o for o in overtakers if o.label not in cycle.done_early), None)
            if early is not None:
                cycle.done_early.append(early.label)
                detail = f"{early.label} was done before {step}, which must come first"
                found.append(self._confirm(cycle, "out_of_order", early, now_s, detail))
        for missing in self._procedure.missing_before(step, cycle.done):
            if not any(self.ledger.suspected(kind, missing) for kind in _NOT_DONE):
                found.append(self._suspect_missed(cycle, missing, segment, now_s))
        return found

    def _suspect_faint(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Deviation]:
        step, is_sure = segment.label, segment.confidence >= self._done_confidence
        if is_sure or step not in self._procedure.required({*cycle.done, step}):
            return []
        cycle.faint.append(step)
        detail = f"only {int(100 * segment.confidence)} % sure that it was done"
        span = _span(segment)
        return [self.ledger.suspect(cycle, "unsure", step, span, now_s=now_s, detail=detail)]

    def _see_better(self, cycle: Cycle, segment: Segment) -> list[Deviation]:
        if segment.label not in cycle.faint or segment.confidence < self._done_confidence:
            return []
        cycle.faint.remove(segment.label)
        return self.ledger.withdraw("unsure", segment.label, "it was seen again, and better")

    def _suspect_missed(
        self, cycle: Cycle, step: str, following: Segment, now_s: float
    ) -> Deviation:
        span = min(cycle.done_before(step), following.start_s), following.end_s
        kind: FoundKind = "missed"
        detail = f"not seen before {following.label}, which comes after it"
        if hidden_s := cycle.hidden_s(step, until_s=following.start_s):
            detail, kind = _hidden(hidden_s), "unsure"
        return self.ledger.suspect(cycle, kind, step, span, now_s=now_s, detail=detail)

    def _confirm(
        self, cycle: Cycle, kind: FoundKind, segment: Segment, now_s: float, detail: str
    ) -> Deviation:
        step, span = segment.label, _span(segment)
        return self.ledger.confirm(cycle, kind, step, span, now_s=now_s, detail=detail)


def _hidden(seconds: float) -> str:
    return f"may have been done in the {seconds:.0f} s in which the work could not be seen"


def _span(segment: Segment) -> Span:
    return segment.start_s, segment.end_s
