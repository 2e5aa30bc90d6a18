"""The tables of the hub's database. They know nothing of sockets, pages or of how rows come in.

Integer keys count up in the order in which the hub recorded, which is each station's own order of
events; names given by a station are unique within the station.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time of day: stored in UTC, given back in UTC, also where SQL forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn `value` into UTC; raise `ValueError` for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time {value.isoformat()} has no zone: give an aware datetime")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        """Give the stored time back as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite numbers rows by itself only in a column of type INTEGER, which has 64 bits there.
Key = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    """Constraints have names, so that a later migration can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Task(Base):
    """One revision of a task as a station knew it; `steps` holds [step, text] in order."""

    __tablename__ = "task"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(200))
    steps: Mapped[list[list[str]]] = mapped_column(JSON)


class Station(Base):
    """A station, as it introduced itself at the start of its newest `boot`.

    `alarm_trust` is a `messages.AlarmTrust`.
    """

    __tablename__ = "station"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    site: Mapped[str] = mapped_column(String(100))
    line: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(100))
    camera: Mapped[str] = mapped_column(String(100))
    model: Mapped[str] = mapped_column(String(200))
    task: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int] = mapped_column(Integer)
    boot: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    alarm_trust: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))


class Heartbeat(Base):
    """The newest sign of life of a station; `received_at` is the hub's clock."""

    __tablename__ = "heartbeat"

    station: Mapped[str] = mapped_column(ForeignKey("station.id"), primary_key=True)
    boot: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(String(300))
    step: Mapped[str | None] = mapped_column(String(64))
    cycle: Mapped[str | None] = mapped_column(String(64))
    frames: Mapped[int] = mapped_column(BigInteger)
    dropped: Mapped[int] = mapped_column(BigInteger)
    set_aside: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rate_hz: Mapped[float] = mapped_column(Double)
    runtime: Mapped[str] = mapped_column(String(100))


class Cycle(Base):
    """The assembly of one unit; without `ended_at` it runs, or its station went away."""

    __tablename__ = "cycle"
    __table_args__ = (
        UniqueConstraint("station", "id"),
        Index(None, "station", "started_at"),
        Index(None, "station", "key"),
    )

    key: Mapped[int] = mapped_column(Key, primary_key=True)
    station: Mapped[str] = mapped_column(ForeignKey("station.id"))
    id: Mapped[str] = mapped_column(String(64))
    boot: Mapped[str] = mapped_column(String(64))
    number: Mapped[int] = mapped_column(BigInteger)
    task: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    complete: Mapped[bool | None]


class Segment(Base):
    """A step done in the half-open time [started_at, ended_at)."""

    __tablename__ = "segment"
    __table_args__ = (UniqueConstraint("station", "id"),)

    key: Mapped[int] = mapped_column(Key, primary_key=True)
    station: Mapped[str] = mapped_column(ForeignKey("station.id"))
    id: Mapped[str] = mapped_column(String(64))
    cycle_key: Mapped[int | None] = mapped_column(ForeignKey("cycle.key"), index=True)
    step: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confidence: Mapped[float] = mapped_column(Double)


class Deviation(Base):
    """A departure from standard work in its newest state."""

    __tablename__ = "deviation"
    __table_args__ = (
        UniqueConstraint("station", "id"),
        Index(None, "station", "detected_at"),
        Index(None, "station", "key"),
    )

    key: Mapped[int] = mapped_column(Key, primary_key=True)
    station: Mapped[str] = mapped_column(ForeignKey("station.id"))
    id: Mapped[str] = mapped_column(String(64))
    cycle_key: Mapped[int | None] = mapped_column(ForeignKey("cycle.key"), index=True)
    type: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    step: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    detected_at: Mapped[datetime] = mapped_column(UtcDateTime)
    detail: Mapped[str] = mapped_column(String(300))
    critical: Mapped[str | None] = mapped_column(String(16))
    probability: Mapped[float | None] = mapped_column(Double)


class Delivery(Base):
    """How far a boot's events are recorded; written in the transaction that records them."""

    __tablename__ = "delivery"

    station: Mapped[str] = mapped_column(String(64), primary_key=True)
    boot: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(BigInteger)


class Refusal(Base):
    """An event that broke a rule: what was sent, and why it was not taken."""

    __tablename__ = "refusal"

    station: Mapped[str] = mapped_column(String(64), primary_key=True)
    boot: Mapped[str] = mapped_column(String(64), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    refused_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(300))
    body: Mapped[str] = mapped_column(Text)
