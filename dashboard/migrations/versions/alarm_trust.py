"""What a station's alarms are worth; of stations that introduced themselves before, none told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("station", sa.Column("alarm_trust", sa.JSON()))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("station") as table:
        table.drop_column("alarm_trust")
