"""Opens the hub's database, SQLite or PostgreSQL, and brings its tables up to date.

Faults of the database are told as `StoreError`: one line with the URL, its password hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from industryasm.fault import UserFault

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_WAIT_S = 5.0
EXAMPLES = "sqlite:///linewatch.sqlite or postgresql+psycopg://user@host/linewatch"
_MIGRATION_LOCK = 0x4C696E65  # "Line": two processes that open PostgreSQL at once take turns


class StoreError(UserFault, RuntimeError):
    """The database cannot be opened, read or written; the message names it and what to do."""


def open_engine(url: str) -> Engine:
    """Connect to `url` and upgrade its tables to this version.

    Creates an SQLite file, and its folder, that is not there. Raises `StoreError`.
    """
    parsed = _parse(url)
    engine = _sqlite_engine(parsed) if _is_sqlite(parsed) else _postgres_engine(parsed)
    try:
        with told_as_store_error(parsed), writing(engine).begin() as connection:
            _upgrade(connection)
    except CommandError as error:
        engine.dispose()
        raise StoreError(
            f"database {shown(parsed)} was made by a newer Linewatch: update this one ({error})"
        ) from error
    except StoreError:
        engine.dispose()
        raise
    return engine


def writing(engine: Engine) -> Engine:
    """Return the engine whose transactions take SQLite's write lock at once, not halfway."""
    return engine.execution_options(writes=True)


def shown(url: URL) -> str:
    """Return `url` as it may be shown and logged: no password, no query."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def told_as_store_error(url: URL) -> Iterator[None]:
    """Translate the database's own errors into `StoreError`."""
    try:
        yield
    except DBAPIError as error:
        # the first line only: the rest of SQLAlchemy's text carries statement and values
        cause = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
        raise StoreError(f"database {shown(url)}: {cause}: {_advice(cause)}") from error


def migration_config(connection: Connection) -> Config:
    """Return Alembic's configuration for `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    command.upgrade(migration_config(connection), "head")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # the text is not repeated: what cannot be parsed may still hold a password
        raise StoreError(f"the database URL cannot be read: write {EXAMPLES}") from error
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise StoreError(
            f"database {shown(parsed)}: {parsed.drivername!r} is not supported: write {EXAMPLES}"
        )
    if _is_sqlite(parsed) and parsed.database in (None, "", ":memory:"):
        raise StoreError(
            f"database {shown(parsed)}: hub and pages share a file: write sqlite:///FILE"
        )
    return parsed


def _is_sqlite(url: URL) -> bool:
    return url.drivername.startswith("sqlite")


def _sqlite_engine(url: URL) -> Engine:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"database {shown(url)}: folder {folder} cannot be made: {error.strerror}: "
            "choose a folder that can be written"
        ) from error
    engine = create_engine(url, connect_args={"timeout": LOCK_WAIT_S})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late for savepoints
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a station deletes what the hub receipted
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres_engine(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 5})
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise StoreError(
            f"database {shown(url)}: the PostgreSQL driver is missing: "
            "pip install 'psycopg[binary]'"
        ) from error


def _advice(cause: str) -> str:
    if "locked" in cause:
        return f"another process held it for over {LOCK_WAIT_S:g} s: end that process"
    if "not a database" in cause or "malformed" in cause:
        return "move this file away, or name another in the database URL"
    if "unable to open" in cause or "readonly" in cause:
        return "choose a file in a folder that can be written"
    if "full" in cause:
        return "free space on this disk"
    return "check that the server runs and that address, user and database name are right"
