"""Says how likely each accusation is, and makes `unsure` of those below the calibrated threshold.

Stands between the cycle monitor and whoever takes findings. It knows what the network saw and what
the decoder made of it; of the procedure only how long its steps take. An accusation's score is from
0 to 1:

    missed, wrong_part, incomplete, too_short
                           1 - (seconds that the step was seen for) / its usual time, from the
                           cycle's start to the next one's, or to now
    repeated, rework       the weaker of the two times that the step was done
    out_of_order           how well the step was seen, less where it was short
    unexpected             how well the unexpected work was seen
    too_long               how well the step was seen, times b / (b + 1 s), b its time beyond
                           its limit: a measured time is off by about a second

and its probability is what accusations of such a score came to on recordings whose truth is known
(`models.calibration`). What is told of work before the judge began, or longer ago than it
remembers, has no probability and passes.

Where the scale has a `Confusion`, the score of a step not done, or left, is multiplied by its
recall: who often does not see a step is no good witness that it was not done. And an accusation
that hangs on telling two steps apart that look alike is `unsure`, however probable. Either the
frames in question leave it open (`LOOK_ALIKE`), and the evidence for one step is at least half of
the other's (`CLOSE`) over

    missed, wrong_part X        a time that Y was done in this cycle
    repeated, out_of_order X    one of both times, or that time

or one is the trace of the other, where whole times of X are said to be Y (`TAKEN_FOR`):

    missed, wrong_part X        Y was done twice in this cycle, or half as long again as usual
    repeated, out_of_order Y    X was not done in this cycle so far

And whatever was taken for what before, `missed` or `wrong_part` X is `unsure` where another step
was done twice, once in the place of X: one mistake of the recogniser is far likelier than two at
once of the worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from industryasm.procedure import Procedure
from industryasm.segment import Segment
from industryasm.vocabulary import UNEXPECTED
from models.calibration import AlarmScale
from models.findings import CycleEnded, CycleStarted, Deviation, Finding
from models.judge_state import CycleState, JudgeState, SegmentState, read_judge_state
from models.soft_time import MEMORY_S, SoftTime

Floats = NDArray[np.floating[Any]]
Span = tuple[float, float]

_MAX_CYCLES = 4  # whose spans are remembered: a finding is of the running cycle or the one before
_SUFFIX = "-unsure"
_NOT_DONE = ("missed", "wrong_part")  # both say of a step that it was not done
_TIME_ERROR_S = 1.0  # of the measured time of a step
_TOO_LONG = 1.5  # of the usual time: two steps that run into one another take twice as long


class AlarmJudge:
    """Judges one stream; constant memory however long it is."""

    def __init__(
        self, procedure: Procedure, labels: Sequence[str], scale: AlarmScale, *, period_s: float
    ) -> None:
        """Judge probabilities of `labels` (K), in this order; a frame stands for `period_s`."""
        self._procedure, self._scale = procedure, scale
        self._soft = SoftTime(labels, period_s=period_s)
        self._segments: deque[Segment] = deque()
        self._cycles: dict[int, Span] = {}
        self._suspected: set[str] = set()
        self._since_s: float | None = None
        self._alike: dict[str, tuple[str, ...]] = {}
        self._taken_for: dict[str, tuple[str, ...]] = {}
        self._recall: dict[str, float] = {}
        if (confusion := scale.confusion) is not None:
            self._alike = confusion.look_alikes()
            self._taken_for = confusion.taken_for()
            self._recall = dict(zip(labels, confusion.recall().tolist(), strict=True))

    def see(self, probabilities: Floats, times_s: Floats) -> None:
        """Take the probabilities (T, K) of frames at ascending times (T,)."""
        if len(times_s) and self._since_s is None:
            self._since_s = float(times_s[0])
        self._soft.add(probabilities, times_s)

    def take(self, segment: Segment) -> None:
        """Take the next decided segment, before the findings that it brings to light."""
        self._segments.append(segment)
        while self._segments[0].end_s < segment.end_s - MEMORY_S:
            self._segments.popleft()

    def judge(self, findings: Iterable[Finding], now_s: float) -> list[Finding]:
        """Return the `findings` at stream time `now_s`, in order, with their probabilities.

        One confirmed below the threshold is withdrawn, if it was said before, and comes again as
        `unsure` under an id of its own.
        """
        findings = list(findings)
        for finding in findings:  # that a cycle ended is told after what it had missed
            self._note_cycle(finding)
        judged: list[Finding] = []
        for finding in findings:
            if isinstance(finding, Deviation) and finding.kind != "unsure":
                judged += self._judge(finding, now_s)
            else:
                judged.append(finding)
        return judged

    def state(self) -> str:
        """Return the state as JSON, from which `resume` goes on."""
        is_full = len(self._cycles) == _MAX_CYCLES  # nothing is said of older ones any more
        since_s = min(start_s for start_s, _ in self._cycles.values()) if is_full else 0.0
        return JudgeState(
            since_s=self._since_s,
            cycles=tuple(
                CycleState(number=number, start_s=start_s, end_s=end_s if isfinite(end_s) else None)
                for number, (start_s, end_s) in self._cycles.items()
            ),
            segments=tuple(SegmentState(**vars(s)) for s in self._segments if s.end_s > since_s),
            suspected=tuple(sorted(self._suspected)),
            soft=self._soft.state(since_s),
        ).model_dump_json()

    def resume(self, state: str) -> None:
        """Go on from `state` in place of what was seen; the stream's time must go on too.

        Raises `JudgeStateError` where it does not fit; then nothing is changed.
        """
        kept = read_judge_state(state)
        self._soft.resume(kept.soft)
        self._since_s = kept.since_s
        self._cycles = {
            cycle.number: (cycle.start_s, inf if cycle.end_s is None else cycle.end_s)
            for cycle in kept.cycles
        }
        self._segments = deque(segment.segment() for segment in kept.segments)
        self._suspected = set(kept.suspected)

    def _note_cycle(self, finding: Finding) -> None:
        if isinstance(finding, CycleStarted):
            self._cycles[finding.cycle] = finding.start_s, float("inf")
        elif isinstance(finding, CycleEnded) and finding.cycle in self._cycles:
            self._cycles[finding.cycle] = finding.start_s, finding.end_s
        while len(self._cycles) > _MAX_CYCLES:
            del self._cycles[min(self._cycles)]

    def _judge(self, deviation: Deviation, now_s: float) -> list[Finding]:
        was_said = deviation.id in self._suspected
        if deviation.state == "suspected":
            self._suspected.add(deviation.id)
        else:
            self._suspected.discard(deviation.id)
        score = None if deviation.state == "withdrawn" else self._score(deviation, now_s)
        if score is None:
            return [deviation]
        probability = self._scale.probability(score, deviation.kind)
        judged = replace(deviation, probability=probability)
        if deviation.state == "suspected":
            return [judged]
        if alike := self._look_alike(deviation) or self._taken_for_another(deviation):
            why = f"{_words(deviation.step)} and {_words(alike)} look alike here"
            return _doubted(judged, now_s, why, was_said=was_said)
        if double := self._done_in_its_place(deviation):
            why = f"{_words(double)} was done twice, once where {_words(deviation.step)} was due"
            return _doubted(judged, now_s, why, was_said=was_said)
        if probability >= self._scale.threshold:
            return [judged]
        return _doubted(judged, now_s, f"only {int(100 * probability)} % sure", was_said=was_said)

    def _score(self, deviation: Deviation, now_s: float) -> float | None:
        """Score an accusation, 0 to 1; None where it is of what the judge does not know."""
        if self._since_s is None or deviation.detected_s < self._since_s:
            return None
        match deviation.kind:
            case "missed" | "wrong_part" | "incomplete" | "too_short":
                return self._absence(deviation, now_s)
            case "repeated" | "rework":
                return self._both_times(deviation)
            case "unexpected":
                return self._mean_confidence(UNEXPECTED, deviation)
            case "out_of_order":
                done = self._times_done(deviation.step, deviation.start_s, deviation.end_s)
                return self._fullness(done[-1]) if done else None
            case "too_long":
                return self._overrun(deviation)
        return None

    def _absence(self, deviation: Deviation, now_s: float) -> float | None:
        start_s, _ = self._cycles.get(deviation.cycle, (-1.0, 0.0))
        if not self._soft.knows(start_s):
            return None
        # The cycle's own end is that of the last step recognised, before which a last step that
        # was missed cannot have been seen.
        end_s, _ = self._cycle(deviation.cycle + 1)
        seen_s = self._soft.of(deviation.step, start_s, min(end_s, now_s))
        absence = 1.0 - min(1.0, seen_s / self._procedure.step(deviation.step).expected_s)
        return absence * self._recall.get(deviation.step, 1.0)

    def _overrun(self, deviation: Deviation) -> float | None:
        confidence = self._mean_confidence(deviation.step, deviation)
        if confidence is None:
            return None
        limit_s = self._procedure.step(deviation.step).limit_s
        beyond_s = max(0.0, deviation.end_s - deviation.start_s - limit_s)
        return confidence * beyond_s / (beyond_s + _TIME_ERROR_S)

    def _both_times(self, deviation: Deviation) -> float | None:
        done = self._last_times(deviation)
        return min(self._fullness(time) for time in done) if len(done) > 1 else None

    def _last_times(self, deviation: Deviation) -> list[Segment]:
        """Return the last two times that the step was done in the cycle."""
        cycle_start_s, _ = self._cycle(deviation.cycle)
        return self._times_done(deviation.step, cycle_start_s, deviation.end_s)[-2:]

    def _look_alike(self, deviation: Deviation) -> str | None:
        """Return the step that an accusation hangs on telling from the accused one; None if none.

        Only steps are meant: unexpected work and background are told apart by other rules.
        """
        confusion, step = self._scale.confusion, deviation.step
        if confusion is None:
            return None
        others = [other for other in self._alike.get(step, ()) if other in self._procedure]
        for other in others:
            for time in self._hinges(deviation, other):
                said = self._soft.of_all(time.start_s, time.end_s)
                if confusion.are_close(step, other, said):
                    return other
        return None

    def _taken_for_another(self, deviation: Deviation) -> str | None:
        """Return the step that the accused one may have been taken for, or that for it."""
        accused, cycle = deviation.step, self._cycle(deviation.cycle)
        if deviation.kind in _NOT_DONE and self._once(accused):
            others = (o for o in self._taken_for.get(accused, ()) if self._once(o))
            return next((o for o in others if self._is_done_too_much(o, cycle)), None)
        if deviation.kind in ("repeated", "out_of_order") and self._once(accused):
            others = (o for o, taken_for in self._taken_for.items() if accused in taken_for)
            left = (o for o in others if self._once(o) and not self._times_done(o, *cycle))
            return next(left, None)
        return None

    def _done_in_its_place(self, deviation: Deviation) -> str | None:
        """Return a step that was done twice, once where the accused one was due; None if none."""
        step, cycle = deviation.step, self._cycle(deviation.cycle)
        if self._scale.confusion is None or deviation.kind not in _NOT_DONE or not self._once(step):
            return None
        before, behind = self._procedure.predecessors(step), self._procedure.successors(step)
        since_s = max((time.end_s for time in self._first_times(before, cycle)), default=cycle[0])
        for other in (one.id for one in self._procedure.steps if one.id != step):
            others = self._first_times(behind - {other}, cycle)
            until_s = min((time.start_s for time in others), default=inf)
            times = self._times_done(other, *cycle)
            in_place = any(since_s <= time.start_s and time.end_s <= until_s for time in times)
            if self._once(other) and len(times) > 1 and in_place:
                return other
        return None

    def _first_times(self, steps: Iterable[str], cycle: Span) -> list[Segment]:
        done = (self._times_done(step, *cycle) for step in steps)
        return [times[0] for times in done if times]

    def _is_done_too_much(self, step: str, cycle: Span) -> bool:
        times = self._times_done(step, *cycle)
        usual_s = self._procedure.step(step).expected_s
        return len(times) > 1 or any(time.duration_s >= _TOO_LONG * usual_s for time in times)

    def _once(self, label: str) -> bool:
        """Tell whether `label` is a step that is done once in a unit."""
        return label in self._procedure and not self._procedure.step(label).repeatable

    def _cycle(self, cycle: int) -> Span:
        """Return when a cycle lasted; one that is not known lasted for no time."""
        return self._cycles.get(cycle, (inf, 0.0))

    def _hinges(self, deviation: Deviation, other: str) -> list[Segment]:
        """Return the times that an accusation hangs on, were the step taken for `other`."""
        match deviation.kind:
            case "missed" | "wrong_part":
                return self._times_done(other, *self._cycle(deviation.cycle))
            case "repeated":
                return self._last_times(deviation)
            case "out_of_order":
                return self._times_done(deviation.step, deviation.start_s, deviation.end_s)[-1:]
        return []

    def _mean_confidence(self, label: str, deviation: Deviation) -> float | None:
        start_s, end_s = deviation.start_s, deviation.end_s
        if done := self._times_done(label, start_s, end_s):
            seconds = [time.duration_s for time in done]
            return float(np.average([time.confidence for time in done], weights=seconds))
        if end_s <= start_s or not self._soft.knows(start_s):
            return None
        # It goes on, and is no segment yet.
        return min(1.0, self._soft.of(label, start_s, end_s) / (end_s - start_s))

    def _times_done(self, label: str, start_s: float, end_s: float) -> list[Segment]:
        """Return the segments of `label` that touch [start_s, end_s), in the order of time."""
        return [
            segment
            for segment in self._segments
            if segment.label == label and segment.start_s < end_s and segment.end_s > start_s
        ]

    def _fullness(self, segment: Segment) -> float:
        usual_s = self._procedure.step(segment.label).expected_s
        return segment.confidence * min(1.0, segment.duration_s / usual_s)


def doubted_kind(deviation: Deviation) -> str | None:
    """Return what an `unsure` deviation would have been, had the judge been sure; None for others.

    >>> doubted_kind(Deviation("3-missed-fit-gasket-1-unsure", "unsure", "confirmed", "fit-gasket",
    ...                        3, 1.0, 2.0, 2.0, "not done; only 41 % sure", 0.41))
    'missed'
    """
    is_doubted = deviation.kind == "unsure" and deviation.id.endswith(_SUFFIX)
    return deviation.id.split("-")[1] if is_doubted else None


def _doubted(accusation: Deviation, now_s: float, why: str, *, was_said: bool) -> list[Finding]:
    unsure = replace(
        accusation,
        id=accusation.id + _SUFFIX,
        kind="unsure",
        detected_s=now_s,
        detail=f"{accusation.detail}; {why}",
    )
    return [replace(accusation, state="withdrawn", detail=why), unsure] if was_said else [unsure]


def _words(step: str) -> str:
    return step.replace("-", " ")
