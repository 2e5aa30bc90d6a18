"""How likely a deviation is; of those recorded before, nobody judged it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Add the probability."""
    op.add_column("deviation", sa.Column("probability", sa.Double()))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("deviation") as table:
        table.drop_column("probability")
