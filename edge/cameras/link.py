"""What a station and its camera's process tell each other, and the pictures they share.

    station  --Read (camera, rate, clock)----------------->  process of the camera
             <--Alive, Connected, Shape + memory, Picture--
             --Back (the slot may be written again)------->
             <--Fault (the reason; it waits for a Read)----

One message is one packet of a socket pair of the two processes: JSON, because what decodes a
stranger's stream must not be able to send objects. A picture lies in a slot of shared memory, and
one side at a time owns a slot: who sends its number hands it over. So the socket orders the two
sides' memory on every processor, and a process that is killed leaves no lock behind.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import socket
from collections.abc import Generator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.cameras.frame import Shot
from edge.cameras.view import View

NUM_SLOTS = 4  # one is written, one is on its way; two more for a station that has no time just now
MAX_MESSAGE_BYTES = 64 * 1024


class LinkClosedError(Exception):
    """The other process has hung up or has died."""


class LinkSilentError(Exception):
    """The other process has sent nothing within the limit."""


@dataclass(frozen=True)
class Camera:
    """Which camera is read: `reader` is "module:function", called with `address` and `view`.

    The function is a generator of `Shot`s; a fault is a `SourceError` whose text is the reason.
    It is named, not sent, so that nothing but text goes from process to process.
    """

    reader: str
    address: str
    view: View

    def shots(self) -> Generator[Shot]:
        """Open the camera; what that takes is imported now."""
        module, _, function = self.reader.partition(":")
        shots: Generator[Shot] = getattr(import_module(module), function)(self.address, self.view)
        return shots


@dataclass(frozen=True)
class Read:
    """Connect to `camera`; its times go on behind `last_s`, as `origin_s` says.

    `origin_s` is the monotonic time of the source's second 0; None when this connection starts it.
    """

    camera: Camera
    rate_hz: float
    last_s: float = 0.0
    origin_s: float | None = None


@dataclass(frozen=True)
class Back:
    """The station has taken the picture out of `slot`."""

    slot: int


@dataclass(frozen=True)
class Alive:
    """The process has got on; its last picture was at `time_s`.

    Since it last said so, `damaged` pictures were damaged and `dropped` samples found no free slot.
    """

    time_s: float = 0.0
    damaged: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class Connected:
    """The connection's first picture came at the monotonic time `at_s`."""

    at_s: float


@dataclass(frozen=True)
class Shape:
    """Pictures have this shape from now on and lie in the memory that is sent along.

    Its slots are numbered from `first_slot` on, so that a late `Back` is told apart.
    """

    height: int
    width: int
    first_slot: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"a picture of {self.width}x{self.height} pixels: has none")

    @property
    def num_bytes(self) -> int:
        return NUM_SLOTS * self.height * self.width * 3


@dataclass(frozen=True)
class Picture:
    """A sampled picture lies in `slot`; `source_size` is its (width, height) before scaling."""

    slot: int
    time_s: float
    source_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time_s) and self.time_s >= 0):
            raise ValueError(f"time_s {self.time_s}: must be finite and not negative")


@dataclass(frozen=True)
class Fault:
    """The connection has ended, for this reason."""

    reason: str


Message = Read | Back | Alive | Connected | Shape | Picture | Fault
KINDS = {kind.__name__: kind for kind in (Back, Alive, Connected, Shape, Picture, Fault)}


class Link:
    """One end of the socket pair; takes over `end` and closes it."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self.hung_up = False  # by this end

    def send(self, message: Message, *, memory: int | None = None) -> None:
        """Send `message`, with the file descriptor `memory`; raise `LinkClosedError`."""
        data = json.dumps({"kind": type(message).__name__, **asdict(message)}).encode()
        try:
            if memory is None:
                self._socket.send(data)
            else:
                socket.send_fds(self._socket, [data], [memory])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise LinkClosedError from error

    def receive(self, limit_s: float | None) -> tuple[Message, int | None]:
        """Wait for the next message; a file descriptor that came along is the caller's to close.

        Raises `LinkSilentError` after `limit_s` seconds (None waits for ever), `LinkClosedError` at
        the end.
        """
        self._socket.settimeout(limit_s)
        try:
            data, received, _, _ = socket.recv_fds(self._socket, MAX_MESSAGE_BYTES, 1)
        except (TimeoutError, BlockingIOError) as error:
            raise LinkSilentError from error
        except ConnectionResetError as error:
            raise LinkClosedError from error
        finally:
            self._socket.settimeout(None)
        if not data:
            raise LinkClosedError
        return _message(data), received[0] if received else None

    def hang_up(self) -> None:
        """End the conversation for both sides; a `receive` in another thread returns."""
        self.hung_up = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other side was faster
            return

    def close(self) -> None:
        """Give the socket back to the system."""
        self._socket.close()


def _message(data: bytes) -> Message:
    fields = json.loads(data)
    kind = fields.pop("kind")
    if kind != "Read":
        message: Message = KINDS[kind](**{key: _plain(value) for key, value in fields.items()})
        return message
    camera = fields.pop("camera")
    view = {key: _plain(value) for key, value in camera.pop("view").items()}
    return Read(camera=Camera(**camera, view=View(**view)), **fields)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # JSON has no tuples


def new_memory(shape: Shape) -> int:
    """Return a file descriptor of memory for `NUM_SLOTS` pictures.

    It has no name, so that it is gone with its last process, however that ends, and is no part of
    /dev/shm, of which a container has 64 MB.
    """
    memory = os.memfd_create("camera pictures")
    try:
        os.ftruncate(memory, shape.num_bytes)
    except OSError:
        os.close(memory)
        raise
    return memory


def slots_of(memory: int, shape: Shape) -> NDArray[np.uint8]:
    """Return the slots in `memory`, uint8 (NUM_SLOTS, H, W, 3) RGB; `memory` may be closed then."""
    if os.fstat(memory).st_size < shape.num_bytes:
        raise ValueError(f"memory of {os.fstat(memory).st_size} bytes: too small for {shape}")
    pixels = np.frombuffer(mmap.mmap(memory, shape.num_bytes), np.uint8)
    return pixels.reshape(NUM_SLOTS, shape.height, shape.width, 3)
