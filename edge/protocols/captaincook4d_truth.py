"""What CaptainCook4D's annotation says was missed or out of order, and when that could be known.

A missed step can be known when the first step that may only come after it is done, or else when
the recording ends; a step out of order when it is done. The other error tags (technique,
measurement, temperature, timing, preparation) are truth of neither kind: their step was done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from industryasm.procedure import Procedure
from industryasm.recording import AnnotatedSegment, Recording

JudgedKind = Literal["missed", "out_of_order"]
JUDGED_KINDS: tuple[JudgedKind, ...] = ("missed", "out_of_order")

UNCUT = "uncut-"  # tracks of the steps as published, where some of them overlap
ORDER_REASONS = (
    "done before one that must precede it",
    "done after one that must follow it",
    "neither by the task graph",
)
"""Why a step may be tagged as an order error; a step of the first kind may be of the second."""


@dataclass(frozen=True)
class JudgedRecording:
    """A recording's known deviations of the judged kinds, each with when it could be known.

    `known` maps kind and step to seconds from the recording's start.
    """

    id: str
    task: str
    operator: str
    duration_s: float
    procedure: Procedure
    known: Mapping[tuple[JudgedKind, str], float]


def judged_recording(
    recording: Recording, procedure: Procedure, *, last_frame_s: float
) -> JudgedRecording:
    """Read the truth off an annotation; nothing more is seen after the last frame."""
    ends = first_ends(recording)
    known: dict[tuple[JudgedKind, str], float] = {}
    for deviation in recording.deviations:
        if deviation.kind == "missed":
            known["missed", deviation.step] = missed_from_s(
                deviation.step, procedure, ends, last_frame_s
            )
        elif deviation.kind == "out_of_order":
            key: tuple[JudgedKind, str] = ("out_of_order", deviation.step)
            known[key] = min(known.get(key, last_frame_s), deviation.end_s)
    return JudgedRecording(
        recording.id, recording.task, recording.operator, recording.duration_s, procedure, known
    )


def missed_from_s(
    step: str, procedure: Procedure, ends: Mapping[str, float], last_frame_s: float
) -> float:
    """Return the earliest time at which `step` may be called missed.

    That is the end of the first of its strict successors that was done, `ends` by step, or else
    the recording's last frame.
    """
    followed = procedure.successors(step) & ends.keys()
    return min((ends[name] for name in followed), default=last_frame_s)


def first_ends(recording: Recording) -> dict[str, float]:
    """Return when each step that was done was done first, by the uncut segments where they are."""
    ends: dict[str, float] = {}
    for segment in sorted(uncut_segments(recording), key=lambda segment: segment.end_s):
        ends.setdefault(segment.label, segment.end_s)
    return ends


def uncut_segments(recording: Recording) -> Sequence[AnnotatedSegment]:
    """Return the steps as published: the layer of steps is cut where they overlap."""
    tracks = [track for track in recording.tracks if track.name.startswith(UNCUT)]
    return [s for track in tracks for s in track.segments] if tracks else recording.segments


def order_reasons(recording: Recording, procedure: Procedure) -> Counter[str]:
    """Count what the task graph says of the steps tagged as order errors, by `ORDER_REASONS`."""
    starts: dict[str, float] = {}
    for segment in sorted(uncut_segments(recording), key=lambda segment: segment.start_s):
        starts.setdefault(segment.label, segment.start_s)
    tagged = {d.step for d in recording.deviations if d.kind == "out_of_order"}
    counts: Counter[str] = Counter()
    for step in tagged & starts.keys():
        before = procedure.predecessors(step) & starts.keys()
        behind = procedure.successors(step) & starts.keys()
        if any(starts[name] > starts[step] for name in before):
            counts[ORDER_REASONS[0]] += 1
        elif any(starts[name] < starts[step] for name in behind):
            counts[ORDER_REASONS[1]] += 1
        else:
            counts[ORDER_REASONS[2]] += 1
    return counts
