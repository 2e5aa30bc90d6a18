"""Real inputs for an exported graph: pictures of a data set or of a sample station, and views."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from edge.cameras.sources import open_source
from edge.features import BATCH, Features, published_features
from edge.window import Chunk, RollingWindow
from industryasm.fault import UserFault
from industryasm.recording import DataSet, Recording, SplitName
from industryasm.stations.sample import sample_recording
from industryasm.vocabulary import load_task
from models.card import ModelCard
from models.runtime import Encoder, TemporalModel
from models.runtimes.graph_check import Feeds

SAMPLE_TASK = "gear-reducer"
SPACING_S = 2.0  # neighbouring pictures show the same
LIMIT = 32


def recordings_of(data_set: DataSet, split: SplitName, task: str | None) -> list[Recording]:
    """Return the recordings of a split, of one task; raise `UserFault` when there are none."""
    found = [r for r in data_set.split(split) if task is None or r.task == task]
    if not found:
        whose = "" if task is None else f" of task {task!r}"
        raise UserFault(f"{data_set.folder}: split {split!r} has no recording{whose}")
    return found


def pictures(video: Path, encoder: Encoder, limit: int = LIMIT) -> np.ndarray:
    """Return up to `limit` pictures (N, H, W, 3) of a video, one every two seconds."""
    size = (encoder.width, encoder.height)
    with open_source(str(video), rate_hz=1 / SPACING_S, size=size) as frames:
        return np.stack([frame.image for frame in islice(frames, limit)])


def real_pictures(data: Path | None, encoder: Encoder) -> dict[str, Feeds]:
    """Return pictures of a data set's first validation video, or of the sample station."""
    if data is None:
        _, video = sample_recording(load_task(SAMPLE_TASK))
        return {f"sample of {SAMPLE_TASK}": {"images": pictures(video, encoder)}}
    data_set = DataSet(data)
    recording = recordings_of(data_set, "validation", None)[0]
    images = pictures(data_set.video(recording), encoder)
    return {f"{data_set.index.name}, {recording.id}": {"images": images}}


def calibration_pictures(data: Path, encoder: Encoder, total: int = 300) -> list[np.ndarray]:
    """Return pictures (1, H, W, 3) from all over the training split, for an int8 graph's scales."""
    data_set = DataSet(data)
    train = recordings_of(data_set, "train", None)
    each = -(-total // len(train))
    found = [
        image[None]
        for recording in train
        for image in pictures(data_set.video(recording), encoder, each)
    ]
    return found[:total]


def video_sample(card: ModelCard, encoder: Encoder, data: Path | None) -> dict[str, Features]:
    """Return features of a data set's first validation video of the task, or of its sample."""
    if data is None:
        _, video = sample_recording(load_task(card.task))
        origin = f"sample of {card.task}"
    else:
        data_set = DataSet(data)
        recording = recordings_of(data_set, "validation", card.task)[0]
        video, origin = data_set.video(recording), f"{data_set.index.name}, {recording.id}"
    size = (encoder.width, encoder.height)
    with open_source(str(video), rate_hz=card.rate_hz, size=size) as source:
        frames = list(islice(source, 6 * LIMIT))
    images = np.stack([frame.image for frame in frames])
    rows = [encoder.encode(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
    times_s = np.array([frame.time_s for frame in frames])
    return {origin: Features(np.concatenate(rows), times_s)}


def published_sample(card: ModelCard, data: Path) -> dict[str, Features]:
    """Return the published features of a data set's first validation recording of the task."""
    data_set = DataSet(data)
    recording = recordings_of(data_set, "validation", card.task)[0]
    features = published_features(data_set, recording)
    return {f"{data_set.index.name}, {recording.id}": features}


def views(model: TemporalModel, features: Features, limit: int = LIMIT) -> Feeds:
    """Return what `model` is asked for the first chunks of a stream, as one batch of them."""
    chunks = list(islice(_chunks(model, features), limit))
    columns = zip(*chunks, strict=True)
    names = ("features", "present", "hidden", "cell")
    return {name: np.concatenate(arrays) for name, arrays in zip(names, columns, strict=True)}


def _chunks(model: TemporalModel, features: Features) -> Iterator[tuple[np.ndarray, ...]]:
    card, state = model.card, model.start()
    window = RollingWindow(card.chunk_shape(), feature_dim=card.feature_dim, rate_hz=card.rate_hz)
    for chunk in _cut(window, features):
        yield chunk.view[None], chunk.present[None], *state
        _, state = model.decide(chunk.view, chunk.present, state)


def _cut(window: RollingWindow, features: Features) -> Iterator[Chunk]:
    for feature, time_s in zip(features.features, features.times_s.tolist(), strict=True):
        yield from window.push(feature, time_s)
    yield from window.close()
