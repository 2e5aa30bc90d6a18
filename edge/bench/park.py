"""Live cameras as stations watch them: a server in another process, a thread and a process each.

camera_server (process) --RTSP--> cameras.process (one each) --> thread: health, pipeline
                                                   one BatchingEncoder for all <--/
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self

import numpy as np

from edge.batching_encoder import BatchingEncoder
from edge.bench.measurement import p99
from edge.bench.processes import cpu_s, pss_mb
from edge.bench.subject import Subject
from edge.cameras.live_source import LiveSource
from edge.cameras.picture_health import PictureHealth
from edge.cameras.sources import open_source
from edge.pipeline import Pipeline
from industryasm.fault import UserFault
from models.runtime import Encoder

START_S = 90.0  # until a camera's first picture, while many start at once on few cores
POLL_S = 0.05
NUM_SEEN = 1024  # frames of a camera that are remembered, three minutes: memory is measured too
MIN_RATE = 0.95  # of the sampling rate; below it samples were lost that nobody counted


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame: when it was decided (monotonic), how old it was by then, and its own time.

    The age counts from the camera's first picture, which came late; so only differences tell.
    """

    at_s: float
    delay_s: float
    time_s: float


@dataclass(frozen=True)
class Window:
    """What was seen of all cameras in `seconds`; `rates` in frames a second, one per camera.

    `p99_delay_s` is how much later than the camera's quickest frame a frame was decided.
    """

    seconds: float
    rate_hz: float
    rates: tuple[float, ...]
    num_frames: int
    num_dropped: int
    p99_delay_s: float
    is_in_order: bool
    our_cpu_s: float
    server_cpu_s: float
    pss_mb: tuple[float, float]

    @property
    def fits(self) -> bool:
        """Whether no sample was dropped and every camera kept its rate."""
        return self.num_dropped == 0 and min(self.rates) >= MIN_RATE * self.rate_hz

    @property
    def total_rate(self) -> float:
        return sum(self.rates)


class CameraPark:
    """Any number of cameras that all show one clip, watched by one process; `with` ends it all."""

    def __init__(self, clip: Path, subject: Subject, encoder: Encoder, *, max_cameras: int) -> None:
        self.max_cameras = max_cameras
        self._clip, self._subject = clip, subject
        self._encoder = BatchingEncoder(encoder, num_clients=max_cameras)
        self._watches: list[_Watch] = []

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "edge.bench.camera_server", str(self._clip)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": module_path()},
        )
        assert self._server.stdout is not None
        self._url = self._server.stdout.readline().strip()
        if not self._url:
            self._server.wait()
            raise UserFault(f"{self._clip}: the camera server ended ({self._server.returncode})")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.resize(0)
        self._encoder.close()
        self._server.communicate("")  # the end of its input is its own

    def resize(self, num_cameras: int) -> None:
        """Start or end cameras until there are so many, and wait for the first picture of each.

        Raises `UserFault` when one gives none.
        """
        while len(self._watches) > num_cameras:
            self._watches.pop().close()
        while len(self._watches) < num_cameras:
            self._watches.append(_Watch(self._url, self._subject.pipeline(self._encoder)))
        deadline_s = monotonic() + START_S
        while any(not watch.seen for watch in self._watches):
            faults = [str(watch.failure) for watch in self._watches if watch.failure]
            if faults or monotonic() > deadline_s:
                raise UserFault(f"{num_cameras} cameras: {(faults or ['no picture came'])[0]}")
            sleep(POLL_S)

    def observe(self, seconds: float, *, settle_s: float = 0.0) -> Window:
        """Watch for `settle_s` that do not count, and for `seconds` that do."""
        sleep(settle_s)
        pids = self.process_ids()
        first_s, dropped = monotonic(), [watch.num_dropped for watch in self._watches]
        cpu = [sum(map(cpu_s, pids)), cpu_s(self._server.pid)]
        memory_mb = pss_mb(pids)
        sleep(seconds)
        last_s = monotonic()
        seen = [watch.between(first_s, last_s) for watch in self._watches]
        delays = [
            frame.delay_s - watch.least_delay_s
            for watch, camera in zip(self._watches, seen, strict=True)
            for frame in camera
        ]
        return Window(
            seconds=last_s - first_s,
            rate_hz=self._subject.model.card.rate_hz,
            rates=tuple(_rate(camera) for camera in seen),
            num_frames=len(delays),
            num_dropped=sum(watch.num_dropped for watch in self._watches) - sum(dropped),
            p99_delay_s=p99(delays or [seconds]),
            is_in_order=all(a.time_s < b.time_s for camera in seen for a, b in pairwise(camera)),
            our_cpu_s=sum(map(cpu_s, pids)) - cpu[0],
            server_cpu_s=cpu_s(self._server.pid) - cpu[1],
            pss_mb=(memory_mb, pss_mb(pids)),
        )

    def fill_batches(self) -> None:
        """Encode each batch that so many cameras can make, so that the encoder holds its memory.

        It takes more the first time that a batch of a size comes, and never gives it back.
        """
        height, width = self._encoder.height, self._encoder.width
        for num_pictures in range(1, len(self._watches) + 1):
            for _ in range(2):  # the runtime plans its memory by the first, and takes it with it
                self._encoder.encode(np.zeros((num_pictures, height, width, 3), np.uint8))

    def process_ids(self) -> list[int]:
        """Return this process and those of the cameras; not the server's."""
        cameras = [watch.process_id for watch in self._watches]
        return [os.getpid(), *(pid for pid in cameras if pid is not None)]


class _Watch:
    """One station's loop without its delivery, in a thread."""

    def __init__(self, url: str, pipeline: Pipeline) -> None:
        self.seen: deque[Seen] = deque(maxlen=NUM_SEEN)
        self.least_delay_s = math.inf
        self.failure: Exception | None = None
        self._url, self._pipeline = url, pipeline
        self._health = PictureHealth(pipeline.rate_hz)
        self._source: LiveSource | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="bench camera", daemon=True)
        self._thread.start()

    @property
    def num_dropped(self) -> int:
        return self._source.dropped if self._source else 0

    @property
    def process_id(self) -> int | None:
        return self._source.process_id if self._source else None

    def between(self, first_s: float, last_s: float) -> list[Seen]:
        return [seen for seen in tuple(self.seen) if first_s <= seen.at_s < last_s]

    def close(self) -> None:
        self._closed = True
        if self._source:
            self._source.close()
        self._thread.join(START_S)

    def _run(self) -> None:
        pipeline = self._pipeline
        try:
            source = open_source(self._url, rate_hz=pipeline.rate_hz, size=pipeline.image_size)
            assert isinstance(source, LiveSource)
            self._source = source
            with source:
                for frame in source:
                    if self._closed:
                        return
                    self._health.look(frame.image, frame.time_s, frame.source_size)
                    pipeline.push(frame)
                    delay_s = (datetime.now(UTC) - frame.captured_at).total_seconds()
                    self.least_delay_s = min(self.least_delay_s, delay_s)
                    self.seen.append(Seen(monotonic(), delay_s, frame.time_s))
        except Exception as error:  # told by `resize`: nobody looks at what a thread raises
            self.failure = error


def module_path() -> str:
    """Return what a process of ours needs as PYTHONPATH to find the same modules."""
    return os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109


def _rate(camera: list[Seen]) -> float:
    """Return frames a second between the first and the last; 0 where there are fewer than two."""
    if len(camera) < 2:
        return 0.0
    return (len(camera) - 1) / (camera[-1].at_s - camera[0].at_s)
