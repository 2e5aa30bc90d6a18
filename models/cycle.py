"""One unit's assembly as it goes on: what is done of the procedure, and whose a next step is.

Where two units follow each other without a mark between them, a step can often be read both as
the old unit's and as the next one's. The readings are decided here, by order first and by the
pause between the steps where the order allows both.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from industryasm.deviation import FoundKind
from industryasm.procedure import Procedure
from industryasm.segment import Segment
from models.unseen import Unseen

HIDES = 0.25  # of a step's usual time: a stretch so long, out of sight, may have hidden it
_MAX_STEP_IN_ID = 24  # so that an id stays short enough to be prefixed with station and boot


@dataclass
class Cycle:
    """The steps done so far in one cycle; changed by `add` and `new_id`."""

    procedure: Procedure = field(repr=False)
    number: int
    start_s: float
    end_s: float
    done: dict[str, Segment] = field(default_factory=dict)
    """First segment of every step done."""
    last_step: str | None = None
    done_early: list[str] = field(default_factory=list)
    """Steps that are known to have been done before one that must precede them."""
    raised: dict[str, int] = field(default_factory=dict)
    """How many deviations there were by the stem of their id."""
    lacking_s: dict[str, float] = field(default_factory=dict)
    """Seconds that a step still lacks, of the steps that were left too soon."""
    faint: list[str] = field(default_factory=list)
    """Required steps of which it is not sure that they were done."""
    reopened: bool = False
    """Whether a step was added after the end, so that the cycle is to be judged again."""
    since_s: float = 0.0
    """When the cycle before ended: what is older is not this one's."""
    before: list[str] = field(default_factory=list)
    """Steps done in the cycle before."""
    unseen: Unseen = field(default_factory=Unseen, repr=False)
    """When the work could not be seen, of the whole stream."""

    def add(self, segment: Segment) -> None:
        """Count the step of `segment` as done."""
        self.done.setdefault(segment.label, segment)
        self.last_step = segment.label
        self.end_s = max(self.end_s, segment.end_s)

    def new_id(self, kind: FoundKind, step: str) -> str:
        """Return the id of this cycle's next deviation of the kind, as `3-missed-fit-gasket-1`."""
        stem = f"{self.number}-{kind}-{step[:_MAX_STEP_IN_ID]}"
        self.raised[stem] = self.raised.get(stem, 0) + 1
        return f"{stem}-{self.raised[stem]}"

    def overtakers(self, step: str) -> list[Segment]:
        """Return what was done of the steps that may only come after `step`, earliest first."""
        later = self.procedure.successors(step)
        return sorted(segment for name, segment in self.done.items() if name in later)

    def done_before(self, step: str) -> float:
        """Return the time in seconds at which the last step that must precede `step` was done."""
        before = self.procedure.predecessors(step) & self.done.keys()
        return max((self.done[name].end_s for name in before), default=self.start_s)

    def hidden_s(self, step: str, *, until_s: float = math.inf) -> float:
        """Return for how long before `until_s` `step` may have been done out of sight, 0 for not.

        That is where its order allows it: after what must precede it, before what must follow.
        """
        before = self.procedure.predecessors(step) & self.done.keys()
        start_s = max((self.done[name].end_s for name in before), default=self.since_s)
        overtakers = self.overtakers(step)
        end_s = min(overtakers[0].start_s, until_s) if overtakers else until_s
        seconds = self.unseen.seconds(start_s, end_s)
        return seconds if seconds > HIDES * self.procedure.step(step).expected_s else 0.0

    def goes_on_unseen(self, segment: Segment) -> bool:
        """Tell whether `segment` is the last step that may have gone on while nothing was seen.

        Most of the time since was out of sight then, and no more than the step may take.
        """
        unseen_s = self.unseen.seconds(self.end_s, segment.start_s)
        is_most = segment.start_s - self.end_s - unseen_s <= unseen_s
        within = 0 < unseen_s <= self.procedure.step(segment.label).limit_s
        return segment.label == self.last_step and is_most and within

    def undone(self) -> list[str]:
        """Return the required steps not done, in the order of the file."""
        required = self.procedure.required(self.done) - self.done.keys()
        return [step.id for step in self.procedure.steps if step.id in required]

    @property
    def is_complete(self) -> bool:
        """Whether every required step is done."""
        return self.is_finished and not self.undone()

    @property
    def is_whole(self) -> bool:
        """Whether it is complete for sure, and no required step was left too soon, as far as was
        seen.
        """
        left = self.procedure.required(self.done) & self.lacking_s.keys()
        return self.is_complete and not self.faint and all(self.hidden_s(step) for step in left)

    @property
    def is_finished(self) -> bool:
        """Whether the last required steps are done, those no other required step comes after."""
        required = self.procedure.required(self.done) or frozenset(self.procedure.final_steps())
        return all(
            step in self.done or self.procedure.successors(step) & required or self.hidden_s(step)
            for step in required
        )

    @property
    def may_be_left_over(self) -> bool:
        """Whether all that was done may be of the unit before: done again, or optional there."""
        required = self.procedure.required(self.done)
        return bool(self.before) and all(
            self.procedure.step(step).repeatable
            if step in self.before
            else step not in required and not self.procedure.successors(step) & set(self.before)
            for step in self.done
        )

    @property
    def is_exhausted(self) -> bool:
        """Whether the cycle is complete, no optional step can come any more in order, and none was
        left too soon: it may go on.
        """
        steps = (step.id for step in self.procedure.steps if step.id not in self.done)
        if not self.is_complete or self.lacking_s:
            return False
        return all(self.overtakers(step) for step in steps)

    def is_followed_by(self, segment: Segment, *, handover_s: float) -> bool:
        """Tell whether `segment` begins the next unit: a first step after a last one.

        A first step done late is none when it directly follows the one step that overtook it. One
        that may go on needs a handover before it.
        """
        if not (self._is_first(segment.label) and self.is_finished):
            return False
        if self._may_go_on(segment, handover_s=handover_s):
            return False
        if segment.label in self.done:
            return True
        overtakers = [overtaker.label for overtaker in self.overtakers(segment.label)]
        is_swap = overtakers == [self.last_step] and self._pause_s(segment) < handover_s
        return bool(overtakers) and not is_swap

    def may_be_followed_by(self, segment: Segment, *, handover_s: float, idle_end_s: float) -> bool:
        """Tell whether `segment` could begin the next unit, which the step after it will tell.

        It is a first step that does not fit here. Either a last step was not seen, and at least
        half of the unit is done or it was idle; or it may go on here too, and the unit is complete;
        or the unit lacks it, so that it may be late.
        """
        if not self._is_first(segment.label) or self._fits(segment.label):
            return False
        if self._may_go_on(segment, handover_s=handover_s):
            return self.is_complete and segment.label not in self.lacking_s
        if self.is_finished:
            is_lacking = segment.label in self.undone()
            return is_lacking and self._pause_s(segment) < handover_s
        undone = [step for step in self.undone() if not self.hidden_s(step)]
        is_half_done = 2 * len(undone) <= len(self.procedure.required())
        return is_half_done or self._begins_after_idleness(segment, idle_end_s)

    def is_followed_by_both(
        self, first: Segment, second: Segment, *, handover_s: float, idle_end_s: float
    ) -> bool:
        """Tell whether `first`, which may be the next unit's, is so by the step after it."""
        begins_unit = second.label != first.label and not self.procedure.missing_before(
            second.label, {first.label}
        )
        if self._begins_after_idleness(first, idle_end_s):
            return begins_unit
        paused_before = self._pause_s(first) >= handover_s
        paused_after = self._pause_s(second, first.end_s) >= handover_s
        if not paused_before and first.label not in self.done and second.label not in self.done:
            return False  # both are late here
        if self._fits(second.label):
            return begins_unit and paused_before and len(self.undone()) <= 1
        return begins_unit and (paused_before or not paused_after)

    def takes_straggler(
        self, segment: Segment, *, worked_until_s: float, handover_s: float, idle_end_s: float
    ) -> bool:
        """Tell whether `segment`, seen after this cycle ended complete, still belongs to it.

        That is a last step done again or an optional step done late, both before a handover; or
        an optional last step, which nothing but the end of all work rules out. `worked_until_s` is
        the end of the last work without such a pause before, unexpected work among it.
        """
        if not self.is_complete or self.is_followed_by(segment, handover_s=handover_s):
            return False
        pause_s = self._pause_s(segment, max(self.end_s, worked_until_s))
        if segment.label in self.done:
            step = self.procedure.step(segment.label)
            is_last = step.id in self.procedure.final_steps()
            begins_none = step.repeatable or not self._is_first(step.id)
            return is_last and begins_none and pause_s < handover_s
        in_order = self._fits(segment.label) and not self._is_first(segment.label)
        return pause_s < (idle_end_s if in_order else handover_s)

    def to_plain(self) -> dict[str, Any]:
        """Return the cycle as JSON values, without its procedure and what was unseen."""
        shared = ("procedure", "unseen")
        plain = {name: value for name, value in vars(self).items() if name not in shared}
        return plain | {"done": {name: asdict(segment) for name, segment in self.done.items()}}

    @classmethod
    def from_plain(cls, procedure: Procedure, plain: dict[str, Any], unseen: Unseen) -> Cycle:
        """Return the cycle that `to_plain` wrote."""
        done = {name: Segment(**segment) for name, segment in plain["done"].items()}
        return cls(procedure, **plain | {"done": done, "unseen": unseen})

    def _may_go_on(self, segment: Segment, *, handover_s: float) -> bool:
        """Tell whether `segment`, without a handover before it, is a step of this unit going on.

        That is a repeatable step done again, or the last step taken up after it was left.
        """
        step = segment.label
        if step not in self.done or self._pause_s(segment) >= handover_s:
            return False
        is_left = step == self.last_step and step in self.lacking_s
        return is_left or self.procedure.step(step).repeatable or self.goes_on_unseen(segment)

    def _begins_after_idleness(self, segment: Segment, idle_end_s: float) -> bool:
        is_idle = self._pause_s(segment) >= idle_end_s
        return is_idle and not self.procedure.step(segment.label).repeatable

    def _pause_s(self, segment: Segment, after_s: float | None = None) -> float:
        """Return how long nobody worked before `segment`, since the end of the last step.

        What could not be seen is no pause, unless it was longer than the step may take: then other
        work may have been done.
        """
        after_s = self.end_s if after_s is None else after_s
        unseen_s = self.unseen.seconds(after_s, segment.start_s)
        if unseen_s > self.procedure.step(segment.label).limit_s:
            unseen_s = 0.0
        return segment.start_s - after_s - unseen_s

    def _is_first(self, step: str) -> bool:
        return not self.procedure.predecessors(step) & self.procedure.required()

    def _fits(self, step: str) -> bool:
        return step not in self.done and not self.overtakers(step)
