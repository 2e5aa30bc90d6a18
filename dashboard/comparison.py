"""What the database holds of a recording, beside the recording's own truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from dashboard.status import SeenCycle, SeenDeviation, StationDetail
from industryasm.deviation import DEVIATION_KINDS, FoundKind, KnownDeviation
from industryasm.recording import AnnotatedCycle, Recording
from industryasm.segment import Segment, frame_labels
from industryasm.vocabulary import UNEXPECTED
from models.findings import Deviation
from models.metrics import (
    DeviationScore,
    SegmentationScore,
    match_deviations,
    segmentation_score,
)

TOLERATED = 1
"""Planted deviations of a station that the demo may leave untold, and as many that it may invent.

What is said as `unsure` of the right step and unit is told.
"""

RATE_HZ = 10  # steps are compared on a grid as fine as the truth's


@dataclass(frozen=True)
class Doubted:
    """A planted deviation that is no alarm, and what was said as `unsure` of its step instead."""

    known: KnownDeviation
    found: Deviation


@dataclass(frozen=True)
class StationVerdict:
    """How one station did: unit by unit, times counted from each unit's first step."""

    station: str
    task: str
    num_cycles: int
    num_cycles_found: int
    steps: SegmentationScore
    num_steps: int
    num_steps_found: int
    deviations: DeviationScore
    doubted: tuple[Doubted, ...]
    frames_per_s: float
    runtime: str

    @property
    def not_told(self) -> list[KnownDeviation]:
        """The planted deviations of which nothing was said, not even as `unsure`."""
        doubted = [one.known for one in self.doubted]
        return [known for known in self.deviations.missed if known not in doubted]

    @property
    def passed(self) -> bool:
        """Whether every unit was followed and at most `TOLERATED` deviations were not told.

        As many may be invented, and `unsure` counts as told (`not_told`). The demo proves that the
        way from the picture to the row works; how good a model is, is measured by `linewatch
        evaluate`.
        """
        followed = self.num_cycles_found == self.num_cycles
        return followed and max(len(self.not_told), len(self.deviations.invented)) <= TOLERATED

    def to_plain(self) -> dict[str, object]:
        """Return the verdict as plain values for JSON."""
        score = self.deviations
        return {
            "station": self.station,
            "task": self.task,
            "passed": self.passed,
            "cycles": {"planted": self.num_cycles, "found": self.num_cycles_found},
            "steps": {"planted": self.num_steps, "found": self.num_steps_found, **vars(self.steps)},
            "deviations": {
                "found": [
                    {
                        "kind": m.known.kind,
                        "step": m.known.step,
                        "cycle": m.known.cycle,
                        "delay_s": round(m.delay_s, 2),
                    }
                    for m in score.matched
                ],
                "unsure": [_plain(one.known) for one in self.doubted],
                "missed": [_plain(known) for known in self.not_told],
                "invented": [_plain(found) for found in score.invented],
                "median_delay_s": round(median(score.delays_s), 2) if score.matched else None,
            },
            "frames_per_second": round(self.frames_per_s, 1),
            "runtime": self.runtime,
        }


def compare(recording: Recording, detail: StationDetail) -> StationVerdict:
    """Compare what the store holds of a station with the truth of the recording that it watched."""
    seen = {cycle.number: cycle for cycle in detail.cycles}
    predicted: list[list[str]] = []
    truth: list[list[str]] = []
    found: list[Deviation] = []
    for cycle in recording.cycles:
        known = _shifted(
            [s for s in recording.spans() if cycle.start_s <= s.start_s < cycle.end_s],
            cycle.start_s,
        )
        theirs = seen.get(cycle.number)
        segments = _segments(theirs) if theirs else []
        end_s = max(segment.end_s for segment in [*known, *segments])
        times = [k / RATE_HZ for k in range(round(end_s * RATE_HZ) + 1)]
        truth.append(frame_labels(known, times))
        predicted.append(frame_labels(segments, times))
        if theirs:
            found += [_deviation(d, theirs, cycle) for d in theirs.deviations]
    extra = [cycle for number, cycle in seen.items() if number > len(recording.cycles)]
    found += [
        _deviation(d, cycle, recording.cycles[-1]) for cycle in extra for d in cycle.deviations
    ]
    beat = detail.status.beat
    confirmed = [deviation for deviation in found if deviation.state == "confirmed"]
    score = match_deviations(recording.known_deviations(), confirmed)
    return StationVerdict(
        station=detail.status.id,
        task=recording.task,
        num_cycles=len(recording.cycles),
        num_cycles_found=len(seen),
        steps=segmentation_score(predicted=predicted, truth=truth),
        num_steps=sum(segment.label != UNEXPECTED for segment in recording.segments),
        num_steps_found=sum(len(cycle.segments) for cycle in detail.cycles),
        deviations=score,
        doubted=tuple(
            Doubted(known, said)
            for known in score.missed
            for said in [d for d in confirmed if _doubts(d, known)][:1]
        ),
        frames_per_s=beat.rate_hz if beat else 0.0,
        runtime=beat.runtime if beat else "",
    )


def verdict_lines(verdict: StationVerdict) -> list[str]:
    """Word a verdict for a terminal."""
    steps, score = verdict.steps, verdict.deviations
    lines = [
        f"{verdict.station} ({verdict.task}): {verdict.num_cycles_found} units of "
        f"{verdict.num_cycles}, {verdict.num_steps_found} steps for {verdict.num_steps} in truth, "
        f"{verdict.frames_per_s:.0f} frames/s on {verdict.runtime}",
        f"  steps      accuracy {steps.accuracy:.1f} %  edit {steps.edit:.1f}  "
        f"F1@10/25/50 {steps.f1_10:.1f}/{steps.f1_25:.1f}/{steps.f1_50:.1f}",
    ]
    lines += [
        f"  FOUND      {m.known.kind:13} {m.known.step:16} unit {m.known.cycle}, "
        f"said {_delay(m.delay_s)}"
        for m in score.matched
    ]
    lines += [
        f"  UNSURE     {one.known.kind:13} {one.known.step:16} unit {one.known.cycle}: "
        f"{one.found.detail}"
        for one in verdict.doubted
    ]
    lines += [f"  NOT FOUND  {d.kind:13} {d.step:16} unit {d.cycle}" for d in verdict.not_told]
    lines += [f"  INVENTED   {d.kind:13} {d.step:16} unit {d.cycle}" for d in score.invented]
    return lines


def _doubts(said: Deviation, known: KnownDeviation) -> bool:
    return said.kind == "unsure" and (said.step, said.cycle) == (known.step, known.cycle)


def _delay(delay_s: float) -> str:
    when = "after" if delay_s >= 0 else "before"
    return f"{abs(delay_s):.1f} s {when} its end"


def _segments(cycle: SeenCycle) -> list[Segment]:
    return [
        Segment(max(_seconds(cycle, s.started_at), 0.0), _seconds(cycle, s.ended_at), s.step)
        for s in cycle.segments
    ] + [
        Segment(max(_seconds(cycle, d.started_at), 0.0), _seconds(cycle, d.ended_at), d.step)
        for d in cycle.deviations
        if d.kind == "unexpected"  # withdrawn too: then it was work for something else
    ]


def _shifted(segments: Sequence[Segment], start_s: float) -> list[Segment]:
    return [Segment(s.start_s - start_s, s.end_s - start_s, s.label) for s in segments]


def _deviation(row: SeenDeviation, cycle: SeenCycle, truth: AnnotatedCycle) -> Deviation:
    return Deviation(
        id=row.id,
        kind=_kind(row.kind),
        state="confirmed" if row.state == "confirmed" else "withdrawn",
        step=row.step,
        cycle=cycle.number,
        start_s=truth.start_s + _seconds(cycle, row.started_at),
        end_s=truth.start_s + _seconds(cycle, row.ended_at),
        detected_s=truth.start_s + _seconds(cycle, row.detected_at),
        detail=row.detail,
    )


def _kind(name: str) -> FoundKind:
    return next((kind for kind in DEVIATION_KINDS if kind == name), "unsure")


def _seconds(cycle: SeenCycle, time: datetime) -> float:
    return (time - cycle.started_at).total_seconds()


def _plain(deviation: KnownDeviation | Deviation) -> dict[str, object]:
    return {"kind": deviation.kind, "step": deviation.step, "cycle": deviation.cycle}
