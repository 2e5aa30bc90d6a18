"""The log of a training: one JSON object a checkpoint, in `log.jsonl`."""

from __future__ import annotations

import json
import logging
import os
import resource
import time
from pathlib import Path

import torch

from models.training.checkpoint import TrainingError
from models.training.distributed import writes
from models.whole_files import put_in_place

logger = logging.getLogger(__name__)


class TrainingLog:
    """Counts between checkpoints, and writes a line at each.

    `step` says where the training stands: lines of later steps, which will be done again, and a
    last line that was cut off are removed. Raises `TrainingError` for any other spoiled line.
    """

    def __init__(self, path: Path, *, step: int, device: torch.device) -> None:
        self.path = path
        self.device = device
        if writes() and path.exists():
            _repair(path, step)
        self._begin()

    def add(self, losses: list[float], learning_rate: float) -> None:
        """Count one step: the losses of its draws, those of all processes."""
        self.losses += losses
        self.learning_rate = learning_rate

    def line(self, step: int, score: float | None) -> None:
        """Write what was since the last line; on the disk when this returns."""
        values = {
            "step": step,
            "loss": round(sum(self.losses) / len(self.losses), 6),
            "learning_rate": self.learning_rate,
            "validation": score,
            "draws_per_s": round(len(self.losses) / (time.monotonic() - self.since), 3),
            "memory_mb": _memory_mb(self.device),
            "device": self.device.type,
        }
        if writes():
            logger.info("%s: %s", self.path.parent.name, json.dumps(values))
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
                file.flush()
                os.fsync(file.fileno())
        self._begin()

    def _begin(self) -> None:
        self.losses: list[float] = []
        self.learning_rate = 0.0
        self.since = time.monotonic()


def _repair(path: Path, step: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for number, line in enumerate(lines, 1) if _stays(path, number, lines, step)]
    if len(kept) == len(lines):
        return
    logger.warning("%s: %d lines behind step %d removed", path, len(lines) - len(kept), step)
    part = path.with_suffix(".part")
    part.write_bytes(b"".join(kept))
    put_in_place(part, path)


def _stays(path: Path, number: int, lines: list[bytes], step: int) -> bool:
    line = lines[number - 1]
    if not line.endswith(b"\n"):
        return False  # the last one, cut off by a kill
    try:
        return int(json.loads(line)["step"]) <= step
    except (KeyError, TypeError, ValueError) as error:
        if number == len(lines):
            return False  # a power cut may leave anything of the last line
        raise TrainingError(
            f"{path}, line {number}: {line[:60]!r} is no line of a training's log; remove the line"
        ) from error


def _memory_mb(device: torch.device) -> int:
    """Return the most memory that was in use so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
