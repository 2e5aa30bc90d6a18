"""Findings in seconds of the stream become messages in UTC, with names that stay unique."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from edge.messages import (
    AlarmTrust,
    CycleEnded,
    CycleStarted,
    DeviationSeen,
    Payload,
    SegmentSeen,
    StepTrust,
    TaskInfo,
)
from industryasm.vocabulary import Task
from models import deviations
from models.calibration import Calibration
from models.deviations import Finding


class Reporter:
    """Words one boot's findings for the hub; names are unique through the boot's own."""

    def __init__(self, task: Task, *, boot: str, num_segments: int = 0) -> None:
        """`num_segments` were named before, if this boot goes on."""
        self._task, self._boot = task, boot
        self._critical = {step.id: step.critical for step in task.steps}
        self.num_segments = num_segments

    def message(self, finding: Finding, origin: datetime) -> Payload:
        """Return the message of `finding`; `origin` is the UTC time of the stream's second 0."""

        def at(seconds: float) -> datetime:
            return origin + timedelta(seconds=seconds)

        match finding:
            case deviations.CycleStarted(cycle=number, start_s=start_s):
                return CycleStarted(
                    cycle=self.cycle(number),
                    number=number,
                    task=self._task.id,
                    started_at=at(start_s),
                )
            case deviations.CycleEnded(cycle=number, end_s=end_s, complete=complete):
                return CycleEnded(cycle=self.cycle(number), ended_at=at(end_s), complete=complete)
            case deviations.StepDone():
                self.num_segments += 1
                return SegmentSeen(
                    segment=f"{self._boot}-s{self.num_segments}",
                    cycle=self.cycle(finding.cycle),
                    step=finding.step,
                    started_at=at(finding.start_s),
                    ended_at=at(finding.end_s),
                    confidence=finding.confidence,
                )
            case deviations.Deviation():
                digest = hashlib.sha256(finding.id.encode()).hexdigest()[:16]
                return DeviationSeen(
                    deviation=f"{self._boot}-d{digest}",
                    cycle=self.cycle(finding.cycle) if finding.cycle else None,
                    type=finding.kind,
                    state=finding.state,
                    step=finding.step,
                    started_at=at(finding.start_s),
                    ended_at=at(finding.end_s),
                    detected_at=at(finding.detected_s),
                    detail=finding.detail[:300],
                    critical=self._critical.get(finding.step),
                    probability=finding.probability,
                )

    def cycle(self, number: int) -> str:
        """Return the name of this boot's cycle `number`."""
        return f"{self._boot}-{number}"


def task_info(task: Task) -> TaskInfo:
    """Return what the hub must know of `task`."""
    return TaskInfo(
        id=task.id,
        name=task.name,
        revision=task.revision,
        steps=tuple((step.id, step.text) for step in task.steps),
    )


def alarm_trust(calibration: Calibration) -> AlarmTrust:
    """Return what the hub must know of a model's calibration: what its alarms are worth."""
    return AlarmTrust(
        miss_rate=calibration.miss_rate,
        steps=tuple(
            StepTrust(
                step=one.step, right=one.precision, low=one.precision_low, high=one.precision_high
            )
            for one in calibration.steps
        ),
    )
