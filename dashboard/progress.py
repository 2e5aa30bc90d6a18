"""How far a unit is: each step of its task in order, with what happened to it in this cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dashboard.status import SeenCycle, SeenDeviation, StationDetail, Step

Mark = Literal["done", "current", "left", "missing", "unsure", "to_do", "not_seen"]
"""`missing`: said to be missed, or something else to be in its place. `left`: said to be started
and left. `unsure`: may have been done out of sight. `not_seen`: the cycle is over, the step was
neither seen nor said to be missed (an optional step, say)."""


@dataclass(frozen=True)
class StepProgress:
    """A step of the shown cycle, its position from 1, and the deviations that stand against it."""

    position: int
    step: Step
    mark: Mark
    deviations: tuple[SeenDeviation, ...]


def step_progress(detail: StationDetail) -> tuple[StepProgress, ...]:
    """Return the steps of the newest cycle of the station, in the order of the task."""
    cycle = detail.cycles[0] if detail.cycles else None
    current = detail.status.current_step
    return tuple(
        _progress(position, step, cycle, current)
        for position, step in enumerate(detail.status.steps, start=1)
    )


def foreign_work(detail: StationDetail) -> tuple[SeenDeviation, ...]:
    """Return the deviations of the newest cycle that belong to none of the task's steps."""
    if not detail.cycles:
        return ()
    steps = {step.id for step in detail.status.steps}
    return tuple(d for d in detail.cycles[0].deviations if d.counts and d.step not in steps)


def _progress(
    position: int, step: Step, cycle: SeenCycle | None, current: str | None
) -> StepProgress:
    if cycle is None:
        return StepProgress(position, step, "to_do", ())
    against = tuple(d for d in cycle.deviations if d.counts and d.step == step.id)
    return StepProgress(position, step, _mark(step, cycle, current, against), against)


def _mark(
    step: Step, cycle: SeenCycle, current: str | None, against: tuple[SeenDeviation, ...]
) -> Mark:
    if cycle.running and step.id == current:
        return "current"
    kinds = {deviation.kind for deviation in against}
    if "missed" in kinds:
        return "missing"
    if any(segment.step == step.id for segment in cycle.segments):
        return "left" if "incomplete" in kinds else "done"
    if "wrong_part" in kinds:
        return "missing"
    if "unsure" in kinds:
        return "unsure"
    return "to_do" if cycle.running else "not_seen"
