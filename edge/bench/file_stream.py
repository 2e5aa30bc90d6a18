"""A file through the whole edge, against the bare encoder on the same pictures, batch and threads.

Both use one and the same loaded encoder. Ours decodes, samples, scales, judges the picture, encodes
and decides, as a station with a calibrated model; the encoder alone is given pictures that were
decoded before.

The limit is what the cores would carry if decoding and encoding were all, and shared them without
loss: cores / (CPU of decoding + CPU of encoding), and never more than the bare encoder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from edge.batching_encoder import BatchingEncoder
from edge.bench.measurement import Goal, Measurement, in_turns
from edge.bench.subject import Subject
from edge.cameras.picture_health import PictureHealth
from edge.cameras.recording_source import RecordingSource
from edge.cameras.sources import open_source
from edge.cameras.video_file import video_file_shots
from edge.cameras.view import View
from models.runtime import Encoder

MIN_BATCHES = 10
RATE_HZ = 5.0
GOALS = {1: Goal("at least", 0.90), 4: Goal("at least", 0.85)}


@dataclass
class _CpuTime:
    """CPU milliseconds a frame, by who took them; all threads of the process."""

    ms: dict[str, list[float]] = field(default_factory=dict)

    def rate(self, who: str, work: Callable[[], int]) -> float:
        """Return frames a second of `work`, which returns how many there were."""
        began_s, began_cpu_s = perf_counter(), process_time()
        num_frames = work()
        self.ms.setdefault(who, []).append((process_time() - began_cpu_s) / num_frames * 1e3)
        return num_frames / (perf_counter() - began_s)

    def best(self, who: str) -> float:
        return min(self.ms[who])

    def most_frames(self) -> float:
        """Return frames a second if decoding and encoding shared all cores without loss."""
        cores = len(os.sched_getaffinity(0))
        return cores * 1e3 / (self.best("bare") + self.best("decode"))

    def note(self) -> str:
        return (
            f"CPU a frame: {self.best('ours'):.1f} ms, of these the encoder "
            f"{self.best('bare'):.1f} and decoding {self.best('decode'):.1f}"
        )


def file_streams(
    variant: str,
    clip: Path,
    subject: Subject,
    encoder: Encoder,
    *,
    num_streams: int,
    num_rounds: int,
    what: str,
) -> list[Measurement]:
    """Measure `num_streams` files at once against the encoder at that batch, and the limit.

    `variant` ends the two rows' keys, `what` begins what they say.
    """
    images = pictures(clip, encoder)
    num_batches = max(len(images) // num_streams, MIN_BATCHES)
    cpu = _CpuTime()

    def bare() -> int:
        for first in range(num_batches):
            encoder.encode(np.take(images, range(first, first + num_streams), 0, mode="wrap"))
        return num_batches * num_streams

    ours, yardstick = in_turns(
        lambda: cpu.rate("ours", lambda: _streams(clip, subject, encoder, num_streams)),
        lambda: cpu.rate("bare", bare),
        num_rounds,
    )
    for _ in range(num_rounds):
        cpu.rate("decode", lambda: _decode(clip, encoder))
    limit = tuple(min(rate, cpu.most_frames()) for rate in yardstick)
    key, words = f"end_to_end_over_encoder{variant}", f"{what} / bare encoder"
    over_encoder = Measurement(
        key, words, "frames/s", ours, yardstick, GOALS[num_streams], cpu.note()
    )
    key, words = f"end_to_end_over_limit{variant}", f"{what} / what these cores allow"
    return [over_encoder, Measurement(key, words, "frames/s", ours, limit)]


def pictures(clip: Path, encoder: Encoder, rate_hz: float = RATE_HZ) -> np.ndarray:
    """Return the sampled pictures of `clip`, uint8 (N, H, W, 3) RGB, of the encoder's size."""
    size = (encoder.width, encoder.height)
    with open_source(str(clip), rate_hz=rate_hz, size=size) as source:
        return np.stack([frame.image for frame in source])


def _decode(clip: Path, encoder: Encoder) -> int:
    """Decode, sample and scale `clip` in one thread; return how many frames that were."""
    shots = video_file_shots(clip, View((encoder.width, encoder.height)), RATE_HZ)
    with RecordingSource(str(clip), shots, rate_hz=RATE_HZ) as source:
        return sum(1 for _ in source)


def run_pipeline(clip: Path, subject: Subject, encoder: Encoder) -> int:
    """Watch `clip` to its end, whatever its pictures are; return how many frames that were."""
    pipeline = subject.pipeline(encoder)
    health = PictureHealth(pipeline.rate_hz)
    num_frames = 0
    with open_source(str(clip), rate_hz=pipeline.rate_hz, size=pipeline.image_size) as source:
        for frame in source:
            health.look(frame.image, frame.time_s, frame.source_size)
            pipeline.push(frame)
            num_frames += 1
    pipeline.close()
    return num_frames


def _streams(clip: Path, subject: Subject, encoder: Encoder, num_streams: int) -> int:
    if num_streams == 1:
        return run_pipeline(clip, subject, encoder)
    shared = BatchingEncoder(encoder, num_clients=num_streams)
    try:
        with ThreadPoolExecutor(num_streams) as threads:
            counts = threads.map(lambda _: run_pipeline(clip, subject, shared), range(num_streams))
            return sum(counts)
    finally:
        shared.close()
