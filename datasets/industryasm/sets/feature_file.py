"""Published features of one recording, written as a data set of ours holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_features(target: Path, recording_id: str, features: np.ndarray, rate_hz: float) -> str:
    """Write features (T, D) of frames at `rate_hz` from 0 s on; return the path inside `target`."""
    name = f"features/{recording_id}.npz"
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(len(features), dtype=np.float64) / rate_hz
    np.savez_compressed(path, features=features, times_s=times_s)
    return name
