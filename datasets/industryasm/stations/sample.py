"""The sample recording of a task: six units with one departure of each kind, rendered on demand.

Its station was set up with care: a camera straight above that does not shake, even light, a worker
who keeps the expected pace. No rendered data set holds this worker or this camera, so no model has
seen them; but the stations of those sets are harder, so the sample is no measure of a model.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from industryasm.deviation import KnownKind
from industryasm.recording import (
    INDEX_FILE,
    DataSet,
    DataSetIndex,
    Recording,
    read_recording,
    write_index,
)
from industryasm.stations.operators import Operator
from industryasm.stations.optics import Camera
from industryasm.stations.rendering import render_recording
from industryasm.vocabulary import Task

SEED = 2026
PLANTED: tuple[KnownKind | None, ...] = (
    "out_of_order",
    None,
    "missed",
    "unexpected",
    "repeated",
    "too_long",
)

OPERATOR = Operator(
    name="operator-sample",
    pace=1.0,
    left_handed=False,
    two_handed=False,
    skin=(196, 152, 126),
    sleeve=(58, 84, 140),
    sleeve_share=0.75,
    glove=None,
    hand_size=1.0,
    home=(196.0, 205.0),
    tremor=0.6,
    habit=7,
    variety=0.2,
    restless=0.1,
)
CAMERA = Camera(
    name="camera-sample",
    homography=np.eye(3),
    distortion=0.03,
    gain=1.0,
    offset=2.0,
    gamma=0.95,
    tint=(0, 0, 0),
    light=(0.05, -0.05),
    drift=0.02,
    flicker=0.01,
    noise=4.0,
    blur=False,
    shake=0.0,
    crf=28,
    bench=(138, 140, 144),
)


def sample_folder(task: Task) -> Path:
    """Return the folder in the user's cache in which the sample of `task` lies or will lie."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(task.model_dump_json().encode())
    for source in sources:
        digest.update(source.read_bytes())
    return cache / "linewatch" / "samples" / f"{task.id}-{digest.hexdigest()[:12]}"


def sample_recording(task: Task) -> tuple[Recording, Path]:
    """Return the sample of `task` and its video, rendered first if need be (about 15 seconds)."""
    folder = sample_folder(task)
    name = f"sample-{task.id}"
    if not (folder / INDEX_FILE).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as scratch:
            fresh = Path(scratch) / "sample"
            render_recording(
                task,
                fresh,
                recording_id=name,
                operator=OPERATOR,
                station="station-sample",
                camera=CAMERA,
                planted=PLANTED,
                seed=SEED,
            )
            write_index(fresh, DataSetIndex(name=name, splits={"test": (name,)}))
            _publish(fresh, folder)
    recording = read_recording(folder / "recordings" / f"{name}.json")
    return recording, DataSet(folder).video(recording)


def _publish(fresh: Path, folder: Path) -> None:
    try:
        fresh.rename(folder)  # atomic: two that render at once leave one whole sample
    except OSError:
        if not (folder / INDEX_FILE).is_file():
            raise
