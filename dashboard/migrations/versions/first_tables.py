"""The first tables: stations, tasks, cycles, segments, deviations, heartbeats, delivery."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the first tables."""
    _create_delivery()
    _create_stations()
    _create_cycles()
    _create_findings()


def downgrade() -> None:
    """Drop them all, with what they hold."""
    for table in (
        "segment",
        "deviation",
        "heartbeat",
        "cycle",
        "task",
        "station",
        "refusal",
        "delivery",
    ):
        op.drop_table(table)


def _create_delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "boot", name="pk_delivery"),
    )
    op.create_table(
        "refusal",
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("refused_at", TIME, nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("station", "boot", "sequence", name="pk_refusal"),
    )


def _create_stations() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", "revision", name="pk_task"),
    )
    op.create_table(
        "station",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("line", sa.String(100), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("camera", sa.String(100), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_station"),
    )
    op.create_table(
        "heartbeat",
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("sent_at", TIME, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("detail", sa.String(300), nullable=False),
        sa.Column("step", sa.String(64)),
        sa.Column("cycle", sa.String(64)),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("rate_hz", sa.Double(), nullable=False),
        sa.Column("runtime", sa.String(100), nullable=False),
        sa.ForeignKeyConstraint(["station"], ["station.id"], name="fk_heartbeat_station_station"),
        sa.PrimaryKeyConstraint("station", name="pk_heartbeat"),
    )


def _create_cycles() -> None:
    op.create_table(
        "cycle",
        sa.Column("key", KEY, nullable=False),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("complete", sa.Boolean()),
        sa.ForeignKeyConstraint(["station"], ["station.id"], name="fk_cycle_station_station"),
        sa.PrimaryKeyConstraint("key", name="pk_cycle"),
        sa.UniqueConstraint("station", "id", name="uq_cycle_station_id"),
    )
    op.create_index("ix_cycle_station_started_at", "cycle", ["station", "started_at"])


def _create_findings() -> None:
    op.create_table(
        "segment",
        *_finding("segment"),
        sa.Column("confidence", sa.Double(), nullable=False),
    )
    op.create_table(
        "deviation",
        *_finding("deviation"),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("detected_at", TIME, nullable=False),
        sa.Column("detail", sa.String(300), nullable=False),
        sa.Column("critical", sa.String(16)),
    )
    op.create_index("ix_segment_cycle_key", "segment", ["cycle_key"])
    op.create_index("ix_deviation_cycle_key", "deviation", ["cycle_key"])
    op.create_index("ix_deviation_station_detected_at", "deviation", ["station", "detected_at"])


def _finding(table: str) -> tuple[sa.Column[object] | sa.Constraint, ...]:
    """Return what segment and deviation share: a step, seen in a span of time of a cycle."""
    return (
        sa.Column("key", KEY, nullable=False),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("cycle_key", KEY),
        sa.Column("step", sa.String(64), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["station"], ["station.id"], name=f"fk_{table}_station_station"),
        sa.ForeignKeyConstraint(["cycle_key"], ["cycle.key"], name=f"fk_{table}_cycle_key_cycle"),
        sa.PrimaryKeyConstraint("key", name=f"pk_{table}"),
        sa.UniqueConstraint("station", "id", name=f"uq_{table}_station_id"),
    )
