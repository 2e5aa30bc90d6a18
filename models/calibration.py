"""What a model's accusations are worth, as it was found on recordings whose truth is known.

```
MODEL/calibration.json   this module; `linewatch calibrate` writes it (`models.calibration_fit`)
MODEL/reliability.svg    the same for the eye; not needed to run
```
A model without a calibration gives no probabilities and turns no alarm into `unsure`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from industryasm.deviation import FoundKind
from industryasm.procedure import Procedure
from industryasm.vocabulary import Identifier
from models.card import ModelCard, ModelError, Sha256
from models.confusion import Confusion
from models.whole_files import read_regular, write_whole

FILE = "calibration.json"
AGAIN = "make it again with `linewatch calibrate`, or remove it"
MAX_BYTES = 4 << 20  # the confusion of 256 labels takes 1.2 MB
MAX_STEPS = 100  # as many as a task may have

Nats = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Hours = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

LEAST_SCORE = 0.02
"""A score counts as at least this, and at most as 1 less this, so that none is beyond doubt."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AlarmScale(_Frozen):
    """How an accusation's score becomes a probability, and which probability makes an alarm.

    >>> round(AlarmScale(intercept=0.0, slope=1.0, threshold=0.0).probability(0.3), 6)
    0.3
    """

    intercept: Nats
    slope: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
    threshold: Share
    offsets: dict[FoundKind, Nats] = {}
    """What a kind of deviation has beside the intercept; 0 for one that is not named."""
    confusion: Confusion | None = None
    """What the recogniser misses and mixes up; None where nobody counted it."""

    def probability(self, score: float, kind: FoundKind | None = None) -> float:
        """Return the probability of an accusation of this kind with this score, 0 to 1."""
        offset = 0.0 if kind is None else self.offsets.get(kind, 0.0)
        nats = self.intercept + offset + self.slope * logit(score)
        return 0.5 * (1.0 + math.tanh(0.5 * nats))


AS_SCORED = AlarmScale(intercept=0.0, slope=1.0, threshold=0.0)
"""Takes the score for the probability, and every accusation for an alarm."""


class ReliabilityBin(_Frozen):
    """Accusations given a probability of [lower, upper) by what the other recordings taught.

    `predicted` is their mean probability, `observed` the share that is real, both weighted.
    """

    lower: Share
    upper: Share
    predicted: Share
    observed: Share
    num_real: Count
    num_false: Count


class StepTrust(_Frozen):
    """How surely a step is recognised in units without a deviation, and what that is worth.

    `precision` is what an alarm that the step was missed is right with, at the miss rate of the
    calibration and were it raised whenever the step is not recognised. Low and high are the ends
    of the interval that holds 95 %.
    """

    step: Identifier
    num_done: Count
    num_recognised: Count
    recall: Share
    recall_low: Share
    recall_high: Share
    precision: Share
    precision_low: Share
    precision_high: Share


class Calibration(AlarmScale):
    """The scale of one model, and what it was found on; counts are of accusations.

    Hours and false accusations are those of units without a known deviation (normal units).
    """

    version: Literal[1] = 1
    task: Identifier
    temporal_sha256: Sha256
    procedure_sha256: Sha256
    """Of the steps, their times and their order (`Procedure.sha256`), by which scores are made."""
    data: Annotated[tuple[str, ...], Field(min_length=1)]
    split: Literal["train", "validation", "test"]
    """Of `data`."""
    normal_data: tuple[str, ...] = ()
    """Data sets that are normal work and nothing else; all of their splits."""
    budget: Positive
    shift_hours: Positive
    miss_rate: Annotated[float, Field(gt=0, lt=1)]

    num_recordings: Count
    num_units: Count
    num_normal_units: Count
    normal_hours: Positive
    normal_data_hours: Hours = 0.0
    """Those of `normal_data`; the others are of normal units in `data`."""
    num_deviations: Count
    num_real: Count
    """Accusations that are known deviations."""
    num_false: Count
    """Accusations that are not, in all units; the next three are of the normal ones."""
    num_false_before: Count
    num_false_after: Count
    """Those that the threshold leaves."""
    num_false_held_out: Count
    """Those left where each recording is judged by what the others taught."""
    num_real_doubted: Count
    """Known deviations below the threshold, which become `unsure`."""
    false_alarms_per_shift: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """At most so many are to be expected: one more than are left, in these hours."""
    most_false_alarms_per_shift: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The rate is not above this with 95 % certainty, by those left in recordings that are judged
    by what the others taught; None where it was not reckoned."""
    is_shown: bool
    """Whether that is within the budget."""
    needed_hours: Hours
    """Hours of normal units without a false alarm that would show the budget."""
    separation: Share | None
    """How often a real accusation is held more probable than a false one, each recording judged by
    what the others taught; 0.5 is chance. None where there are not both."""
    reliability: tuple[ReliabilityBin, ...]
    steps: Annotated[tuple[StepTrust, ...], Field(max_length=MAX_STEPS)]

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if not self.num_false_after <= self.num_false_before <= self.num_false:
            raise ValueError("the false alarms left must be among those before, and those of all")
        if not self.num_real_doubted <= self.num_real <= self.num_deviations:
            raise ValueError("the real accusations doubted must be among the real, these known")
        if self.normal_data_hours > self.normal_hours + 1e-9:
            raise ValueError("the hours of normal_data must be among those of normal units")
        if self.num_normal_units > self.num_units:
            raise ValueError("the normal units must be among all")
        return self

    def write(self, folder: Path) -> None:
        """Write `calibration.json` into the model folder `folder`; raise `WriteError`."""
        write_whole(folder / FILE, self.model_dump_json(indent=1) + "\n")


def read_calibration(folder: Path, card: ModelCard, procedure: Procedure) -> Calibration | None:
    """Read the calibration of the model in `folder`; None where it has none.

    Raises `ModelError` when it is damaged, of another model than the one on the card, or of another
    procedure than that by which is judged.
    """
    calibration, path = read_calibration_alone(folder), folder / FILE
    if calibration is None:
        return None
    if (calibration.task, calibration.temporal_sha256) != (card.task, card.temporal_sha256):
        raise ModelError(
            f"{path}: is of another model (task {calibration.task!r}, temporal_sha256 "
            f"{calibration.temporal_sha256[:12]}...): {AGAIN}"
        )
    if calibration.procedure_sha256 != procedure.sha256():
        raise ModelError(
            f"{path}: was made by another order or other times of the steps of {card.task!r}: "
            f"{AGAIN}"
        )
    confusion = calibration.confusion
    if confusion is not None and confusion.labels != card.labels:
        raise ModelError(
            f"{path}: confusion.labels: {list(confusion.labels)} are not the model's "
            f"{list(card.labels)}: {AGAIN}"
        )
    return calibration


def read_calibration_alone(folder: Path) -> Calibration | None:
    """Read the calibration in a model folder; raise `ModelError` when it is damaged."""
    path = folder / FILE
    try:
        data = read_regular(path, MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise ModelError(f"{path}: is larger than {MAX_BYTES} bytes: {AGAIN}")
    try:
        return Calibration.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ascii(".".join(str(part) for part in first["loc"]))[1:-1][:100]
        raise ModelError(f"{path}: {place}: {first['msg']}: {AGAIN}") from error


def logit(score: float) -> float:
    """Return the log odds of a score, which counts as `LEAST_SCORE` to 1 - `LEAST_SCORE`."""
    score = min(max(score, LEAST_SCORE), 1.0 - LEAST_SCORE)
    return math.log(score / (1.0 - score))
