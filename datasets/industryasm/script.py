"""What a worker does in one recording: cycles of actions, with departures planted on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from industryasm.deviation import DeviationKind
from industryasm.procedure import Procedure
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Step, Task


@dataclass(frozen=True)
class Action:
    """One stretch of behaviour; `step` is None for background and for unexpected work."""

    label: str
    step: Step | None
    duration_s: float
    deviation: DeviationKind | None = None


@dataclass(frozen=True)
class CycleScript:
    """The actions of one unit, and the departures that no single action shows."""

    actions: tuple[Action, ...]
    missed: tuple[str, ...] = ()


def write_script(
    task: Task, planted: Sequence[DeviationKind | None], *, pace: float, rng: np.random.Generator
) -> list[CycleScript]:
    """Write one cycle for each entry of `planted`, with that departure in it (None: a good one).

    `pace` multiplies every duration (1 is the expected time). The order is drawn from those that
    the procedure allows, and optional steps are done three times out of four.
    """
    return [_write_cycle(task, kind, pace, rng) for kind in planted]


def _write_cycle(
    task: Task, kind: DeviationKind | None, pace: float, rng: np.random.Generator
) -> CycleScript:
    procedure = task.procedure()
    skipped = {s.id for s in task.steps if s.optional and rng.random() < 0.25}
    order = _draw_order(procedure, skipped, rng)
    missed: tuple[str, ...] = ()
    if kind == "missed":
        gone = rng.choice([s for s in order[1:-1] if not procedure.step(s).optional])
        order.remove(str(gone))
        missed = (str(gone),)
    actions = [_do_step(task, name, pace, rng) for name in order]
    if kind == "out_of_order":
        _swap(actions, procedure, rng)
    elif kind == "repeated":
        _repeat(actions, task, pace, rng)
    elif kind == "unexpected":
        duration_s = float(rng.uniform(4.0, 6.0)) * pace
        unexpected = Action(UNEXPECTED, None, duration_s, "unexpected")
        actions.insert(int(rng.integers(1, len(actions))), unexpected)
    elif kind == "too_long":
        _linger(actions, rng)
    return CycleScript(tuple(_with_pauses(actions, rng)), missed)


def _draw_order(procedure: Procedure, skipped: set[str], rng: np.random.Generator) -> list[str]:
    # Workers have habits: mostly the order of the file, now and then another allowed one.
    open_steps = [step.id for step in procedure.steps if step.id not in skipped]
    order: list[str] = []
    while open_steps:
        ready = [s for s in open_steps if not procedure.predecessors(s) & set(open_steps)]
        pick = ready[0] if rng.random() < 0.6 else str(rng.choice(ready))
        order.append(pick)
        open_steps.remove(pick)
    return order


def _do_step(task: Task, name: str, pace: float, rng: np.random.Generator) -> Action:
    step = next(s for s in task.steps if s.id == name)
    duration_s = step.expected_s * pace * float(rng.uniform(0.85, 1.2))
    return Action(step.id, step, min(duration_s, 0.75 * step.limit_s))


def _swap(actions: list[Action], procedure: Procedure, rng: np.random.Generator) -> None:
    # The last step ends the cycle, the first opens it: swaps stay between them.
    pairs = [
        i
        for i in range(1, len(actions) - 2)
        if actions[i].label in procedure.predecessors(actions[i + 1].label)
    ]
    at = int(rng.choice(pairs))
    early, late = actions[at + 1], actions[at]
    actions[at] = Action(early.label, early.step, early.duration_s, "out_of_order")
    actions[at + 1] = late


def _repeat(actions: list[Action], task: Task, pace: float, rng: np.random.Generator) -> None:
    at = int(rng.integers(1, len(actions) - 2))
    again = _do_step(task, actions[at].label, pace, rng)
    later = int(rng.integers(at + 2, len(actions)))
    actions.insert(later, Action(again.label, again.step, again.duration_s, "repeated"))


def _linger(actions: list[Action], rng: np.random.Generator) -> None:
    at = int(rng.integers(1, len(actions) - 1))
    step = actions[at].step
    assert step is not None
    duration_s = step.limit_s * float(rng.uniform(1.3, 1.6))
    actions[at] = Action(step.id, step, duration_s, "too_long")


def _with_pauses(actions: list[Action], rng: np.random.Generator) -> list[Action]:
    out: list[Action] = []
    for action in actions:
        pause_s = float(rng.uniform(0.3, 1.0)) if rng.random() < 0.85 else float(rng.uniform(1, 3))
        out += [Action(BACKGROUND, None, pause_s), action]
    out.append(Action(BACKGROUND, None, float(rng.uniform(2.0, 4.0))))
    return out
