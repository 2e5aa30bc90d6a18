"""Keeps a station's events on disk until the hub has them: nothing is lost while it is away.

Knows neither the hub nor the network; `sender.py` empties it. One process at a time has it open.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from edge.messages import (
    MAX_BYTES,
    Envelope,
    Event,
    MessageError,
    Payload,
    Receipt,
    read_event,
    utc_now,
)
from industryasm.fault import UserFault

logger = logging.getLogger(__name__)

# `place` is the order of writing over all boots; a boot's `sequence` goes on counting after its
# events were sent and deleted, so the last one is kept beside them.
SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    boot TEXT NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (boot, sequence)
);
CREATE TABLE IF NOT EXISTS boot (boot TEXT PRIMARY KEY, last_sequence INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS refused (
    boot TEXT NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL,
    reason TEXT NOT NULL, refused_at TEXT NOT NULL, UNIQUE (boot, sequence)
);
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL);
"""


class OutboxError(UserFault, RuntimeError):
    """The outbox cannot be opened, read or written; the message names its file and what to do."""


class Outbox:
    """The durable queue of one station's events; safe to use from several threads."""

    def __init__(self, path: Path, *, station: str, boot: str) -> None:
        """Open or create the file `path`, and its folder.

        Events left by earlier boots stay in it; a boot that was open before goes on counting.
        Raises `OutboxError` when the file cannot be used, or another process is using it.
        """
        self._path = path
        self._station = station
        self._boot = boot
        self._is_abandoned = False
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._connection = self._open()
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO boot VALUES (?, 0)", (boot,))
            self._num_refused = _count(connection, "refused")

    def __len__(self) -> int:
        """Count the events that the hub has not receipted."""
        with self._transaction() as connection:
            return _count(connection, "event")

    @property
    def num_refused(self) -> int:
        """Number of events set aside since the file was made."""
        return self._num_refused

    def append(self, payload: Payload) -> Event:
        """Write the next event and return it, as `extend`."""
        return self.extend([payload])[0]

    def extend(self, payloads: Sequence[Payload], *, state: str | None = None) -> list[Event]:
        """Write the next events and return them; all are on disk when this returns, or none.

        `state` replaces the station's kept state together with them. Raises `OutboxError` when
        they cannot be written, one is larger than the wire takes, or the boot was abandoned.
        """
        self.check_boot()
        with self._transaction() as connection:
            events = [self._append(connection, payload) for payload in payloads]
            if state is not None:
                connection.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (state,))
        return events

    def abandon(self, boot: str) -> None:
        """Drop the kept state and take nothing more of this `boot`: the hub cannot go on with it.

        The station has to begin another one.
        """
        with self._transaction() as connection:
            self._abandon(connection, boot)

    def check_boot(self) -> None:
        """Raise `OutboxError` where this boot was abandoned."""
        if self._is_abandoned:
            raise OutboxError(
                f"outbox {self._path}: the hub does not go on with boot {self._boot}: "
                "the station has to begin another"
            )

    def event(self, payload: Payload, *, sequence: int) -> Event:
        """Return an event of this station and boot that is not kept: a heartbeat, sequence 0."""
        return Event(
            station=self._station,
            boot=self._boot,
            sequence=sequence,
            sent_at=utc_now(),
            payload=payload,
        )

    def pending(self, limit: int, *, skip: int = 0) -> list[Event | Envelope]:
        """Return up to `limit` unreceipted events, oldest first, after the first `skip`.

        Events of earlier boots come first. Of one that this version cannot read there is the
        envelope: the hub refuses it in its turn, so that those behind it are taken.
        """
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT boot, sequence, body FROM event ORDER BY place LIMIT ? OFFSET ?",
                (limit, skip),
            ).fetchall()
        return [self._read(*row) for row in rows]

    def acknowledge(self, receipt: Receipt) -> None:
        """Delete the events of the receipt's boot up to its sequence; a refused one is kept.

        Where the hub holds more of the boot than was ever written, the file is an older copy, and
        the hub takes what the boot says from now on for what it holds: its events are set aside.
        """
        with self._transaction() as connection:
            if receipt.sequence > _last_sequence(connection, receipt.boot):
                self._set_aside_copy(connection, receipt)
                return
            if receipt.refused is not None:
                self._set_aside(connection, receipt.boot, receipt.sequence, receipt.refused)
            connection.execute(
                "DELETE FROM event WHERE boot = ? AND sequence <= ?",
                (receipt.boot, receipt.sequence),
            )

    def set_aside(self, event: Event | Envelope, reason: str) -> None:
        """Take `event` out of the queue and keep it, with the `reason`, for a person to look at."""
        with self._transaction() as connection:
            self._set_aside(connection, event.boot, event.sequence, reason)

    def close(self) -> None:
        """Close the file; what is pending is sent after the next start."""
        with self._lock:
            self._connection.close()

    def _append(self, connection: sqlite3.Connection, payload: Payload) -> Event:
        event = self.event(payload, sequence=_last_sequence(connection, self._boot) + 1)
        body = event.to_bytes()
        if len(body) > MAX_BYTES:
            raise OutboxError(
                f"a {payload.kind} event has {len(body)} bytes, the hub takes {MAX_BYTES}: "
                "shorten the texts of the task"
            )
        connection.execute(
            "INSERT INTO event (boot, sequence, body) VALUES (?, ?, ?)",
            (self._boot, event.sequence, body),
        )
        connection.execute(
            "UPDATE boot SET last_sequence = ? WHERE boot = ?", (event.sequence, self._boot)
        )
        return event

    def _read(self, boot: str, sequence: int, body: bytes) -> Event | Envelope:
        try:
            return read_event(body)
        except MessageError as error:
            logger.warning("event %d of boot %s cannot be read: %s", sequence, boot, error)
            return Envelope(station=self._station, boot=boot, sequence=sequence)

    def _abandon(self, connection: sqlite3.Connection, boot: str) -> None:
        if boot == self._boot:
            self._is_abandoned = True
            connection.execute("DELETE FROM state")

    def _set_aside_copy(self, connection: sqlite3.Connection, receipt: Receipt) -> None:
        logger.error(
            "the hub holds events of boot %s up to %d, more than were written here: is outbox %s "
            "a copy of before? What it holds of the boot is set aside",
            receipt.boot,
            receipt.sequence,
            self._path,
        )
        rows = connection.execute("SELECT sequence FROM event WHERE boot = ?", (receipt.boot,))
        for (sequence,) in rows.fetchall():
            self._set_aside(connection, receipt.boot, sequence, "written behind an older copy")
        self._abandon(connection, receipt.boot)

    def _set_aside(
        self, connection: sqlite3.Connection, boot: str, sequence: int, reason: str
    ) -> None:
        logger.warning("set aside event %d of boot %s: %s", sequence, boot, reason)
        connection.execute(
            "INSERT OR IGNORE INTO refused"
            " SELECT boot, sequence, body, ?, ? FROM event WHERE boot = ? AND sequence = ?",
            (reason, utc_now().isoformat(), boot, sequence),
        )
        connection.execute("DELETE FROM event WHERE boot = ? AND sequence = ?", (boot, sequence))
        self._num_refused = _count(connection, "refused")

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._path, timeout=1.0, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._fault(error) from error
        try:
            # held until close: two stations on one file would send each other's events
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # on disk when append returns
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(f"malformed: {state}")
            connection.executescript(SCHEMA)
        except sqlite3.Error as error:
            connection.close()
            raise self._fault(error) from error
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # whoever waits for the lock holds the turn, so that a thread that appends and appends
        # cannot keep the sender out
        with self._turn:
            self._lock.acquire()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._fault(error) from error
        finally:
            self._lock.release()

    def _fault(self, error: OSError | sqlite3.Error) -> OutboxError:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if "locked" in cause:
            advice = "another process has it open: give each station its own work folder"
        elif "not a database" in cause or "malformed" in cause:
            advice = "move the file away, a new one will be made"
        elif "full" in cause:
            advice = "free space on this disk"
        else:
            advice = "choose a work folder that can be written"
        return OutboxError(f"outbox {self._path}: {cause.splitlines()[0]}: {advice}")


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _last_sequence(connection: sqlite3.Connection, boot: str) -> int:
    row = connection.execute("SELECT last_sequence FROM boot WHERE boot = ?", (boot,)).fetchone()
    return int(row[0]) if row else 0


def kept_state(path: Path) -> str | None:
    """Return what the station of the outbox file `path` kept with `extend`; None for nothing.

    A file that cannot be read is for `Outbox` to tell of.
    """
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(path)) as connection:
            row = connection.execute("SELECT body FROM state").fetchone()
    except sqlite3.Error as error:
        logger.warning("outbox %s: no kept state: %s", path, error)
        return None
    return None if row is None else str(row[0])
