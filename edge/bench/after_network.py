"""What comes after the network, frame by frame: window, decoder, monitor, judge, reporter, outbox.

The features of a whole recording with deviations are computed before; the network's own time is
taken out. Twice: with the outbox in memory (/dev/shm), and on the disk, which each event waits for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from edge.bench.measurement import Goal, Measurement, NotMeasured, Row, p99
from edge.bench.subject import Subject
from edge.cameras.sources import open_source
from edge.outbox import Outbox
from edge.reporter import Reporter
from models.card import read_card, shipped_model
from models.runtime import Encoder, TemporalModel
from models.runtimes.onnx_runtime import OnnxGraph

GOAL = Goal("at most", 0.05)
IN_MEMORY = Path("/dev/shm")
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)


class _Timed(TemporalModel):
    """A temporal model that adds up the seconds it takes."""

    seconds = 0.0

    def decide(
        self, view: np.ndarray, present: np.ndarray, state: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        began_s = perf_counter()
        decided = super().decide(view, present, state)
        self.seconds += perf_counter() - began_s
        return decided


def after_network(
    subject: Subject, encoder: Encoder, disk: Path, *, seconds: float, num_rounds: int
) -> list[Row]:
    """Measure over the first `seconds` of its recording; `disk` is a folder on stations' disk."""
    folder = shipped_model(subject.task.id)
    graph = OnnxGraph(folder / "temporal.onnx", num_threads=1)
    model = _Timed(graph, read_card(folder), folder)
    features, times_s = _features(subject.recording, seconds, model.card.rate_hz, encoder)
    rows: list[Row] = []
    key = "after_network_p99_over_interval"
    for suffix, place, words in (
        ("", IN_MEMORY, "without the disk"),
        ("_with_fsync", disk, "with the disk's fsync"),
    ):
        what = f"window to outbox, {words}, p99 / time between frames"
        if not place.is_dir():
            rows.append(NotMeasured(key + suffix, what, f"there is no {place} here"))
            continue
        runs = [_run(features, times_s, subject, model, encoder, place) for _ in range(num_rounds)]
        ours = tuple(p99(seconds) for seconds in runs)
        interval_s = (1 / model.card.rate_hz,) * num_rounds
        worst_ms = max(max(seconds) for seconds in runs) * 1e3
        note = f"{len(times_s)} frames, the slowest {worst_ms:.1f} ms"
        rows.append(Measurement(key + suffix, what, "s", ours, interval_s, GOAL, note))
    return rows


def _features(
    recording: Path, seconds: float, rate_hz: float, encoder: Encoder
) -> tuple[list[np.ndarray], list[float]]:
    size = (encoder.width, encoder.height)
    with open_source(str(recording), rate_hz=rate_hz, size=size) as source:
        frames = takewhile(lambda frame: frame.time_s < seconds, source)
        pairs = [(encoder.encode(frame.image[np.newaxis])[0], frame.time_s) for frame in frames]
    return [feature for feature, _ in pairs], [time_s for _, time_s in pairs]


def _run(
    features: list[np.ndarray],
    times_s: list[float],
    subject: Subject,
    model: _Timed,
    encoder: Encoder,
    place: Path,
) -> list[float]:
    """Return the seconds that each frame took behind the network."""
    pipeline = subject.pipeline(encoder, model)
    reporter = Reporter(subject.task, boot="bench")
    seconds = []
    with TemporaryDirectory(dir=place) as folder:
        outbox = Outbox(Path(folder) / "bench.outbox", station="bench", boot="bench")
        for feature, time_s in zip(features, times_s, strict=True):
            model.seconds, began_s = 0.0, perf_counter()
            for finding in pipeline.push_feature(feature, time_s):
                outbox.append(reporter.message(finding, ORIGIN))
            seconds.append(perf_counter() - began_s - model.seconds)
        outbox.close()
    return seconds
