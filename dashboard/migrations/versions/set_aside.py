"""How many events a station keeps that no hub took, and the newest rows of a station at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Add the column and the indexes."""
    op.add_column(
        "heartbeat", sa.Column("set_aside", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_index("ix_cycle_station_key", "cycle", ["station", "key"])
    op.create_index("ix_deviation_station_key", "deviation", ["station", "key"])


def downgrade() -> None:
    """Take them back."""
    op.drop_index("ix_deviation_station_key", "deviation")
    op.drop_index("ix_cycle_station_key", "cycle")
    with op.batch_alter_table("heartbeat") as table:
        table.drop_column("set_aside")
