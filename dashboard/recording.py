"""How one event of a station becomes rows; breaking a rule of the data raises `RefusedError`.

Knows no sockets and no order of delivery: that an event comes once and in turn is the store's care.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard import tables
from edge.messages import (
    CycleEnded,
    CycleStarted,
    DeviationSeen,
    Event,
    Heartbeat,
    SegmentSeen,
    StationStarted,
)


class RefusedError(ValueError):
    """An event contradicts what is recorded; its station keeps it aside."""


@dataclass(frozen=True)
class UnreadableEvent:
    """An event whose place in the order can be read, but not what it says."""

    station: str
    boot: str
    sequence: int
    reason: str
    body: str


def record_event(session: Session, event: Event | UnreadableEvent) -> None:
    """Write the rows of `event`; raise `RefusedError` when it breaks a rule."""
    if isinstance(event, UnreadableEvent):
        raise RefusedError(event.reason)
    match event.payload:
        case StationStarted():
            _introduce(session, event, event.payload)
        case CycleStarted():
            _start_cycle(session, event, event.payload)
        case CycleEnded():
            _end_cycle(session, event, event.payload)
        case SegmentSeen():
            _add_segment(session, event, event.payload)
        case DeviationSeen():
            _put_deviation(session, event, event.payload)
        case Heartbeat():
            raise RefusedError("a heartbeat carries sequence 0")


def record_heartbeat(
    session: Session, event: Event, heartbeat: Heartbeat, received_at: datetime
) -> None:
    """Replace the station's sign of life; one of a station not yet introduced is dropped."""
    if session.get(tables.Station, event.station) is None:
        return
    session.merge(
        tables.Heartbeat(
            station=event.station,
            boot=event.boot,
            received_at=received_at,
            sent_at=event.sent_at,
            **heartbeat.model_dump(exclude={"kind"}),
        )
    )


def _introduce(session: Session, event: Event, payload: StationStarted) -> None:
    session.merge(
        tables.Task(
            id=payload.task.id,
            revision=payload.task.revision,
            name=payload.task.name,
            steps=[list(step) for step in payload.task.steps],
        )
    )
    session.merge(
        tables.Station(
            id=event.station,
            site=payload.site,
            line=payload.line,
            name=payload.name,
            camera=payload.camera,
            model=payload.model,
            task=payload.task.id,
            revision=payload.task.revision,
            boot=event.boot,
            started_at=event.sent_at,
            alarm_trust=payload.alarm_trust.model_dump() if payload.alarm_trust else None,
        )
    )


def _start_cycle(session: Session, event: Event, payload: CycleStarted) -> None:
    station = _station(session, event)
    if payload.task != station.task:
        raise RefusedError(
            f"cycle {payload.cycle!r} is of task {payload.task!r}, "
            f"the station introduced itself with {station.task!r}"
        )
    if _find_cycle(session, event, payload.cycle) is not None:
        raise RefusedError(f"cycle {payload.cycle!r} has already begun")
    session.add(
        tables.Cycle(
            station=event.station,
            id=payload.cycle,
            boot=event.boot,
            number=payload.number,
            task=station.task,
            revision=station.revision,
            started_at=payload.started_at,
        )
    )


def _end_cycle(session: Session, event: Event, payload: CycleEnded) -> None:
    cycle = _known_cycle(session, event, payload.cycle)
    if cycle.ended_at is not None:
        raise RefusedError(f"cycle {payload.cycle!r} has already ended")
    if payload.ended_at < cycle.started_at:
        raise RefusedError(f"cycle {payload.cycle!r} ends before it starts")
    cycle.ended_at = payload.ended_at
    cycle.complete = payload.complete


def _add_segment(session: Session, event: Event, payload: SegmentSeen) -> None:
    _station(session, event)
    if payload.ended_at <= payload.started_at:
        raise RefusedError(f"segment {payload.segment!r} ends before it starts")
    same = select(tables.Segment).filter_by(station=event.station, id=payload.segment)
    if session.scalar(same) is not None:
        raise RefusedError(f"segment {payload.segment!r} is already recorded")
    session.add(
        tables.Segment(
            station=event.station,
            id=payload.segment,
            cycle_key=_cycle_key(session, event, payload.cycle),
            step=payload.step,
            started_at=payload.started_at,
            ended_at=payload.ended_at,
            confidence=payload.confidence,
        )
    )


def _put_deviation(session: Session, event: Event, payload: DeviationSeen) -> None:
    _station(session, event)
    if payload.ended_at < payload.started_at:
        raise RefusedError(f"deviation {payload.deviation!r} ends before it starts")
    same = select(tables.Deviation).filter_by(station=event.station, id=payload.deviation)
    row = session.scalar(same)
    if row is None:
        row = tables.Deviation(station=event.station, id=payload.deviation)
        session.add(row)
    with session.no_autoflush:  # the row is not whole before the last of these lines
        row.cycle_key = _cycle_key(session, event, payload.cycle)
        row.type = payload.type
        row.state = payload.state
        row.step = payload.step
        row.started_at = payload.started_at
        row.ended_at = payload.ended_at
        row.detected_at = payload.detected_at
        row.detail = payload.detail
        row.critical = payload.critical
        row.probability = payload.probability


def _station(session: Session, event: Event) -> tables.Station:
    station = session.get(tables.Station, event.station)
    if station is None:
        raise RefusedError(f"station {event.station!r} has not introduced itself to this hub")
    return station


def _find_cycle(session: Session, event: Event, cycle: str) -> tables.Cycle | None:
    return session.scalar(select(tables.Cycle).filter_by(station=event.station, id=cycle))


def _known_cycle(session: Session, event: Event, cycle: str) -> tables.Cycle:
    row = _find_cycle(session, event, cycle)
    if row is None:
        raise RefusedError(f"cycle {cycle!r} is not known")
    return row


def _cycle_key(session: Session, event: Event, cycle: str | None) -> int | None:
    return None if cycle is None else _known_cycle(session, event, cycle).key
