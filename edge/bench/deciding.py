"""What decoding by the order and judging cost: 20 steps in four chains that may be interleaved.

The evidence is random orders of the chains with noise; the yardsticks are all that is done for a
frame (decoding and scaling its picture, encoding it, deciding), the image encoder alone, and a
millisecond for each step. All on one thread.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np

from edge.bench.measurement import Goal, Measurement
from edge.cameras.recording_source import RecordingSource
from edge.cameras.video_file import video_file_shots
from edge.cameras.view import View
from edge.pipeline import ordered_decoder
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED
from models.deviations import CycleMonitor
from models.runtime import Encoder

RATE_HZ = 5.0
CHAINS, STEPS_PER_CHAIN = 4, 5
STEP_FRAMES, PAUSE_FRAMES = 15, 3
GOAL = Goal("at most", 0.02)
EVENT_GOAL = Goal("at most", 1.0)
EVENT_S = 1e-3


def deciding(
    clip: Path, images: np.ndarray, encoder: Encoder, *, num_units: int, num_rounds: int
) -> list[Measurement]:
    """Measure over `num_units` units in each round.

    `clip` is decoded; `images` uint8 (N, H, W, 3) are encoded.
    """
    procedure = four_chains()
    labels = (BACKGROUND, UNEXPECTED, *(step.id for step in procedure.steps))
    frame_s, decided_s, event_s, encoding_s, whole_s = [], [], [], [], []
    for seed in range(num_rounds):
        rows = evidence(labels, num_units, np.random.default_rng(seed))
        segments, seconds = _decode(rows, labels, procedure)
        frame_s.append(seconds / len(rows))
        decided_s.append(_decide(rows, labels, procedure) / len(rows))
        event_s.append(_judge(segments, procedure) / len(segments))
        encoding_s.append(_encode(images, encoder) / len(images))
        whole_s.append(decided_s[-1] + encoding_s[-1] + _read(clip, encoder))
    orders = f"{CHAINS * STEPS_PER_CHAIN} steps in {CHAINS} chains, {num_units} units"
    return [
        Measurement(
            "deciding_over_frame",
            "decoding a frame by the order and watching it / all that is done for a 720p frame",
            "s",
            tuple(decided_s),
            tuple(whole_s),
            GOAL,
            orders,
        ),
        Measurement(
            "decoder_by_order_over_encoder",
            "decoding a frame by the order / encoding one, on one thread",
            "s",
            tuple(frame_s),
            tuple(encoding_s),
            None,
            orders,
        ),
        Measurement(
            "monitor_event_over_1_ms",
            "judging a decoded step / 1 ms",
            "s",
            tuple(event_s),
            (EVENT_S,) * num_rounds,
            EVENT_GOAL,
            orders,
        ),
    ]


def four_chains() -> Procedure:
    """Return a procedure of which at most four steps can come at any time."""
    return Procedure(
        tuple(
            ProcedureStep(f"{chain}-{at}", frozenset({f"{chain}-{at - 1}"} if at else ()))
            for chain in "abcd"[:CHAINS]
            for at in range(STEPS_PER_CHAIN)
        )
    )


def evidence(labels: tuple[str, ...], num_units: int, rng: np.random.Generator) -> np.ndarray:
    """Return noisy probabilities (T, K) of units of the four chains, each in another order."""
    truth: list[int] = []
    for _ in range(num_units):
        chains = rng.permutation(np.repeat(list("abcd"[:CHAINS]), STEPS_PER_CHAIN)).tolist()
        for place, chain in enumerate(chains):
            step = labels.index(f"{chain}-{chains[:place].count(chain)}")
            truth += [step] * STEP_FRAMES + [labels.index(BACKGROUND)] * PAUSE_FRAMES
        truth += [labels.index(BACKGROUND)] * round(3 * RATE_HZ)  # the change to the next unit
    scores = rng.normal(0, 1, (len(truth), len(labels)))
    scores[np.arange(len(truth)), truth] += 5
    rows = np.exp(scores)
    probabilities: np.ndarray = rows / rows.sum(axis=1, keepdims=True)
    return probabilities


def _decode(
    rows: np.ndarray, labels: tuple[str, ...], procedure: Procedure
) -> tuple[list[Segment], float]:
    """Return the segments and the seconds that they took, frame by frame as they come."""
    decoder = ordered_decoder(labels, procedure, RATE_HZ)
    segments: list[Segment] = []
    began_s = perf_counter()
    for index in range(len(rows)):
        segments += decoder.push(rows[index : index + 1], np.array([index / RATE_HZ]))
    return segments, perf_counter() - began_s


def _decide(rows: np.ndarray, labels: tuple[str, ...], procedure: Procedure) -> float:
    """Return the seconds of decoding frame by frame and telling the monitor of each."""
    decoder = ordered_decoder(labels, procedure, RATE_HZ)
    monitor = CycleMonitor(procedure)
    began_s = perf_counter()
    for index in range(len(rows)):
        now_s = index / RATE_HZ
        for segment in decoder.push(rows[index : index + 1], np.array([now_s])):
            monitor.observe(segment, now_s)
        monitor.watch(decoder.running, now_s, seen_until_s=decoder.seen_until_s)
    return perf_counter() - began_s


def _read(clip: Path, encoder: Encoder) -> float:
    """Return the seconds of decoding and scaling a frame of `clip`."""
    shots = video_file_shots(clip, View((encoder.width, encoder.height)), RATE_HZ)
    began_s = perf_counter()
    with RecordingSource(str(clip), shots, rate_hz=RATE_HZ) as source:
        num_frames = sum(1 for _ in source)
    return (perf_counter() - began_s) / num_frames


def _judge(segments: list[Segment], procedure: Procedure) -> float:
    monitor = CycleMonitor(procedure)
    began_s = perf_counter()
    for segment in segments:
        monitor.observe(segment, segment.end_s)
    return perf_counter() - began_s


def _encode(images: np.ndarray, encoder: Encoder) -> float:
    began_s = perf_counter()
    for image in images:
        encoder.encode(image[np.newaxis])
    return perf_counter() - began_s
