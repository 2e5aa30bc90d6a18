"""The deviations of one finished cycle, exactly as `industryasm.deviation` defines them.

Each kind is read off the whole trace at once: nothing is streamed, suspected or taken back, and
where a cycle begins or ends is not decided here. It is the yardstick of the streaming monitor.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from industryasm.deviation import DeviationKind
from industryasm.procedure import Procedure
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED

Exact = Counter[tuple[DeviationKind, str]]
"""How often each kind of deviation is in a cycle, by its step."""


def exact_deviations(procedure: Procedure, trace: Sequence[Segment]) -> Exact:
    """Return every deviation of the cycle whose segments, in the order of time, are `trace`.

    A trace without a step of the procedure is no cycle, so nothing of it is missed.

    >>> from industryasm.procedure import ProcedureStep
    >>> order = Procedure((ProcedureStep("a"), ProcedureStep("b", frozenset("a")),
    ...                    ProcedureStep("c", frozenset("b"))))
    >>> trace = [Segment(i, i + 1, step) for i, step in enumerate("bca")]
    >>> sorted(exact_deviations(order, trace))
    [('out_of_order', 'b')]
    """
    work = [segment for segment in trace if segment.label != BACKGROUND]
    steps = [segment.label for segment in work if segment.label in procedure]
    done = Counter(steps)
    found: Exact = Counter()
    if done:
        found.update(("missed", step) for step in procedure.required(done) - done.keys())
    found.update(("out_of_order", step) for step in _named_early(procedure, steps))
    for step, times in done.items():
        if not procedure.step(step).repeatable and times > 1:
            found["repeated", step] = times - 1
    for segment in work:
        if segment.label not in procedure:
            found["unexpected", UNEXPECTED] += 1
        elif segment.duration_s > procedure.step(segment.label).limit_s:
            found["too_long", segment.label] += 1
    return found


def _named_early(procedure: Procedure, steps: Sequence[str]) -> list[str]:
    """Return for each late step the earliest that overtook it and is not named for another."""
    named: list[str] = []
    pairs = list(inversions(procedure, steps))
    for late in dict.fromkeys(steps):
        overtakers = [early for early, other in pairs if other == late and early not in named]
        named += overtakers[:1]
    return named


def inversions(procedure: Procedure, steps: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (early, late) for each two steps first done in an order that is not allowed."""
    first_times = list(dict.fromkeys(steps))
    for early, late in itertools.combinations(first_times, 2):
        if late in procedure.predecessors(early):
            yield early, late


def fewest_moves(procedure: Procedure, steps: Sequence[str]) -> int:
    """Return how many steps must at least change places for the order to be an allowed one.

    That is what an optimal alignment costs: what is not moved is the largest set of steps with no
    inversion among them. Looks at all sets, so it is for some ten steps at most.
    """
    pairs = list(inversions(procedure, steps))
    involved = sorted({step for pair in pairs for step in pair})
    for size in range(len(involved)):
        for moved in itertools.combinations(involved, size):
            if all(early in moved or late in moved for early, late in pairs):
                return size
    return 0
