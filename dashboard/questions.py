"""The pages' questions to the database: a fixed number of queries, however many stations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from dashboard.status import (
    Beat,
    SeenCycle,
    SeenDeviation,
    SeenSegment,
    StationDetail,
    StationStatus,
    Step,
)
from dashboard.tables import Cycle, Deviation, Heartbeat, Segment, Station, Task
from edge.messages import AlarmTrust

MAX_DEVIATIONS = 50  # of the list on a station's page

STANDS = Deviation.state != "withdrawn"
ACCUSES = STANDS & (Deviation.type != "unsure")


def read_statuses(
    session: Session, *, now: datetime, today_from: datetime, station: str | None = None
) -> list[StationStatus]:
    """Return the stations in the order of site, line and name; only `station` when it is given."""
    query = (
        select(Station, Task, Heartbeat)
        .join(Task, (Task.id == Station.task) & (Task.revision == Station.revision))
        .outerjoin(Heartbeat, Heartbeat.station == Station.id)
        .order_by(Station.site, Station.line, Station.name, Station.id)
    )
    if station is not None:
        query = query.where(Station.id == station)
    rows = session.execute(query).all()
    ids = [row.id for row, _, _ in rows]
    cycles = _newest_cycles(session, ids)
    last = _newest_deviations(session, ids)
    cycles_today = _count_by(
        session, Cycle.station, Cycle.station.in_(ids), Cycle.started_at >= today_from
    )
    open_today = _count_by(
        session,
        Deviation.station,
        Deviation.station.in_(ids),
        Deviation.detected_at >= today_from,
        ACCUSES,
    )
    open_in_cycle = _count_by(
        session,
        Deviation.station,
        Deviation.cycle_key.in_([cycle.key for cycle in cycles.values()]),
        ACCUSES,
    )
    return [
        StationStatus(
            id=row.id,
            site=row.site,
            line=row.line,
            name=row.name,
            camera=row.camera,
            model=row.model,
            task_name=task.name,
            steps=_steps(task),
            beat=_beat(heartbeat, now) if heartbeat else None,
            cycle=_cycle(cycles[row.id], row.boot) if row.id in cycles else None,
            cycles_today=cycles_today.get(row.id, 0),
            open_deviations=open_today.get(row.id, 0),
            open_in_cycle=open_in_cycle.get(row.id, 0),
            last_deviation=last.get(row.id),
            alarm_trust=AlarmTrust.model_validate(row.alarm_trust) if row.alarm_trust else None,
        )
        for row, task, heartbeat in rows
    ]


def read_detail(
    session: Session, station: str, *, now: datetime, today_from: datetime, num_cycles: int
) -> StationDetail | None:
    """Return one station with its last cycles and deviations, newest first."""
    statuses = read_statuses(session, now=now, today_from=today_from, station=station)
    if not statuses:
        return None
    boot = session.scalar(select(Station.boot).where(Station.id == station))
    newest = select(Cycle).where(Cycle.station == station).order_by(Cycle.key.desc())
    cycles = session.scalars(newest.limit(num_cycles)).all()
    segments = _segments(session, [cycle.key for cycle in cycles])
    in_cycles = _deviations(
        session, _deviation_query().where(Deviation.cycle_key.in_([c.key for c in cycles]))
    )
    listed = _deviation_query().where(Deviation.station == station).limit(MAX_DEVIATIONS)
    latest = cycles[0].key if cycles else None
    return StationDetail(
        status=statuses[0],
        cycles=tuple(
            _cycle(
                cycle,
                boot if cycle.key == latest else None,
                segments.get(cycle.key, ()),
                tuple(d for d in reversed(in_cycles) if d.cycle_key == cycle.key),
            )
            for cycle in cycles
        ),
        deviations=tuple(_deviations(session, listed)),
    )


def _newest_cycles(session: Session, stations: Sequence[str]) -> dict[str, Cycle]:
    newest = select(func.max(Cycle.key)).where(Cycle.station == Station.id).scalar_subquery()
    keys = select(newest).where(Station.id.in_(stations))
    return {row.station: row for row in session.scalars(select(Cycle).where(Cycle.key.in_(keys)))}


def _newest_deviations(session: Session, stations: Sequence[str]) -> dict[str, SeenDeviation]:
    newest = (
        select(Deviation.key)
        .where(Deviation.station == Station.id, STANDS)
        .order_by(Deviation.key.desc())
        .limit(1)
        .scalar_subquery()
    )
    keys = select(newest).where(Station.id.in_(stations))
    rows = session.execute(_deviation_query().where(Deviation.key.in_(keys)))
    return {row.station: _deviation(row, cycle, task) for row, cycle, task in rows}


def _count_by(
    session: Session, group: InstrumentedAttribute[str], *conditions: ColumnElement[bool]
) -> dict[str, int]:
    query = select(group, func.count()).where(*conditions).group_by(group)
    return dict(session.execute(query).all())


def _deviation_query() -> Select[Deviation, Cycle, Task]:
    """Select deviations, newest first, with their cycle and the task that words their step."""
    return (
        select(Deviation, Cycle, Task)
        .join(Station, Station.id == Deviation.station)
        .outerjoin(Cycle, Cycle.key == Deviation.cycle_key)
        .outerjoin(
            Task,
            (Task.id == func.coalesce(Cycle.task, Station.task))
            & (Task.revision == func.coalesce(Cycle.revision, Station.revision)),
        )
        .order_by(Deviation.key.desc())
    )


def _deviations(session: Session, query: Select[Deviation, Cycle, Task]) -> list[SeenDeviation]:
    return [_deviation(*row) for row in session.execute(query)]


def _deviation(row: Deviation, cycle: Cycle | None, task: Task | None) -> SeenDeviation:
    texts = {step.id: step.text for step in _steps(task)} if task else {}
    return SeenDeviation(
        id=row.id,
        kind=row.type,
        state=row.state,
        step=row.step,
        step_text=texts.get(row.step, row.step),
        cycle_key=row.cycle_key,
        cycle_number=cycle.number if cycle else None,
        started_at=row.started_at,
        ended_at=row.ended_at,
        detected_at=row.detected_at,
        detail=row.detail,
        critical=row.critical,
        probability=row.probability,
    )


def _segments(session: Session, keys: Sequence[int]) -> dict[int, tuple[SeenSegment, ...]]:
    query = select(Segment).where(Segment.cycle_key.in_(keys)).order_by(Segment.key)
    found: dict[int, tuple[SeenSegment, ...]] = {}
    for row in session.scalars(query):
        seen = SeenSegment(row.step, row.started_at, row.ended_at, row.confidence)
        if row.cycle_key is not None:
            found[row.cycle_key] = (*found.get(row.cycle_key, ()), seen)
    return found


def _cycle(
    row: Cycle,
    boot: str | None,
    segments: tuple[SeenSegment, ...] = (),
    deviations: tuple[SeenDeviation, ...] = (),
) -> SeenCycle:
    return SeenCycle(
        key=row.key,
        number=row.number,
        started_at=row.started_at,
        ended_at=row.ended_at,
        complete=row.complete,
        # a cycle of an earlier boot was cut off: its station started anew
        running=row.ended_at is None and row.boot == boot,
        segments=segments,
        deviations=deviations,
    )


def _beat(row: Heartbeat, now: datetime) -> Beat:
    return Beat(
        state=row.state,  # type: ignore[arg-type]  # the wire checked it
        detail=row.detail,
        step=row.step,
        age_s=max(0.0, (now - row.received_at).total_seconds()),
        sent_at=row.sent_at,
        rate_hz=row.rate_hz,
        dropped=row.dropped,
        set_aside=row.set_aside,
        runtime=row.runtime,
    )


def _steps(task: Task) -> tuple[Step, ...]:
    return tuple(Step(id=step, text=text) for step, text in task.steps)
