"""How a worker's hands move through an action: reach, grasp, carry, act, let go."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from industryasm.stations.bench import (
    FIXTURE,
    FOREIGN_TOOL,
    TRAY,
    Point,
    fetched_parts,
    foreign_bins,
    part_bins,
    step_targets,
    tool_rests,
)
from industryasm.stations.operators import Operator
from industryasm.stations.script import Action
from industryasm.vocabulary import BACKGROUND, Step, Task

FOREIGN = "foreign"
"""Name of a part or tool that is not in the task."""
SCREWED = "screwed"
"""Name of the screw heads that a driven screw leaves on the product."""

Side = Literal["left", "right"]
Item = tuple[Literal["part", "tool"], str]
Movement = Literal[
    "go", "hold", "screw", "press", "route", "insert", "tap", "turn", "hover", "talk"
]


@dataclass(frozen=True)
class Placed:
    """Something on the product: at the place of part `slot`, looking like part `look`."""

    slot: str
    look: str


@dataclass(frozen=True)
class Hand:
    """One hand in bench pixels; `curl` of its fingers from 0 (open) to 1 (grasping)."""

    at: Point
    curl: float
    held: Item | None = None


@dataclass(frozen=True)
class Pose:
    """What the picture of one moment needs: hands, what they hold, and the state of the product."""

    left: Hand
    right: Hand
    main: Side
    twist: float
    beam: bool
    placed: tuple[Placed, ...]
    product_at: Point
    product_angle: float


@dataclass(frozen=True)
class _Leg:
    """One stretch of an action: where both hands are at its end, and how they move meanwhile."""

    seconds: float
    main: Point
    support: Point
    movement: Movement = "go"
    held: Item | None = None
    carries_product: bool = False


class Worker:
    """A worker at a bench; remembers where the hands are and what has been built so far."""

    def __init__(self, task: Task, operator: Operator, rate_hz: float, rng: np.random.Generator):
        self._operator, self._rate_hz, self._rng = operator, rate_hz, rng
        self._bins, self._rests = part_bins(task), tool_rests(task)
        self._foreign_bins = foreign_bins(task)
        self._targets = step_targets(task)
        self._fetched = {step.id: fetched_parts(task, step) for step in task.steps}
        self._num_corners = {step.id: 2 + i % 3 for i, step in enumerate(task.steps)}
        self._placed: list[Placed] = []
        self._usual: Side = "left" if operator.left_handed else "right"
        home = operator.home
        self._home: dict[Side, Point] = {"right": home, "left": _mirror(home)}
        self._at: dict[Side, Point] = dict(self._home)

    def perform(self, action: Action, num_frames: int) -> Iterator[Pose]:
        """Yield the `num_frames` poses of an action, and build what it builds."""
        side = self._side(action)
        legs = self._legs(action, side, num_frames / self._rate_hz)
        ends = np.cumsum([leg.seconds for leg in legs])
        ends *= num_frames / (self._rate_hz * ends[-1])
        start, index = (self._at[side], self._at[opposite(side)]), 0
        for frame in range(num_frames):
            time_s = frame / self._rate_hz
            while time_s >= ends[index] and index < len(legs) - 1:
                start, index = (legs[index].main, legs[index].support), index + 1
                if index == len(legs) - 1:
                    self._build(action)
            began = ends[index - 1] if index else 0.0
            share = (time_s - began) / max(ends[index] - began, 1e-6)
            yield self._pose(side, legs[index], start, share, time_s)
        if len(legs) == 1:
            self._build(action)
        self._at = {side: legs[-1].main, opposite(side): legs[-1].support}

    def clear(self) -> None:
        """Empty the fixture: the finished unit has gone to the tray."""
        self._placed.clear()

    def _side(self, action: Action) -> Side:
        # Some take what lies on the other hand's side with that hand.
        fetched = self._fetched[action.step.id] if action.step is not None else ()
        if self._operator.two_handed and fetched:
            return "left" if self._bins[fetched[0]][0] < FIXTURE[0] else "right"
        return self._usual

    def _build(self, action: Action) -> None:
        step = action.step
        if step is None:
            if action.deviation == "unexpected":
                self._placed.append(Placed(FOREIGN, FOREIGN))
            return
        if action.undoes:
            self._placed = [p for p in self._placed if p.slot not in self._fetched[step.id]]
        elif action.builds:
            new = [Placed(part, action.wrong_part or part) for part in self._fetched[step.id]]
            if step.primitive == "screw":
                new.append(Placed(SCREWED, step.id))
            self._placed += [placed for placed in new if placed not in self._placed]

    def _legs(self, action: Action, side: Side, duration_s: float) -> list[_Leg]:
        if action.label == BACKGROUND:
            return self._rest_legs(side, duration_s)
        if action.step is None:
            return self._foreign_legs(side, duration_s)
        if action.undoes:
            return self._undo_legs(action.step, side, duration_s)
        step, support = action.step, self._support(side)
        target = self._near(self._targets[step.id], 2)
        legs, item = self._fetch_legs(action, side, target)
        retreat_s = 0.35 * self._operator.pace
        act_s = max(duration_s - sum(leg.seconds for leg in legs) - retreat_s, 0.6)
        act = self._act_legs(step, act_s, target, support, item)
        legs += act[:1] if action.deviation == "incomplete" else act
        end = TRAY if step.primitive == "pack" else self._between(target, self._home[side])
        keeps = item if step.tools or action.deviation == "incomplete" else None
        legs.append(_Leg(retreat_s, end, support, held=keeps))
        return legs

    def _fetch_legs(
        self, action: Action, side: Side, target: Point
    ) -> tuple[list[_Leg], Item | None]:
        step, support, move_s = action.step, self._support(side), 0.75 * self._operator.pace
        assert step is not None
        parts = self._fetched[step.id][:2]
        if action.wrong_part is not None:
            parts = (action.wrong_part,)
        legs: list[_Leg] = []
        item: Item | None = None
        for part in parts:
            source, item = self._near(self._bins[part], 4), ("part", part)
            legs += [
                _Leg(move_s, source, self._at[opposite(side)] if not legs else support),
                _Leg(0.25, source, legs[-1].support if legs else support, "hold"),
                _Leg(move_s, target, support, held=item),
            ]
        if step.tools:
            rest = self._near(self._rests[step.tools[0]], 3)
            item = ("tool", step.tools[0])
            legs += [_Leg(0.2, target, support, "hold")] if parts else []
            legs.append(_Leg(0.8 * move_s, rest, support))
            legs.append(_Leg(0.8 * move_s, target, support, held=item))
        elif not parts:
            legs.append(_Leg(0.8 * move_s, target, support))
        return legs, item

    def _act_legs(
        self, step: Step, act_s: float, target: Point, support: Point, item: Item | None
    ) -> list[_Leg]:
        near, far = (FIXTURE[0] + 34, FIXTURE[1] + 6), (FIXTURE[0] - 34, FIXTURE[1] + 6)
        both = (near, far) if support[0] < FIXTURE[0] else (far, near)
        match step.primitive:
            case "screw":
                each_s = act_s / self._num_corners[step.id]
                offsets = [(-9.0, -6.0), (9.0, 6.0), (9.0, -6.0), (-9.0, 6.0)]
                return [
                    _Leg(each_s, (target[0] + dx, target[1] + dy), support, "screw", item)
                    for dx, dy in offsets[: self._num_corners[step.id]]
                ]
            case "press" | "route" | "insert":
                return [_Leg(act_s, target, support, step.primitive, item)]
            case "scan":
                above = (FIXTURE[0] + (20 if both[0] == near else -20), FIXTURE[1] - 22)
                return [_Leg(act_s, above, support, "hover", item)]
            case "inspect":
                return [_Leg(0.3, *both), _Leg(max(act_s - 0.3, 0.3), *both, "turn")]
            case "connect":
                return [_Leg(act_s, target, (target[0] - 12, target[1] + 6), "tap", item)]
            case "pack":
                tray = (TRAY[0] + 22, TRAY[1])
                return [
                    _Leg(0.3 * act_s, *both),
                    _Leg(0.7 * act_s, tray, TRAY, carries_product=True),
                ]
            case "pick":
                beside = (FIXTURE[0] + (62 if both[0] == near else -62), FIXTURE[1] + 28)
                return [_Leg(act_s, self._near(beside, 5), support, held=item)]
            case _:
                return [_Leg(act_s, target, support, "hold", item)]

    def _undo_legs(self, step: Step, side: Side, duration_s: float) -> list[_Leg]:
        target, support = self._near(self._targets[step.id], 2), self._support(side)
        parts = self._fetched[step.id]
        held: Item | None = ("part", parts[0]) if parts else None
        away = (FIXTURE[0] + (64 if side == "right" else -64), FIXTURE[1] + 20)
        return [
            _Leg(0.25 * duration_s, target, support),
            _Leg(0.45 * duration_s, target, support, "insert"),
            _Leg(0.3 * duration_s, self._near(away, 8), support, held=held),
        ]

    def _foreign_legs(self, side: Side, duration_s: float) -> list[_Leg]:
        support, target = self._support(side), self._near(FIXTURE, 12)
        if self._foreign_bins and self._rng.random() < 0.5:
            source = self._foreign_bins[int(self._rng.integers(len(self._foreign_bins)))]
            item: Item = ("part", FOREIGN)
            movement: Movement = "insert"
        else:
            source, item, movement = FOREIGN_TOOL, ("tool", FOREIGN), "tap"
        move_s = 0.75 * self._operator.pace
        act_s = max(duration_s - 2.6 * move_s, 0.8)
        return [
            _Leg(move_s, self._near(source, 3), support),
            _Leg(move_s, target, support, held=item),
            _Leg(act_s, target, support, movement, item),
            _Leg(0.6 * move_s, self._between(target, source), support, held=item),
        ]

    def _rest_legs(self, side: Side, duration_s: float) -> list[_Leg]:
        home = self._near(self._home[side], 6)
        other = self._near(self._home[opposite(side)], 6)
        go_s = min(0.5, duration_s)
        talks = duration_s > 1.5 and self._rng.random() < 0.5
        stay = _Leg(max(duration_s - go_s, 0.01), home, other, "talk" if talks else "hold")
        return [_Leg(go_s, home, other), stay]

    def _pose(
        self,
        side: Side,
        leg: _Leg,
        start: tuple[Point, Point],
        share: float,
        time_s: float,
    ) -> Pose:
        eased = share * share * share * (10 - 15 * share + 6 * share * share)  # minimum jerk
        main, support = _mix(start[0], leg.main, eased), _mix(start[1], leg.support, eased)
        dx, dy, twist, angle = _gesture(leg.movement, share, time_s)
        product_at = FIXTURE
        if leg.carries_product:
            lift = ((main[0] + support[0]) / 2, (main[1] + support[1]) / 2 - 6)
            product_at = _mix(FIXTURE, lift, min(1.0, eased * 3))
        shake = self._rng.normal(0, self._operator.tremor, 4)
        at_work = leg.movement not in ("go", "talk")
        hands = {
            side: Hand(
                (main[0] + dx + shake[0], main[1] + dy + shake[1]),
                curl=1.0 if leg.held is not None else 0.6 if at_work else 0.15,
                held=leg.held,
            ),
            opposite(side): Hand(
                (support[0] + shake[2], support[1] + shake[3]), curl=0.6 if at_work else 0.2
            ),
        }
        return Pose(
            **hands,
            main=side,
            twist=twist,
            beam=leg.movement == "hover",
            placed=tuple(self._placed),
            product_at=product_at,
            product_angle=angle,
        )

    def _support(self, side: Side) -> Point:
        return (FIXTURE[0] + (-38 if side == "right" else 38), FIXTURE[1] + 14)

    def _near(self, point: Point, spread: float) -> Point:
        dx, dy = self._rng.normal(0, spread, 2)
        return (point[0] + float(dx), point[1] + float(dy))

    def _between(self, a: Point, b: Point) -> Point:
        return _mix(a, b, float(self._rng.uniform(0.4, 0.7)))


def _gesture(movement: Movement, share: float, time_s: float) -> tuple[float, float, float, float]:
    """Return what a movement adds to the hand's place (x, y), its twist and the product's angle."""
    match movement:
        case "screw":
            return 0.0, 1.5 * math.sin(14 * time_s), 9 * time_s, 0.0
        case "press":
            return 0.0, 8 * math.sin(4.2 * time_s) ** 2, 0.0, 0.0
        case "route":
            return 30 * math.sin(3.1 * share), 10 * math.sin(9.4 * share), 0.0, 0.0
        case "insert":
            wiggle = math.sin(6 * time_s)
            return 7 * wiggle * (1 - 0.5 * share), 0.0, 0.3 * wiggle, 0.0
        case "tap":
            return 0.0, -9 * abs(math.sin(5.5 * time_s)), 0.0, 0.0
        case "turn":
            swing = math.sin(2.6 * time_s)
            return 3 * swing, 5 * math.cos(2.6 * time_s), 0.0, 0.5 * swing
        case "hover":
            return 8 * math.sin(1.7 * time_s), 0.0, 0.0, 0.0
        case "talk":
            return 14 * math.sin(3.3 * time_s), 9 * math.sin(4.7 * time_s), 0.0, 0.0
        case "go" | "hold":
            return 0.0, 0.0, 0.0, 0.0


def opposite(side: Side) -> Side:
    """Return the other side."""
    return "left" if side == "right" else "right"


def _mix(a: Point, b: Point, share: float) -> Point:
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)


def _mirror(point: Point) -> Point:
    return (2 * FIXTURE[0] - point[0], point[1])
