"""What a worker does in one recording: cycles of actions, with departures planted on purpose."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from industryasm.deviation import KnownKind
from industryasm.fault import UserFault
from industryasm.stations.bench import fetched_parts
from industryasm.stations.operators import Operator
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Step, Task

T = TypeVar("T")

PLANTABLE: tuple[KnownKind, ...] = (
    "missed",
    "out_of_order",
    "repeated",
    "unexpected",
    "too_long",
    "wrong_part",
    "incomplete",
    "rework",
)


@dataclass(frozen=True)
class Action:
    """One stretch of behaviour, labelled as an annotator would.

    `step` is what the hands do (None: nothing of the task). `wrong_part` is what is taken instead
    of the step's own part; `undoes` takes the step's part off again, and is labelled unexpected.
    """

    label: str
    step: Step | None
    duration_s: float
    deviation: KnownKind | None = None
    wrong_part: str | None = None
    undoes: bool = False

    @property
    def builds(self) -> bool:
        """Whether the step is brought to its end."""
        return self.step is not None and self.deviation != "incomplete" and not self.undoes


@dataclass(frozen=True)
class CycleScript:
    """The actions of one unit, and the departures that no single action shows."""

    actions: tuple[Action, ...]
    missed: tuple[str, ...] = ()


def write_script(
    task: Task,
    operator: Operator,
    planted: Sequence[KnownKind | None],
    *,
    rng: np.random.Generator,
) -> list[CycleScript]:
    """Write one cycle for each entry of `planted`, with that departure in it (None: a good one).

    The order is one that the procedure allows and the worker is used to; optional steps and
    variants are done three times out of four.
    """
    return [_Author(task, operator, rng).write(kind) for kind in planted]


class _Author:
    def __init__(self, task: Task, operator: Operator, rng: np.random.Generator) -> None:
        self._task, self._operator, self._rng = task, operator, rng
        self._procedure = task.procedure()
        self._steps = {step.id: step for step in task.steps}

    def write(self, kind: KnownKind | None) -> CycleScript:
        order = self._draw_order()
        missed: tuple[str, ...] = ()
        if kind == "missed":
            required = self._procedure.required(order)
            gone = order[self._choose(kind, [i for i, s in _inner(order) if s in required])]
            order.remove(gone)
            missed = (gone,)
        actions = [self._do(step) for step in order]
        match kind:
            case "out_of_order":
                self._swap(actions)
            case "repeated":
                self._repeat(actions)
            case "unexpected":
                duration_s = float(self._rng.uniform(4.0, 6.0)) * self._operator.pace
                unexpected = Action(UNEXPECTED, None, duration_s, "unexpected")
                actions.insert(int(self._rng.integers(1, len(actions))), unexpected)
            case "too_long":
                at = self._choose(kind, [i for i, _ in _inner(actions)])
                duration_s = self._of(actions[at]).limit_s * float(self._rng.uniform(1.3, 1.6))
                actions[at] = replace(actions[at], duration_s=duration_s, deviation="too_long")
            case "wrong_part":
                self._take_wrong_part(actions)
            case "incomplete":
                at = self._choose(kind, [i for i, _ in _inner(actions)])
                duration_s = max(0.55 * actions[at].duration_s, 1.5)
                actions[at] = replace(actions[at], duration_s=duration_s, deviation="incomplete")
            case "rework":
                self._redo(actions)
        return CycleScript(tuple(self._with_pauses(actions)), missed)

    def _draw_order(self) -> list[str]:
        # The order the worker is used to: that of the file, shuffled a little, the same every time.
        habit = np.random.default_rng([self._operator.habit, zlib.crc32(self._task.id.encode())])
        rank = {s.id: i + float(habit.normal(0, 1.5)) for i, s in enumerate(self._task.steps)}
        skipped = self._draw_skipped()
        left = [step.id for step in self._task.steps if step.id not in skipped]
        order: list[str] = []
        while left:
            ready = [s for s in left if not self._procedure.predecessors(s) & set(left)]
            varies = self._rng.random() < self._operator.variety
            pick = str(self._rng.choice(ready)) if varies else min(ready, key=rank.__getitem__)
            order.append(pick)
            left.remove(pick)
        return order

    def _draw_skipped(self) -> set[str]:
        skipped = {s.id for s in self._task.steps if s.optional and self._rng.random() < 0.25}
        for variant in self._procedure.optional_groups:
            if self._rng.random() < 0.25:
                skipped |= variant
        return skipped

    def _do(self, name: str) -> Action:
        step = self._steps[name]
        duration_s = step.expected_s * self._operator.pace * float(self._rng.uniform(0.8, 1.25))
        return Action(step.id, step, min(duration_s, 0.75 * step.limit_s))

    def _of(self, action: Action) -> Step:
        return self._steps[action.label]

    def _swap(self, actions: list[Action]) -> None:
        # The last step ends the cycle, the first opens it: swaps stay between them. Neighbours
        # are swapped; where none are ordered, the nearest two that are.
        pairs = [
            (late, early)
            for early, action in _inner(actions)
            for late in range(1, early)
            if actions[late].label in self._procedure.predecessors(action.label)
        ]
        nearest = min((early - late for late, early in pairs), default=0)
        at = self._choose("out_of_order", [i for i, (a, b) in enumerate(pairs) if b - a == nearest])
        late, early = pairs[at]
        actions.insert(late, replace(actions.pop(early), deviation="out_of_order"))

    def _repeat(self, actions: list[Action]) -> None:
        once = [i for i, a in _inner(actions)[:-1] if not self._of(a).repeatable]
        at = self._choose("repeated", once)
        later = int(self._rng.integers(at + 2, len(actions)))
        actions.insert(later, replace(self._do(actions[at].label), deviation="repeated"))

    def _take_wrong_part(self, actions: list[Action]) -> None:
        fetching = [i for i, a in _inner(actions) if fetched_parts(self._task, self._of(a))]
        at = self._choose("wrong_part", fetching if len(self._task.parts) > 2 else [])
        own = set(self._of(actions[at]).parts)
        others = [part.id for part in self._task.parts[1:] if part.id not in own]
        wrong = str(self._rng.choice(others or [self._task.parts[0].id]))
        actions[at] = replace(actions[at], deviation="wrong_part", wrong_part=wrong)

    def _redo(self, actions: list[Action]) -> None:
        at = self._choose("rework", [i for i, _ in _inner(actions)])
        step, pace = self._of(actions[at]), self._operator.pace
        undo = Action(UNEXPECTED, step, float(self._rng.uniform(2.5, 4.0)) * pace, undoes=True)
        again = replace(self._do(step.id), deviation="rework")
        actions[at + 1 : at + 1] = [undo, again]

    def _choose(self, kind: KnownKind, options: Sequence[int]) -> int:
        if not options:
            raise UserFault(f"task {self._task.id!r} has no step for the departure {kind!r}")
        return int(self._rng.choice(options))

    def _with_pauses(self, actions: list[Action]) -> list[Action]:
        out: list[Action] = []
        for action in actions:
            restless = self._rng.random() < self._operator.restless
            pause_s = self._rng.uniform(1.0, 4.0) if restless else self._rng.uniform(0.2, 1.0)
            out += [Action(BACKGROUND, None, float(pause_s)), action]
        out.append(Action(BACKGROUND, None, float(self._rng.uniform(2.0, 4.0))))
        return out


def _inner(order: Sequence[T]) -> list[tuple[int, T]]:
    return list(enumerate(order))[1:-1]
