"""Features of recordings: of their videos, or those that were published instead of videos.

A model is trained on what the edge will see: the same decoder, scaler, sampler and encoder. What
is computed is kept beside the videos. Published features are read as they are; no station can
make them, so a model that was trained on them is for evaluation alone.
"""

from __future__ import annotations

import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from edge.cameras.sources import open_source
from industryasm.recording import DataSet, Recording, RecordingError
from models.card import ENCODER, ModelError
from models.runtime import Encoder, load_encoder

logger = logging.getLogger(__name__)

RATE_HZ = 5.0
"""Pictures a second that a model looks at."""

BATCH = 16
RATE_TOLERANCE = 0.01  # of a rate: frames of 29.97 Hz are frames of 30 Hz


@dataclass(frozen=True, eq=False)
class Features:
    """Features float32 (T, D) of the frames at `times_s` (T,)."""

    features: np.ndarray
    times_s: np.ndarray

    @property
    def rate_hz(self) -> float | None:
        """Frames a second, from the median spacing; None where there are fewer than two."""
        if len(self.times_s) < 2:
            return None
        return round(1 / float(np.median(np.diff(self.times_s))), 6)


class NoPictures:
    """Stands where an image encoder would, for a model of published features."""

    height = width = feature_dim = 0
    runtime = "published features"

    def encode(self, images: np.ndarray) -> NoReturn:
        """Raise `ModelError`: a picture has no such features."""
        raise ModelError(
            f"pictures {images.shape}: the model was trained on published features, not on pictures"
        )


def published_features(data: DataSet, recording: Recording) -> Features:
    """Read the features that lie in the data set; raise `RecordingError` where they do not hold."""
    if recording.features is None:
        raise RecordingError(f"{data.folder}: recording {recording.id!r} has no features")
    path = data.folder / recording.features
    try:
        # NumPy leaves a file open that it opened itself and found to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            features, times_s = stored["features"], stored["times_s"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{path}: cannot be read as features: {error}") from error
    if features.ndim != 2 or times_s.shape != features.shape[:1] or not features.size:
        shapes = f"features {features.shape}, times_s {times_s.shape}"
        raise RecordingError(f"{path}: {shapes}: expected (T, D) and (T,)")
    if features.dtype.kind not in "fiu" or times_s.dtype.kind != "f":
        raise RecordingError(f"{path}: features {features.dtype}, times_s {times_s.dtype}")
    if not (np.isfinite(features).all() and np.isfinite(times_s).all()):
        raise RecordingError(f"{path}: holds numbers that are not finite")
    if times_s[0] < 0 or (np.diff(times_s) <= 0).any():
        raise RecordingError(f"{path}: times_s must ascend from 0 s or later")
    return Features(features.astype(np.float32), times_s)


def video_features(video: Path, encoder: Encoder, *, rate_hz: float) -> Features:
    """Encode the frames of `video` sampled at `rate_hz`; raise `SourceError` if unreadable."""
    rows: list[np.ndarray] = []
    images: list[np.ndarray] = []
    times: list[float] = []
    size = (encoder.width, encoder.height)
    with open_source(str(video), rate_hz=rate_hz, size=size) as frames:
        for frame in frames:
            images.append(frame.image)
            times.append(frame.time_s)
            if len(images) == BATCH:
                rows.append(encoder.encode(np.stack(images)))
                images.clear()
    if images:
        rows.append(encoder.encode(np.stack(images)))
    return Features(np.concatenate(rows), np.array(times))


def open_store(data: DataSet, published_rate_hz: float | None = None) -> FeatureStore:
    """Return the features that a model is trained on: of the pictures, or published at a rate."""
    if published_rate_hz is None:
        return store_of(data, ENCODER, RATE_HZ)
    return store_of(data, None, published_rate_hz)


def store_of(data: DataSet, encoder: str | None, rate_hz: float) -> FeatureStore:
    """Return the features that an image encoder makes, or those published where it is None."""
    if encoder is None:
        return FeatureStore(data, NoPictures(), name="published", rate_hz=rate_hz)
    return FeatureStore(data, load_encoder(encoder), name=encoder, rate_hz=rate_hz)


class FeatureStore:
    """The features of a data set's recordings.

    Published ones are read where a recording has them, and its model no image encoder or the
    recording no video. All others are computed once and kept in `DIR/features`.
    """

    def __init__(self, data: DataSet, encoder: Encoder, *, name: str, rate_hz: float) -> None:
        """Use `encoder`, whose features are kept under `name`; `NoPictures` for published ones."""
        self.data, self.encoder = data, encoder
        self.rate_hz = rate_hz
        self._folder = data.folder / "features" / f"{name}-{rate_hz:g}hz"

    def of(self, recording: Recording) -> Features:
        """Return the features of `recording`, from disk where they are newer than its video.

        Raises `RecordingError` where it has neither, or published ones of another rate.
        """
        if isinstance(self.encoder, NoPictures) or (recording.features and not recording.video):
            return self._published(recording)
        video = self.data.video(recording)
        path = self._folder / f"{recording.id}.npz"
        if path.is_file() and path.stat().st_mtime >= video.stat().st_mtime:
            try:
                with np.load(path, allow_pickle=False) as stored:
                    return Features(stored["features"], stored["times_s"])
            except (OSError, ValueError, KeyError, zipfile.BadZipFile):
                logger.warning("%s: cannot be read; its video is encoded again", path)
        computed = video_features(video, self.encoder, rate_hz=self.rate_hz)
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".partial.npz")
        np.savez(scratch, features=computed.features, times_s=computed.times_s)
        scratch.rename(path)
        logger.info("%s: %d frames encoded", recording.id, len(computed.times_s))
        return computed

    def _published(self, recording: Recording) -> Features:
        features = published_features(self.data, recording)
        rate_hz = features.rate_hz
        if rate_hz is not None and abs(rate_hz / self.rate_hz - 1) > RATE_TOLERANCE:
            raise RecordingError(
                f"{self.data.folder / str(recording.features)}: {rate_hz:g} features a second, "
                f"expected {self.rate_hz:g}"
            )
        return features
