"""All measurements, one after another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edge.bench.after_network import after_network
from edge.bench.cameras import Limits, camera_rows, four_against_one, limits, most_cameras
from edge.bench.clips import bench_clips
from edge.bench.cold_start import cold_start
from edge.bench.deciding import deciding
from edge.bench.decoding import decoding
from edge.bench.file_stream import file_streams, pictures
from edge.bench.incremental import incremental
from edge.bench.latency_controlled import PAPER_WIDTH, latency_controlled
from edge.bench.measurement import Measurement, Row
from edge.bench.memory import memory_growth
from edge.bench.overload import overload
from edge.bench.park import CameraPark
from edge.bench.peers import peers
from edge.bench.subject import Subject
from models.card import ENCODER, ModelCard
from models.runtime import Encoder, load_encoder


@dataclass(frozen=True)
class Effort:
    """How long to measure: more rounds and longer windows are calmer."""

    clip_s: float
    recording_s: float
    num_rounds: int
    window_s: float
    settle_s: float
    max_cameras: int
    memory_s: float


QUICK = Effort(
    clip_s=5, recording_s=90, num_rounds=2, window_s=2.5, settle_s=1.5, max_cameras=48, memory_s=5
)
FULL = Effort(
    clip_s=20,
    recording_s=300,
    num_rounds=5,
    window_s=8,
    settle_s=4,
    max_cameras=96,
    memory_s=30 * 60,
)


def measure_edge(
    subject: Subject, effort: Effort, tell: Callable[[str], None], folder: Path | None = None
) -> Iterator[Row]:
    """Yield the rows as they are measured; `tell` hears what is done next.

    Clips are made in `folder`, by default the system's temporary one. Raises `UserFault` when a
    part of the machinery does not run, never for a goal that is missed.
    """
    model = subject.model
    tell(f"making two clips of {effort.clip_s:g} s, if this is the first time")
    clips = bench_clips(subject.recording, effort.clip_s, folder)
    encoder, single = load_encoder(ENCODER), load_encoder(ENCODER, num_threads=1)
    size, images = (encoder.width, encoder.height), pictures(clips.sub, encoder)
    for row in _files(clips.main, clips.sub, subject, (encoder, single), effort.num_rounds):
        tell(f"{row.what}: {row.ratio:.2f}")
        yield row
    tell("decoding against ffmpeg")
    yield from decoding(clips.main, size, effort.num_rounds)
    tell("a stride against its window")
    yield incremental(images, model, single, 2 * effort.num_rounds)
    tell("the BiLSTM's bounded look-ahead")
    yield from _look_ahead(model.card, effort.num_rounds)
    tell("what comes after the network")
    disk = Path(tempfile.gettempdir())
    yield from after_network(
        subject, encoder, disk, seconds=effort.recording_s, num_rounds=effort.num_rounds
    )
    tell("decoding by the order, and judging")
    yield from deciding(clips.main, images, single, num_units=5, num_rounds=effort.num_rounds)
    tell("other ways to do it")
    yield from peers(clips.main, subject, encoder, effort.num_rounds)
    tell("cold start")
    yield cold_start(clips.sub, subject.task.id, effort.num_rounds)
    tell("live cameras")
    bound = limits(clips.main, encoder, images, model.card.rate_hz)
    with CameraPark(clips.main, subject, encoder, max_cameras=effort.max_cameras) as park:
        yield from _live(park, bound, effort)


def _files(
    main: Path, sub: Path, subject: Subject, encoders: tuple[Encoder, Encoder], num_rounds: int
) -> Iterator[Measurement]:
    for threads, encoder in (("", encoders[1]), ("_all_threads", encoders[0])):
        for part, clip in (("", main), ("_substream", sub)):
            for streams, number in (("", 1), ("_4_streams", 4)):
                files = "one file" if number == 1 else "four files at once"
                yield from file_streams(
                    f"{streams}{part}{threads}",
                    clip,
                    subject,
                    encoder,
                    num_streams=number,
                    num_rounds=num_rounds,
                    what=f"{files}, {'640x360' if part else '720p'}, encoder on "
                    f"{'all cores' if threads else 'one thread'}",
                )


def _look_ahead(card: ModelCard, num_rounds: int) -> Iterator[Measurement]:
    key, shape = "latency_controlled_over_full", card.chunk_shape()
    yield latency_controlled(key, shape, width=card.hidden, num_rounds=num_rounds)
    stride = replace(shape, chunk=shape.stride)
    key += "_paper_width"
    yield latency_controlled(key, stride, width=PAPER_WIDTH, num_rounds=num_rounds)


def _live(park: CameraPark, bound: Limits, effort: Effort) -> Iterator[Measurement]:
    window_s, settle_s = effort.window_s, effort.settle_s
    num_rounds = max(1, effort.num_rounds // 2)
    yield from four_against_one(park, num_rounds=num_rounds, window_s=window_s)
    yield memory_growth(park, seconds=effort.memory_s)
    best = most_cameras(park, bound, window_s=window_s, settle_s=settle_s)
    yield from camera_rows(best, bound)
    yield from overload(park, best, window_s=window_s, settle_s=4 * settle_s)
