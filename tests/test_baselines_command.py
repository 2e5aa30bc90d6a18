"""`evaluate baselines`: how hard a data set is, from published features and without a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from industryasm.recording import AnnotatedSegment, Recording, SplitName, write_data_set
from industryasm.vocabulary import Step, Task
from linewatch import app

SECONDS = 40


def task(name: str) -> Task:
    steps = tuple(
        Step(id=step, text=step, primitive="other", expected_s=5, limit_s=20)
        for step in ("fit-axle", "fit-roof")
    )
    return Task(id=name, name=name, product=name, family="toys", parts=(), steps=steps)


def recording(folder: Path, name: str, of_task: str, *, telling: bool) -> Recording:
    """The steps show in the features of a `telling` recording, and in the others do not."""
    times_s = np.arange(SECONDS) / 1.0
    features = np.random.default_rng(len(name)).normal(0, 0.1, (SECONDS, 4))
    if telling:
        features[5:20, 0] += 3
        features[20:35, 1] += 3
    (folder / "features").mkdir(exist_ok=True)
    np.savez(folder / "features" / f"{name}.npz", features=features, times_s=times_s)
    return Recording(
        id=name,
        task=of_task,
        task_revision=1,
        features=f"features/{name}.npz",
        duration_s=SECONDS,
        station="s",
        camera="c",
        operator=name,
        annotator="a",
        review="reviewed",
        cycles=(),
        segments=(
            AnnotatedSegment(label="fit-axle", start_s=5, end_s=20),
            AnnotatedSegment(label="fit-roof", start_s=20, end_s=35),
        ),
        deviations=(),
    )


def write(folder: Path, splits: tuple[SplitName, ...]) -> None:
    tasks = {"easy": True, "hard": False}
    recordings = {
        split: [
            recording(folder, f"{name}-{split}-{i}", name, telling=telling)
            for name, telling in tasks.items()
            for i in range(2)
        ]
        for split in splits
    }
    write_data_set(folder, name="toys", splits=recordings, tasks=map(task, tasks))


def test_what_single_frames_tell_is_scored_by_task_and_together(tmp_path: Path) -> None:
    write(tmp_path, ("train", "test"))
    result = CliRunner().invoke(app, ["evaluate", "baselines", "--data", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert set(scores) == {"easy", "hard", "all"}
    assert scores["easy"]["linear probe"]["accuracy"] > 95
    assert scores["hard"]["linear probe"]["accuracy"] < 60
    frames = {name: of_task["linear probe"]["num_frames"] for name, of_task in scores.items()}
    assert frames["all"] == frames["easy"] + frames["hard"] == 4 * SECONDS
    mean = np.mean([scores[name]["linear probe"]["accuracy"] for name in ("easy", "hard")])
    assert abs(scores["all"]["linear probe"]["accuracy"] - mean) < 1e-6
    assert "linear probe, mean of +-1 frames" in scores["all"]


def test_a_set_that_is_all_for_training_cannot_be_judged(tmp_path: Path) -> None:
    write(tmp_path, ("train",))
    result = CliRunner().invoke(app, ["evaluate", "baselines", "--data", str(tmp_path)])
    assert result.exit_code != 0
    assert "no task has recordings in both splits" in str(result.exception)
