"""Alembic's way in: migrate over the connection that `dashboard.database` hands over.

There is no alembic.ini: a database is upgraded by opening it. A new revision is made with
`alembic.command.revision(migration_config(connection), "what changes", autogenerate=True)`.
"""

from __future__ import annotations

from alembic import context

from dashboard.tables import Base


def migrate() -> None:
    """Run what Alembic was asked for, inside the transaction that is already open."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite alters a table only by copying it
    )
    with context.begin_transaction():
        context.run_migrations()


# Alembic runs this file under the name "env_py"; anyone else only reads it (doctests, say).
if __name__ == "env_py":
    migrate()
