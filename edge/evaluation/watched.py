"""What a station would have said of a recording, beside what is known of its units."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from edge.evaluation.opened import Opened
from edge.pipeline import Pipeline, decoder_config
from industryasm.recording import AnnotatedCycle, Recording
from models.alarm_judge import doubted_kind
from models.calibration import AlarmScale
from models.decoder import StreamDecoder
from models.deviations import CycleEnded, CycleStarted, Deviation, Finding, StepDone
from models.metrics import DeviationScore, match_deviations

DecoderChoice = Literal["order", "plain"]
"""A station's decoder, which knows the order of the task's steps, or one that does not."""


@dataclass(frozen=True)
class Watched:
    """A recording and the findings of its stream."""

    recording: Recording
    findings: list[Finding]

    def deviations(self) -> list[Deviation]:
        """Return the deviations, in every state that they had."""
        return [finding for finding in self.findings if isinstance(finding, Deviation)]

    def steps_done(self) -> list[StepDone]:
        """Return the steps that were recognised."""
        return [finding for finding in self.findings if isinstance(finding, StepDone)]

    def score(self) -> DeviationScore:
        """Match the alarms with what is known; their `cycle` is then the number of the unit."""
        return match_deviations(self.recording.known_deviations(), self._of_units())

    def doubted(self, score: DeviationScore) -> DeviationScore:
        """Match what low probability made `unsure` with what is known and was not found."""
        doubted = [
            Deviation(**{**vars(deviation), "kind": kind})
            for deviation in self._of_units()
            if (kind := doubted_kind(deviation)) is not None
        ]
        return match_deviations(score.missed, doubted)

    def _of_units(self) -> list[Deviation]:
        """Return the deviations with the numbers of the annotated units in place of the station's.

        A station that began in the middle of a unit, or took one for two, counts otherwise. A cycle
        is of the unit that it overlaps most; one that overlaps none is of none, 0.
        """
        spans: dict[int, tuple[float, float]] = {}
        for finding in self.findings:
            if isinstance(finding, CycleStarted):
                spans[finding.cycle] = finding.start_s, math.inf
            elif isinstance(finding, CycleEnded):
                spans[finding.cycle] = finding.start_s, finding.end_s
        units = {cycle: self._unit(*span) for cycle, span in spans.items()}
        return [replace(one, cycle=units.get(one.cycle, 0)) for one in self.deviations()]

    def _unit(self, start_s: float, end_s: float) -> int:
        overlaps_s = {u.number: _overlap_s(u, start_s, end_s) for u in self.recording.cycles}
        best = max(overlaps_s, key=overlaps_s.__getitem__, default=0)
        return best if overlaps_s.get(best, 0.0) > 0 else 0


def watch(
    opened: Opened,
    recording: Recording,
    calibration: AlarmScale | None,
    *,
    decoder: DecoderChoice = "order",
) -> Watched:
    """Push a recording through a pipeline, as a stream of its own."""
    card = opened.temporal.card
    plain = StreamDecoder(card.labels, config=decoder_config(card.rate_hz))
    pipeline = Pipeline(
        opened.task,
        opened.temporal,
        opened.store.encoder,
        calibration=calibration,
        decoder=plain if decoder == "plain" else None,
    )
    features = opened.features(recording)
    findings = [
        finding
        for feature, time_s in zip(features.features, features.times_s.tolist(), strict=True)
        for finding in pipeline.push_feature(feature, time_s)
    ]
    return Watched(recording, findings + pipeline.close())


def normal_units(recording: Recording) -> list[AnnotatedCycle]:
    """Return the units without a known deviation."""
    deviating = {deviation.cycle for deviation in recording.deviations}
    return [unit for unit in recording.cycles if unit.number not in deviating]


def normal_hours(recording: Recording) -> float:
    """Return how long the units without a known deviation took."""
    return sum(unit.end_s - unit.start_s for unit in normal_units(recording)) / 3600


def is_normal(recording: Recording, deviation: Deviation) -> bool:
    """Tell whether `deviation` accuses a unit without a known one: that of its number.

    Where it has none, the one that it touches most, or that is nearest. Of a recording without
    units it is not.
    """

    def nearness(unit: AnnotatedCycle) -> tuple[bool, float]:
        return unit.number == deviation.cycle, _overlap_s(unit, deviation.start_s, deviation.end_s)

    unit = max(recording.cycles, key=nearness, default=None)
    return unit is not None and unit in normal_units(recording)


def _overlap_s(unit: AnnotatedCycle, start_s: float, end_s: float) -> float:
    return min(unit.end_s, end_s) - max(unit.start_s, start_s)
