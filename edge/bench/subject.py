"""What is measured: a task with the model that comes for it, and a recording of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.pipeline import Pipeline
from industryasm.vocabulary import Task
from models.calibration import AlarmScale, read_calibration
from models.card import shipped_model
from models.runtime import Encoder, TemporalModel, load_model


@dataclass(frozen=True, eq=False)
class Subject:
    """A task, its model and what its alarms are worth, as a station has them, and a recording."""

    task: Task
    model: TemporalModel
    calibration: AlarmScale | None
    recording: Path

    @classmethod
    def of(cls, task: Task, recording: Path) -> Subject:
        """Load the model that comes with Linewatch for `task`."""
        folder = shipped_model(task.id)
        model = load_model(folder, task)
        calibration = read_calibration(folder, model.card, task.procedure())
        return cls(task, model, calibration, recording)

    def pipeline(self, encoder: Encoder, model: TemporalModel | None = None) -> Pipeline:
        """Return a station's pipeline; `model` stands in place of the subject's own."""
        return Pipeline(self.task, model or self.model, encoder, calibration=self.calibration)
