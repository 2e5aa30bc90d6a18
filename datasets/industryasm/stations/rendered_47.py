"""The fixed benchmark `rendered-47`: eight single-unit recordings of each of the 47 tasks.

Operators and stations are shared between tasks and never between splits. The plan depends on
nothing but this file; the files that come of it have a digest, kept beside this module.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from industryasm.deviation import KnownKind
from industryasm.recording import INDEX_FILE, DataSetIndex, Recording, SplitName, write_index
from industryasm.stations.rendering import draw_departure, named_looks, render_recording
from industryasm.stations.script import PLANTABLE
from industryasm.vocabulary import load_task, task_ids

NAME = "rendered-47"
SEED = 47
SPLITS: tuple[SplitName, ...] = ("train",) * 5 + ("validation",) + ("test",) * 2
POOLS: dict[SplitName, int] = {"train": 40, "validation": 8, "test": 12}
GOOD = 0.5
DIGEST_FILE = Path(__file__).with_name("rendered_47.sha256")


@dataclass(frozen=True)
class PlannedRecording:
    """One recording of the benchmark before it is rendered."""

    task: str
    recording_id: str
    split: SplitName
    operator: str
    station: str
    planted: KnownKind | None


def plan(tasks: Sequence[str] | None = None) -> list[PlannedRecording]:
    """Return the recordings of the benchmark, or those of some `tasks`, in the index's order."""
    planned: list[PlannedRecording] = []
    for task in tasks if tasks is not None else task_ids():
        rng = np.random.default_rng([SEED, *task.encode()])
        for index, split in enumerate(SPLITS):
            planned.append(
                PlannedRecording(
                    task=task,
                    recording_id=f"{task}-{index}",
                    split=split,
                    operator=f"{split}-operator-{rng.integers(POOLS[split])}",
                    station=f"{split}-station-{rng.integers(POOLS[split])}",
                    planted=draw_departure(rng, GOOD, PLANTABLE),
                )
            )
    return planned


def render_benchmark(
    folder: Path, *, tasks: Sequence[str] | None = None, workers: int | None = None
) -> Iterator[Recording]:
    """Render the benchmark, or some tasks of it, yielding each recording when it is written.

    The index is written last, so a folder with one is whole. One that was stopped goes on.
    """
    planned = plan(tasks)
    with ProcessPoolExecutor(workers or os.cpu_count()) as pool:
        yield from pool.map(_render, planned, [folder] * len(planned))
    splits: dict[SplitName, list[str]] = {"train": [], "validation": [], "test": []}
    for one in planned:
        splits[one.split].append(one.recording_id)
    ids = {name: tuple(names) for name, names in splits.items()}
    write_index(folder, DataSetIndex(name=NAME, splits=ids))


def digest(folder: Path) -> str:
    """Return the SHA-256 over the names and bytes of a data set's annotations and videos."""
    total = hashlib.sha256()
    files = [folder / INDEX_FILE, *folder.glob("recordings/*.json"), *folder.glob("videos/*")]
    for path in sorted(files):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return total.hexdigest()


def known_digest() -> str:
    """Return the digest of the benchmark as it was published with Linewatch."""
    return DIGEST_FILE.read_text(encoding="ascii").split()[0]


def _render(planned: PlannedRecording, folder: Path) -> Recording:
    return render_recording(
        load_task(planned.task),
        folder,
        recording_id=planned.recording_id,
        **named_looks(planned.operator, planned.station, SEED),
        planted=[planned.planted],
        seed=SEED,
        keep=True,
    )
