"""A source that never ends by itself: a camera that is read as it comes, and is got back.

Each camera is decoded in a process of its own, which can be killed: readers of video hang inside
calls that never return. A thread here takes its pictures all the time, so that none pile up, and
keeps the newest ones when the consumer is late. When the camera fails, it is tried again for ever,
with waits that grow and are spread, so that many stations do not knock at the same moment.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections import deque
from datetime import datetime, timedelta
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from edge.cameras.child import KILL_S, POLITE_S, CameraChild, CameraGoneError
from edge.cameras.frame import Frame, Source, SourceError, SourceState, StateCallback
from edge.cameras.link import Alive, Back, Camera, Connected, Fault, Picture, Read, Shape, slots_of
from edge.messages import utc_now

logger = logging.getLogger(__name__)

# The newest frame, and the one before it: networks deliver in bursts, and two samples that arrive
# together are not a late consumer. At 5 Hz a frame waits 0.4 s at most.
QUEUE_FRAMES = 2
SILENCE_S = 10.0  # longer than a camera's own limits, to open (twice 3 s) and to read (2 s)
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
CLOSE_S = POLITE_S + KILL_S + 1.0


class LiveSource(Source):
    """Frames of a camera. Raises `SourceError` when the very first picture cannot be had.

    `time_s` follows the camera's clock while it is connected; behind a fault it goes on at the
    time that has really passed, so that the gap stays visible and time never goes back.
    `num_reconnects` counts the faults, `num_killed` those of them in which the camera's process
    gave no sign of life for `silence_s` and was killed.
    """

    def __init__(
        self,
        name: str,
        camera: Camera,
        *,
        rate_hz: float,
        on_state: StateCallback | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        super().__init__(name)
        self.num_reconnects = 0
        self.num_killed = 0
        self._camera, self._rate_hz = camera, rate_hz
        self._on_state, self._silence_s = on_state, silence_s
        self._queue: deque[Frame] = deque(maxlen=QUEUE_FRAMES)
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._failure: Exception | None = None
        self._child: CameraChild | None = None
        self._slots: NDArray[np.uint8] | None = None
        self._first_slot = 0
        self._start: tuple[datetime, float] | None = None  # of time 0: UTC, monotonic seconds
        self._last_s = 0.0
        self._reader = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)
        self._reader.start()
        with self._changed:
            self._changed.wait_for(lambda: self._start or self._failure)
        if self._failure:
            raise self._failure

    def __next__(self) -> Frame:
        """Wait for the next frame; raise `StopIteration` once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._failure or self._closed.is_set())
            if self._failure:
                raise self._failure
            if self._closed.is_set():
                raise StopIteration
            return self._queue.popleft()

    @property
    def process_id(self) -> int | None:
        """The number of the camera's process, None while there is none."""
        with self._changed:
            return self._child.pid if self._child else None

    def close(self) -> None:
        """Let go of the camera, and end its process and the thread."""
        with self._changed:
            was_closed = self._closed.is_set()
            self._closed.set()
            self._changed.notify_all()
            if self._child:
                self._child.link.hang_up()
        self._reader.join(CLOSE_S)
        if was_closed:
            return
        logger.info(
            "%s: closed after %d faults, in %d of which its process hung; %d pictures damaged, "
            "%d dropped",
            self.name,
            self.num_reconnects,
            self.num_killed,
            self.damaged,
            self.dropped,
        )
        if self._reader.is_alive():
            logger.error("%s: the reader did not end within %.0f s", self.name, CLOSE_S)

    def _run(self) -> None:
        try:
            self._read_for_ever()
        except Exception as error:  # for the consumer: nobody looks at what a thread raises
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            self._end_child()

    def _read_for_ever(self) -> None:
        num_failures = 0
        while not self._closed.is_set():
            last_s = self._last_s
            fault = self._read_until_fault()
            if self._closed.is_set():
                return
            if self._start is None:
                raise SourceError(f"{self.name}: {fault}")
            num_failures = num_failures + 1 if self._last_s == last_s else 0
            wait_s = min(FIRST_WAIT_S * 2.0 ** min(num_failures, 10), LONGEST_WAIT_S)
            wait_s *= random.uniform(0.5, 1.5)
            self.num_reconnects += 1
            detail = f"{fault}; trying again in {wait_s:.1f} s"
            if self.num_reconnects > 1:
                detail += f", for the {self.num_reconnects}. time since the start"
            self._report("reconnecting", detail)
            self._closed.wait(wait_s)

    def _read_until_fault(self) -> str:
        origin_s = self._start and self._start[1]
        try:
            child = self._living_child()
            child.send(Read(self._camera, self._rate_hz, self._last_s, origin_s))
            while True:
                message, memory = child.receive(self._silence_s)
                match message:
                    case Fault():
                        return message.reason
                    case Connected():
                        self._note_connection(message.at_s)
                    case Alive():
                        self._last_s = max(self._last_s, message.time_s)
                        self.damaged += message.damaged
                        self.dropped += message.dropped
                    case Shape():
                        assert memory is not None
                        self._slots, self._first_slot = (
                            slots_of(memory, message),
                            message.first_slot,
                        )
                        os.close(memory)
                    case Picture():
                        self._take(message)
                        child.send(Back(message.slot))
        except CameraGoneError as error:
            self._end_child()
            return str(error)
        except OSError as error:  # no process or no memory can be had; that may pass
            self._end_child()
            return f"cannot be read ({error.strerror})"

    def _living_child(self) -> CameraChild:
        with self._changed:
            if self._closed.is_set():  # nobody would hang up on a child that is made now
                raise CameraGoneError("closed")
            if self._child is None:
                self._child = CameraChild()
            return self._child

    def _end_child(self) -> None:
        with self._changed:
            child, self._child = self._child, None
        if child is None:
            return
        self.num_killed += child.was_killed
        if not child.end():
            logger.error("%s: process %d does not end; is its driver stuck?", self.name, child.pid)

    def _note_connection(self, at_s: float) -> None:
        with self._changed:
            if self._start is None:
                self._start = (utc_now() - timedelta(seconds=monotonic() - at_s), at_s)
                self._changed.notify_all()
        self._report("connected", "")

    def _take(self, picture: Picture) -> None:
        assert self._start is not None
        assert self._slots is not None
        self._last_s = picture.time_s
        captured_at = self._start[0] + timedelta(seconds=picture.time_s)
        # copied (15 microseconds at 224 px), so that a consumer may keep it as long as it likes
        image = self._slots[picture.slot - self._first_slot].copy()
        with self._changed:
            self.dropped += len(self._queue) == QUEUE_FRAMES
            self._queue.append(Frame(image, picture.time_s, captured_at, picture.source_size))
            self._changed.notify_all()

    def _report(self, state: SourceState, detail: str) -> None:
        level = logging.INFO if state == "connected" else logging.WARNING
        logger.log(level, "%s: %s%s", self.name, state, f": {detail}" if detail else "")
        if self._on_state:
            self._on_state(state, detail)
