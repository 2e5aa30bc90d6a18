"""A model and the data set that it is judged on, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.features import Features, FeatureStore, store_of
from edge.pipeline import ordered_decoder
from industryasm.fault import UserFault
from industryasm.recording import DataSet, Recording, SplitName
from industryasm.vocabulary import Task, find_task
from models.calibration import read_calibration
from models.card import read_card, shipped_model
from models.decoder import StreamDecoder
from models.runtime import TemporalModel, load_model
from models.whole_files import holds


@dataclass(frozen=True, eq=False)
class StepModel:
    """The model in `folder` and its task."""

    folder: Path
    task: Task
    temporal: TemporalModel

    def decoder(self) -> StreamDecoder:
        """Return a new decoder as a station has it: with the calibration's confusion.

        Raises `ModelError` for a calibration that is damaged or another model's.
        """
        card = self.temporal.card
        calibration = read_calibration(self.folder, card, self.task.procedure())
        confusion = calibration.confusion if calibration else None
        return ordered_decoder(card.labels, self.task.procedure(), card.rate_hz, confusion)


@dataclass(frozen=True, eq=False)
class Opened(StepModel):
    """A model, its task as the data set has it, and the data set's features."""

    store: FeatureStore

    def recordings(self, split: SplitName) -> list[Recording]:
        """Return a split's recordings of the task; raise `UserFault` when there is none."""
        data, task = self.store.data, self.task.id
        found = [recording for recording in data.split(split) if recording.task == task]
        if not found:
            raise UserFault(f"{data.folder}: split {split!r} has no recording of task {task!r}")
        return found

    def features(self, recording: Recording) -> Features:
        """Return a recording's features; raise `UserFault` when the model takes others."""
        features, dim = self.store.of(recording), self.temporal.card.feature_dim
        if features.features.shape[1] != dim:
            raise UserFault(
                f"{self.store.data.folder}: recording {recording.id!r} has features of "
                f"{features.features.shape[1]} numbers, the model takes {dim}"
            )
        return features


def model_folder(model: str) -> Path:
    """Return the model folder `model`, or that of the shipped model of task `model`."""
    return Path(model) if holds(Path.is_dir, model) else shipped_model(model)


def load_step_model(folder: Path, data: Path | None, task: Task | None) -> StepModel:
    """Load the model in `folder` for the task as the data set `data` has it.

    Without one for `task`, or for the task of that name that comes with Linewatch. Raises
    `ModelError` when the model does not fit it, `UserFault` when nobody knows the task.
    """
    card = read_card(folder)
    if data is not None:
        task = DataSet(data).task(card.task)
    task = task or find_task(card.task)
    return StepModel(folder, task, load_model(folder, task))


def open_model(model: str, data: Path) -> Opened:
    """Open the model folder `model`, or the shipped model of task `model`, and the set `data`."""
    opened = load_step_model(model_folder(model), data, None)
    card = opened.temporal.card
    store = store_of(DataSet(data), card.encoder, card.rate_hz)
    return Opened(opened.folder, opened.task, opened.temporal, store)
