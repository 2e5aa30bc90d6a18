"""The hub's store: records each event exactly once, and opens the database to the pages' questions.

What a page asks is in `dashboard.questions`, what an event becomes in `dashboard.recording`.
A duplicate is acknowledged again and not written, an event out of turn is answered with the last
one held, an event that breaks a rule is refused and kept beside the tables with its reason.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from dashboard import tables
from dashboard.database import StoreError, open_engine, shown, told_as_store_error, writing
from dashboard.questions import read_detail, read_statuses
from dashboard.recording import RefusedError, UnreadableEvent, record_event, record_heartbeat
from dashboard.status import StationDetail, StationStatus
from edge.messages import Event, Heartbeat, Receipt, StationStarted, utc_now

__all__ = ["Store", "StoreError"]

logger = logging.getLogger(__name__)


class Store:
    """An open database. Reading is safe from any thread; one hub writes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the database at `url` and bring its tables up to date; raise `StoreError`."""
        return cls(open_engine(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({shown(self._engine.url)})"

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    def record(self, event: Event | UnreadableEvent) -> Receipt | None:
        """Record one event and return its receipt; a heartbeat has none."""
        return self.record_many([event])[0]

    def record_many(self, events: Sequence[Event | UnreadableEvent]) -> list[Receipt | None]:
        """Record `events` in one transaction and return their receipts, None for heartbeats.

        When this returns, all of it is on disk; when it raises `StoreError`, nothing of it is.
        """
        with self._session(writing(self._engine)) as session:
            return [self._record(session, event) for event in events]

    def stations(self, *, now: datetime, today_from: datetime) -> list[StationStatus]:
        """Return every station by line and name; "today" is what happened since `today_from`."""
        with self._session(self._engine) as session:
            return read_statuses(session, now=now, today_from=today_from)

    def station(
        self, station: str, *, now: datetime, today_from: datetime, num_cycles: int = 6
    ) -> StationDetail | None:
        """Return one station with its last `num_cycles` cycles, None when it is not known."""
        with self._session(self._engine) as session:
            return read_detail(
                session, station, now=now, today_from=today_from, num_cycles=num_cycles
            )

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        with (
            told_as_store_error(self._engine.url),
            Session(engine) as session,
            session.begin(),
        ):
            yield session

    def _record(self, session: Session, event: Event | UnreadableEvent) -> Receipt | None:
        if event.sequence == 0 and isinstance(event, Event):
            _note_heartbeat(session, event)
            return None
        delivery = session.get(tables.Delivery, (event.station, event.boot))
        last = delivery.last_sequence if delivery else 0
        if event.sequence <= last:
            held = last if _introduces(event) else event.sequence
            return _receipt(event, held, _earlier_refusal(session, event))
        if event.sequence > last + 1:
            return _receipt(event, last)
        refused = _take(session, event)
        if delivery is None:
            delivery = tables.Delivery(station=event.station, boot=event.boot)
            session.add(delivery)
        delivery.last_sequence = event.sequence
        return _receipt(event, event.sequence, refused)


def _introduces(event: Event | UnreadableEvent) -> bool:
    return isinstance(event, Event) and isinstance(event.payload, StationStarted)


def _take(session: Session, event: Event | UnreadableEvent) -> str | None:
    """Record `event`; return why it was refused, None when it was taken."""
    try:
        with session.begin_nested():
            record_event(session, event)
    except RefusedError as error:
        reason = str(error).replace("\x00", "")[:300]  # PostgreSQL takes no NUL
    except (IntegrityError, DataError, OverflowError) as error:
        reason = _value_fault(error)
    else:
        return None
    body = event.model_dump_json() if isinstance(event, Event) else event.body
    session.add(
        tables.Refusal(
            station=event.station,
            boot=event.boot,
            sequence=event.sequence,
            refused_at=utc_now(),
            reason=reason,
            body=body,
        )
    )
    logger.warning(
        "refused event %d of %s/%s: %s", event.sequence, event.station, event.boot, reason
    )
    return reason


def _note_heartbeat(session: Session, event: Event) -> None:
    if not isinstance(event.payload, Heartbeat):
        logger.warning("dropped a %s of %s: it has no sequence", event.payload.kind, event.station)
        return
    try:
        with session.begin_nested():
            record_heartbeat(session, event, event.payload, received_at=utc_now())
    except (IntegrityError, DataError, OverflowError) as error:
        logger.warning("dropped a heartbeat of %s: %s", event.station, _value_fault(error))


def _value_fault(error: IntegrityError | DataError | OverflowError) -> str:
    cause = error if isinstance(error, OverflowError) else error.orig
    return f"a value does not fit the database: {cause}".splitlines()[0][:300]


def _earlier_refusal(session: Session, event: Event | UnreadableEvent) -> str | None:
    refusal = session.get(tables.Refusal, (event.station, event.boot, event.sequence))
    return refusal.reason if refusal else None


def _receipt(event: Event | UnreadableEvent, sequence: int, refused: str | None = None) -> Receipt:
    return Receipt(station=event.station, boot=event.boot, sequence=sequence, refused=refused)
