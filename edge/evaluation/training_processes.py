"""Trainings side by side in processes of their own, which end with the one that started them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from industryasm.fault import UserFault

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


class TrainingProcessError(UserFault):
    """A process of a training ended before its training did."""


def side_by_side(
    run: Callable[[JobT], ResultT], jobs: Sequence[JobT], *, processes: int
) -> Iterator[tuple[JobT, ResultT]]:
    """Yield each job with its result, in order; what `run` raises is raised here.

    Raises `TrainingProcessError` when a process is killed.
    """
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            yield from zip(jobs, pool.map(run, jobs), strict=True)
        except BrokenProcessPool as error:
            raise TrainingProcessError(
                "a training's process was killed, perhaps for want of memory; call again with "
                "fewer --processes to go on"
            ) from error


def _end_with_parent() -> None:
    """Do not outlive a parent that is killed: an idle process of a pool waits for work for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()
