"""Two tasks of made-up recordings whose features show their steps, small enough for a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from industryasm.recording import AnnotatedSegment, Recording, SplitName, write_data_set
from industryasm.vocabulary import Step, Task

WIDTH, RATE_HZ = 6, 2.0
STEPS = {"toy-car": ("fit-axle", "fit-roof", "fit-wheel"), "toy-train": ("fit-boiler", "fit-cab")}
SPLITS: dict[SplitName, tuple[int, ...]] = {"train": (40, 60), "validation": (30,), "test": (50,)}


def task(name: str) -> Task:
    steps = tuple(
        Step(id=step, text=f"{step} now", primitive="other", expected_s=5, limit_s=20)
        for step in STEPS[name]
    )
    return Task(id=name, name=name, product=name, family="toys", parts=(), steps=steps)


def recording(folder: Path, of_task: str, split: str, num_frames: int) -> Recording:
    """The steps follow each other from 2 s on; each shows in a feature of its own."""
    name = f"{of_task}-{split}-{num_frames}"
    times_s = np.arange(num_frames) / RATE_HZ
    features = np.random.default_rng(num_frames).normal(0, 0.3, (num_frames, WIDTH))
    steps = STEPS[of_task]
    edges = np.linspace(2.0, num_frames / RATE_HZ - 1, len(steps) + 1).round().tolist()
    spans = list(zip(steps, edges[:-1], edges[1:], strict=True)) if num_frames > 1 else []
    for place, (_, start_s, end_s) in enumerate(spans):
        features[(times_s >= start_s) & (times_s < end_s), place] += 3
    (folder / "features").mkdir(exist_ok=True, parents=True)
    np.savez(folder / "features" / f"{name}.npz", features=features, times_s=times_s)
    return Recording(
        id=name,
        task=of_task,
        task_revision=1,
        features=f"features/{name}.npz",
        duration_s=num_frames / RATE_HZ,
        station="s",
        camera="c",
        operator="o",
        annotator="a",
        review="reviewed",
        cycles=(),
        segments=tuple(AnnotatedSegment(label=n, start_s=s, end_s=e) for n, s, e in spans),
        deviations=(),
    )


def write_toys(folder: Path, splits: dict[SplitName, tuple[int, ...]] = SPLITS) -> Path:
    recordings = {
        split: [recording(folder, name, split, number) for name in STEPS for number in numbers]
        for split, numbers in splits.items()
    }
    write_data_set(folder, name="toys", splits=recordings, tasks=map(task, STEPS))
    return folder


def spoil(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    path = folder / "features" / "toy-train-test-50.npz"
    with np.load(path, allow_pickle=False) as stored:
        features, times_s = stored["features"], stored["times_s"]
    np.savez(path, features=change(features), times_s=times_s)


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
