"""Live cameras: how many these cores carry, four against one, and what a further one weighs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from edge.bench.measurement import Goal, Measurement
from edge.bench.park import CameraPark, Window
from edge.cameras.recording_source import RecordingSource
from edge.cameras.video_file import video_file_shots
from edge.cameras.view import View
from models.runtime import Encoder

NEAR_LINEAR, EVEN = Goal("at least", 0.95), Goal("at least", 0.9)
MAX_MB = 80.0
BATCH = 8


@dataclass(frozen=True)
class Limits:
    """How many cameras the cores could decode, or encode the samples of, if they did only that."""

    decode_only: float
    network_only: float

    @property
    def both(self) -> float:
        """How many they could do both for, if all else cost nothing."""
        return 1 / (1 / self.decode_only + 1 / self.network_only)


def limits(clip: Path, encoder: Encoder, images: np.ndarray, rate_hz: float) -> Limits:
    """Measure both on all cores; `images` uint8 (N, H, W, 3) are sampled pictures of `clip`."""
    num_cores = len(os.sched_getaffinity(0))
    size = (encoder.width, encoder.height)

    def decode(_: int) -> float:
        shots = video_file_shots(clip, View(size), rate_hz)
        with RecordingSource(str(clip), shots, rate_hz=rate_hz) as source:
            return [frame.time_s for frame in source][-1]

    with ThreadPoolExecutor(num_cores) as threads:
        began_s = perf_counter()
        video_s = sum(threads.map(decode, range(num_cores)))
        decode_only = video_s / (perf_counter() - began_s)
    batch = np.take(images, range(BATCH), 0, mode="wrap")
    encoder.encode(batch)
    began_s = perf_counter()
    num_batches = max(2, len(images) // BATCH)
    for _ in range(num_batches):
        encoder.encode(batch)
    network_only = num_batches * BATCH / (perf_counter() - began_s) / rate_hz
    return Limits(decode_only, network_only)


def four_against_one(park: CameraPark, *, num_rounds: int, window_s: float) -> list[Measurement]:
    """Measure one camera and four in turns; end with four running."""
    ones, fours = [], []
    for _ in range(num_rounds):
        park.resize(1)
        ones.append(park.observe(window_s, settle_s=1.0))
        park.resize(4)
        fours.append(park.observe(window_s, settle_s=1.0))
    dropped = sum(window.num_dropped for window in (*ones, *fours))
    return [
        Measurement(
            "four_cameras_over_four_times_one",
            "four live cameras / four times one",
            "frames/s",
            tuple(window.total_rate for window in fours),
            tuple(4 * window.total_rate for window in ones),
            NEAR_LINEAR,
            f"{dropped} samples dropped in all rounds",
        ),
        Measurement(
            "slowest_over_fastest_camera",
            "the slowest of the four / the fastest",
            "frames/s",
            tuple(min(window.rates) for window in fours),
            tuple(max(window.rates) for window in fours),
            EVEN,
        ),
        Measurement(
            "memory_per_camera_over_80_mb",
            "memory of a further camera (PSS, its process and ours) / 80 MB",
            "MB",
            tuple(
                (four.pss_mb[1] - one.pss_mb[1]) / 3 for one, four in zip(ones, fours, strict=True)
            ),
            (MAX_MB,) * num_rounds,
            Goal("at most", 1.0),
        ),
    ]


def most_cameras(park: CameraPark, bound: Limits, *, window_s: float, settle_s: float) -> Window:
    """Search upwards for the most cameras of which no sample is dropped; return their window.

    Begins at half of what `bound` allows. A window that does not fit gets one more chance, because
    other work on the machine may have come between. Raises `UserFault` if not even one fits.
    """
    num_cameras = min(park.max_cameras, max(1, round(bound.both / 2)))
    step = max(1, round(bound.both / 6))
    best: Window | None = None
    while True:
        park.resize(num_cameras)
        window = park.observe(window_s, settle_s=settle_s)
        if not window.fits:
            window = park.observe(window_s)
        if window.fits:
            best = window
            if num_cameras == park.max_cameras:
                return best
            num_cameras = min(num_cameras + step, park.max_cameras)
        elif best is not None or num_cameras == 1:
            return best or window
        else:
            num_cameras = max(1, num_cameras // 2)


def camera_rows(best: Window, bound: Limits) -> Iterator[Measurement]:
    """Yield how near the most cameras are to each limit."""
    num_cameras = float(len(best.rates)) if best.fits else 0.0
    cores = len(os.sched_getaffinity(0))
    shares = [100 * cpu / best.seconds / cores for cpu in (best.our_cpu_s, best.server_cpu_s)]
    note = (
        f"{len(best.rates)} cameras: ours take {shares[0]:.0f} % of the cores, the server that "
        f"feeds them {shares[1]:.0f} % of the same; p99 delay {best.p99_delay_s:.2f} s"
        if best.fits
        else "not even one camera kept its rate: the machine is busy with other work"
    )
    for key, words, limit in (
        ("live_cameras_over_decode_only", "decoding alone", bound.decode_only),
        ("live_cameras_over_network_only", "the image encoder alone", bound.network_only),
        ("live_cameras_over_both", "decoding and encoder, all else free", bound.both),
    ):
        what = f"live cameras without a dropped sample / as many as {words} would carry"
        yield Measurement(key, what, "cameras", (num_cameras,), (limit,), None, note)
        note = ""
