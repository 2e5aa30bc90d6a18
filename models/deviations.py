"""One station's step segments against its procedure, cycle by cycle: what departs from it, at once.

A cycle starts with the first step seen when none is running. It ends when every required step is
done and no optional one can come in order, or after a handover pause once every required step is
done; when the next unit is begun (`models.cycle`); when it was left for long; at the close.

`missed` is suspected when a step that comes after it was done, confirmed when the cycle ends, and
withdrawn when the step comes after all: then the step that was done too early is `out_of_order`.
A pause rules out no order in which a step comes later: in a cycle that was left it is `unsure`.
`too_long` is suspected while the step goes on and judged when the segment is decided.
`incomplete` and `too_short` are suspected when the step is left, withdrawn when it is taken up
again, and confirmed by a step that comes after it or at the end of the cycle.
`repeated` is suspected while the step may be the first of the next unit, and else confirmed.
`unsure` stands for `missed` where the step may have been done while nothing could be seen, for
`repeated` where one of both times was hardly recognised, and for a required step that was hardly
recognised, until it is seen better: the cycle is not complete then.
`unexpected` work is suspected until the next step, or the end of the cycle, tells what it was:
withdrawn where it was the undoing of that step (`rework`) or in the place of one that is missing
(`wrong_part`, suspected until the end as `missed` is), and else confirmed.
It starts no cycle. Between two cycles it waits for the next one to start, to which
it belongs then, or for `idle_end_s`, and then belongs to the last one (0 before the first): a
unit that is finished is not changed by it, the one that is begun is.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from statistics import median

from industryasm.procedure import Procedure
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND
from models.conformance import Conformance
from models.cycle import Cycle
from models.deviation_ledger import DeviationLedger
from models.findings import (
    CycleEnd,
    CycleEnded,
    CycleStarted,
    Deviation,
    DeviationState,
    Finding,
    StepDone,
)
from models.unseen import Unseen

__all__ = [
    "CycleEnded",
    "CycleMonitor",
    "CycleStarted",
    "Deviation",
    "DeviationState",
    "Finding",
    "MonitorConfig",
    "MonitorError",
    "StepDone",
]


IDLE_STEPS, HANDOVER_STEPS = 2.0, 0.5
"""Chosen on CaptainCook4D's true steps, of 0, 1, 2 and 0, 1/2, 1 (docs/captaincook4d.md)."""


class MonitorError(ValueError):
    """A setting is out of bounds, or a saved state is not one of this procedure."""


@dataclass(frozen=True)
class MonitorConfig:
    """When a cycle is over, and what it takes to accuse; raises `MonitorError` for other bounds."""

    idle_end_s: float = 20.0
    """After so long without a step, a first step that does not fit in a cycle begins the next."""
    handover_s: float = 2.0
    """A pause at least this long may be the change from one unit to the next: it ends a complete
    cycle, and it decides where the order of the steps leaves two readings."""

    left_s: float = 900.0
    """An unfinished cycle was left, and ends, when no step was going on for this long (at least
    `idle_end_s`): longer than a pause in the middle of a unit."""

    least_confidence: float = 0.6
    """Mean probability below which it is `unsure` that a step that is seen again is repeated."""
    done_confidence: float = 0.5
    """Mean probability below which it is `unsure` whether a required step was done."""

    @classmethod
    def of(
        cls,
        procedure: Procedure,
        *,
        idle_end_s: float | None = None,
        handover_s: float | None = None,
    ) -> MonitorConfig:
        """Return when a cycle of `procedure` is over: what is not given grows with its steps.

        Idle is `IDLE_STEPS` of the longest step's usual time, a handover `HANDOVER_STEPS` of the
        median one's, neither below the defaults.
        """
        usual_s = [step.expected_s for step in procedure.steps]
        idle_s = max(cls.idle_end_s, IDLE_STEPS * max(usual_s), handover_s or 0.0)
        idle_s = idle_s if idle_end_s is None else idle_end_s
        pause_s = min(idle_s, max(cls.handover_s, HANDOVER_STEPS * median(usual_s)))
        return cls(idle_s, pause_s if handover_s is None else handover_s)

    def __post_init__(self) -> None:
        for name in ("least_confidence", "done_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise MonitorError(f"{name} {getattr(self, name)} must be from 0 to 1")
        if not (0 < self.handover_s <= self.idle_end_s and math.isfinite(self.idle_end_s)):
            raise MonitorError(
                f"handover_s {self.handover_s} must be above 0 and at most idle_end_s "
                f"{self.idle_end_s}, which must be finite"
            )
        if not self.left_s > 0:
            raise MonitorError(f"left_s {self.left_s} must be above 0")


class CycleMonitor:
    """Follows one station; takes any segments, each beginning where the one before did or later.

    Every cycle started is ended once, and after `close` no deviation is left suspected.
    Memory is constant however long the stream.
    """

    def __init__(self, procedure: Procedure, config: MonitorConfig | None = None) -> None:
        self.procedure = procedure
        self.config = config or MonitorConfig()
        self._cycle: Cycle | None = None
        self._unseen = Unseen()
        # the cycle that ended last
        self._last = Cycle(procedure, number=0, start_s=0.0, end_s=0.0, unseen=self._unseen)
        self._conformance = self._judge()
        self._held: Segment | None = None  # a step that may be the first of the next unit
        self._strays: list[Segment] = []  # unexpected work since the last cycle ended
        self._active_s = 0.0  # until when anything was going on
        self._newest_s = 0.0  # when the newest segment began

    @property
    def cycle(self) -> int | None:
        """Number of the running cycle, counted from 1; None between cycles."""
        return None if self._cycle is None else self._cycle.number

    @property
    def done(self) -> frozenset[str]:
        """The steps done in the running cycle."""
        return frozenset() if self._cycle is None else frozenset(self._cycle.done)

    def observe(self, segment: Segment, now_s: float) -> list[Finding]:
        """Take the next decided segment at stream time `now_s`; return what it brings to light.

        Raises `MonitorError` for one that begins before the one before did: what was said of the
        order would be wrong.
        """
        if segment.start_s < self._newest_s:
            raise MonitorError(
                f"{segment.label!r} begins at {segment.start_s:g} s, behind a segment that begins "
                f"at {self._newest_s:g} s: time went back"
            )
        self._newest_s = segment.start_s
        findings = self._pass_time(segment.start_s, now_s)
        if segment.label == BACKGROUND:
            return findings
        self._active_s = max(self._active_s, segment.end_s)
        held = None if self._held is None else self._held.label
        findings += self._conformance.lengths.withdraw_wrong_overruns(segment, held=held)
        if segment.label not in self.procedure:
            return findings + self._see_unexpected(segment, now_s)
        findings += self._settle_held(segment, now_s)
        return findings + self._see_step(segment, now_s)

    def watch(
        self, running: Segment | None, now_s: float, *, seen_until_s: float | None = None
    ) -> list[Finding]:
        """Take what goes on at stream time `now_s`, not decided yet; call this with every push.

        `seen_until_s` is the end of the newest frame that was recognised, where recognition is
        behind the camera: what was not looked at yet is not idle.
        """
        if running is None or running.label == BACKGROUND:
            return self._pass_time(now_s if seen_until_s is None else seen_until_s, now_s)
        findings = self._pass_time(running.start_s, now_s)
        self._active_s = max(self._active_s, running.end_s)
        if running.label not in self.procedure:
            return findings
        if running.duration_s <= self.procedure.step(running.label).limit_s:
            return findings
        return findings + self._watch_overrun(running, now_s)

    def unobserved(self, start_s: float, end_s: float) -> None:
        """Note that in [start_s, end_s) the work could not be seen: camera away, blind or covered.

        That is no pause of the worker, and a step that may have been done then is not missed.
        """
        self._unseen.note(start_s, end_s)

    def close(self, now_s: float, *, interrupted: bool = False) -> list[Finding]:
        """End what is running, as the stream is over; what was suspected missed is so.

        Steps that were not due yet are missed too, unless the stream was `interrupted`: what a
        switched-off station did not see was not missed.
        """
        findings = self._end_cycle(now_s, "closed", interrupted=interrupted)
        findings += self._settle_last(now_s, interrupted=interrupted)
        findings += self._release_strays(math.inf, now_s)
        return findings + self._conformance.ledger.withdraw_all("the stream ended")

    def state(self) -> str:
        """Return the state as JSON, from which `resume` goes on."""
        plain = {
            "cycle": None if self._cycle is None else self._cycle.to_plain(),
            "last": self._last.to_plain(),
            "ledger": self._conformance.ledger.to_plain(),
            "held": None if self._held is None else asdict(self._held),
            "strays": [asdict(stray) for stray in self._strays],
            "active_s": self._active_s,
            "newest_s": self._newest_s,
            "unseen": self._unseen.spans,
        }
        return json.dumps(plain)

    @classmethod
    def resume(
        cls, procedure: Procedure, state: str, config: MonitorConfig | None = None
    ) -> CycleMonitor:
        """Return a monitor that goes on from `state`; raise `MonitorError` if it does not fit."""
        monitor = cls(procedure, config)
        try:
            plain = json.loads(state)
            monitor._unseen = unseen = Unseen([(float(a), float(b)) for a, b in plain["unseen"]])
            monitor._last = Cycle.from_plain(procedure, plain["last"], unseen)
            if plain["cycle"] is not None:
                monitor._cycle = Cycle.from_plain(procedure, plain["cycle"], unseen)
            ledger = DeviationLedger.from_plain(plain["ledger"])
            monitor._conformance = monitor._judge(ledger)
            monitor._held = None if plain["held"] is None else Segment(**plain["held"])
            monitor._strays = [Segment(**stray) for stray in plain["strays"]]
            monitor._active_s = float(plain["active_s"])
            monitor._newest_s = float(plain.get("newest_s", 0.0))  # states of before have none
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MonitorError(f"the saved state cannot be read: {error!r}") from error
        monitor._check_steps()
        return monitor

    def _judge(self, ledger: DeviationLedger | None = None) -> Conformance:
        return Conformance(
            self.procedure,
            ledger,
            least_confidence=self.config.least_confidence,
            done_confidence=self.config.done_confidence,
        )

    def _check_steps(self) -> None:
        steps = {*self._last.done, *(self._cycle.done if self._cycle else ())}
        steps |= {self._held.label} if self._held else set()
        if unknown := sorted(step for step in steps if step not in self.procedure):
            raise MonitorError(
                f"the saved state has step {unknown[0]!r}, which is not in the procedure: "
                f"it was saved for another task"
            )

    def _pass_time(self, time_s: float, now_s: float) -> list[Finding]:
        """Note that nothing was going on until `time_s` since the newest activity."""
        findings: list[Finding] = []
        config, cycle = self.config, self._cycle
        if cycle is not None:
            active_s = max(self._active_s, cycle.end_s)
            paused_s = time_s - active_s - self._unseen.seconds(active_s, time_s)
            if cycle.is_complete:
                if paused_s >= config.handover_s:
                    findings += self._end_cycle(now_s, "idle")
            elif paused_s >= max(config.left_s, config.idle_end_s):
                findings += self._end_cycle(now_s, "idle", left=True)
        elif time_s - max(self._active_s, self._last.end_s) >= config.idle_end_s:
            findings += self._settle_last(now_s)
        return findings + self._release_strays(time_s - config.idle_end_s, now_s)

    def _see_unexpected(self, segment: Segment, now_s: float) -> list[Finding]:
        if self._cycle is None:
            self._strays.append(segment)
            return []
        return list(self._conformance.foreign.suspect(self._cycle, segment, now_s))

    def _release_strays(self, until_s: float, now_s: float) -> list[Finding]:
        """Report the unexpected work that ended by `until_s` as that of the last cycle."""
        released = [stray for stray in self._strays if stray.end_s <= until_s]
        self._strays = [stray for stray in self._strays if stray.end_s > until_s]
        return [self._conformance.foreign.confirm(self._last, s, now_s) for s in released]

    def _claim_strays(self, cycle: Cycle, now_s: float) -> list[Finding]:
        """Report the unexpected work since the last cycle as that of `cycle`, which goes on."""
        strays, self._strays = self._strays, []
        foreign = self._conformance.foreign
        return [work for stray in strays for work in foreign.suspect(cycle, stray, now_s)]

    def _settle_last(self, now_s: float, *, interrupted: bool = False) -> list[Finding]:
        """Judge the cycle that ended last again, if steps were added to it since."""
        if not self._last.reopened:
            return []
        self._last.reopened = False
        found = self._conformance.judge_end(self._last, now_s, interrupted=interrupted)
        return list(found)

    def _see_step(self, segment: Segment, now_s: float) -> list[Finding]:
        cycle = self._cycle
        if cycle is not None and self._may_be_followed_by(cycle, segment):
            return self._hold(cycle, segment, now_s)
        findings, cycle = self._cycle_of(segment, now_s)
        if cycle is not self._cycle:
            cycle.reopened = True
            findings += self._claim_strays(cycle, now_s)
        return findings + self._add(cycle, segment, now_s)

    def _cycle_of(self, segment: Segment, now_s: float) -> tuple[list[Finding], Cycle]:
        """Return the cycle that `segment` belongs to, after ending and starting what it must."""
        cycle = self._cycle
        if cycle is None:
            if self._last_takes(segment):
                return [], self._last
            return self._start_cycle(segment, now_s)
        if not cycle.is_followed_by(segment, handover_s=self.config.handover_s):
            return [], cycle
        ended = self._end_cycle(now_s, "next_unit")
        started, cycle = self._start_cycle(segment, now_s)
        return ended + started, cycle

    def _last_takes(self, segment: Segment) -> bool:
        """Tell whether `segment`, seen between two cycles, still belongs to the last one."""
        handover_s, worked_until_s = self.config.handover_s, self._last.end_s
        for stray in self._strays:
            if stray.start_s - worked_until_s < handover_s:
                worked_until_s = max(worked_until_s, stray.end_s)
        return self._last.takes_straggler(
            segment,
            worked_until_s=worked_until_s,
            handover_s=handover_s,
            idle_end_s=self.config.idle_end_s,
        )

    def _start_cycle(self, segment: Segment, now_s: float) -> tuple[list[Finding], Cycle]:
        settled = self._settle_last(now_s)
        self._unseen.forget(self._last.since_s)
        cycle = Cycle(
            self.procedure,
            self._last.number + 1,
            segment.start_s,
            end_s=segment.start_s,
            since_s=self._last.end_s,
            before=sorted(self._last.done),
            unseen=self._unseen,
        )
        self._cycle = cycle
        started = CycleStarted(cycle.number, cycle.start_s, now_s)
        return [*settled, started, *self._claim_strays(cycle, now_s)], cycle

    def _may_be_followed_by(self, cycle: Cycle, segment: Segment) -> bool:
        handover_s, idle_end_s = self.config.handover_s, self.config.idle_end_s
        return cycle.may_be_followed_by(segment, handover_s=handover_s, idle_end_s=idle_end_s)

    def _hold(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Finding]:
        """Keep a step back that may be the next unit's first; the step after it will tell."""
        self._held = segment
        return list(self._conformance.suspect_repeat(cycle, segment, now_s))

    def _settle_held(self, following: Segment, now_s: float) -> list[Finding]:
        held, cycle = self._held, self._cycle
        if held is None or cycle is None:
            return []
        handover_s, idle_end_s = self.config.handover_s, self.config.idle_end_s
        if not cycle.is_followed_by_both(
            held, following, handover_s=handover_s, idle_end_s=idle_end_s
        ):
            return self._release_held(now_s)
        self._held = None
        ledger = self._conformance.ledger
        withdrawn = [
            deviation
            for step in (held.label, following.label)
            for deviation in ledger.withdraw("too_long", step, "it is of the next unit")
        ]
        findings = [*withdrawn, *self._end_cycle(now_s, "next_unit")]
        started, cycle = self._start_cycle(held, now_s)
        return findings + started + self._add(cycle, held, now_s)

    def _release_held(self, now_s: float) -> list[Finding]:
        held, self._held = self._held, None
        return [] if held is None or self._cycle is None else self._add(self._cycle, held, now_s)

    def _add(self, cycle: Cycle, segment: Segment, now_s: float) -> list[Finding]:
        """Count `segment` as a step of `cycle` and judge it."""
        step, span = segment.label, (segment.start_s, segment.end_s)
        findings: list[Finding] = [
            StepDone(cycle.number, step, *span, segment.confidence, now_s),
            *self._conformance.judge_step(cycle, segment, now_s),
        ]
        cycle.add(segment)
        if cycle is self._cycle and cycle.is_exhausted:
            findings += self._end_cycle(now_s, "complete")
        return findings

    def _watch_overrun(self, running: Segment, now_s: float) -> list[Finding]:
        ledger = self._conformance.ledger
        if guess := ledger.suspected("too_long", running.label):
            ledger.extend(guess, running.end_s)
            return []
        seen_until_s = self._last.end_s if self._cycle is None else self._cycle.end_s
        if running.start_s < seen_until_s:  # decided and judged already
            return []
        cycle = self._cycle
        findings: list[Finding] = []
        is_open = self._held is not None or (  # whose it is, the step behind it will tell
            cycle is not None and self._may_be_followed_by(cycle, running)
        )
        if cycle is None or not is_open:
            findings, cycle = self._cycle_of(running, now_s)
        return [*findings, self._conformance.lengths.suspect_overrun(cycle, running, now_s)]

    def _end_cycle(
        self, now_s: float, reason: CycleEnd, *, interrupted: bool = False, left: bool = False
    ) -> list[Finding]:
        findings = self._release_held(now_s)  # which may end the cycle itself
        cycle = self._cycle
        if cycle is None:
            return findings
        self._cycle, self._last = None, cycle
        findings += self._conformance.judge_end(cycle, now_s, interrupted=interrupted, left=left)
        ended = CycleEnded(
            cycle.number,
            cycle.start_s,
            cycle.end_s,
            now_s,
            cycle.is_whole,
            "complete" if cycle.is_whole else reason,
        )
        return [*findings, ended]
