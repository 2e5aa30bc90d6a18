"""Turns the recordings of a data set into the values that the formats write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from industryasm.formats.foreign import (
    STEP_LAYER,
    ForeignFileError,
    ForeignLayer,
    ForeignRecording,
    ForeignRow,
    Unit,
)
from industryasm.formats.timeline import grid, mean_rate_hz
from industryasm.frame_times import FrameTimes, read_frame_times
from industryasm.recording import AnnotatedSegment, DataSet, Recording
from industryasm.repairs import Repairs
from industryasm.vocabulary import BACKGROUND, UNEXPECTED


def export_foreign(
    data: DataSet, *, unit: Unit, fps: float | None, losses: Repairs
) -> list[ForeignRecording]:
    """Return all recordings of a data set counted in `unit`; count in `losses` what has no place.

    Frames are those of the video, else of the recording's `rate_hz`, else of `fps`; a recording
    with none of them raises `ForeignFileError`.
    """
    return [
        replace(_recording(data, recording, unit, fps, losses), split=split)
        for split in data.index.splits
        for recording in data.split(split)
    ]


def label_texts(data: DataSet) -> dict[str, str]:
    """Return all labels of the data set's tasks with their words, background first."""
    texts = {BACKGROUND: "No step"}
    for task_id in dict.fromkeys(recording.task for recording in data.recordings()):
        texts.update({step.id: step.text for step in data.task(task_id).steps})
    return {**texts, UNEXPECTED: "Work that is not in the task"}


def _recording(
    data: DataSet, recording: Recording, unit: Unit, fps: float | None, losses: Repairs
) -> ForeignRecording:
    for what in ("cycles", "deviations"):
        if number := len(getattr(recording, what)):
            losses.add(f"{what} have no place in the format", recording.id, number)
    names = [STEP_LAYER, *(track.name for track in recording.tracks)]
    if STEP_LAYER in names[1:]:
        raise ForeignFileError(f"{recording.id}: a track is named {STEP_LAYER!r}; rename it")
    spans = [recording.segments, *(track.segments for track in recording.tracks)]
    frames = _frames(data, recording, fps, losses) if unit == "frames" else None
    layers = tuple(
        ForeignLayer(name, tuple(_rows(found, recording.id, frames, losses)))
        for name, found in zip(names, spans, strict=True)
    )
    width, height = recording.width, recording.height
    return ForeignRecording(
        name=recording.id,
        unit=unit,
        layers=layers,
        video=str(data.video(recording)) if recording.video else None,
        rate_hz=mean_rate_hz(frames) if frames else _rate(data, recording),
        length=len(frames) if frames else recording.duration_s,
        size=(width, height) if width and height else None,
        place=recording.id,
    )


def _rate(data: DataSet, recording: Recording) -> float | None:
    """Return the rate as noted, else the video's mean: BORIS wants one of every video."""
    if recording.rate_hz is None and recording.video is not None:
        return mean_rate_hz(read_frame_times(data.video(recording)))
    return recording.rate_hz


def _frames(data: DataSet, recording: Recording, fps: float | None, losses: Repairs) -> FrameTimes:
    if recording.video is not None:
        return read_frame_times(data.video(recording))
    rate_hz = recording.rate_hz or fps
    if rate_hz is None:
        raise ForeignFileError(
            f"{data.folder}: recording {recording.id!r} has neither a video nor a rate, and the "
            "format counts frames; give a rate with --fps"
        )
    losses.add(f"no video: frames counted on a grid of {rate_hz:g} Hz", recording.id)
    num_frames = max(1, round(recording.duration_s * rate_hz))
    return grid(num_frames, rate_hz)


def _rows(
    segments: Sequence[AnnotatedSegment],
    recording_id: str,
    frames: FrameTimes | None,
    losses: Repairs,
) -> list[ForeignRow]:
    rows: list[ForeignRow] = []
    for segment in segments:
        place = f"{recording_id} at {segment.start_s:g} s"
        if not segment.label.isprintable():
            raise ForeignFileError(f"{place}: {segment.label!r} has characters not to be written")
        start, end = segment.start_s, segment.end_s
        if frames is not None:
            start, end = frames.nearest(start), frames.nearest(end)
        if start < end:
            rows.append(ForeignRow(start, end, segment.label, place))
        else:
            losses.add("segment shorter than a frame left out", place)
    return rows
