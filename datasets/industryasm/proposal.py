"""A procedure proposed from normal cycles, with what each line of it rests on; a person approves.

It is conservative, for a wrong rule raises false alarms and a missing one only misses an error.
The order: `industryasm.proposal_order`. The rest:

- A step is required if it was done in every cycle and there are `LEAST_CYCLES` of them.
- A step may be done once if it was never done again in `LEAST_CYCLES` cycles that have it.
- The expected time is the median. The limit is `ROOM` + `FEW_ROOM` / n times the longest of n, so
  that the next one goes beyond it with a chance of about 1 %, 0.4 % from 20 on (measured on four
  public sets; at 1.25 times the longest of 10 it was 2 to 5 %).
- The least time is the shortest, at the pace of its cycle, divided by as much: the next one goes
  below it in 0.4 to 2 % at 10 and 0.2 to 1 % from 20 on. It is not said of fewer than
  `LEAST_CYCLES` cycles.
- Every cycle that the proposal came from is free of deviations by it.

A habit looks like a rule: cycles of one worker say what that worker does.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from statistics import fmean, median

import numpy as np

from industryasm.fault import UserFault
from industryasm.pace import pace
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.proposal_order import (
    LEAST_CYCLES,
    OrderEvidence,
    Relations,
    count_order,
    hinted_order,
    most_exceptions,
    proposed_order,
    reduce_order,
)
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, MAX_STEPS, UNEXPECTED

ROOM, FEW_ROOM = 1.5, 10.0
SHORTEST_S, LONGEST_S = 0.1, 3600.0  # what a vocabulary takes


class ProposalError(UserFault, ValueError):
    """No procedure can be proposed from these cycles."""


@dataclass(frozen=True)
class StepSupport:
    """What was seen of a step: in how many cycles, in how many of these again, and how long.

    `shortest_s` is that of its first segment in a cycle, divided by the pace of a slow one.
    """

    step: str
    cycles: int
    repeated: int
    times: int
    median_s: float
    longest_s: float
    shortest_s: float


@dataclass(frozen=True)
class OrderSupport:
    """In how many cycles `before` came before `then`, against it, and directly before it."""

    before: str
    then: str
    cycles: int
    against: int
    direct: int

    @property
    def most_against(self) -> float:
        """Share of the cycles, 0 to 1, that may have the other order though none was seen."""
        return most_exceptions(self.cycles)


@dataclass(frozen=True)
class Proposal:
    """A procedure of the steps seen, in their usual order, and what it rests on.

    `order` are the relations that do not follow from others; `hints` were never contradicted
    either, but may be chance, so the procedure does without them.
    """

    procedure: Procedure
    num_cycles: int
    steps: tuple[StepSupport, ...]
    order: tuple[OrderSupport, ...]
    hints: tuple[OrderSupport, ...]

    @property
    def num_relations(self) -> int:
        """How many pairs of steps have an order, with those that follow from others."""
        return sum(len(self.procedure.predecessors(step.id)) for step in self.procedure.steps)


def propose(cycles: Sequence[Sequence[Segment]]) -> Proposal:
    """Propose a procedure from normal cycles, each the segments of one unit; background is ignored.

    Raises `ProposalError` for no cycles, a cycle without steps, with unexpected work or with
    segments that overlap, a step longer than a vocabulary can say, more steps than it can hold.

    >>> cycle = [Segment(0, 2, "place"), Segment(3, 7, "screw")]
    >>> propose([cycle] * 12).order
    (OrderSupport(before='place', then='screw', cycles=12, against=0, direct=12),)
    >>> propose([cycle] * 4).order  # too few to say so
    ()
    """
    done = [_steps_done(cycle, index) for index, cycle in enumerate(cycles, start=1)]
    if not done:
        raise ProposalError("no normal cycles: a procedure is proposed from one or more")
    orders = [list(dict.fromkeys(segment.label for segment in cycle)) for cycle in done]
    steps = _usual_order(orders)
    if len(steps) > MAX_STEPS:
        raise ProposalError(f"{len(steps)} different steps; a procedure has at most {MAX_STEPS}")
    number = {step: index for index, step in enumerate(steps)}
    evidence = count_order([[number[step] for step in order] for order in orders], len(steps))
    order = proposed_order(evidence)
    supports = _step_supports(steps, done)
    after = _after(steps, reduce_order(order))
    return Proposal(
        Procedure(tuple(_proposed_step(s, after[s.step], len(done)) for s in supports)),
        len(done),
        supports,
        _order_supports(steps, reduce_order(order), evidence),
        _order_supports(steps, hinted_order(evidence, order), evidence),
    )


def _steps_done(cycle: Sequence[Segment], number: int) -> list[Segment]:
    """Return the steps of a cycle in time; raise `ProposalError` if it cannot be a normal one."""
    steps = sorted(segment for segment in cycle if segment.label != BACKGROUND)
    if not steps:
        raise ProposalError(f"cycle {number} holds no step: leave it out")
    for segment in steps:
        if segment.label == UNEXPECTED:
            message = f"cycle {number}: unexpected work at {segment.start_s:g} s is not normal"
            raise ProposalError(f"{message}: leave the cycle out")
        if segment.duration_s > LONGEST_S:
            raise ProposalError(
                f"cycle {number}: step {segment.label!r} at {segment.start_s:g} s takes "
                f"{segment.duration_s:g} s, a vocabulary says at most {LONGEST_S:g} s: mend it"
            )
    for before, segment in pairwise(steps):
        if segment.start_s < before.end_s:
            raise ProposalError(
                f"cycle {number}: {segment.label!r} begins at {segment.start_s:g} s, before "
                f"{before.label!r} ends at {before.end_s:g} s: mend the segments"
            )
    return steps


def _usual_order(orders: Sequence[Sequence[str]]) -> list[str]:
    """Return all steps by where in a cycle they are first done, on average; ties by name."""
    places: dict[str, list[float]] = defaultdict(list)
    for order in orders:
        for index, step in enumerate(order):
            places[step].append((index + 0.5) / len(order))
    return sorted(places, key=lambda step: (fmean(places[step]), step))


def _step_supports(
    steps: Sequence[str], cycles: Sequence[Sequence[Segment]]
) -> tuple[StepSupport, ...]:
    seconds: dict[str, list[float]] = defaultdict(list)
    shortest = _shortest_times(cycles)
    seen: Counter[str] = Counter()
    repeated: Counter[str] = Counter()
    for cycle in cycles:
        numbers = Counter(segment.label for segment in cycle)
        seen.update(numbers.keys())
        repeated.update(step for step, number in numbers.items() if number > 1)
        for segment in cycle:
            seconds[segment.label].append(segment.duration_s)
    return tuple(
        StepSupport(
            s,
            seen[s],
            repeated[s],
            len(seconds[s]),
            median(seconds[s]),
            max(seconds[s]),
            shortest[s],
        )
        for s in steps
    )


def _shortest_times(cycles: Sequence[Sequence[Segment]]) -> dict[str, float]:
    """Return the shortest first segment of each step, in seconds at no slower a pace than usual."""
    usual: dict[str, list[float]] = defaultdict(list)
    for segment in chain.from_iterable(cycles):
        usual[segment.label].append(segment.duration_s)
    procedure = Procedure(
        tuple(ProcedureStep(step, expected_s=median(seconds)) for step, seconds in usual.items())
    )
    shortest: dict[str, float] = {}
    for cycle in cycles:
        done: dict[str, Segment] = {}
        for segment in cycle:
            if segment.label not in done:
                seconds = segment.duration_s / max(1.0, pace(procedure, done))
                shortest[segment.label] = min(seconds, shortest.get(segment.label, seconds))
                done[segment.label] = segment
    return shortest


def _proposed_step(support: StepSupport, after: frozenset[str], num_cycles: int) -> ProcedureStep:
    expected_s, limit_s, least_s = _times(support)
    return ProcedureStep(
        id=support.step,
        after=after,
        optional=support.cycles < max(num_cycles, LEAST_CYCLES),
        repeatable=support.repeated > 0 or support.cycles < LEAST_CYCLES,
        expected_s=expected_s,
        limit_s=limit_s,
        least_s=least_s,
    )


def _times(support: StepSupport) -> tuple[float, float, float]:
    """Return the expected time, the limit and the least time, 0 for none, to the hundredth.

    The limit is rounded up, the least time down.
    """
    room = ROOM + FEW_ROOM / support.times
    expected_s = min(max(round(support.median_s, 2), SHORTEST_S), LONGEST_S / ROOM)
    limit_s = max(support.longest_s * room, expected_s * ROOM)
    least_s = support.shortest_s / room if support.cycles >= LEAST_CYCLES else 0.0
    return (
        expected_s,
        min(math.ceil(limit_s * 100) / 100, LONGEST_S),
        math.floor(least_s * 100) / 100,
    )


def _after(steps: Sequence[str], relations: Relations) -> dict[str, frozenset[str]]:
    return {
        then: frozenset(steps[before] for before in np.flatnonzero(relations[:, index]).tolist())
        for index, then in enumerate(steps)
    }


def _order_supports(
    steps: Sequence[str], relations: Relations, evidence: OrderEvidence
) -> tuple[OrderSupport, ...]:
    """Return what each relation rests on, by its later step."""
    return tuple(
        OrderSupport(
            steps[before],
            steps[then],
            int(evidence.before[before, then]),
            int(evidence.before[then, before]),
            int(evidence.direct[before, then]),
        )
        for then, before in np.argwhere(relations.T).tolist()
    )
