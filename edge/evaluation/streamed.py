"""Scores what a model says of recordings, streamed, beside what its features give without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.features import Features, FeatureStore, NoPictures
from edge.pipeline import Pipeline, StepStream, station_decoder
from industryasm.deviation import KnownDeviation
from industryasm.fault import UserFault
from industryasm.recording import DataSet, Recording, SplitName
from industryasm.segment import Segment, frame_labels
from industryasm.vocabulary import Task
from models.card import read_card, shipped_model
from models.decoder import StreamDecoder
from models.deviations import Deviation
from models.metrics import (
    DeviationScore,
    MatchedDeviation,
    SegmentationScore,
    match_deviations,
    segmentation_score,
)
from models.runtime import TemporalModel, load_encoder, load_model

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
    """Scores by system, and the delay of the streamed one."""

    scores: dict[str, SegmentationScore]
    delay: Delay


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
    task, temporal, store = _open(model, data)
    card = temporal.card
    judged = _recordings(store.data, split, task)
    features = [_features(store, recording, card.feature_dim) for recording in judged]
    truth = [
        frame_labels(r.spans(), f.times_s.tolist()) for r, f in zip(judged, features, strict=True)
    ]
    procedure = task.procedure()
    streamed = [stream(temporal, f, station_decoder(card, procedure)) for f in features]
    known = _recordings(store.data, "train", task)
    known_features = [_features(store, recording, card.feature_dim) for recording in known]
    predicted = baseline_labels(
        known_features,
        [
            frame_labels(r.spans(), f.times_s.tolist())
            for r, f in zip(known, known_features, strict=True)
        ],
        features,
        labels=task.labels(),
        half_width=round(CONTEXT_S * card.rate_hz),
    )
    predicted["network, best label of each frame"] = [s.argmax for s in streamed]
    predicted["linewatch, streamed segments"] = [s.labels for s in streamed]
    return Evaluation(
        {
            name: segmentation_score(predicted=labels, truth=truth)
            for name, labels in predicted.items()
        },
        delay_of([s for one in streamed for s in one.delays_s]),
    )


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


def delay_of(delays_s: list[float]) -> Delay:
    """Summarise delays; zeros when there are none."""
    values = np.array(delays_s or [0.0])
    return Delay(float(np.median(values)), float(np.quantile(values, 0.95)))


def evaluate_deviations(model: str, data: Path, split: SplitName) -> DeviationScore:
    """Watch the recordings of a split, each as a stream of its own, and match what is found.

    `model` is a model folder or a task, for its shipped model.
    """
    task, temporal, store = _open(model, data)
    matched: list[MatchedDeviation] = []
    missed: list[KnownDeviation] = []
    invented: list[Deviation] = []
    for recording in _recordings(store.data, split, task):
        pipeline = Pipeline(task, temporal, store.encoder)
        features = _features(store, recording, temporal.card.feature_dim)
        findings = [
            finding
            for feature, time_s in zip(features.features, features.times_s.tolist(), strict=True)
            for finding in pipeline.push_feature(feature, time_s)
        ]
        findings += pipeline.close()
        found = [finding for finding in findings if isinstance(finding, Deviation)]
        score = match_deviations(recording.known_deviations(), found)
        matched += score.matched
        missed += score.missed
        invented += score.invented
    return DeviationScore(tuple(matched), tuple(missed), tuple(invented))


def predict(model: str, data: Path, split: SplitName | None) -> Iterator[tuple[str, Streamed]]:
    """Yield the id of each recording of the model's task and what is said of it, in a split or all.

    `model` is a model folder or a task, for its shipped model.
    """
    task, temporal, store = _open(model, data)
    recordings = store.data.recordings() if split is None else store.data.split(split)
    for recording in recordings:
        if recording.task == task.id:
            decoder = station_decoder(temporal.card, task.procedure())
            yield recording.id, stream(temporal, store.of(recording), decoder)


def _open(model: str, data: Path) -> tuple[Task, TemporalModel, FeatureStore]:
    folder = Path(model) if Path(model).is_dir() else shipped_model(model)
    card, data_set = read_card(folder), DataSet(data)
    task = data_set.task(card.task)
    temporal = load_model(folder, task)
    encoder = NoPictures() if card.encoder is None else load_encoder(card.encoder)
    name = card.encoder or encoder.runtime
    return task, temporal, FeatureStore(data_set, encoder, name=name, rate_hz=card.rate_hz)


def _features(store: FeatureStore, recording: Recording, dim: int) -> Features:
    features = store.of(recording)
    if features.features.shape[1] != dim:
        raise UserFault(
            f"{store.data.folder}: recording {recording.id!r} has features of "
            f"{features.features.shape[1]} numbers, the model takes {dim}"
        )
    return features


def _recordings(data: DataSet, split: SplitName, task: Task) -> list[Recording]:
    found = [recording for recording in data.split(split) if recording.task == task.id]
    if not found:
        raise UserFault(f"{data.folder}: split {split!r} has no recording of task {task.id!r}")
    return found
