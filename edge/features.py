"""Features of recordings: of their videos, or those that were published instead of videos.

A model is trained on what the edge will see: the same decoder, scaler, sampler and encoder. What
is computed is kept beside the videos. Published features are read as they are; no station can
make them, so a model that was trained on them is for evaluation alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from edge.cameras.frame import SourceError
from edge.cameras.sources import open_source
from industryasm.recording import DataSet, Recording, RecordingError
from models.card import ENCODER, ModelError
from models.runtime import Encoder, OnnxEncoder, load_encoder
from models.runtimes.graph import one_line

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
    on_gpu = False

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
    features, times_s = _arrays(path, "features", "times_s")
    return _checked(features, times_s, path)


def _arrays(path: Path, *names: str) -> list[np.ndarray]:
    try:
        # NumPy leaves a file open that it opened itself and found to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return [stored[name] for name in names]
    except Exception as error:  # NumPy's, zipfile's and zlib's, by where the file is damaged
        raise RecordingError(f"{path}: cannot be read as features: {one_line(error)}") from error


def _checked(features: np.ndarray, times_s: np.ndarray, path: Path) -> Features:
    if features.ndim != 2 or times_s.shape != features.shape[:1] or not features.size:
        shapes = f"features {features.shape}, times_s {times_s.shape}"
        raise RecordingError(f"{path}: {shapes}: expected (T, D) and (T,)")
    if features.dtype.kind not in "fiu" or times_s.dtype.kind != "f":
        raise RecordingError(f"{path}: features {features.dtype}, times_s {times_s.dtype}")
    if not (np.isfinite(features).all() and np.isfinite(times_s).all()):
        raise RecordingError(f"{path}: holds numbers that are not finite")
    if times_s[0] < 0 or (np.diff(times_s) <= 0).any():
        raise RecordingError(f"{path}: times_s must ascend from 0 s or later")
    return Features(features.astype(np.float32, copy=False), times_s)


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
    recording no video. All others are computed once and kept in `DIR/features`, with a note of what
    they were made of: the video's size and date, and the encoder's SHA-256.
    """

    def __init__(
        self, data: DataSet, encoder: OnnxEncoder | NoPictures, *, name: str, rate_hz: float
    ) -> None:
        """Use `encoder`, whose features are kept under `name`; `NoPictures` for published ones."""
        self.data, self.encoder = data, encoder
        self.rate_hz = rate_hz
        self._folder = data.folder / "features" / f"{name}-{rate_hz:g}hz"

    def of(self, recording: Recording) -> Features:
        """Return the features of `recording`, from disk where they are of its video and encoder.

        Raises `RecordingError` where it has neither, or published ones of another rate;
        `SourceError` where its video cannot be read.
        """
        if isinstance(self.encoder, NoPictures) or (recording.features and not recording.video):
            return self._published(recording)
        video = self.data.video(recording)
        made_of = f"{_identity(video)}, encoder {self.encoder.sha256}"
        path = self._folder / f"{recording.id}.npz"
        if path.is_file() and (kept := self._kept(path, made_of)):
            return kept
        computed = video_features(video, self.encoder, rate_hz=self.rate_hz)
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".partial.npz")
        np.savez(
            scratch, features=computed.features, times_s=computed.times_s, made_of=np.array(made_of)
        )
        scratch.rename(path)
        logger.info("%s: %d frames encoded", recording.id, len(computed.times_s))
        return computed

    def _kept(self, path: Path, made_of: str) -> Features | None:
        """Return the features in `path`; None where they do not hold or are of something else."""
        try:
            of, features, times_s = _arrays(path, "made_of", "features", "times_s")
            kept = _checked(features, times_s, path)
        except RecordingError as error:
            logger.warning("%s; its video is encoded again", error)
            return None
        if str(of) != made_of or features.shape[1] != self.encoder.feature_dim:
            logger.info("%s: is of another video or encoder; the video is encoded", path)
            return None
        return kept

    def _published(self, recording: Recording) -> Features:
        features = published_features(self.data, recording)
        rate_hz = features.rate_hz
        if rate_hz is not None and abs(rate_hz / self.rate_hz - 1) > RATE_TOLERANCE:
            raise RecordingError(
                f"{self.data.folder / str(recording.features)}: {rate_hz:g} features a second, "
                f"expected {self.rate_hz:g}"
            )
        return features


def _identity(video: Path) -> str:
    """Return what differs, nearly always, where another video lies under the same name."""
    try:
        about = video.stat()
    except OSError as error:
        raise SourceError(f"{video}: cannot be read ({error.strerror}); check the path") from error
    return f"video of {about.st_size} bytes, modified at {about.st_mtime_ns} ns"
