"""What a data set holds: clips, hours, steps and their lengths, background, deviations."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from industryasm.inspection.gap import gaps
from industryasm.recording import DataSet, Recording, RecordingError


@dataclass(frozen=True)
class StepStatistics:
    """How often a step was done in a task, how long it took, its share of all the time (0 to 1)."""

    label: str
    number: int
    mean_s: float
    median_s: float
    p5_s: float
    p95_s: float
    time_share: float


@dataclass(frozen=True)
class TaskStatistics:
    """The recordings of one task; `background_share` is of their time, 0 to 1.

    `steps` are in the order of the vocabulary, those that were never done among them.
    """

    task: str
    clips: int
    hours: float
    cycles: int
    segments: int
    background_share: float
    steps: tuple[StepStatistics, ...]
    deviations: dict[str, int]


@dataclass(frozen=True)
class Statistics:
    """A whole data set; the counters say how many recordings have each value.

    Rates and sizes are those that annotations tell, `unknown` where they tell none.
    """

    name: str
    clips: int
    hours: float
    mean_s: float
    median_s: float
    shortest_s: float
    longest_s: float
    splits: dict[str, int]
    split_hours: dict[str, float]
    rates_hz: dict[str, int]
    sizes: dict[str, int]
    operators: int
    cameras: int
    stations: int
    videos: int
    features: int
    reviews: dict[str, int]
    cycles: int
    segments: int
    background_share: float
    deviations: dict[str, int]
    tasks: tuple[TaskStatistics, ...]


def describe(data: DataSet) -> Statistics:
    """Count what the annotations of a data set tell, without opening a video.

    Raises `RecordingError` for one that cannot be read and for a data set without recordings.
    """
    splits = {split: list(data.split(split)) for split in data.index.splits}
    recordings = [recording for split in splits.values() for recording in split]
    if not recordings:
        raise RecordingError(f"{data.folder}: holds no recordings")
    lengths = [recording.duration_s for recording in recordings]
    by_task: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        by_task[recording.task].append(recording)
    return Statistics(
        name=data.index.name,
        clips=len(recordings),
        hours=sum(lengths) / 3600,
        mean_s=statistics.fmean(lengths),
        median_s=statistics.median(lengths),
        shortest_s=min(lengths),
        longest_s=max(lengths),
        splits={name: len(split) for name, split in splits.items()},
        split_hours={name: sum(r.duration_s for r in s) / 3600 for name, s in splits.items()},
        rates_hz=_count([f"{r.rate_hz:g}" if r.rate_hz else "unknown" for r in recordings]),
        sizes=_count([f"{r.width or '?'}x{r.height or '?'}" for r in recordings]),
        operators=len({recording.operator for recording in recordings}),
        cameras=len({recording.camera for recording in recordings}),
        stations=len({recording.station for recording in recordings}),
        videos=sum(recording.video is not None for recording in recordings),
        features=sum(recording.features is not None for recording in recordings),
        reviews=_count([recording.review for recording in recordings]),
        cycles=sum(len(recording.cycles) for recording in recordings),
        segments=sum(len(recording.segments) for recording in recordings),
        background_share=_background_share(recordings),
        deviations=_count_deviations(recordings),
        tasks=tuple(_describe_task(data, task, of) for task, of in sorted(by_task.items())),
    )


def _describe_task(data: DataSet, task_id: str, recordings: Sequence[Recording]) -> TaskStatistics:
    lengths: dict[str, list[float]] = {step.id: [] for step in data.task(task_id).steps}
    for recording in recordings:
        for segment in recording.segments:
            lengths.setdefault(segment.label, []).append(segment.end_s - segment.start_s)
    duration_s = sum(recording.duration_s for recording in recordings)
    return TaskStatistics(
        task=task_id,
        clips=len(recordings),
        hours=duration_s / 3600,
        cycles=sum(len(recording.cycles) for recording in recordings),
        segments=sum(len(recording.segments) for recording in recordings),
        background_share=_background_share(recordings),
        steps=tuple(_describe_step(label, of, duration_s) for label, of in lengths.items()),
        deviations=_count_deviations(recordings),
    )


def _describe_step(label: str, lengths: Sequence[float], duration_s: float) -> StepStatistics:
    if not lengths:
        return StepStatistics(label, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    p5, median, p95 = (float(value) for value in np.percentile(lengths, (5, 50, 95)))
    return StepStatistics(
        label=label,
        number=len(lengths),
        mean_s=statistics.fmean(lengths),
        median_s=median,
        p5_s=p5,
        p95_s=p95,
        time_share=sum(lengths) / duration_s,
    )


def _background_share(recordings: Sequence[Recording]) -> float:
    background_s = sum(end - start for recording in recordings for start, end in gaps(recording))
    return background_s / sum(recording.duration_s for recording in recordings)


def _count_deviations(recordings: Sequence[Recording]) -> dict[str, int]:
    return _count([d.kind for recording in recordings for d in recording.deviations])


def _count(values: Sequence[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
