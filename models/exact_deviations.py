"""The deviations of one finished cycle, exactly as `industryasm.deviation` defines them.

Each kind is read off the finished trace: nothing is suspected or taken back, and where a cycle
begins or ends is not decided here. It is the yardstick of the streaming monitor.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from industryasm.deviation import DeviationKind
from industryasm.procedure import Procedure
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND
from models.foreign_work import PLACE
from models.shortness import shortness

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
    foreign = _foreign_work(procedure, work)
    if done:
        undone = procedure.required(done) - done.keys()
        found.update(("missed", s) for s in undone if ("wrong_part", s) not in foreign)
    found.update(("out_of_order", step) for step in _named_early(procedure, steps))
    for step in done:
        found += _lengths(procedure, work, step)
        times_again = sum(
            _is_again(procedure, work, i) for i, s in enumerate(work) if s.label == step
        )
        found["repeated", step] += times_again - foreign["rework", step]
    return +(found + foreign)


def _lengths(procedure: Procedure, work: Sequence[Segment], step: str) -> Exact:
    """Return how often `step` took too long, and whether it was left too soon."""
    found: Exact = Counter()
    limit_s = procedure.step(step).limit_s
    found["too_long", step] = sum(s.label == step and s.duration_s > limit_s for s in work)
    first = next(index for index, segment in enumerate(work) if segment.label == step)
    short = shortness(procedure, work[first], _first_times(procedure, work[:first]))
    later = work[first + 1 :]
    after = procedure.successors(step)
    given_up = next((i for i, s in enumerate(later) if s.label in after), len(later))
    gone_on_s = [s.duration_s for s in later[:given_up] if s.label == step]
    if short is not None and _lacking(short.lacks_s, gone_on_s) > 0:
        found[short.kind, step] = 1
    return found


def _is_again(procedure: Procedure, work: Sequence[Segment], index: int) -> bool:
    """Tell whether the step at `index` was done whole before, and may be done only once."""
    step = work[index].label
    before = [i for i in range(index) if work[i].label == step]
    if step not in procedure or procedure.step(step).repeatable or not before:
        return False
    first, *more = before
    short = shortness(procedure, work[first], _first_times(procedure, work[:first]))
    return short is None or _lacking(short.lacks_s, [work[i].duration_s for i in more]) <= 0


def _lacking(lacks_s: float, gone_on_s: Sequence[float]) -> float:
    """Return what a step that lacked `lacks_s` still lacks; nothing once it was whole."""
    for seconds in gone_on_s:
        lacks_s -= seconds if lacks_s > 0 else 0.0
    return lacks_s


def _foreign_work(procedure: Procedure, work: Sequence[Segment]) -> Exact:
    """Return what the unexpected work was: undoing, in the place of a step, or neither."""
    found: Exact = Counter()
    for is_step, run in itertools.groupby(range(len(work)), lambda i: work[i].label in procedure):
        stretch = [] if is_step else list(run)
        if not stretch:
            continue
        following = stretch[-1] + 1
        if following < len(work) and _is_again(procedure, work, following):
            found["rework", work[following].label] += 1
        elif step := _replaced(procedure, work, stretch):
            found["wrong_part", step] += 1
        else:
            found.update(("unexpected", work[index].label) for index in stretch)
    return found


def _replaced(procedure: Procedure, work: Sequence[Segment], stretch: Sequence[int]) -> str | None:
    """Return the step that was not done, in whose place the `stretch` was."""
    before = _first_times(procedure, work[: stretch[0]])
    length_s = sum(work[index].duration_s for index in stretch)
    following = work[stretch[-1] + 1].label if stretch[-1] + 1 < len(work) else None
    if following is not None:
        candidates = set(procedure.missing_before(following, before.keys()))
    else:
        candidates = set(procedure.required(before)) - before.keys() if before else set()
    for step in (step.id for step in procedure.steps if step.id in candidates):
        due = not procedure.missing_before(step, before.keys())
        fits = length_s >= PLACE * procedure.step(step).expected_s
        if due and fits and not procedure.successors(step) & before.keys():
            return None if any(segment.label == step for segment in work) else step
    return None


def _first_times(procedure: Procedure, work: Sequence[Segment]) -> dict[str, Segment]:
    """Return the first segment of each step, in the order of time."""
    firsts: dict[str, Segment] = {}
    for segment in work:
        if segment.label in procedure:
            firsts.setdefault(segment.label, segment)
    return firsts


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
