"""IMPACT (CC BY-NC-SA 4.0): an angle grinder taken apart and put together, five streams of labels.

Read: `label_runs.csv` with `trial,stream,start_frame,end_frame_exclusive,label`, frames of 30 a
second from the front camera. There is no video, so the grid of frames is regular.

- `CAS`, the coarse steps, are the segments; `NULL` is background. `START_ANGLE_GRINDER_ASSEMBLY`
  and `FINISH_ANGLE_GRINDER_ASSEMBLY` are work (the grinder is taken up, put away) and stay steps.
- A trial is disassembly when more of its steps take parts off than put parts on, otherwise
  assembly. (`START_...` begins disassembly: the assembly of the name is the thing. The states in
  `psr/` say the same of every trial that is there too.) Both tasks speak all steps, for a part put
  on wrongly is taken off again. No order is published: every step is optional and repeatable.
- `FAS_L`, `FAS_R` (fine actions of each hand) and `PPR_L`, `PPR_R` are tracks, without `NULL`.
- Each `ANOMALY` of a hand is a deviation `wrong_execution`, each `RECOVERY` a `rework`, of the step
  that overlaps it most, else of `unexpected` (counted). Both hands tell of one event twice; the
  note says which hand.
- `psr/` calls a part "incorrectly installed" whenever it is on and not yet fixed: 1,284 of
  1,320 changes go through that state. It tells of no mistake, so nothing of it is taken.
- Participants are not named. The day stands for the operator, and ours is the split, by day, so
  that nobody is in two. (`psr/` has a split, but for 39 of these 65 trials, and through the days.)
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from industryasm.deviation import KnownKind
from industryasm.frame_times import FrameTimes
from industryasm.recording import (
    AnnotatedCycle,
    AnnotatedDeviation,
    AnnotatedSegment,
    Recording,
    Track,
    write_data_set,
)
from industryasm.repairs import Repairs
from industryasm.sets.csv_file import Row, read_rows
from industryasm.sets.identifier import identifier
from industryasm.sets.impact_words import (
    ASSEMBLY,
    DISASSEMBLY,
    HANDS,
    HEADER,
    KNOWN_STEPS,
    LABEL,
    MAX_LENGTH,
    NOTHING,
    PUT_ON,
    RATE_HZ,
    STATES,
    STEPS,
    TAKE_OFF,
    TRACKS,
    TRIAL,
)
from industryasm.sets.layer import PublishedSegment, cut_overlaps
from industryasm.sets.set_error import SetError, refused_at
from industryasm.sets.splitting import split_by_group
from industryasm.sets.step_times import StepTimes
from industryasm.sets.unordered_task import unordered_task
from industryasm.vocabulary import UNEXPECTED


@dataclass(frozen=True)
class _Trial:
    id: str
    task: str
    duration_s: float
    streams: dict[str, list[PublishedSegment]]


def import_set(source: Path, target: Path, repairs: Repairs) -> None:
    """Write the recordings of the folder `source` as a data set at `target`.

    Raises `SetError` for a file that is absent, damaged, of another shape, or names an unknown
    stream or state.
    """
    path = source / "label_runs.csv"
    trials = _trials(path, repairs)
    recordings = [_recording(trial, path, repairs) for trial in trials]
    splits = split_by_group(recordings, lambda recording: recording.operator)
    labels = {s.label for trial in trials for s in trial.streams[STEPS]}
    for label in sorted(labels - set(KNOWN_STEPS)):
        repairs.add("coarse step that we did not know: added to both tasks", label)
    texts = {identifier(label): _text(label) for label in KNOWN_STEPS}
    texts |= {identifier(label): _text(label) for label in sorted(labels - set(KNOWN_STEPS))}
    write_data_set(
        target,
        name="impact",
        splits=splits,
        tasks=[
            unordered_task(
                task,
                f"{verb} an angle grinder",
                "Angle grinder",
                "power tools",
                texts=texts,
                times=_times(splits["train"], task),
                place=str(path),
            )
            for task, verb in ((ASSEMBLY, "Assemble"), (DISASSEMBLY, "Disassemble"))
        ],
    )


def _trials(path: Path, repairs: Repairs) -> list[_Trial]:
    rows = read_rows(path, repairs)
    if not rows or rows[0].cells != HEADER:
        raise SetError(f"{path}:1: expected the columns {','.join(HEADER)}")
    by_trial: dict[str, list[Row]] = defaultdict(list)
    for row in rows[1:]:
        _check(row)
        if row.frame(3) <= row.frame(2):
            repairs.add("run without length: left out", row.brief)
        else:
            by_trial[row.cells[0]].append(row)
    trials: list[_Trial] = []
    for name, of_trial in sorted(by_trial.items()):
        if any(row.cells[1] == STEPS for row in of_trial):
            trials.append(_trial(name, of_trial))
        else:
            repairs.add(f"trial without the stream {STEPS}: left out", name)
    if not trials:
        raise SetError(f"{path}: holds no trial with the stream {STEPS}")
    return trials


def _check(row: Row) -> None:
    if len(row.cells) != len(HEADER):
        raise SetError(f"{row.place}: has {len(row.cells)} columns, expected {len(HEADER)}")
    trial, stream, _, _, label = row.cells
    if not TRIAL.fullmatch(trial):
        raise SetError(f"{row.place}: trial {trial!r} is not of the form YYYYMMDD_HHMM")
    if stream != STEPS and stream not in TRACKS:
        known = ", ".join((STEPS, *TRACKS))
        raise SetError(f"{row.place}: stream {stream!r} is none of {known}")
    if stream in HANDS and label not in STATES:
        raise SetError(f"{row.place}: label {label!r} is none of {', '.join(STATES)}")
    if not LABEL.fullmatch(label) or len(label) > MAX_LENGTH:
        raise SetError(f"{row.place}: label {label!r} is not of the form VERB_OBJECT")


def _trial(name: str, rows: list[Row]) -> _Trial:
    frames = FrameTimes.regular(num_frames=max(row.frame(3) for row in rows), rate_hz=RATE_HZ)
    streams: dict[str, list[PublishedSegment]] = defaultdict(list)
    for row in rows:
        stream, label = row.cells[1], row.cells[4]
        start_s, end_s = frames.start_of(row.frame(2)), frames.start_of(row.frame(3))
        if label != NOTHING:
            streams[stream].append(PublishedSegment(start_s, end_s, label, row.brief))
    labels = [segment.label for segment in streams[STEPS]]
    taken_off = sum(label.startswith(TAKE_OFF) for label in labels)
    put_on = sum(label.startswith(PUT_ON) for label in labels)
    task = DISASSEMBLY if taken_off > put_on else ASSEMBLY
    return _Trial(name, task, frames.end_s, streams)


def _recording(trial: _Trial, path: Path, repairs: Repairs) -> Recording:
    steps = [
        PublishedSegment(s.start_s, s.end_s, identifier(s.label), s.place)
        for s in trial.streams[STEPS]
    ]
    tracks = {name: cut_overlaps(trial.streams[stream], repairs) for stream, name in TRACKS.items()}
    segments = cut_overlaps(steps, repairs)
    with refused_at(f"{path}: trial {trial.id}"):
        return Recording(
            id=trial.id,
            task=trial.task,
            task_revision=1,
            duration_s=trial.duration_s,
            rate_hz=RATE_HZ,
            station="bench",
            camera="front",
            operator=f"day-{trial.id[:8]}",
            annotator="impact",
            review="reviewed",
            cycles=(AnnotatedCycle(number=1, start_s=0.0, end_s=trial.duration_s),),
            segments=segments,
            deviations=tuple(
                _deviation(state, kind, stream, segments, trial.id, repairs)
                for stream in HANDS
                for state in tracks[TRACKS[stream]]
                if (kind := STATES[state.label]) is not None
            ),
            tracks=tuple(Track(name=name, segments=of_track) for name, of_track in tracks.items()),
        )


def _deviation(
    state: AnnotatedSegment,
    kind: KnownKind,
    stream: str,
    segments: tuple[AnnotatedSegment, ...],
    trial: str,
    repairs: Repairs,
) -> AnnotatedDeviation:
    overlaps: dict[str, float] = defaultdict(float)
    for segment in segments:
        shared_s = min(segment.end_s, state.end_s) - max(segment.start_s, state.start_s)
        if shared_s > 0:
            overlaps[segment.label] += shared_s
    step = max(overlaps, key=lambda label: overlaps[label], default=UNEXPECTED)
    if step == UNEXPECTED:
        repairs.add(f"{state.label} while no step goes on: of `unexpected`", f"{trial} {stream}")
    return AnnotatedDeviation(
        kind=kind,
        step=step,
        cycle=1,
        start_s=state.start_s,
        end_s=state.end_s,
        note=f"{state.label}, {HANDS[stream]}",
    )


def _times(recordings: list[Recording], task: str) -> StepTimes:
    """Measure the steps that no deviation is of in their time."""
    times = StepTimes()
    for recording in recordings:
        for segment in recording.segments:
            faulty = any(
                deviation.step == segment.label
                and deviation.start_s < segment.end_s
                and segment.start_s < deviation.end_s
                for deviation in recording.deviations
            )
            if recording.task == task and not faulty:
                times.add(segment.label, segment.end_s - segment.start_s)
    return times


def _text(label: str) -> str:
    return label.replace("_", " ").capitalize()
