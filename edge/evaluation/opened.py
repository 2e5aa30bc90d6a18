"""A model and the data set that it is judged on, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.features import Features, FeatureStore, NoPictures
from industryasm.fault import UserFault
from industryasm.recording import DataSet, Recording, SplitName
from industryasm.vocabulary import Task
from models.card import read_card, shipped_model
from models.runtime import TemporalModel, load_encoder, load_model


@dataclass(frozen=True, eq=False)
class Opened:
    """The model in `folder`, its task as the data set has it, and the data set's features."""

    folder: Path
    task: Task
    temporal: TemporalModel
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


def open_model(model: str, data: Path) -> Opened:
    """Open the model folder `model`, or the shipped model of task `model`, and the set `data`."""
    folder = Path(model) if Path(model).is_dir() else shipped_model(model)
    card, data_set = read_card(folder), DataSet(data)
    task = data_set.task(card.task)
    temporal = load_model(folder, task)
    encoder = NoPictures() if card.encoder is None else load_encoder(card.encoder)
    name = card.encoder or encoder.runtime
    store = FeatureStore(data_set, encoder, name=name, rate_hz=card.rate_hz)
    return Opened(folder, task, temporal, store)
