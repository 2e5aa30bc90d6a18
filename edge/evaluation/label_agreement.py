"""What a lower precision does to the labels, frame by frame, on validation recordings."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from edge.evaluation.streamed import stream
from edge.export.inputs import recordings_of
from edge.features import Features, NoPictures, published_features, video_features
from industryasm.recording import DataSet, Recording
from industryasm.segment import frame_labels
from models.decoder import StreamDecoder
from models.runtime import Encoder, TemporalModel
from models.runtimes.artefact import Agreement

logger = logging.getLogger(__name__)

Recogniser = tuple[Encoder, TemporalModel]
"""Pictures to features, features to steps; `NoPictures` for a model of published features."""


def label_agreement(data: Path, exact: Recogniser, other: Recogniser) -> Agreement:
    """Compare the best label of each frame by `other` with that by `exact` (f32) and the truth."""
    data_set = DataSet(data)
    task = exact[1].card.task
    truth: list[str] = []
    by_exact: list[str] = []
    by_other: list[str] = []
    for recording in recordings_of(data_set, "validation", task):
        features = _features(data_set, recording, exact)
        same_encoder = exact[0] is other[0]
        others = features if same_encoder else _features(data_set, recording, other)
        truth += frame_labels(recording.spans(), features.times_s.tolist())
        by_exact += _labels(exact[1], features)
        by_other += _labels(other[1], others)
        logger.info("%s: %d frames compared so far", recording.id, len(truth))
    return Agreement(
        data=f"{data_set.index.name}, validation, {task}",
        frames=len(truth),
        labels_agree=_share(by_exact, by_other),
        accuracy_f32=_share(by_exact, truth),
        accuracy=_share(by_other, truth),
    )


def _features(data_set: DataSet, recording: Recording, recogniser: Recogniser) -> Features:
    encoder, model = recogniser
    if isinstance(encoder, NoPictures):
        return published_features(data_set, recording)
    return video_features(data_set.video(recording), encoder, rate_hz=model.card.rate_hz)


def _labels(model: TemporalModel, features: Features) -> list[str]:
    # before decoding, which evens out just the differences that are looked for
    return stream(model, features, StreamDecoder(model.card.labels)).argmax


def _share(ones: list[str], others: list[str]) -> float:
    return round(float(np.mean([a == b for a, b in zip(ones, others, strict=True)])), 4)
