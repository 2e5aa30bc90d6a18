"""Checks one annotation file: its shape, and its words and cycles against the task's vocabulary."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from industryasm.inspection.problem import Level, Problem, ProblemKind
from industryasm.json_keys import keys_given_twice
from industryasm.recording import AnnotatedCycle, AnnotatedDeviation, Recording
from industryasm.regular_file import size_of_file
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Task

MAX_BYTES = 50_000_000  # an annotation has a few kilobytes; hours of fine actions a few megabytes


def read_annotation(path: Path, file: str) -> tuple[Recording | None, list[Problem]]:
    """Read `path`, which problems call `file`; there is no recording where its shape is wrong."""
    try:
        if size_of_file(path) > MAX_BYTES:
            return None, [_error(file, "annotation", "", f"is larger than {MAX_BYTES} bytes")]
        content = path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        return None, [_error(file, "annotation", "", message)]
    twice = [
        _error(file, "annotation", key, "is given twice in one object")
        for key in keys_given_twice(content)
    ]
    try:
        recording = Recording.model_validate_json(content, strict=True)
    except ValidationError as error:
        overlaps = list(_overlaps(content, file))
        shape = _shape_problems(error, file, overlaps_told=bool(overlaps))
        return None, [*shape, *overlaps, *twice]
    if not math.isfinite(recording.duration_s):
        return None, [_error(file, "annotation", "duration_s", "must be a finite number"), *twice]
    if recording.id != path.stem:
        message = f"{recording.id!r} must be the file's name, {path.stem!r}"
        return recording, [_error(file, "annotation", "id", message), *twice]
    return recording, twice


def check_annotation(recording: Recording, file: str, task: Task) -> Iterator[Problem]:
    """Yield what does not fit the task's vocabulary, and cycles that do not fit together."""
    if recording.task_revision != task.revision:
        message = f"is {recording.task_revision}, the vocabulary of {task.id!r} has {task.revision}"
        yield _error(file, "task", "task_revision", message)
    yield from _check_labels(recording, file, task)
    yield from _check_cycles(recording, file)
    for index, deviation in enumerate(recording.deviations):
        yield from _check_deviation(recording, file, f"deviations.{index}", deviation, task)


def _check_labels(recording: Recording, file: str, task: Task) -> Iterator[Problem]:
    if not recording.segments:
        yield Problem("warning", "no-segments", file, "segments", "there are none")
    known = {step.id for step in task.steps} | {UNEXPECTED}
    for index, segment in enumerate(recording.segments):
        if segment.label in known:
            continue
        level: Level = "warning" if segment.label == BACKGROUND else "error"
        message = f"{segment.label!r} is no step of {task.id!r}"
        if segment.label == BACKGROUND:
            message = f"{BACKGROUND!r} is what no segment covers; leave the segment out"
        yield Problem(level, "label", file, f"segments.{index}.label", message)


def _check_cycles(recording: Recording, file: str) -> Iterator[Problem]:
    seen: set[int] = set()
    for index, cycle in enumerate(recording.cycles):
        if cycle.number in seen:
            yield _error(file, "cycle", f"cycles.{index}.number", f"{cycle.number} is given twice")
        seen.add(cycle.number)
        if cycle.end_s > recording.duration_s + 1e-6:
            message = f"{cycle.end_s} s is after the recording's end, {recording.duration_s} s"
            yield _error(file, "cycle", f"cycles.{index}.end_s", message)
    for before, cycle in pairwise(sorted(recording.cycles, key=lambda c: (c.start_s, c.end_s))):
        if cycle.start_s < before.end_s:
            message = (
                f"cycle {cycle.number} begins at {cycle.start_s} s, before cycle {before.number} "
                f"ends, at {before.end_s} s"
            )
            yield _error(file, "cycle", "cycles", message)


def _check_deviation(
    recording: Recording, file: str, place: str, deviation: AnnotatedDeviation, task: Task
) -> Iterator[Problem]:
    if deviation.step != UNEXPECTED and all(step.id != deviation.step for step in task.steps):
        message = f"{deviation.step!r} is no step of {task.id!r}"
        yield _error(file, "deviation", f"{place}.step", message)
        return
    cycle = next((c for c in recording.cycles if c.number == deviation.cycle), None)
    if cycle is None:
        message = f"there is no cycle {deviation.cycle}"
        yield _error(file, "deviation", f"{place}.cycle", message)
        return
    if deviation.start_s >= cycle.end_s or deviation.end_s <= cycle.start_s:
        message = f"lies outside its cycle {cycle.number}, [{cycle.start_s}, {cycle.end_s}) s"
        yield _error(file, "deviation", place, message)
    if deviation.kind == "missed":
        yield from _check_missed(recording, file, place, deviation, cycle)
    elif not _is_seen(recording, deviation):
        message = (
            f"no segment {deviation.step!r} in its span [{deviation.start_s}, {deviation.end_s}) s"
        )
        yield _error(file, "deviation", place, message)


def _check_missed(
    recording: Recording,
    file: str,
    place: str,
    deviation: AnnotatedDeviation,
    cycle: AnnotatedCycle,
) -> Iterator[Problem]:
    for segment in recording.segments:
        if segment.label == deviation.step and cycle.start_s <= segment.start_s < cycle.end_s:
            message = f"{deviation.step!r} was done in cycle {cycle.number}, at {segment.start_s} s"
            yield _error(file, "deviation", place, message)
            return


def _is_seen(recording: Recording, deviation: AnnotatedDeviation) -> bool:
    """Say whether some segment, on tracks too, is of the step; unexpected is work of any label."""
    layers = [recording.segments, *(track.segments for track in recording.tracks)]
    return any(
        segment.start_s < deviation.end_s
        and segment.end_s > deviation.start_s
        and deviation.step in (segment.label, UNEXPECTED)
        for segments in layers
        for segment in segments
    )


def _shape_problems(error: ValidationError, file: str, *, overlaps_told: bool) -> list[Problem]:
    problems = []
    for item in error.errors(include_url=False):
        message = item["msg"].removeprefix("Value error, ")
        if overlaps_told and "begins before the one before it" in message:
            continue  # the model tells the first of them; `_overlaps` tells all
        place = ".".join(str(part) for part in item["loc"])
        problems.append(_error(file, "annotation", place, message))
    return problems


def _overlaps(content: bytes, file: str) -> Iterator[Problem]:
    """Yield each segment of an annotation that was refused which begins before the last has ended.

    The model stops at the first one; a person who mends the file wants all of them.
    """
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        return  # the model has said so already
    if not isinstance(raw, dict):
        return
    yield from _overlaps_in(raw.get("segments"), "segments", file)
    tracks = raw.get("tracks")
    for index, track in enumerate(tracks if isinstance(tracks, list) else []):
        if isinstance(track, dict):
            yield from _overlaps_in(track.get("segments"), f"tracks.{index}.segments", file)


def _overlaps_in(segments: Any, place: str, file: str) -> Iterator[Problem]:
    covered_s, covering = 0.0, 0
    for index, segment in enumerate(segments if isinstance(segments, list) else []):
        span = _span(segment)
        if span is None:
            continue  # its shape is wrong, which the model has said
        start_s, end_s = span
        if index and start_s < covered_s:
            message = f"begins at {start_s} s, before {place}.{covering} ends, at {covered_s} s"
            yield _error(file, "overlap", f"{place}.{index}", message)
        if end_s > covered_s:
            covered_s, covering = end_s, index


def _span(segment: Any) -> tuple[float, float] | None:
    if not isinstance(segment, dict):
        return None
    start_s, end_s = segment.get("start_s"), segment.get("end_s")
    if not isinstance(start_s, int | float) or not isinstance(end_s, int | float):
        return None
    try:
        return float(start_s), float(end_s)
    except OverflowError:
        return None


def _error(file: str, kind: ProblemKind, place: str, message: str) -> Problem:
    return Problem("error", kind, file, place, message)
