"""A training small enough to be killed many times in a second; run as a program, it is.

`python -m tests.tiny_training FOLDER SEED` trains in FOLDER and kills that process with signal 9 at
moments drawn by SEED, until one lives to the end; it prints how many did not.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from models.training.distributed import device_of
from models.training.loop import LoopConfig, run_loop, seed_of

CONFIG = LoopConfig(steps=24, draws=2, learning_rate=1e-2, check_every=1, seed=3)


class Tiny(nn.Module):
    """Dropout, a part that every second draw passes over, and one that is never used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.enter = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.dropout = nn.Dropout(0.2)
        self.sometimes = nn.Linear(8, 8)
        self.never = nn.Linear(8, 8)
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.leave = nn.Linear(8, 1)

    def forward(self, rows: Tensor, *, deep: bool) -> Tensor:
        inner: Tensor = self.dropout(self.norm(self.enter(rows)).relu())
        if deep:
            inner = inner + self.sometimes(inner)
        out: Tensor = self.leave(self.frozen(inner))
        return out


def rows_of(draw: int) -> Tensor:
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(seed_of("rows", draw)))


def loss_of(module: nn.Module, draw: int) -> Tensor:
    rows = rows_of(draw).to(device_of(module))
    off: Tensor = module(rows, deep=draw % 4 < 2) - rows.square().sum(dim=1, keepdim=True)
    return off.square().mean()


def score_of(module: Tiny) -> Callable[[], float]:
    def score() -> float:
        rows = rows_of(-1).to(device_of(module))
        off = module(rows, deep=True) - rows.square().sum(dim=1, keepdim=True)
        return -float(off.square().mean())

    return score


def train(folder: Path, config: LoopConfig = CONFIG, *, validated: bool = True) -> Tiny:
    module = Tiny()
    score = score_of(module) if validated else None
    run_loop(module, loss_of, config, folder, about={"what": "tiny"}, validate=score)
    return module


def _killed(folder: Path, after_s: float) -> bool:
    child = os.fork()
    if child == 0:
        try:
            train(folder)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status > 0:
        sys.exit("the training failed")
    return status == -signal.SIGKILL


def main(folder: Path, seed: int) -> None:
    torch.optim.AdamW(Tiny().parameters())  # loads modules that every life would else load again
    moments = random.Random(seed)
    lives = 0
    # Longer and longer, so that one reaches the end on a busy machine as well.
    while _killed(folder, moments.uniform(0.5, 1) * 0.05 * 1.4**lives):
        lives += 1
    print(lives)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
