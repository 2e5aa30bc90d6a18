"""The sample recording of a task: six units with one departure of each kind, rendered on demand.

Its worker and camera are in no rendered data set, so no model has seen them.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from industryasm.deviation import KnownKind
from industryasm.recording import DataSet, DataSetIndex, Recording, read_recording, write_index
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
    if not (folder / "dataset.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as scratch:
            fresh = Path(scratch) / "sample"
            render_recording(
                task,
                fresh,
                recording_id=name,
                operator="operator-sample",
                station="station-sample",
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
        if not (folder / "dataset.json").is_file():
            raise
