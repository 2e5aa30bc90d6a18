"""A procedure learned from other sequences of the same product, by the simplest careful rule.

`a` comes before `b` if it was first done before it in `at_least` sequences and never after it, nor
at the same time. A step is required if every sequence has it, and repeatable if one has it twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment

_NO_LIMIT_S = 86_400.0  # durations are not judged here


def learned_procedure(traces: Sequence[Sequence[Segment]], *, at_least: int) -> Procedure | None:
    """Return the procedure of `traces`, each one unit's steps; None for fewer than `at_least`.

    Relations that contradict each other around several steps, none of which any sequence has
    together, are all left out.
    """
    traces = [trace for trace in traces if trace]
    if len(traces) < max(1, at_least):
        return None
    firsts = [_first_times(trace) for trace in traces]
    before = _relations(firsts, at_least)
    labels = sorted(set().union(*firsts))
    again = {
        label
        for trace in traces
        for label, times in Counter(segment.label for segment in trace).items()
        if times > 1
    }
    return Procedure(
        tuple(
            ProcedureStep(
                label,
                frozenset(a for a, b in before if b == label),
                optional=not all(label in first for first in firsts),
                repeatable=label in again,
                limit_s=_NO_LIMIT_S,
            )
            for label in labels
        )
    )


def _first_times(trace: Sequence[Segment]) -> dict[str, float]:
    firsts: dict[str, float] = {}
    for segment in trace:
        firsts[segment.label] = min(segment.start_s, firsts.get(segment.label, segment.start_s))
    return firsts


def _relations(firsts: Sequence[dict[str, float]], at_least: int) -> set[tuple[str, str]]:
    seen: Counter[tuple[str, str]] = Counter()
    contradicted: set[tuple[str, str]] = set()
    for first in firsts:
        for a, a_s in first.items():
            for b, b_s in first.items():
                if a_s < b_s:
                    seen[a, b] += 1
                elif a != b:
                    contradicted.add((a, b))
    pairs = {pair for pair, times in seen.items() if times >= at_least} - contradicted
    closure = set(pairs)
    for middle in {step for pair in pairs for step in pair}:  # Warshall's order: middle outermost
        into = [a for a, b in closure if b == middle]
        out_of = [b for a, b in closure if a == middle]
        closure |= {(a, b) for a in into for b in out_of}
    return {(a, b) for a, b in pairs if (b, a) not in closure}
