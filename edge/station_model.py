"""The model that a station runs, read with everything that could keep the station from starting."""

from __future__ import annotations

from dataclasses import dataclass

from edge.deployment import Station
from industryasm.vocabulary import Task, load_task
from models.calibration import Calibration, read_calibration
from models.card import shipped_model, watching_encoder
from models.runtime import TemporalModel, load_model


@dataclass(frozen=True, eq=False)
class StationModel:
    """The task that a station watches, the temporal part of its model, and what alarms are worth.

    `calibration` is None where nobody calibrated the model.
    """

    task: Task
    temporal: TemporalModel
    calibration: Calibration | None


def load_station_model(station: Station) -> StationModel:
    """Load the model of a station; raise `ModelError` where it is damaged or cannot watch."""
    task = load_task(station.task)
    folder = station.model or shipped_model(task.id)
    temporal = load_model(folder, task)
    watching_encoder(temporal.card)
    calibration = read_calibration(folder, temporal.card, task.procedure())
    return StationModel(task, temporal, calibration)
