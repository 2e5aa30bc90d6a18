"""Features of recorded videos, computed the way a station computes them and kept beside the videos.

A model is trained on what the edge will see: the same decoder, scaler, sampler and encoder.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.sources import open_source
from industryasm.recording import DataSet, Recording
from models.runtime import Encoder

logger = logging.getLogger(__name__)

BATCH = 16


@dataclass(frozen=True, eq=False)
class Features:
    """Features float32 (T, D) of the frames at `times_s` (T,)."""

    features: np.ndarray
    times_s: np.ndarray


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


class FeatureStore:
    """The features of a data set's recordings; computed once, kept in `DIR/features`."""

    def __init__(self, data: DataSet, encoder: Encoder, *, name: str, rate_hz: float) -> None:
        self.data, self.encoder = data, encoder
        self._rate_hz = rate_hz
        self._folder = data.folder / "features" / f"{name}-{rate_hz:g}hz"

    def of(self, recording: Recording) -> Features:
        """Return the features of `recording`, from disk where they are newer than its video."""
        video = self.data.video(recording)
        path = self._folder / f"{recording.id}.npz"
        if path.is_file() and path.stat().st_mtime >= video.stat().st_mtime:
            with np.load(path, allow_pickle=False) as stored:
                return Features(stored["features"], stored["times_s"])
        computed = video_features(video, self.encoder, rate_hz=self._rate_hz)
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".partial.npz")
        np.savez(scratch, features=computed.features, times_s=computed.times_s)
        scratch.rename(path)
        logger.info("%s: %d frames encoded", recording.id, len(computed.times_s))
        return computed
