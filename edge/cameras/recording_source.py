"""A source that ends: the shots of a file or folder, as fast as possible or paced like a camera."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from time import monotonic

from edge.cameras.frame import Frame, Shot, Source, SourceError
from edge.cameras.timeline import Sampler, Timeline
from edge.messages import utc_now

logger = logging.getLogger(__name__)

# When so many pictures go back in time, the file's times are not to be trusted, and wrong times are
# wrong segments. Damaged pictures alone are no such reason: the rest is still worth watching.
MIN_BACKWARD, MAX_BACKWARD_SHARE = 10, 0.2


class RecordingSource(Source):
    """Frames of a recording; time 0 is the moment of the first frame asked for.

    With `live` each frame is held back until its time has come; a consumer that was late catches
    up, nothing is dropped. Raises `SourceError` at once when not one picture decodes, and later
    when too many of them go back in time.
    """

    def __init__(
        self, name: str, shots: Iterator[Shot], *, rate_hz: float, live: bool = False
    ) -> None:
        super().__init__(name)
        self._num_shots = 0
        self._timeline = Timeline(origin_s=0.0)
        self._sampler = Sampler(rate_hz)
        self._live = live
        self._stop = threading.Event()
        self._frames = self._read(self._from_first_picture(shots))

    def __next__(self) -> Frame:
        """Return the next frame; raise `StopIteration` at the recording's end or when closed."""
        return next(self._frames)

    def close(self) -> None:
        """Let go of the file; a thread that waits for a frame meets the end of the iteration."""
        self._stop.set()
        with suppress(ValueError):  # another thread is inside; it sees the stop and ends
            self._frames.close()

    def _from_first_picture(self, shots: Iterator[Shot]) -> Iterator[Shot]:
        for shot in shots:
            if shot.image:
                return chain([shot], shots)
            self._count_damage()
        raise SourceError(
            f"{self.name}: not one picture could be decoded; is it complete, and is it a video?"
        )

    def _read(self, shots: Iterator[Shot]) -> Generator[Frame]:
        started_at, started_s = utc_now(), monotonic()
        for shot in shots:
            if self._stop.is_set():
                return
            time_s = self._time(shot)
            if shot.image is None or not self._sampler.takes(time_s):
                continue
            image = shot.image()
            if self._live:
                self._stop.wait(max(0.0, started_s + time_s - monotonic()))
            if self._stop.is_set():
                return
            yield Frame(image, time_s, started_at + timedelta(seconds=time_s), shot.size)

    def _time(self, shot: Shot) -> float:
        self._num_shots += 1
        num_backward = self._timeline.num_backward
        time_s = self._timeline.at(shot.pts_s, shot.interval_s)
        if not shot.intact or self._timeline.num_backward > num_backward:
            self._count_damage()
            self._check_order()
        return time_s

    def _count_damage(self) -> None:
        self.damaged += 1
        if self.damaged == 1:
            logger.warning("%s: is damaged; what can be decoded is used", self.name)

    def _check_order(self) -> None:
        num_backward = self._timeline.num_backward
        if num_backward >= MIN_BACKWARD and num_backward > MAX_BACKWARD_SHARE * self._num_shots:
            raise SourceError(
                f"{self.name}: is damaged: {num_backward} of its first {self._num_shots} pictures "
                "have a time that goes back; encode it anew, or name another file"
            )
