"""How a worker's hands move through an action: reach, grasp, carry, act, let go."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from industryasm.bench import (
    FIXTURE,
    FOREIGN_TOOL,
    TRAY,
    Operator,
    Point,
    foreign_bins,
    part_bins,
    tool_rests,
)
from industryasm.script import Action
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Task

FOREIGN = "foreign"
"""Name of a part or tool that is not in the task."""

Item = tuple[Literal["part", "tool"], str]
Movement = Literal[
    "go", "hold", "screw", "press", "route", "insert", "tap", "turn", "hover", "talk"
]


@dataclass(frozen=True)
class Pose:
    """What the picture of one moment needs: hands, what they hold, and the state of the product.

    `work` is the working hand, `other` the supporting one; positions are bench pixels.
    """

    work: Point
    other: Point
    twist: float
    grip: bool
    held: Item | None
    beam: bool
    placed: tuple[str, ...]
    product_at: Point
    product_angle: float


@dataclass(frozen=True)
class _Leg:
    """One stretch of an action: where both hands are at its end, and how they move meanwhile."""

    seconds: float
    work: Point
    other: Point
    movement: Movement = "go"
    held: Item | None = None
    carries_product: bool = False


class Worker:
    """A worker at a bench; remembers where the hands are and what has been built so far."""

    def __init__(self, task: Task, operator: Operator, rate_hz: float, rng: np.random.Generator):
        self._operator = operator
        self._rate_hz = rate_hz
        self._rng = rng
        self._bins = part_bins(task)
        self._rests = tool_rests(task)
        self._foreign_bins = foreign_bins(task)
        self._slots = {part.id: i for i, part in enumerate(task.parts)}
        self._fetched_by: dict[str, str] = {}
        for step in task.steps:
            for part in step.parts:
                self._fetched_by.setdefault(part, step.id)
        self._placed: list[str] = []
        side = -1 if operator.left_handed else 1
        self._home = operator.home if side > 0 else _mirror(operator.home)
        self._support = (FIXTURE[0] - 38 * side, FIXTURE[1] + 14)
        self._work, self._other = self._home, _mirror(self._home)

    def perform(self, action: Action, num_frames: int) -> Iterator[Pose]:
        """Yield the `num_frames` poses of an action, and build what it builds."""
        legs = self._legs(action, num_frames / self._rate_hz)
        ends = np.cumsum([leg.seconds for leg in legs])
        ends *= num_frames / (self._rate_hz * ends[-1])
        act_end = len(legs) - 1
        start_work, start_other, leg_index = self._work, self._other, 0
        for frame in range(num_frames):
            time_s = frame / self._rate_hz
            while time_s >= ends[leg_index] and leg_index < len(legs) - 1:
                start_work, start_other = legs[leg_index].work, legs[leg_index].other
                leg_index += 1
                if leg_index == act_end:
                    self._build(action)
            began = ends[leg_index - 1] if leg_index else 0.0
            share = (time_s - began) / max(ends[leg_index] - began, 1e-6)
            yield self._pose(legs[leg_index], start_work, start_other, share, time_s)
        self._build(action)
        self._work, self._other = legs[-1].work, legs[-1].other

    def clear(self) -> None:
        """Empty the fixture: the finished unit has gone to the tray."""
        self._placed.clear()

    def _build(self, action: Action) -> None:
        step = action.step
        if action.label == UNEXPECTED and FOREIGN not in self._placed:
            self._placed.append(FOREIGN)
        if step is None:
            return
        new = [part for part in step.parts if part not in self._placed]
        self._placed += new
        if step.primitive == "screw" and "screwed" not in self._placed:
            self._placed.append("screwed")

    def _legs(self, action: Action, duration_s: float) -> list[_Leg]:
        if action.label == BACKGROUND:
            return self._rest_legs(duration_s)
        if action.step is None:
            return self._foreign_legs(duration_s)
        step = action.step
        # The first step of the file that uses a part takes it from its bin, also when repeated.
        new_parts = [part for part in step.parts if self._fetched_by[part] == step.id]
        target = self._target(step.parts[0] if step.parts else None)
        support = self._support
        move_s = 0.75 * self._operator.pace
        legs: list[_Leg] = []
        if new_parts:
            item: Item = ("part", new_parts[0])
            source = self._near(self._bins[new_parts[0]], 4)
            legs += [_Leg(move_s, source, self._other), _Leg(0.25, source, self._other, "hold")]
            legs += [_Leg(move_s, target, support, held=item)]
            act_item: Item | None = item
        else:
            legs += [_Leg(0.8 * move_s, target, support)]
            act_item = None
        if step.tools:
            tool: Item = ("tool", step.tools[0])
            rest = self._near(self._rests[step.tools[0]], 3)
            if new_parts:
                legs += [_Leg(0.2, target, support, "hold")]
            else:
                legs.clear()
            legs += [
                _Leg(0.8 * move_s, rest, support),
                _Leg(0.8 * move_s, target, support, held=tool),
            ]
            act_item = tool
        used = sum(leg.seconds for leg in legs)
        retreat_s = 0.45 * move_s
        act_s = max(duration_s - used - retreat_s, 0.6)
        legs += self._act_legs(step.primitive, act_s, target, support, act_item)
        end = TRAY if step.primitive == "pack" else self._between(target, self._home)
        legs.append(_Leg(retreat_s, end, support, held=act_item if step.tools else None))
        return legs

    def _act_legs(
        self, primitive: str, act_s: float, target: Point, support: Point, item: Item | None
    ) -> list[_Leg]:
        left, right = (FIXTURE[0] - 34, FIXTURE[1] + 6), (FIXTURE[0] + 34, FIXTURE[1] + 6)
        match primitive:
            case "screw" | "press" | "route" | "insert":
                movement: Movement = primitive
                return [_Leg(act_s, target, support, movement, item)]
            case "scan":
                above = (FIXTURE[0] + 20, FIXTURE[1] - 22)
                return [_Leg(act_s, above, support, "hover", item)]
            case "inspect":
                ends = (left, right) if self._operator.left_handed else (right, left)
                return [_Leg(0.3, *ends), _Leg(act_s - 0.3, *ends, "turn")]
            case "connect":
                return [_Leg(act_s, target, (target[0] - 12, target[1] + 6), "tap", item)]
            case "pack":
                tray = (TRAY[0] + 22, TRAY[1])
                ends = (left, right) if self._operator.left_handed else (right, left)
                return [
                    _Leg(0.3 * act_s, *ends),
                    _Leg(0.7 * act_s, tray, TRAY, "go", None, carries_product=True),
                ]
            case _:
                return [_Leg(act_s, target, support, "hold", item)]

    def _foreign_legs(self, duration_s: float) -> list[_Leg]:
        support = self._support
        target = self._near(FIXTURE, 12)
        kind = int(self._rng.integers(0, 2)) if self._foreign_bins else 1
        if kind == 0:
            source = self._foreign_bins[int(self._rng.integers(0, len(self._foreign_bins)))]
            item: Item = ("part", FOREIGN)
            movement: Movement = "insert"
        else:
            source, item, movement = FOREIGN_TOOL, ("tool", FOREIGN), "tap"
        move_s = 0.75 * self._operator.pace
        act_s = max(duration_s - 2.6 * move_s, 0.8)
        return [
            _Leg(move_s, self._near(source, 3), self._other),
            _Leg(move_s, target, support, held=item),
            _Leg(act_s, target, support, movement, item),
            _Leg(0.6 * move_s, self._between(target, source), support, held=item),
        ]

    def _rest_legs(self, duration_s: float) -> list[_Leg]:
        home = self._near(self._home, 6)
        other = _mirror(self._near(self._home, 6))
        go_s = min(0.5, duration_s)
        movement: Movement = "talk" if duration_s > 1.5 and self._rng.random() < 0.4 else "hold"
        return [_Leg(go_s, home, other), _Leg(max(duration_s - go_s, 0.01), home, other, movement)]

    def _pose(
        self, leg: _Leg, start_work: Point, start_other: Point, share: float, time_s: float
    ) -> Pose:
        eased = share * share * share * (10 - 15 * share + 6 * share * share)  # minimum jerk
        work, other = _mix(start_work, leg.work, eased), _mix(start_other, leg.other, eased)
        twist, angle = 0.0, 0.0
        dx, dy = 0.0, 0.0
        match leg.movement:
            case "screw":
                corner = int(share * 4) % 4
                dx, dy = 22 * (1 if corner in (1, 2) else -1), 13 * (1 if corner > 1 else -1)
                twist = 9 * time_s
            case "press":
                dy = 8 * math.sin(4.2 * time_s) ** 2
            case "route":
                dx, dy = 30 * math.sin(3.1 * share), 10 * math.sin(9.4 * share)
            case "insert":
                dx = 7 * math.sin(6 * time_s) * (1 - 0.5 * share)
                twist = 0.3 * math.sin(6 * time_s)
            case "tap":
                dy = -9 * abs(math.sin(5.5 * time_s))
            case "turn":
                angle = 0.5 * math.sin(2.6 * time_s)
                dx, dy = 3 * math.sin(2.6 * time_s), 5 * math.cos(2.6 * time_s)
            case "hover":
                dx = 8 * math.sin(1.7 * time_s)
            case "talk":
                dx, dy = 14 * math.sin(3.3 * time_s), 9 * math.sin(4.7 * time_s)
        product_at = FIXTURE
        if leg.carries_product:
            lift = ((work[0] + other[0]) / 2, (work[1] + other[1]) / 2 - 6)
            product_at = _mix(FIXTURE, lift, min(1.0, eased * 3))
        shake = self._rng.normal(0, self._operator.tremor, 4)
        return Pose(
            work=(work[0] + dx + shake[0], work[1] + dy + shake[1]),
            other=(other[0] + shake[2], other[1] + shake[3]),
            twist=twist,
            grip=leg.held is not None or leg.movement not in ("go", "talk"),
            held=leg.held,
            beam=leg.movement == "hover",
            placed=tuple(self._placed),
            product_at=product_at,
            product_angle=angle,
        )

    def _target(self, part: str | None) -> Point:
        dx, dy = slot_offset(self._slots[part]) if part in self._slots else (0.0, 0.0)
        return self._near((FIXTURE[0] + dx, FIXTURE[1] + dy), 2)

    def _near(self, point: Point, spread: float) -> Point:
        dx, dy = self._rng.normal(0, spread, 2)
        return (point[0] + float(dx), point[1] + float(dy))

    def _between(self, a: Point, b: Point) -> Point:
        return _mix(a, b, float(self._rng.uniform(0.4, 0.7)))


def slot_offset(index: int) -> Point:
    """Return where the part with this index sits on the product; the first is its body."""
    if index == 0:
        return (0.0, 0.0)
    column, row = (index - 1) % 4, (index - 1) // 4
    return (-24.0 + 16 * column, -10.0 + 20 * row)


def _mix(a: Point, b: Point, share: float) -> Point:
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)


def _mirror(point: Point) -> Point:
    return (2 * FIXTURE[0] - point[0], point[1])
