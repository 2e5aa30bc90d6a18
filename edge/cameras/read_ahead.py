"""Decodes a recording ahead of its consumer, in a thread, so that the encoder need not wait.

    thread: decode, scale -> at most AHEAD_FRAMES frames -> consumer: encode, decide

Decoding leaves Python's lock. The frames, their order and the faults behind them are those of the
recording; only a recording that is not paced is read ahead, a live one has nothing ahead.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass

from edge.cameras.frame import Frame, Source
from edge.cameras.recording_source import RecordingSource

logger = logging.getLogger(__name__)

# Pictures take unequal times to decode, key pictures three times the others: four even that out.
# More would gain nothing and hold memory: a frame of 4K that is not scaled has 25 MB.
AHEAD_FRAMES = 4
CLOSE_S = 15.0  # longer than a read from a network share may take


@dataclass(frozen=True)
class _Entry:
    """A frame, or what ended the frames (None for the recording's end), and the counts by then."""

    outcome: Frame | Exception | None
    dropped: int
    damaged: int


class ReadAhead(Source):
    """Frames of `source`, which it closes; reading begins when the first frame is asked for.

    `dropped` and `damaged` are those of the frames handed over. A fault of the recording is raised
    behind the frames that came before it, as without reading ahead.
    """

    def __init__(self, source: RecordingSource, *, num_frames: int = AHEAD_FRAMES) -> None:
        """Hold up to `num_frames` frames; raise `ValueError` for less than one."""
        if num_frames < 1:
            raise ValueError(f"num_frames {num_frames}: must be 1 or more")
        super().__init__(source.name)
        self.dropped, self.damaged = source.dropped, source.damaged
        self._source, self._num_frames = source, num_frames
        self._ready: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._has_ended = self._closed = False
        self._reader: threading.Thread | None = None

    def __next__(self) -> Frame:
        """Wait for the next frame; raise `StopIteration` at the recording's end or when closed."""
        with self._changed:
            self._begin()
            self._changed.wait_for(lambda: self._ready or self._has_ended or self._closed)
            if self._closed or not self._ready:
                raise StopIteration
            entry = self._ready.popleft()
            self._changed.notify_all()
        self.dropped, self.damaged = entry.dropped, entry.damaged
        if entry.outcome is None:
            raise StopIteration
        if isinstance(entry.outcome, Exception):
            raise entry.outcome
        return entry.outcome

    def close(self) -> None:
        """Let go of the file and end the thread; whoever waits for a frame meets the end."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        self._source.close()
        if self._reader is None or self._reader is threading.current_thread():
            return
        self._reader.join(CLOSE_S)
        if self._reader.is_alive():
            logger.error("%s: reading did not end within %.0f s", self.name, CLOSE_S)

    def _begin(self) -> None:
        if self._reader is None and not self._closed:
            self._reader = threading.Thread(
                target=self._run, name=f"read ahead {self.name}", daemon=True
            )
            self._reader.start()

    def _run(self) -> None:
        outcome: Frame | Exception | None = None
        try:
            for frame in self._source:
                if not self._put(frame):
                    break
        except Exception as error:  # for the consumer: nobody looks at what a thread raises
            outcome = error
        self._source.close()
        with self._changed:
            self._ready.append(_Entry(outcome, self._source.dropped, self._source.damaged))
            self._has_ended = True
            self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        """Hand `frame` over once there is room; return whether more are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._num_frames or self._closed)
            self._ready.append(_Entry(frame, self._source.dropped, self._source.damaged))
            self._changed.notify_all()
            return not self._closed
