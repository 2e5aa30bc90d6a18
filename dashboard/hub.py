"""Receives the stations' events over zmq, has them recorded, and receipts them after the commit.

Every message is hostile until it is checked. Without transport keys the hub listens on this
machine only.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import zmq
from sqlalchemy.exc import OperationalError

from dashboard.alerts import LogAlerts
from dashboard.recording import UnreadableEvent
from dashboard.store import Store, StoreError
from edge.deployment import Alerts
from edge.messages import MAX_BYTES, Event, MessageError, Receipt, read_envelope, read_event
from industryasm.fault import UserFault

logger = logging.getLogger(__name__)

POLL_MS = 100  # the longest that a request to stop waits
MAX_BATCH = 512  # events of one transaction
COMPLAIN_EVERY_S = 10.0
COUNTS_EVERY_S = 3600.0
RETRY_S, REOPEN_S = 1.0, 5.0

Item = tuple[bytes, Event | UnreadableEvent]
"""The sender's identity on the socket, and what it sent."""


class HubError(UserFault, RuntimeError):
    """The hub cannot listen at its endpoint; the message names it and what to do."""


@dataclass
class HubCounts:
    """What the hub has met since it began."""

    receipted: int = 0
    heartbeats: int = 0
    refused: int = 0
    bad: int = 0
    unanswered: int = 0
    failed_batches: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in vars(self).items())

    @property
    def faults(self) -> int:
        """How much was bad, refused or failed."""
        return self.bad + self.refused + self.failed_batches


class Hub:
    """A listening hub that records into `store`."""

    def __init__(
        self, endpoint: str, store: Store, *, tell: Callable[[Sequence[Event]], None] | None = None
    ) -> None:
        """Listen at `endpoint`: tcp://127.0.0.1:PORT (* for any free one) or ipc://FILE.

        `tell` is given the events that were recorded, resent ones among them.

        Raises `HubError` when it is in use, is not of this machine, or is no endpoint.
        """
        _refuse_foreign(endpoint)
        self.counts = HubCounts()
        self._store = store
        self._tell = tell
        self._complained_at = -COMPLAIN_EVERY_S
        self._counted_at, self._counted_faults = time.monotonic(), 0
        self._lock = _lock(endpoint)
        self._context = zmq.Context()
        self._socket = self._listen(endpoint)

    @property
    def endpoint(self) -> str:
        """Where the hub really listens."""
        return self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def serve(self, stop: threading.Event) -> None:
        """Record and receipt until `stop` is set."""
        logger.info("hub listens at %s and records into %r", self.endpoint, self._store)
        while not stop.is_set():
            self._log_new_faults()
            if not self._socket.poll(POLL_MS, zmq.POLLIN):
                continue
            batch = self._receive()
            try:
                receipts = self._store.record_many([event for _, event in batch])
            except StoreError as error:
                # policy: nothing is receipted, so the stations send it all again
                self.counts.failed_batches += 1
                logger.error("%s; %d messages wait at their stations", error, len(batch))
                stop.wait(RETRY_S)
                continue
            if self._tell:  # before the receipts: who is killed in between is sent it all again
                self._tell(
                    [
                        event
                        for (_, event), receipt in zip(batch, receipts, strict=True)
                        if isinstance(event, Event) and _is_recorded(event, receipt)
                    ]
                )
            self._reply(batch, receipts)
        logger.info("hub ends: %s", self.counts)

    def close(self) -> None:
        """Stop listening; the store stays open."""
        self._socket.close(linger=POLL_MS)
        self._context.term()
        self._lock.close()

    def _listen(self, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)  # a larger message closes its connection
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # say when a receipt has nowhere to go
        socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)  # forget stations whose machine went away
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15000)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            self._context.term()
            self._lock.close()
            if error.errno == zmq.EADDRINUSE:
                advice = "stop the other hub or choose another port for hub.endpoint"
            else:
                advice = "write tcp://127.0.0.1:PORT or ipc://FILE"
            cause = zmq.strerror(error.errno or 0)
            raise HubError(f"hub endpoint {endpoint!r}: {cause}: {advice}") from error
        return socket

    def _receive(self) -> list[Item]:
        """Take what is waiting, up to a batch; what cannot be read is counted and dropped.

        Both count, so that a flood of what cannot be read keeps nobody waiting.
        """
        batch: list[Item] = []
        for _ in range(MAX_BATCH):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                batch.append((frames[0], _read(frames)))
            except MessageError as error:
                self._complain(str(error))
        return batch

    def _reply(self, batch: list[Item], receipts: list[Receipt | None]) -> None:
        for (identity, _), receipt in zip(batch, receipts, strict=True):
            if receipt is None:
                self.counts.heartbeats += 1
                continue
            self.counts.refused += receipt.refused is not None
            try:
                self._socket.send_multipart([identity, receipt.to_bytes()], zmq.NOBLOCK)
                self.counts.receipted += 1
            except zmq.ZMQError:
                # gone, or not reading: the station sends again and is answered then
                self.counts.unanswered += 1

    def _log_new_faults(self) -> None:
        """Log the counts once an hour, after one in which something was bad, refused or failed."""
        if time.monotonic() - self._counted_at < COUNTS_EVERY_S:
            return
        if self.counts.faults > self._counted_faults:
            logger.info("hub so far: %s", self.counts)
        self._counted_at, self._counted_faults = time.monotonic(), self.counts.faults

    def _complain(self, reason: str) -> None:
        """Count a bad message; log one now and then, a flood must not fill the disk."""
        self.counts.bad += 1
        if time.monotonic() - self._complained_at >= COMPLAIN_EVERY_S:
            self._complained_at = time.monotonic()
            logger.warning("dropped a bad message (%d so far): %s", self.counts.bad, reason)


def run_hub(endpoint: str, database_url: str, alerts: Alerts | None = None) -> None:
    """Run a hub until SIGTERM or SIGINT; raise `HubError` or `StoreError` when it cannot start.

    A database server that is away is waited for: behind a power cut it may come later than the hub.
    """
    stop = threading.Event()
    with _stopped_by_signals(stop), ExitStack() as stack:
        if (opened := _open_store(database_url, stop)) is None:
            return
        store = stack.enter_context(opened)
        hub = Hub(endpoint, store, tell=LogAlerts(alerts or Alerts()).tell)
        try:
            hub.serve(stop)
        finally:
            hub.close()


def _is_recorded(event: Event, receipt: Receipt | None) -> bool:
    """Tell whether the store has the event: it was not refused, and came in its turn."""
    return receipt is not None and receipt.refused is None and event.sequence <= receipt.sequence


def _open_store(url: str, stop: threading.Event) -> Store | None:
    """Open the store as soon as its server is there; None where `stop` came first."""
    while not stop.is_set():
        try:
            return Store.open(url)
        except StoreError as error:
            is_away = isinstance(error.__cause__, OperationalError)
            is_wrong = any(words in str(error) for words in ("authentication", "does not exist"))
            if url.startswith("sqlite") or is_wrong or not is_away:
                raise
            logger.error("%s; trying again every %g s", error, REOPEN_S)
            stop.wait(REOPEN_S)
    return None


def _read(frames: list[bytes]) -> Event | UnreadableEvent:
    if len(frames) != 2:
        raise MessageError(f"message of {len(frames)} frames: a station sends one")
    data = frames[1]
    try:
        return read_event(data)
    except MessageError as error:
        try:
            envelope = read_envelope(data)
        except MessageError:
            raise error from None
        # without an answer, a station would send this one event for ever
        return UnreadableEvent(
            station=envelope.station,
            boot=envelope.boot,
            sequence=envelope.sequence,
            reason=str(error),
            body=data.decode("utf-8", errors="backslashreplace"),
        )


def _lock(endpoint: str) -> ExitStack:
    """Lock the file of an ipc:// endpoint: binding would take it from the hub that listens there.

    Closing gives it back, as does the end of the process.
    """
    held = ExitStack()
    path = endpoint.removeprefix("ipc://")
    if path == endpoint or path.startswith(("@", "*")) or not path:
        return held
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        held.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        taken = error.errno == errno.EWOULDBLOCK
        cause = zmq.strerror(errno.EADDRINUSE) if taken else error.strerror
        advice = "stop the other hub" if taken else "choose a folder that can be written"
        raise HubError(f"hub endpoint {endpoint!r}: {cause}: {advice}") from error
    return held


def _refuse_foreign(endpoint: str) -> None:
    if endpoint.startswith("ipc://"):
        return
    try:
        parts = urlsplit(endpoint)
        local = parts.hostname == "localhost" or (
            parts.hostname is not None and ipaddress.ip_address(parts.hostname).is_loopback
        )
    except ValueError:
        local = False
    if not endpoint.startswith("tcp://"):
        raise HubError(f"hub endpoint {endpoint!r}: write tcp://127.0.0.1:PORT or ipc://FILE")
    if not local:
        raise HubError(
            f"hub endpoint {endpoint!r}: without transport keys the hub listens on this machine "
            "only: write tcp://127.0.0.1:PORT"
        )


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    def request_stop(*_: object) -> None:
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, request_stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
