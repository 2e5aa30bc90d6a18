"""What monitors without a procedure's order would say, which any other has to beat.

They are told where each unit begins and ends, and know a missed step alone:

    never alarm      nothing
    always alarm     every step of every unit is missed
    set difference   the steps of a unit that are no label in it: of single frames, or of runs that
                     are not shorter than the decoder's least dwell
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from industryasm.procedure import Procedure
from industryasm.recording import AnnotatedCycle, Recording
from industryasm.segment import Segment
from models.findings import Deviation
from models.segment_joiner import SegmentJoiner


def all_missed(recording: Recording, procedure: Procedure) -> list[Deviation]:
    """Accuse every required step of every unit."""
    return [missed(u, step) for u in recording.cycles for step in sorted(procedure.required())]


def never_labelled(
    recording: Recording, procedure: Procedure, labels: Sequence[str], times_s: Sequence[float]
) -> list[Deviation]:
    """Accuse the steps that no frame of their unit is labelled with."""
    pairs = list(zip(labels, times_s, strict=True))
    return [
        accusation
        for unit in recording.cycles
        for accusation in _lacking(
            unit, procedure, {name for name, s in pairs if unit.start_s <= s < unit.end_s}
        )
    ]


def never_dwelt(
    recording: Recording, procedure: Procedure, runs: Iterable[Segment]
) -> list[Deviation]:
    """Accuse the steps of which no run touches their unit."""
    known = list(runs)
    return [
        accusation
        for unit in recording.cycles
        for accusation in _lacking(
            unit,
            procedure,
            {r.label for r in known if r.start_s < unit.end_s and r.end_s > unit.start_s},
        )
    ]


def long_runs(
    labels: Sequence[str], times_s: Sequence[float], *, min_dwell_s: float, period_s: float
) -> list[Segment]:
    """Return the runs of equal labels that last for `min_dwell_s`; a frame for `period_s`."""
    joiner = SegmentJoiner(min_dwell_s=min_dwell_s, merge_gap_s=period_s)
    found: list[Segment] = []
    for label, time_s in zip(labels, times_s, strict=True):
        found += joiner.push(time_s, label, 1.0)
    return found + (joiner.close(times_s[-1] + period_s) if len(times_s) else [])


def missed(unit: AnnotatedCycle, step: str) -> Deviation:
    """Accuse the worker of having missed a step of the unit."""
    name, end_s = f"{unit.number}-missed-{step}", unit.end_s
    return Deviation(
        name, "missed", "confirmed", step, unit.number, unit.start_s, end_s, end_s, "not seen"
    )


def _lacking(unit: AnnotatedCycle, procedure: Procedure, seen: Collection[str]) -> list[Deviation]:
    return [missed(unit, step) for step in sorted(procedure.required(seen) - set(seen))]
