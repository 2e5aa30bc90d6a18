"""A source that never ends by itself: a camera that is read as it comes, and is got back.

A thread reads the camera all the time, so that no old pictures pile up in the network. When the
consumer is late, the oldest frames give way. When the camera fails, it is tried again for ever,
with waits that grow and are spread, so that many stations do not knock at the same moment.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import datetime, timedelta
from time import monotonic

from edge.frame import Frame, Shot, Source, SourceError, SourceState, StateCallback
from edge.messages import utc_now
from edge.timeline import Sampler, Timeline

logger = logging.getLogger(__name__)

QUEUE_FRAMES = 8  # 1.6 s at 5 Hz: rides out a slow moment, and keeps the delay bounded
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
CLOSE_S = 8.0  # an open (3 s) and a read (2 s) may have to run into their time limits

Connect = Callable[[], Generator[Shot]]
"""Opens the camera and yields its shots; a fault is a `SourceError` whose text is the reason."""


class LiveSource(Source):
    """Frames of a camera. Raises `SourceError` when the very first picture cannot be had.

    `time_s` follows the camera's clock while it is connected; behind a fault it goes on at the
    time that has really passed, so that the gap stays visible and time never goes back.
    `num_reconnects` counts the faults.
    """

    def __init__(
        self, name: str, connect: Connect, *, rate_hz: float, on_state: StateCallback | None = None
    ) -> None:
        super().__init__(name)
        self.num_reconnects = 0
        self._connect = connect
        self._on_state = on_state
        self._sampler = Sampler(rate_hz)
        self._queue: deque[Frame] = deque(maxlen=QUEUE_FRAMES)
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._failure: Exception | None = None
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

    def close(self) -> None:
        """Stop reading and wait for the reader's thread."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        self._reader.join(CLOSE_S)
        if self._reader.is_alive():
            logger.error("%s: the reader did not end within %.0f s", self.name, CLOSE_S)

    def _run(self) -> None:
        try:
            self._read_for_ever()
        except Exception as error:  # for the consumer: nobody looks at what a thread raises
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _read_for_ever(self) -> None:
        num_failures = 0
        while not self._closed.is_set():
            last_s = self._last_s
            fault = self._read_until_fault()
            if self._start is None:
                raise SourceError(f"{self.name}: {fault}")
            num_failures = num_failures + 1 if self._last_s == last_s else 0
            wait_s = min(FIRST_WAIT_S * 2.0 ** min(num_failures, 10), LONGEST_WAIT_S)
            wait_s *= random.uniform(0.5, 1.5)
            self.num_reconnects += 1
            if not self._closed.is_set():
                self._report("reconnecting", f"{fault}; trying again in {wait_s:.1f} s")
                self._closed.wait(wait_s)

    def _read_until_fault(self) -> str:
        timeline: Timeline | None = None
        try:
            with closing(self._connect()) as shots:
                for shot in shots:
                    if self._closed.is_set():
                        return "closed"
                    if timeline is None:
                        timeline = Timeline(starts_at_s=self._now_s(shot))
                        self._report("connected", "")
                    self._take(shot, timeline)
        except SourceError as error:
            return str(error)
        return "the stream ended"

    def _now_s(self, shot: Shot) -> float:
        """Return the source's time at the first shot of a connection; the very first starts it."""
        with self._changed:
            if self._start is None:
                self._start = (utc_now(), monotonic())
                self._changed.notify_all()
                return 0.0
        return max(self._last_s + shot.interval_s, monotonic() - self._start[1])

    def _take(self, shot: Shot, timeline: Timeline) -> None:
        assert self._start is not None
        num_backward = timeline.num_backward
        self._last_s = timeline.at(shot.pts_s, shot.interval_s)
        self.damaged += not shot.intact or timeline.num_backward > num_backward
        if shot.image is None or not self._sampler.takes(self._last_s):
            return
        captured_at = self._start[0] + timedelta(seconds=self._last_s)
        frame = Frame(shot.image(), self._last_s, captured_at)
        with self._changed:
            self.dropped += len(self._queue) == QUEUE_FRAMES
            self._queue.append(frame)
            self._changed.notify_all()

    def _report(self, state: SourceState, detail: str) -> None:
        level = logging.INFO if state == "connected" else logging.WARNING
        logger.log(level, "%s: %s%s", self.name, state, f": {detail}" if detail else "")
        if self._on_state:
            self._on_state(state, detail)
