"""A file through the whole edge, against the bare encoder on the same pictures, batch and threads.

Both use one and the same loaded encoder. The pipeline decodes, samples, scales, encodes and
decides; the encoder alone is given pictures that were decoded before.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from edge.batching_encoder import BatchingEncoder
from edge.bench.measurement import Goal, Measurement, in_turns
from edge.cameras.sources import open_source
from edge.pipeline import Pipeline
from industryasm.vocabulary import Task
from models.runtime import Encoder, TemporalModel

MIN_BATCHES = 10
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


def file_streams(
    key: str,
    clip: Path,
    task: Task,
    model: TemporalModel,
    encoder: Encoder,
    *,
    num_streams: int,
    num_rounds: int,
    what: str,
) -> Measurement:
    """Measure `num_streams` files at once against the encoder at that batch; `what` names the row.

    The note says which share of the CPU's work the encoder is: what no pipeline can exceed when the
    encoder alone would keep all cores busy.
    """
    images = pictures(clip, encoder)
    num_batches = max(len(images) // num_streams, MIN_BATCHES)
    cpu = _CpuTime()

    def bare() -> int:
        for first in range(num_batches):
            encoder.encode(np.take(images, range(first, first + num_streams), 0, mode="wrap"))
        return num_batches * num_streams

    ours, yardstick = in_turns(
        lambda: cpu.rate("ours", lambda: _streams(clip, task, model, encoder, num_streams)),
        lambda: cpu.rate("bare", bare),
        num_rounds,
    )
    share = cpu.best("bare") / cpu.best("ours")
    note = (
        f"CPU a frame: {cpu.best('ours'):.1f} ms, of these the encoder {cpu.best('bare'):.1f}: "
        f"{share:.2f} at best where the encoder alone fills all cores"
    )
    return Measurement(key, what, "frames/s", ours, yardstick, GOALS[num_streams], note)


def pictures(clip: Path, encoder: Encoder, rate_hz: float = 5.0) -> np.ndarray:
    """Return the sampled pictures of `clip`, uint8 (N, H, W, 3) RGB, of the encoder's size."""
    size = (encoder.width, encoder.height)
    with open_source(str(clip), rate_hz=rate_hz, size=size) as source:
        return np.stack([frame.image for frame in source])


def run_pipeline(clip: Path, task: Task, model: TemporalModel, encoder: Encoder) -> int:
    """Watch `clip` to its end as `linewatch monitor` does; return how many frames that were."""
    pipeline = Pipeline(task, model, encoder)
    num_frames = 0
    with open_source(str(clip), rate_hz=pipeline.rate_hz, size=pipeline.image_size) as source:
        for frame in source:
            pipeline.push(frame)
            num_frames += 1
    pipeline.close()
    return num_frames


def _streams(
    clip: Path, task: Task, model: TemporalModel, encoder: Encoder, num_streams: int
) -> int:
    if num_streams == 1:
        return run_pipeline(clip, task, model, encoder)
    shared = BatchingEncoder(encoder, num_clients=num_streams)
    try:
        with ThreadPoolExecutor(num_streams) as threads:
            counts = threads.map(
                lambda _: run_pipeline(clip, task, model, shared), range(num_streams)
            )
            return sum(counts)
    finally:
        shared.close()
