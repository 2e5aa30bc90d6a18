"""Measures what handling data costs: rendering, validating 5,000 annotations, loading vocabularies.

    python benchmarks/data_speed.py

Rendering is set against real time (one video of 47 s and more, drawn and encoded by one process);
validating against reading the same files and parsing their JSON; loading all 47 vocabularies
against reading the same files and parsing them with PyYAML's plain loader.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "datasets")]

import yaml  # noqa: E402

from industryasm.inspection.validation import validate_data_set  # noqa: E402
from industryasm.recording import read_recording, write_data_set  # noqa: E402
from industryasm.stations.rendering import named_looks, render_recording  # noqa: E402
from industryasm.vocabulary import TASKS_FOLDER, load_task, task_ids  # noqa: E402

NUM_ANNOTATIONS = 5000
ROUNDS = 3


def main() -> None:
    """Print each figure with its yardstick."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    print(f"{platform.machine()}, commit {commit.stdout.strip() or 'unknown'}")
    with TemporaryDirectory() as scratch:
        _rendering(Path(scratch) / "rendered")
        _validating(Path(scratch) / "rendered", Path(scratch) / "many")
    _loading()


def _rendering(folder: Path) -> None:
    def render(seed: int) -> float:
        return render_recording(
            load_task("gear-reducer"),
            folder,
            recording_id="one",
            **named_looks("operator", "station", seed),
            planted=[None] * 3,
            seed=seed,
        ).duration_s

    render(0)
    shares = []
    for seed in range(ROUNDS):
        start = time.process_time()
        shares.append(render(seed) / (time.process_time() - start))
    print(f"rendering: {max(shares):.1f} times real time on one core")


def _validating(source: Path, folder: Path) -> None:
    one = read_recording(source / "recordings" / "one.json")
    many = [
        one.model_copy(update={"id": f"r{i:05d}", "operator": f"o{i}", "station": f"s{i}"})
        for i in range(NUM_ANNOTATIONS)
    ]
    write_data_set(folder, name="many", splits={"train": many})
    files = sorted((folder / "recordings").iterdir())
    bare_s = _best(lambda: [json.loads(path.read_bytes()) for path in files])
    ours_s = _best(lambda: validate_data_set(folder, videos=False))
    print(
        f"validating {NUM_ANNOTATIONS} annotations: {ours_s:.1f} s, {ours_s / bare_s:.1f} times as "
        "long as parsing their JSON"
    )


def _loading() -> None:
    files = sorted(TASKS_FOLDER.glob("*.yaml"))
    bare_s = _best(lambda: [yaml.safe_load(path.read_bytes()) for path in files])
    ours_s = _best(lambda: [load_task(task_id) for task_id in task_ids()])
    print(
        f"loading {len(files)} vocabularies: {1000 * ours_s:.0f} ms, {ours_s / bare_s:.2f} of "
        "PyYAML's safe_load"
    )


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
