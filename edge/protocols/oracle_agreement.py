"""The streaming monitor beside the exact definition, on random partial orders.

Two questions are kept apart: does the monitor judge the cycles that it saw as the definition does;
and are these cycles the units that were really built.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.protocols.oracle_cases import Case, is_left_over, random_case
from industryasm.procedure import Procedure
from industryasm.segment import Segment
from models.deviations import CycleMonitor, Deviation, Finding, StepDone
from models.exact_deviations import Exact, exact_deviations, fewest_moves

_DECIDED_AFTER_S = 1.0  # as a decoder would, behind the end of a segment


@dataclass(frozen=True)
class Watched:
    """What the monitor made of a stream: its cycles' segments, and what it confirmed, by cycle."""

    cycles: Mapping[int, tuple[Segment, ...]]
    confirmed: Mapping[int, Exact]


@dataclass(frozen=True)
class Agreement:
    """How many of `num_cases` random streams the monitor judged exactly.

    `judged`: in its own cycles, as the definition judges them; `whole`: with the units that were
    really built. In `below_moves` streams fewer steps are called out of order than must at least
    be moved to mend a cycle, in `above_moves` more. `plain` streams have one reading of where a
    unit begins. `differing` counts the kinds that were not judged alike, with the smallest case.
    """

    num_cases: int
    judged: int
    whole: int
    below_moves: int
    above_moves: int
    num_plain: int
    plain_whole: int
    differing: dict[str, int]
    smallest: dict[str, str]


def watch(procedure: Procedure, stream: Sequence[Segment]) -> Watched:
    """Run the monitor over segments, each seen to its end and then decided, and end the stream."""
    monitor, findings = CycleMonitor(procedure), list[Finding]()
    for segment in stream:
        findings += monitor.watch(segment, segment.end_s)
        findings += monitor.observe(segment, segment.end_s + _DECIDED_AFTER_S)
    findings += monitor.close(stream[-1].end_s + 2 * _DECIDED_AFTER_S if stream else 0.0)
    by_start = {segment.start_s: segment for segment in stream}
    cycles: dict[int, list[Segment]] = defaultdict(list)
    newest: dict[str, Deviation] = {}
    for found in findings:
        if isinstance(found, StepDone):
            cycles[found.cycle].append(by_start[found.start_s])
        elif isinstance(found, Deviation):
            newest[found.id] = found
    confirmed: dict[int, Exact] = defaultdict(Counter)
    for found in newest.values():
        if found.kind == "unexpected":  # withdrawn too: then it was work of another kind
            cycles[found.cycle].append(by_start[found.start_s])
        if found.state == "confirmed" and found.kind != "unsure":  # nothing is hidden here
            confirmed[found.cycle][found.kind, found.step] += 1
    return Watched({number: tuple(sorted(cycles[number])) for number in cycles}, confirmed)


def agreement(num_cases: int, *, first_seed: int = 0) -> Agreement:
    """Judge `num_cases` random streams, of the seeds from `first_seed` on."""
    counts: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    smallest: dict[str, tuple[int, str]] = {}
    for seed in range(first_seed, first_seed + num_cases):
        case = random_case(seed)
        watched = watch(case.procedure, case.stream)
        differences = judged_differently(case.procedure, watched)
        is_whole = watched.confirmed == exact_units(case)
        counts["judged"] += not differences
        counts["whole"] += is_whole
        surplus = order_surplus(case.procedure, watched)
        counts["below"] += any(number < 0 for number in surplus)
        counts["above"] += any(number > 0 for number in surplus)
        counts["plain"] += case.is_plain
        counts["plain whole"] += case.is_plain and is_whole
        for kind in differences:
            differing[kind] += 1
            size = len(case.procedure.steps) + len(case.stream)
            if kind not in smallest or size < smallest[kind][0]:
                smallest[kind] = size, f"seed {seed}: {case.drawn()}"
    return Agreement(
        num_cases=num_cases,
        judged=counts["judged"],
        whole=counts["whole"],
        below_moves=counts["below"],
        above_moves=counts["above"],
        num_plain=counts["plain"],
        plain_whole=counts["plain whole"],
        differing=dict(differing),
        smallest={kind: drawn for kind, (_, drawn) in smallest.items()},
    )


def exact_units(case: Case) -> dict[int, Exact]:
    """Return the exact deviations of the units that were built, by number from 1, where any are."""
    found = {
        number: exact_deviations(case.procedure, unit)
        for number, unit in enumerate(case.units, start=1)
    }
    return {number: exact for number, exact in found.items() if exact}


def order_surplus(procedure: Procedure, watched: Watched) -> list[int]:
    """Return for each cycle how many more steps are out of order than an alignment moves."""
    out: list[int] = []
    for number, segments in watched.cycles.items():
        steps = [segment.label for segment in segments if segment.label in procedure]
        found = watched.confirmed.get(number, Counter())
        named = sum(times for (kind, _), times in found.items() if kind == "out_of_order")
        out.append(named - fewest_moves(procedure, steps))
    return out


def judged_differently(procedure: Procedure, watched: Watched) -> set[str]:
    """Return the kinds that monitor and definition count differently in the monitor's cycles.

    `+` before a kind says that the monitor has one too many, `-` that one is missing. Of a cycle
    all of whose steps may be of the one before, what it lacks is to be `unsure`, not missed.
    """
    out: set[str] = set()
    for number in {*watched.cycles, *watched.confirmed}:
        trace = watched.cycles.get(number, ())
        exact = exact_deviations(procedure, trace)
        before = watched.cycles.get(number - 1, ())
        if is_left_over(procedure, [s.label for s in before], [s.label for s in trace]):
            exact = Counter({key: times for key, times in exact.items() if key[0] != "missed"})
        found = watched.confirmed.get(number, Counter())
        out |= {f"-{kind}" for kind, _ in exact - found} | {f"+{kind}" for kind, _ in found - exact}
    return out
