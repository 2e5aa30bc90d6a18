"""Scores what a model says of recordings, streamed, beside what its features give without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.evaluation.deviation_table import DeviationEvaluation, joined
from edge.evaluation.opened import Opened, open_model
from edge.evaluation.simple_alarms import all_missed, long_runs, never_dwelt, never_labelled
from edge.evaluation.watched import DecoderChoice, is_normal, normal_hours, watch
from edge.features import Features
from edge.pipeline import StepStream, decoder_config
from industryasm.fault import UserFault
from industryasm.recording import Recording, SplitName
from industryasm.segment import Segment, frame_labels
from models.calibration import AS_SCORED, read_calibration
from models.decoder import StreamDecoder
from models.metrics import (
    DeviationScore,
    SegmentationScore,
    background_rules,
    class_accuracy,
    match_deviations,
    match_near,
)
from models.runtime import TemporalModel

CONTEXT_S = 1.0


@dataclass(frozen=True, eq=False)
class Streamed:
    """What the stream said of one recording.

    `labels` (T,) are those of the `segments` at the frames, `argmax` (T,) the network's before
    decoding; `delays_s` the time from each segment's end until it was given out.
    """

    segments: list[Segment]
    labels: list[str]
    argmax: list[str]
    delays_s: list[float]


@dataclass(frozen=True)
class Delay:
    """Seconds from the end of a step until its segment is given out."""

    median_s: float
    p95_s: float


@dataclass(frozen=True)
class Evaluation:
    """Scores by system, and the delay of the streamed one.

    In `scores` background makes no segment, in `background_counted` it is a label as any other
    (`models.metrics.BackgroundRules`). `by_class` is the percentage of each label's frames that
    are right.
    """

    scores: dict[str, SegmentationScore]
    background_counted: dict[str, SegmentationScore]
    by_class: dict[str, dict[str, float]]
    delay: Delay


def score_systems(
    predicted: Mapping[str, Sequence[Sequence[str]]],
    truth: Sequence[Sequence[str]],
    delays_s: Sequence[float],
) -> Evaluation:
    """Score the labels of the frames that each system gives; `truth` is of the same recordings."""
    rules = {
        name: background_rules(predicted=rows, truth=truth) for name, rows in predicted.items()
    }
    return Evaluation(
        {name: score.ignored for name, score in rules.items()},
        {name: score.counted for name, score in rules.items()},
        {name: class_accuracy(predicted=rows, truth=truth) for name, rows in predicted.items()},
        delay_of(delays_s),
    )


def stream(model: TemporalModel, features: Features, decoder: StreamDecoder) -> Streamed:
    """Push a recording's features frame by frame, as a station would; `decoder` is a new one."""
    steps = StepStream(model)
    argmax: list[str] = []
    segments: list[Segment] = []
    delays: list[float] = []

    def take(decided: tuple[np.ndarray, np.ndarray], now_s: float) -> None:
        rows, times = decided
        argmax.extend(model.card.labels[i] for i in rows.argmax(axis=1))
        new = decoder.push(rows, times) if len(times) else []
        segments.extend(new)
        delays.extend(now_s - segment.end_s for segment in new)

    for feature, time_s in zip(features.features, features.times_s.tolist(), strict=True):
        take(steps.push(feature, time_s), time_s)
    take(steps.close(), float(features.times_s[-1]))
    segments.extend(decoder.close())
    return Streamed(segments, frame_labels(segments, features.times_s.tolist()), argmax, delays)


def evaluate_segmentation(model: str, data: Path, split: SplitName) -> Evaluation:
    """Score the model folder `model`, or the shipped one of task `model`, on a data set's split.

    The probes are fitted on the data set's training split.
    """
    opened = open_model(model, data)
    task, temporal, card = opened.task, opened.temporal, opened.temporal.card
    judged = opened.recordings(split)
    features = [opened.features(recording) for recording in judged]
    truth = [
        frame_labels(r.visible_work(), f.times_s.tolist())
        for r, f in zip(judged, features, strict=True)
    ]
    streamed = [stream(temporal, f, opened.decoder()) for f in features]
    known = opened.recordings("train")
    known_features = [opened.features(recording) for recording in known]
    predicted = baseline_labels(
        known_features,
        [
            frame_labels(r.visible_work(), f.times_s.tolist())
            for r, f in zip(known, known_features, strict=True)
        ],
        features,
        labels=task.labels(),
        half_width=round(CONTEXT_S * card.rate_hz),
    )
    predicted["network, best label of each frame"] = [s.argmax for s in streamed]
    predicted["linewatch, streamed segments"] = [s.labels for s in streamed]
    return score_systems(predicted, truth, [s for one in streamed for s in one.delays_s])


def baseline_labels(
    train: list[Features],
    train_labels: list[list[str]],
    test: list[Features],
    *,
    labels: tuple[str, ...],
    half_width: int,
) -> dict[str, list[list[str]]]:
    """Label the frames of `test` by the majority class and by two probes fitted on `train`."""
    from models.baselines import context_mean, fit_probe, majority

    index = {label: i for i, label in enumerate(labels)}
    known = np.array([index[name] for one in train_labels for name in one])
    out = {"majority class": [[labels[majority(known)]] * len(f.times_s) for f in test]}
    for name, width in (
        ("linear probe", 0),
        (f"linear probe, mean of +-{half_width} frames", half_width),
    ):
        inputs = np.concatenate([context_mean(f.features, width) for f in train])
        probe = fit_probe(inputs, known, num_labels=len(labels))
        out[name] = [
            [labels[i] for i in probe.probabilities(context_mean(f.features, width)).argmax(axis=1)]
            for f in test
        ]
    return out


def delay_of(delays_s: Sequence[float]) -> Delay:
    """Summarise delays; zeros when there are none."""
    values = np.array(list(delays_s) or [0.0])
    return Delay(float(np.median(values)), float(np.quantile(values, 0.95)))


def evaluate_deviations(
    model: str, data: Sequence[Path], split: SplitName, *, decoder: DecoderChoice = "order"
) -> DeviationEvaluation:
    """Watch a split of each data set, each recording a stream of its own, and match what is found.

    `model` is a model folder or a task, for its shipped model; its calibration is taken where it
    has one, for the decoder that it was found with. Raises `UserFault` for a set given twice.
    """
    if len({folder.resolve() for folder in data}) < len(data):
        raise UserFault("--data names one data set twice: its deviations would count twice")
    judged: list[Recording] = []
    scores: list[DeviationScore] = []
    doubted: list[DeviationScore] = []
    simple: list[dict[str, DeviationScore]] = []
    for opened in [open_model(model, folder) for folder in data]:
        calibration = read_calibration(opened.folder, opened.temporal.card, opened.task.procedure())
        scale = calibration if calibration and decoder == "order" else AS_SCORED
        for recording in opened.recordings(split):
            watched = watch(opened, recording, scale, decoder=decoder)
            judged.append(recording)
            scores.append(watched.score())
            doubted.append(watched.doubted(scores[-1]))
            simple.append(simple_scores(opened, recording))
    alarms = joined(scores)
    return DeviationEvaluation(
        alarms.matched,
        alarms.missed,
        alarms.invented,
        decoder=decoder,
        num_recordings=len(judged),
        doubted=joined(doubted),
        by_near_kind=joined([match_near(score) for score in scores]),
        hours=sum(recording.duration_s for recording in judged) / 3600,
        normal_hours=sum(normal_hours(recording) for recording in judged),
        num_false_normal=sum(
            is_normal(recording, found)
            for recording, score in zip(judged, scores, strict=True)
            for found in score.invented
        ),
        baselines={name: joined([one[name] for one in simple]) for name in simple[0]},
    )


def simple_scores(opened: Opened, recording: Recording) -> dict[str, DeviationScore]:
    """Return what the baselines get, which are told where each unit begins and ends."""
    card, procedure = opened.temporal.card, opened.task.procedure()
    config = decoder_config(card.rate_hz)
    decoder = StreamDecoder(card.labels, config=config)
    features = opened.features(recording)
    argmax, times_s = stream(opened.temporal, features, decoder).argmax, features.times_s.tolist()
    dwelt = long_runs(argmax, times_s, min_dwell_s=config.min_dwell_s, period_s=config.period_s)
    said = {
        "never alarm": [],
        "always alarm": all_missed(recording, procedure),
        "best labels, set difference": never_labelled(recording, procedure, argmax, times_s),
        "least dwell, set difference": never_dwelt(recording, procedure, dwelt),
    }
    known = recording.known_deviations()
    return {name: match_deviations(known, found) for name, found in said.items()}


def predict(model: str, data: Path, split: SplitName | None) -> Iterator[tuple[str, Streamed]]:
    """Yield the id of each recording of the model's task and what is said of it, in a split or all.

    `model` is a model folder or a task, for its shipped model.
    """
    opened = open_model(model, data)
    store = opened.store
    recordings = store.data.recordings() if split is None else store.data.split(split)
    for recording in recordings:
        if recording.task == opened.task.id:
            decoder = opened.decoder()
            yield recording.id, stream(opened.temporal, store.of(recording), decoder)
