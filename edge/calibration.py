"""Finds what a model's accusations are worth on recordings whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.evaluation.opened import Opened, open_model
from edge.evaluation.watched import Watched, is_normal, normal_hours, normal_units, watch
from edge.labelled_confusion import all_but, confusion_on, normal_confusion
from edge.normal_work import hours_of, num_units_of, open_normal_work, was_trained_on
from industryasm.fault import UserFault
from industryasm.procedure import Procedure
from industryasm.recording import AnnotatedSegment, SplitName
from models.calibration import AS_SCORED, AlarmScale, Calibration, ReliabilityBin, StepTrust
from models.calibration_fit import (
    Accusation,
    HeldOut,
    counted,
    deviating_weight,
    expected_precision,
    hold_out,
    jeffreys,
    judged,
    most_expected,
    reliability,
    scale_of,
    separation,
)
from models.confusion import Confusion
from models.deviations import Deviation
from models.metrics import is_near


class CalibrationError(UserFault, ValueError):
    """The recordings cannot tell what a model's accusations are worth."""


@dataclass(frozen=True)
class AlarmBudget:
    """How many false alarms a shift of a station may have, and how often a step is done wrongly."""

    budget: float = 1.0
    shift_hours: float = 8.0
    miss_rate: float = 0.005


@dataclass
class _Seen:
    """What the recordings showed, so far."""

    accusations: list[Accusation] = field(default_factory=list)
    hours: dict[str, float] = field(default_factory=dict)
    """Hours of normal units, by recording."""
    normal_data_hours: float = 0.0
    """Of those, the hours of data sets of normal work alone."""
    done: Counter[str] = field(default_factory=Counter)
    recognised: Counter[str] = field(default_factory=Counter)
    num_units: int = 0
    num_normal_units: int = 0
    num_deviations: int = 0

    def add(self, name: str, watched: Watched) -> None:
        recording = watched.recording
        score = watched.score()
        said = [(match.found, True) for match in score.matched]
        said += [
            (found, any(is_near(known, found) for known in score.missed))
            for found in score.invented
        ]
        self.accusations += [
            _accusation(name, found, is_real=is_real, is_normal=is_normal(recording, found))
            for found, is_real in said
        ]
        self.hours[name] = normal_hours(recording)
        self.num_units += len(recording.cycles)
        self.num_normal_units += len(normal_units(recording))
        self.num_deviations += len(recording.deviations)
        for unit in normal_units(recording):
            inside = [s for s in recording.segments if unit.start_s <= s.start_s < unit.end_s]
            self._add_steps(watched, inside)

    def add_normal(self, name: str, watched: Watched) -> None:
        """Add a recording of normal work, in which every accusation is false."""
        invented = watched.score().invented
        self.accusations += [_accusation(name, found, is_real=False) for found in invented]
        self.hours[name] = hours_of(watched.recording)
        self.normal_data_hours += self.hours[name]
        num_units = num_units_of(watched)
        self.num_units += num_units
        self.num_normal_units += num_units
        self._add_steps(watched, watched.recording.segments)

    def _add_steps(self, watched: Watched, steps: Iterable[AnnotatedSegment]) -> None:
        seen = watched.steps_done()
        for step in steps:
            self.done[step.label] += 1
            self.recognised[step.label] += any(
                s.step == step.label and s.start_s < step.end_s and s.end_s > step.start_s
                for s in seen
            )


def calibrate(
    model: str,
    data: Sequence[Path],
    split: SplitName,
    limits: AlarmBudget,
    *,
    normal: Sequence[Path] = (),
) -> Calibration:
    """Watch a split of each data set with every accusation an alarm, and learn from what was said.

    `model` is a model folder or a task, for its shipped model; `normal` are data sets of normal
    work alone, of which every split is watched. Raises `CalibrationError` for a data set given
    twice, for sets of different procedures, for a training split that the model learned from, and
    where no unit is without a known deviation; `NormalWorkError` for a set in `normal` that cannot
    be taken for that.
    """
    if len({folder.resolve() for folder in data}) < len(data):
        raise CalibrationError("--data names one data set twice: its accusations would count twice")
    work = open_normal_work(model, normal, data=data)
    seen = _Seen()
    names: list[str] = []
    sets = [(opened, opened.recordings(split)) for opened in (open_model(model, d) for d in data)]
    _check_sets([opened for opened, _ in sets], [one.opened for one in work], split)
    parts = [[confusion_on(opened, one) for one in of_set] for opened, of_set in sets]
    labelled = [part for of_set in parts for part in of_set]
    normal_parts = [[normal_confusion(one.opened, r) for r in one.recordings] for one in work]
    normal_labelled = [part for of_set in normal_parts for part in of_set if part is not None]
    for (opened, recordings), of_set in zip(sets, parts, strict=True):
        names.append(opened.store.data.index.name)
        for recording, part in zip(recordings, of_set, strict=True):
            scale = _as_scored(all_but(part, labelled, normal_labelled))
            seen.add(f"{len(names)}/{recording.id}", watch(opened, recording, scale))
    for number, (one, of_normal) in enumerate(zip(work, normal_parts, strict=True), start=1):
        for recording, own in zip(one.recordings, of_normal, strict=True):
            scale = _as_scored(all_but(own, labelled, normal_labelled))
            watched = watch(one.opened, recording, scale)
            seen.add_normal(f"normal {number}/{recording.id}", watched)
    confusion = all_but(None, labelled, normal_labelled)
    found = _calibration(opened, seen, names, [one.name for one in work], split, limits)
    return found.model_copy(update={"confusion": confusion})


def _check_sets(data: Sequence[Opened], normal: Sequence[Opened], split: SplitName) -> None:
    """Raise `CalibrationError` for what the sets must not share, and what they must."""
    procedure = data[0].task.procedure()
    taken: dict[str, Path] = {}
    for opened in (*data, *normal):
        of_set = opened.store.data
        name, folder = of_set.index.name, of_set.folder
        if opened.task.procedure() != procedure:
            raise CalibrationError(
                f"{folder}: has another order or other times of the steps of {opened.task.id!r} "
                f"than {data[0].store.data.folder}: what is said depends on them"
            )
        if (
            split == "train"
            and opened in data
            and was_trained_on(opened.temporal.card.trained_on, name)
        ):
            raise CalibrationError(
                f"{folder}: the model was trained on that split of {name!r}, so its false alarms "
                "there are fewer than on new work: use --split validation"
            )
        contents = {one.model_dump_json(): one.id for one in of_set.recordings()}
        for content, recording_id in contents.items():
            if other := taken.get(content):
                raise CalibrationError(
                    f"{folder}: recording {recording_id!r} is in {other} too: it would count twice"
                )
        taken |= dict.fromkeys(contents, folder)


def _as_scored(confusion: Confusion | None) -> AlarmScale:
    return AS_SCORED.model_copy(update={"confusion": confusion})


def _calibration(
    opened: Opened,
    seen: _Seen,
    names: list[str],
    normal_names: list[str],
    split: SplitName,
    limits: AlarmBudget,
) -> Calibration:
    hours, procedure = sum(seen.hours.values()), opened.task.procedure()
    if not hours:
        raise CalibrationError(
            f"split {split!r} of {', '.join(names)} has no unit without a known deviation: false "
            "alarms are counted in those, so add recordings of normal work, with --normal"
        )
    accusations = seen.accusations
    weight = deviating_weight(
        num_deviations=seen.num_deviations,
        num_steps=seen.num_units * len(procedure.required()),
        miss_rate=limits.miss_rate,
    )
    budget, shift_hours = limits.budget, limits.shift_hours
    scale, is_shown = scale_of(
        accusations, weight=weight, hours=hours, budget=budget, shift_hours=shift_hours
    )
    held_out = hold_out(
        accusations, weight=weight, hours=seen.hours, budget=budget, shift_hours=shift_hours
    )
    alarms = [judged(one, scale).is_alarm for one in accusations]
    false = [one.is_normal and not one.is_real for one in accusations]
    num_left = sum(a and f for a, f in zip(alarms, false, strict=True))
    num_held_out = sum(h.is_alarm and f for h, f in zip(held_out, false, strict=True))
    card = opened.temporal.card
    return Calibration(
        **scale.model_dump(),
        task=card.task,
        temporal_sha256=card.temporal_sha256,
        procedure_sha256=procedure.sha256(),
        data=tuple(names),
        split=split,
        normal_data=tuple(normal_names),
        budget=budget,
        shift_hours=shift_hours,
        miss_rate=limits.miss_rate,
        num_recordings=len(seen.hours),
        num_units=seen.num_units,
        num_normal_units=seen.num_normal_units,
        normal_hours=hours,
        normal_data_hours=seen.normal_data_hours,
        num_deviations=seen.num_deviations,
        num_real=sum(one.is_real for one in accusations),
        num_false=sum(not one.is_real for one in accusations),
        num_false_before=sum(false),
        num_false_after=num_left,
        num_false_held_out=num_held_out,
        num_real_doubted=sum(
            one.is_real and not alarm for one, alarm in zip(accusations, alarms, strict=True)
        ),
        false_alarms_per_shift=(num_left + 1) / hours * shift_hours,
        most_false_alarms_per_shift=most_expected(num_held_out) / hours * shift_hours,
        is_shown=is_shown,
        needed_hours=shift_hours / budget,
        separation=separation(
            [1.0 if h.probability is None else h.probability for h in held_out],
            [one.is_real for one in accusations],
        ),
        reliability=_reliability(accusations, held_out, weight),
        steps=_steps(procedure, seen, limits.miss_rate),
    )


def _reliability(
    accusations: list[Accusation], held_out: list[HeldOut], weight: float
) -> tuple[ReliabilityBin, ...]:
    scored = [one for one in accusations if one.score is not None]
    if not scored:
        return ()
    weights, real = counted(scored, weight=weight)
    given = [one.probability for one in held_out if one.probability is not None]
    return reliability(given, real, weights)


def _steps(procedure: Procedure, seen: _Seen, miss_rate: float) -> tuple[StepTrust, ...]:
    trust: list[StepTrust] = []
    for step in procedure.steps:
        num_done, num_recognised = seen.done[step.id], seen.recognised[step.id]
        recall = jeffreys(num_recognised, num_done)
        trust.append(
            StepTrust(
                step=step.id,
                num_done=num_done,
                num_recognised=num_recognised,
                recall=recall.mean,
                recall_low=recall.low,
                recall_high=recall.high,
                precision=expected_precision(recall.mean, miss_rate),
                precision_low=expected_precision(recall.low, miss_rate),
                precision_high=expected_precision(recall.high, miss_rate),
            )
        )
    return tuple(trust)


def _accusation(
    name: str, found: Deviation, *, is_real: bool, is_normal: bool = True
) -> Accusation:
    return Accusation(name, found.kind, found.probability, is_real, is_normal)
