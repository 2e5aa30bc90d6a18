"""What a station tells the hub: one JSON envelope per event, and the hub's answer to it.

This is the border between the edge and the people's side, so both ends check every field.
Times are UTC; `sequence` counts 1, 2, 3 ... within one `boot` of one station and is the order
of events (never the wall clock). Delivery is at least once; the hub drops what it already holds.
Heartbeats carry sequence 0: they are neither kept nor acknowledged, the next one replaces them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.functional_validators import AfterValidator

from industryasm.deviation import FoundKind

MAX_BYTES = 64 * 1024  # the largest event is about 1 kB; more is not from a station of ours

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
StepName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
FIRST_YEAR, LAST_YEAR = 1970, 2200  # a clock that was never set says 1970; year 1 has no zones


def _utc(time: datetime) -> datetime:
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError(f"year {time.year} is not from {FIRST_YEAR} to {LAST_YEAR}")
    return time.astimezone(UTC)


UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
MessageT = TypeVar("MessageT", bound=BaseModel)
Probability = Annotated[float, Field(ge=0, le=1)]

DeviationState = Literal["suspected", "confirmed", "withdrawn"]
StationState = Literal[
    "starting",
    "watching",
    "reconnecting",
    "camera_blind",
    "camera_moved",
    "finished",
    "failed",
]
"""`camera_blind`: the pictures show nothing of the work, and none is looked for in them.
`camera_moved`: they show it from elsewhere than before; it is looked for, and found less well."""


class MessageError(ValueError):
    """Bytes from the wire are not a message of this version."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Heartbeat(_Message):
    """The station is alive: its state, what it sees now and how well it keeps up.

    `set_aside` events were not taken by a hub; they are kept in the station's outbox only.
    """

    kind: Literal["heartbeat"] = "heartbeat"
    state: StationState
    detail: Annotated[str, StringConstraints(max_length=300)] = ""
    step: StepName | None = None
    cycle: Identifier | None = None
    frames: Annotated[int, Field(ge=0)] = 0
    dropped: Annotated[int, Field(ge=0)] = 0
    set_aside: Annotated[int, Field(ge=0)] = 0
    rate_hz: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    runtime: Annotated[str, StringConstraints(max_length=100)] = ""


class CycleStarted(_Message):
    """A unit's assembly began."""

    kind: Literal["cycle_started"] = "cycle_started"
    cycle: Identifier
    number: Annotated[int, Field(ge=1)]
    task: Identifier
    started_at: UtcTime


class CycleEnded(_Message):
    """A unit's assembly ended; `complete` when every required step was done and none was left."""

    kind: Literal["cycle_ended"] = "cycle_ended"
    cycle: Identifier
    ended_at: UtcTime
    complete: bool


class SegmentSeen(_Message):
    """A step was done in the half-open time [started_at, ended_at)."""

    kind: Literal["segment"] = "segment"
    segment: Identifier
    cycle: Identifier | None
    step: StepName
    started_at: UtcTime
    ended_at: UtcTime
    confidence: Probability


class DeviationSeen(_Message):
    """A departure from standard work; the same `deviation` id returns when its state changes.

    `probability` says how likely it is, where that was judged.
    """

    kind: Literal["deviation"] = "deviation"
    deviation: Identifier
    cycle: Identifier | None
    type: FoundKind
    state: DeviationState
    step: StepName
    started_at: UtcTime
    ended_at: UtcTime
    detected_at: UtcTime
    detail: Annotated[str, StringConstraints(max_length=300)] = ""
    critical: Literal["safety", "quality"] | None = None
    probability: Probability | None = None


class TaskInfo(_Message):
    """What the hub must know of a task to show it: its steps in the order of the file."""

    id: Identifier
    name: Annotated[str, StringConstraints(max_length=200)]
    revision: Annotated[int, Field(ge=1)]
    steps: Annotated[tuple[tuple[StepName, str], ...], Field(max_length=100)]


class StepTrust(_Message):
    """In which share of cases an alarm that the step was missed is right.

    `low` and `high` are the ends of the interval that holds 95 % of what it may be.
    """

    step: StepName
    right: Probability
    low: Probability
    high: Probability


class AlarmTrust(_Message):
    """What missed-step alarms are worth, by the calibration of the station's model.

    It holds where a step is missed at `miss_rate`, and were an alarm raised for every step that is
    not recognised.
    """

    miss_rate: Annotated[float, Field(gt=0, le=1)]
    steps: Annotated[tuple[StepTrust, ...], Field(max_length=100)]


class StationStarted(_Message):
    """First event of a boot: who this station is and which task it watches.

    `alarm_trust` is None where its model was not calibrated.
    """

    kind: Literal["station_started"] = "station_started"
    site: Annotated[str, StringConstraints(max_length=100)]
    line: Annotated[str, StringConstraints(max_length=100)]
    name: Annotated[str, StringConstraints(max_length=100)]
    camera: Annotated[str, StringConstraints(max_length=100)]
    task: TaskInfo
    model: Annotated[str, StringConstraints(max_length=200)]
    alarm_trust: AlarmTrust | None = None


Payload = Annotated[
    StationStarted | Heartbeat | CycleStarted | CycleEnded | SegmentSeen | DeviationSeen,
    Field(discriminator="kind"),
]


class Event(_Message):
    """One thing that happened at a station."""

    version: Literal[1] = 1
    station: Identifier
    boot: Identifier
    sequence: Annotated[int, Field(ge=0, le=2**53)]
    sent_at: UtcTime
    payload: Payload

    def to_bytes(self) -> bytes:
        """Return the event as UTF-8 JSON."""
        return self.model_dump_json().encode()


class Envelope(BaseModel):
    """An event's place in the order, without what it says.

    A hub can answer it where it cannot read the rest; a station sends it in place of an event that
    it can no longer read itself.
    """

    version: Literal[1] = 1
    station: Identifier
    boot: Identifier
    sequence: Annotated[int, Field(ge=1, le=2**53)]

    def to_bytes(self) -> bytes:
        """Return the envelope as UTF-8 JSON."""
        return self.model_dump_json().encode()


class Receipt(_Message):
    """The hub's answer to an event: everything of this boot up to `sequence` is in the database.

    To an introduction that it holds already the hub answers how much it holds of the boot in all.

    `refused` is set when the event itself was not taken (it breaks a rule of this module, say);
    the station then keeps it aside and goes on.
    """

    version: Literal[1] = 1
    station: Identifier
    boot: Identifier
    sequence: Annotated[int, Field(ge=0, le=2**53)]
    refused: Annotated[str, StringConstraints(max_length=300)] | None = None

    def to_bytes(self) -> bytes:
        """Return the receipt as UTF-8 JSON."""
        return self.model_dump_json().encode()


def read_event(data: bytes) -> Event:
    """Read an event from the wire; raise `MessageError` for anything else."""
    return _read(Event, data)


def read_envelope(data: bytes) -> Envelope:
    """Read as much of an event as its place; raise `MessageError` where even that is not there."""
    return _read(Envelope, data)


def read_receipt(data: bytes) -> Receipt:
    """Read a receipt from the wire; raise `MessageError` for anything else."""
    return _read(Receipt, data)


def _read(model: type[MessageT], data: bytes) -> MessageT:
    if len(data) > MAX_BYTES:
        raise MessageError(f"message of {len(data)} bytes: at most {MAX_BYTES} are taken")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MessageError(f"not a {model.__name__.lower()}: {place}: {first['msg']}") from error


def utc_now() -> datetime:
    """Return the time of day in UTC."""
    return datetime.now(UTC)
