"""Data sets of normal work and nothing else, in which every accusation is false.

Their steps, and where a unit begins and ends, need not be annotated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.evaluation.opened import Opened, open_model
from edge.evaluation.watched import Watched, normal_hours
from industryasm.fault import UserFault
from industryasm.recording import Recording
from models.findings import CycleStarted


class NormalWorkError(UserFault, ValueError):
    """A data set cannot be taken for normal work that the model was not trained on."""


@dataclass(frozen=True, eq=False)
class NormalWork:
    """A data set of normal work, and its recordings of the model's task, of every split."""

    opened: Opened
    recordings: tuple[Recording, ...]

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.opened.store.data.index.name


def open_normal_work(
    model: str, folders: Sequence[Path], *, data: Sequence[Path]
) -> list[NormalWork]:
    """Open data sets of normal work beside those of `data`.

    `model` is a model folder or a task, for its shipped model. Raises `NormalWorkError` for a set
    that is given twice or in `data` too, that the model was trained on, or that has no recording of
    the task, and for a recording with a known deviation.
    """
    taken = {folder.resolve() for folder in data}
    sets: list[NormalWork] = []
    for folder in folders:
        if folder.resolve() in taken:
            raise NormalWorkError(
                f"--normal {folder}: is given twice, or in --data too: its hours would count twice"
            )
        taken.add(folder.resolve())
        sets.append(_open(open_model(model, folder)))
    return sets


def hours_of(recording: Recording) -> float:
    """Return the hours of its units where they are annotated, else of the whole recording."""
    return normal_hours(recording) if recording.cycles else recording.duration_s / 3600


def num_units_of(watched: Watched) -> int:
    """Return how many units are annotated, or else were counted by the station."""
    started = sum(isinstance(finding, CycleStarted) for finding in watched.findings)
    return len(watched.recording.cycles) or started


def _open(opened: Opened) -> NormalWork:
    data, task = opened.store.data, opened.task.id
    if was_trained_on(opened.temporal.card.trained_on, data.index.name):
        raise NormalWorkError(
            f"--normal {data.folder}: the model was trained on {data.index.name!r}, so its false "
            "alarms there are fewer than on new work: give work that the model has not seen"
        )
    recordings = tuple(recording for recording in data.recordings() if recording.task == task)
    if not recordings:
        raise NormalWorkError(f"--normal {data.folder}: has no recording of task {task!r}")
    for recording in recordings:
        for deviation in recording.deviations[:1]:
            raise NormalWorkError(
                f"--normal {data.folder}: recording {recording.id!r} has a known deviation "
                f"({deviation.kind} {deviation.step!r} in unit {deviation.cycle}): normal work has "
                "none, so give the data set with --data, or leave the recording out"
            )
    return NormalWork(opened, recordings)


def was_trained_on(trained_on: str, name: str) -> bool:
    """Tell whether a card's `trained_on` names the data set `name`.

    Names may hold commas: a part of one, between commas, counts as a name too.

    >>> was_trained_on("gears, seed 1, gears, seed 2: 88 recordings", "gears, seed 2")
    True
    >>> was_trained_on("gears, seed 12: 88 recordings", "gears, seed 1")
    False
    """
    names, _, _ = trained_on.rpartition(": ")
    return f", {name}, " in f", {names}, "
