"""Sends the outbox to the hub: in order, a window at a time, until each event is receipted.

The station never waits for it: without a hub everything stays in the outbox, and goes when the
hub is back. Heartbeats are not kept; only the newest one is sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

import zmq

from edge.messages import MAX_BYTES, Envelope, Event, Heartbeat, MessageError, Receipt, read_receipt
from edge.outbox import Outbox, OutboxError
from industryasm.fault import UserFault

logger = logging.getLogger(__name__)

POLL_MS = 20  # the longest that a new event waits for this thread to look
RECONNECT_MAX_MS = 2000
MAX_STRIKES = 3
LINGER_MS = 500  # for a last heartbeat at the end; events are safe in the outbox


class SenderError(UserFault, ValueError):
    """The hub's endpoint is not one that can be connected to."""


class Sender:
    """A thread that empties `outbox` into the hub at `endpoint` (tcp://HOST:PORT or ipc://FILE)."""

    def __init__(
        self, outbox: Outbox, endpoint: str, *, window: int = 64, resend_s: float = 2.0
    ) -> None:
        """Start sending.

        `window` is the number of events sent ahead of their receipts; without any receipt for
        `resend_s` they are sent again. Raises `SenderError` for an endpoint that is none.
        """
        self._outbox = outbox
        self._endpoint = endpoint
        self._window = window
        self._resend_s = resend_s
        self._in_flight: deque[Event | Envelope] = deque()
        self._progress_at = 0.0
        self._rewound_at = 0.0
        self._behind: Receipt | None = None
        self._strikes = 0
        self._given_up: set[str] = set()
        self._heartbeat: Heartbeat | None = None
        self._heartbeat_lock = threading.Lock()
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._socket = self._connect()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def beat(self, heartbeat: Heartbeat) -> None:
        """Send `heartbeat` soon, in place of one that is still waiting; never blocks."""
        with self._heartbeat_lock:
            self._heartbeat = heartbeat

    def flush(self, timeout_s: float) -> bool:
        """Wait until the hub has everything; return whether it had within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while len(self._outbox) > 0 or self._heartbeat is not None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_MS / 1000)
        return True

    def close(self) -> None:
        """Stop sending; what is not receipted stays in the outbox. May be called twice."""
        self._stop.set()
        self._thread.join()
        if not self._context.closed:
            self._socket.close(linger=LINGER_MS)
            self._context.term()

    def _connect(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.IMMEDIATE, 1)  # without a hub, nothing queues up in the socket
        socket.setsockopt(zmq.SNDHWM, self._window + 2)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)  # notices a hub whose machine went away
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)
        try:
            socket.connect(self._endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            self._context.term()
            raise SenderError(
                f"hub endpoint {self._endpoint!r}: {zmq.strerror(error.errno or 0)}: "
                "write tcp://HOST:PORT or ipc://FILE"
            ) from error
        return socket

    def _run(self) -> None:
        failing = False
        while not self._stop.is_set():
            try:
                self._turn()
                failing = False
            except OutboxError as error:
                # policy: an outbox that fails (disk full, say) is tried again until it works
                if not failing:
                    logger.error("%s", error)
                failing = True
                self._stop.wait(1.0)

    def _turn(self) -> None:
        """Take what receipts there are, resend if they are overdue, fill the window, beat."""
        if self._socket.poll(POLL_MS, zmq.POLLIN):
            self._take_receipts()
        if self._in_flight and time.monotonic() - self._progress_at > self._resend_s:
            self._resend()
        self._fill_window()
        self._send_heartbeat()

    def _take_receipts(self) -> None:
        while True:
            try:
                self._take(read_receipt(self._socket.recv(zmq.NOBLOCK)))
            except zmq.Again:
                return
            except MessageError as error:
                logger.warning("dropped an answer of the hub: %s", error)

    def _take(self, receipt: Receipt) -> None:
        oldest = self._in_flight[0] if self._in_flight else None
        if oldest is None or (oldest.station, oldest.boot) != (receipt.station, receipt.boot):
            return  # the answer to something sent twice
        if receipt.sequence < oldest.sequence - 1:
            self._behind = receipt
        elif receipt.sequence == oldest.sequence - 1:
            self._hurry()
        else:
            self._outbox.acknowledge(receipt)
            while self._in_flight and self._in_flight[0].sequence <= receipt.sequence:
                self._in_flight.popleft()
            self._progress_at = time.monotonic()
            self._strikes, self._behind = 0, None

    def _hurry(self) -> None:
        """Rewind at once: the hub misses the oldest event. Once per `resend_s`, against storms."""
        if time.monotonic() - self._rewound_at > self._resend_s:
            self._rewind()

    def _resend(self) -> None:
        """Send again from the oldest event, unless the hub keeps asking for deleted ones.

        A receipt from before the oldest event may be a late one; when nothing else comes for
        `MAX_STRIKES` rounds, the hub has lost what it once receipted: its database was replaced.
        """
        self._strikes = self._strikes + 1 if self._behind else 0
        if self._behind and self._strikes >= MAX_STRIKES:
            boot, held = self._behind.boot, self._behind.sequence
            logger.error(
                "the hub holds events of boot %s only up to %d and asks for ones it receipted "
                "before: was its database replaced? Its further events are set aside, and the "
                "station begins anew",
                boot,
                held,
            )
            self._given_up.add(boot)
            self._outbox.abandon(boot)
            self._strikes = 0
        self._behind = None
        self._rewind()

    def _rewind(self) -> None:
        self._in_flight.clear()
        self._rewound_at = time.monotonic()

    def _fill_window(self) -> None:
        room = self._window - len(self._in_flight)
        for event in self._outbox.pending(room, skip=len(self._in_flight)):
            if event.boot in self._given_up:
                self._outbox.set_aside(event, "the hub lost the events before this one")
                continue
            # a boot is finished before the next begins, so that a lost message cannot swap them
            if self._in_flight and self._in_flight[0].boot != event.boot:
                return
            if not self._try_send(event):
                return
            if not self._in_flight:
                self._progress_at = time.monotonic()
            self._in_flight.append(event)

    def _send_heartbeat(self) -> None:
        with self._heartbeat_lock:
            beat = self._heartbeat
            if beat and self._try_send(self._outbox.event(beat, sequence=0)):
                self._heartbeat = None

    def _try_send(self, event: Event | Envelope) -> bool:
        try:
            self._socket.send(event.to_bytes(), zmq.NOBLOCK)
        except zmq.Again:
            return False  # no hub, or it is busy
        return True
