"""From the start of a process to its first decided step, the loading of the model apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

from edge.bench.measurement import Goal, Measurement
from edge.bench.park import module_path
from industryasm.fault import UserFault

LIMIT_S = 5.0
TIMEOUT_S = 120.0


def cold_start(clip: Path, task_id: str, num_rounds: int) -> Measurement:
    """Start `edge.bench.first_step` on `clip`, again and again; Linux's file cache stays warm."""
    runs = [_start(clip, task_id) for _ in range(num_rounds)]
    loads = ", ".join(f"{load_s:.2f}" for _, load_s in runs)
    return Measurement(
        "cold_start_over_5_s",
        "process start to first decided step, without model load / 5 s",
        "s",
        tuple(total_s - load_s for total_s, load_s in runs),
        (LIMIT_S,) * num_rounds,
        Goal("at most", 1.0),
        f"loading the model took {loads} s besides",
    )


def _start(clip: Path, task_id: str) -> tuple[float, float]:
    """Return seconds from the process's start to its first step, and those of loading the model."""
    began_s = monotonic()  # one clock for all processes of a machine
    done = subprocess.run(
        [sys.executable, "-m", "edge.bench.first_step", str(clip), task_id],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=os.environ | {"PYTHONPATH": module_path()},
    )
    if done.returncode:
        raise UserFault(f"a station did not start: {done.stderr.strip()[-300:]}")
    at_s: dict[str, float] = json.loads(done.stdout)
    return at_s["decided"] - began_s, at_s["loaded"] - at_s["imported"]
