"""Turns what foreign files say into recordings and a data set; the only place that does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from industryasm.formats.foreign import ForeignFileError, ForeignLayer, ForeignRecording, ForeignRow
from industryasm.formats.labels import LabelBook, clean_label, new_task, slug
from industryasm.formats.layers import ChosenLayers, choose_layers
from industryasm.formats.naming import recording_ids, with_length
from industryasm.formats.timeline import (
    Timeline,
    grid,
    mean_rate_hz,
    timeline_of_frames,
    without_overlaps,
)
from industryasm.formats.videos import LinkMode, Put, find_video, put_video, read_facts
from industryasm.frame_times import FrameTimes, read_frame_times
from industryasm.recording import (
    AnnotatedCycle,
    AnnotatedSegment,
    Recording,
    SplitName,
    Track,
    write_data_set,
)
from industryasm.repairs import Repairs
from industryasm.vocabulary import Task

UNKNOWN = "unknown"  # station, camera and operator, of which no such format tells
_MAX_LABEL = 100  # recording.AnnotatedSegment.label


@dataclass(frozen=True)
class ImportChoices:
    """What the user decides for an import; see `linewatch data import --help`."""

    videos: Path | None = None
    fps: float | None = None
    labels: dict[str, str | None] = field(default_factory=dict)
    layer: str | None = None
    annotator: str | None = None
    unknown_as_background: bool = False
    cut_overlaps: bool = False
    clip: bool = False
    drop_layers: bool = False
    one_cycle: bool = False


@dataclass(frozen=True)
class ImportedSet:
    """Recordings by split with the vocabulary that they speak, and where their videos lie."""

    task: Task
    splits: dict[SplitName, list[Recording]]
    videos: dict[str, Path]

    def recordings(self) -> list[Recording]:
        """Return the recordings of all splits."""
        return [recording for split in self.splits.values() for recording in split]


@dataclass(frozen=True)
class _Part:
    """One recording on its way: chosen layers, its video, its timeline."""

    id: str
    foreign: ForeignRecording
    chosen: ChosenLayers
    video: Path | None
    timeline: Timeline


def import_foreign(
    foreign: Sequence[ForeignRecording],
    *,
    task: Task | str,
    choices: ImportChoices,
    repairs: Repairs,
) -> ImportedSet:
    """Turn foreign recordings into ours, with `task` or a new task of that id.

    Raises `ForeignFileError` for whatever does not fit and was not allowed to be repaired;
    repairs are counted in `repairs`. Nothing is written.
    """
    filled = with_length(foreign, has_videos=choices.videos is not None, repairs=repairs)
    ids = recording_ids(filled, repairs)
    parts = [_part(*pair, choices, repairs) for pair in zip(ids, filled, strict=True)]
    book = LabelBook(task if isinstance(task, Task) else None, choices.labels)
    lenient = choices.unknown_as_background
    rows = [row for part in parts for row in part.chosen.steps.rows]
    book.learn(rows, lenient=lenient, repairs=repairs)
    steps = {part.id: _steps(part, book, choices, repairs) for part in parts}
    known = task if isinstance(task, Task) else new_task(task, book.texts, steps.values())
    found: dict[SplitName, list[Recording]] = {"train": [], "validation": [], "test": []}
    for part in parts:
        recording = _recording(part, steps[part.id], known, choices, repairs)
        found[part.foreign.split or "train"].append(recording)
    splits = {name: recordings for name, recordings in found.items() if recordings}
    return ImportedSet(known, splits, {part.id: part.video for part in parts if part.video})


def write_imported(
    imported: ImportedSet, target: Path, *, mode: LinkMode, own_task: bool
) -> dict[Put, int]:
    """Write the data set into `target`; return how many videos were linked and copied."""
    done: dict[Put, int] = {"linked": 0, "copied": 0}
    for recording in imported.recordings():
        if recording.video is not None:
            done[put_video(imported.videos[recording.id], target / recording.video, mode)] += 1
    tasks = [imported.task] if own_task else []
    write_data_set(target, name=target.resolve().name, splits=imported.splits, tasks=tasks)
    return done


def _part(
    recording_id: str, foreign: ForeignRecording, choices: ImportChoices, repairs: Repairs
) -> _Part:
    chosen = choose_layers(
        foreign, name=choices.layer, annotator=choices.annotator, repairs=repairs
    )
    if choices.drop_layers:
        for layer in chosen.others:
            repairs.add("second layer left out", f"{foreign.place} {layer.name!r}")
        chosen = replace(chosen, others=())
    chosen = replace(
        chosen,
        steps=_clean(chosen.steps, repairs),
        others=tuple(_clean(layer, repairs) for layer in chosen.others),
    )
    video = find_video(choices.videos, foreign) if choices.videos else None
    timeline = _timeline(foreign, video, choices, repairs)
    return _Part(recording_id, foreign, chosen, video, timeline)


def _clean(layer: ForeignLayer, repairs: Repairs) -> ForeignLayer:
    rows: list[ForeignRow] = []
    for row in layer.rows:
        if label := clean_label(row, repairs):
            rows.append(replace(row, label=label))
        else:
            repairs.add("row without a label left out", row.place)
    return replace(layer, rows=tuple(rows))


def _timeline(
    foreign: ForeignRecording, video: Path | None, choices: ImportChoices, repairs: Repairs
) -> Timeline:
    own = read_frame_times(video) if video else None
    last = max((row.end for layer in foreign.layers for row in layer.rows), default=0)
    if foreign.unit == "seconds":
        return Timeline(foreign.place, own.end_s if own else foreign.length or last)
    frames = own
    if choices.fps is not None:
        num_frames = int(foreign.length or last)
        frames = grid(num_frames, choices.fps, own.end_s if own else None)
    elif own is not None:
        _check_rate(foreign, own)
    if frames is None or not len(frames):
        raise ForeignFileError(
            f"{foreign.place}: counts frames, not seconds; give its video with --videos, or where "
            "there is none the frame rate with --fps"
        )
    return timeline_of_frames(foreign, frames, clip=choices.clip, repairs=repairs)


def _check_rate(foreign: ForeignRecording, own: FrameTimes) -> None:
    """Refuse a tool's own frame rate that is off the video's by more than a frame at its end."""
    rate_hz = mean_rate_hz(own)
    if foreign.rate_hz and rate_hz and abs(foreign.rate_hz - rate_hz) * own.end_s > 1:
        raise ForeignFileError(
            f"{foreign.place}: counts {foreign.rate_hz:g} frames a second, its video has "
            f"{rate_hz:.5g}; give the rate of the tool as --fps {foreign.rate_hz:g}"
        )


def _steps(
    part: _Part, book: LabelBook, choices: ImportChoices, repairs: Repairs
) -> list[ForeignRow]:
    ours = [(row, book.ours[row.label]) for row in part.chosen.steps.rows]
    named = [replace(row, label=label) for row, label in ours if label is not None]
    rows = part.timeline.in_seconds(named, clip=choices.clip, repairs=repairs)
    return without_overlaps(
        rows, cut=choices.cut_overlaps, repairs=repairs, remedy="use --cut-overlaps"
    )


def _recording(
    part: _Part, steps: list[ForeignRow], task: Task, choices: ImportChoices, repairs: Repairs
) -> Recording:
    duration_s = part.timeline.duration_s
    facts = read_facts(part.video) if part.video else None
    suffix = part.video.suffix.lower() if part.video else ""
    try:
        return Recording(
            id=part.id,
            task=task.id,
            task_revision=task.revision,
            video=f"videos/{part.id}{suffix}" if part.video else None,
            duration_s=duration_s,
            rate_hz=_rate(part, choices),
            width=facts.width if facts else None,
            height=facts.height if facts else None,
            station=UNKNOWN,
            camera=UNKNOWN,
            operator=UNKNOWN,
            annotator=part.chosen.annotator or UNKNOWN,
            review="draft",
            cycles=(AnnotatedCycle(start_s=0, end_s=duration_s, number=1),)
            if choices.one_cycle
            else (),
            segments=_segments(steps),
            deviations=(),
            tracks=_tracks(part, choices, repairs),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(key) for key in first["loc"])
        raise ForeignFileError(f"{part.foreign.place}: {place}: {first['msg']}") from error


def _rate(part: _Part, choices: ImportChoices) -> float | None:
    if part.video is not None:
        return mean_rate_hz(read_frame_times(part.video))
    return choices.fps or part.foreign.rate_hz


def _segments(rows: Sequence[ForeignRow]) -> tuple[AnnotatedSegment, ...]:
    return tuple(AnnotatedSegment(start_s=r.start, end_s=r.end, label=r.label) for r in rows)


def _tracks(part: _Part, choices: ImportChoices, repairs: Repairs) -> tuple[Track, ...]:
    tracks: dict[str, Track] = {}
    for layer in part.chosen.others:
        place = f"{part.foreign.place}, layer {layer.name!r}"
        name = slug(layer.name, place)
        if name in tracks:
            raise ForeignFileError(f"{place}: another layer would be {name!r} too; rename one")
        rows = part.timeline.in_seconds(layer.rows, clip=choices.clip, repairs=repairs)
        remedy = "use --cut-overlaps, or --drop-layers to leave such layers out"
        ordered = without_overlaps(rows, cut=choices.cut_overlaps, repairs=repairs, remedy=remedy)
        tracks[name] = Track(name=name, segments=_segments(_short(ordered, repairs)))
    return tuple(tracks.values())


def _short(rows: Sequence[ForeignRow], repairs: Repairs) -> list[ForeignRow]:
    for row in rows:
        if len(row.label) > _MAX_LABEL:
            repairs.add(f"label of a second layer cut at {_MAX_LABEL} characters", row.place)
    return [replace(row, label=row.label[:_MAX_LABEL]) for row in rows]
