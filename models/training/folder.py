"""The folder of one training: where it stands, its best weights, and nobody else's.

`state.safetensors` (weights and what the optimiser remembers), `best.safetensors` (the best weights
so far, their score in the header) and `log.jsonl`. Several processes of one training all read it;
the first writes.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.training.checkpoint import (
    Header,
    TrainingError,
    load_state,
    read_header,
    write_state,
    write_weights,
)
from models.training.distributed import wait, writes

LATER_KEYS = ("model", "data_sha256")
"""Of `about`: folders written before 2026-11-23 do not tell them, and can be gone on with."""


class TrainingFolder:
    """The folder `path` for the training that `run` describes (values of JSON).

    Raises `TrainingError` when it holds another training, or a file that cannot be read.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path = path
        self.run = json.dumps(run, sort_keys=True)
        self.state_path = path / "state.safetensors"
        self.best_path = path / "best.safetensors"
        self.log_path = path / "log.jsonl"
        self.best: Header | None = None
        self.step = 0
        self.look()

    def look(self) -> None:
        """Read how far the training is and how good its best weights are."""
        # What is best is said by the file itself: a kill may fall between the writing of the two.
        if self.best_path.exists():
            self.best = self._own(self.best_path)
        if self.state_path.exists():
            self.step = self._own(self.state_path).step

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; a kill lets it go.

        Raises `TrainingError` when another process holds it.
        """
        if not writes():
            yield
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise TrainingError(f"{self.path}: {error}; give another folder") from error
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def resume(self, weights: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> None:
        """Set weights and optimiser to where the training stands; leave them where it is new."""
        self.look()  # once more: this time nobody else can write
        if self.state_path.exists():
            load_state(self.state_path, weights, optimiser)

    def keep(
        self,
        step: int,
        weights: Mapping[str, nn.Parameter],
        optimiser: torch.optim.Optimizer,
        score: float | None,
    ) -> None:
        """Write where the training stands and, when they are better, its best weights."""
        header = Header(self.run, step, score)
        if header.better_than(self.best):
            write_weights(self.best_path, weights, header)
            self.best = header
        write_state(self.state_path, weights, optimiser, header)
        self.step = step
        wait()

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingError(
                f"{self.path}: another process is training here; wait for it, or give another "
                "folder"
            ) from error

    def _own(self, path: Path) -> Header:
        header = read_header(path)
        if header.run == self.run:
            return header
        try:
            there = json.loads(header.run)
        except ValueError as error:
            raise TrainingError(f"{path}: its settings are no JSON; remove it") from error
        here = _without_later_keys(json.loads(self.run), there)
        if there == here:
            return header
        found = list(_differences(there, here, "")) or ["settings differ"]
        raise TrainingError(
            f"{self.path}: holds another training: {'; '.join(found[:3])}"
            f"{f'; and {len(found) - 3} more' if len(found) > 3 else ''}. Give another folder, or "
            "remove it"
        )


def _without_later_keys(here: Any, there: Any) -> Any:
    """Return the run `here` without the later keys of `about` that the run `there` lacks."""
    told = there.get("about") if isinstance(there, dict) else None
    if not isinstance(told, dict):
        return here
    lacking = {key for key in LATER_KEYS if key not in told}
    about = {key: value for key, value in here["about"].items() if key not in lacking}
    return here | {"about": about}


def _differences(there: Any, here: Any, place: str) -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            inner = f"{place}.{key}" if place else key
            yield from _differences(there.get(key), here.get(key), inner)
    elif there != here:
        yield f"{place} was {_short(there)}, is {_short(here)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
