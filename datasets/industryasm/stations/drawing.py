"""Draws one moment of a rendered station: the bench, the product, the worker, what is held."""

from __future__ import annotations

import cv2
import numpy as np

from industryasm.stations.arms import draw_arm
from industryasm.stations.bench import (
    BINS,
    FIXTURE,
    FOREIGN_TOOL,
    HEIGHT,
    TRAY,
    WIDTH,
    Colour,
    PartLook,
    Point,
    foreign_bins,
    part_looks,
    slot_offset,
    step_targets,
    tool_rests,
)
from industryasm.stations.motion import FOREIGN, SCREWED, Hand, Placed, Pose, opposite
from industryasm.stations.operators import Operator
from industryasm.stations.surroundings import draw_left_things
from industryasm.vocabulary import Task

TOOL_COLOURS: tuple[Colour, ...] = (
    (178, 58, 44),
    (40, 84, 168),
    (196, 164, 48),
    (58, 60, 66),
    (52, 120, 84),
)
FOREIGN_LOOK = PartLook("disc", (250, 250, 250))
SHADE: Colour = (20, 20, 24)


class Drawing:
    """Draws poses of one task and worker into (240, 320, 3) uint8 RGB pictures of the bench."""

    def __init__(
        self, task: Task, operator: Operator, bench: Colour, rng: np.random.Generator
    ) -> None:
        self._operator = operator
        self._looks = part_looks(task) | {FOREIGN: FOREIGN_LOOK}
        self._body = task.parts[0].id
        self._places = {part.id: slot_offset(i) for i, part in enumerate(task.parts)}
        self._targets = step_targets(task)
        self._tools = [tool.id for tool in task.tools]
        self._rests = tool_rests(task)
        self._empty_bench = self._draw_bench(task, bench, rng)

    def draw(self, pose: Pose) -> np.ndarray:
        """Return the picture of `pose`, before the camera."""
        picture = self._empty_bench.copy()
        held = {pose.left.held, pose.right.held}
        for tool, rest in self._rests.items():
            if ("tool", tool) not in held:
                self._draw_tool(picture, rest, tool, 0.0)
        if ("tool", FOREIGN) not in held:
            self._draw_tool(picture, FOREIGN_TOOL, FOREIGN, 0.0)
        for placed in pose.placed:
            self._draw_placed(picture, placed, pose)
        main = pose.left if pose.main == "left" else pose.right
        if pose.beam:
            tip = (main.at[0] - 6, main.at[1])
            cv2.line(picture, _px(tip), _px((FIXTURE[0] - 8, FIXTURE[1] + 8)), (255, 30, 30), 1)
        hands = {"left": pose.left, "right": pose.right}
        draw_arm(picture, self._operator, opposite(pose.main), hands[opposite(pose.main)])
        self._draw_held(picture, main, pose.twist)
        draw_arm(picture, self._operator, pose.main, main)
        return picture

    def _draw_bench(self, task: Task, bench: Colour, rng: np.random.Generator) -> np.ndarray:
        picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        picture[:] = bench
        mat = tuple(int(np.clip(v + rng.integers(-30, 31), 0, 255)) for v in bench)
        cv2.rectangle(picture, (56, 84), (264, 232), mat, -1)
        draw_left_things(picture, rng)
        parts = {part.bin: part.id for part in task.parts}
        foreign = foreign_bins(task)
        box = tuple(int(v) for v in rng.integers(50, 130, 3))
        for name, at in BINS.items():
            cv2.rectangle(
                picture, _px((at[0] - 17, at[1] - 16)), _px((at[0] + 17, at[1] + 16)), box, -1
            )
            cv2.rectangle(
                picture, _px((at[0] - 14, at[1] - 13)), _px((at[0] + 14, at[1] + 10)), SHADE, -1
            )
            if name not in parts and at not in foreign:
                continue
            look = self._looks[parts[name]] if name in parts else FOREIGN_LOOK
            for dx, dy in rng.uniform((-10, -9), (10, 7), (7, 2)):
                _draw_part(picture, (at[0] + dx, at[1] + dy), look, 4)
        tray = ((TRAY[0] - 34, TRAY[1] - 24), (TRAY[0] + 34, TRAY[1] + 24))
        cv2.rectangle(picture, _px(tray[0]), _px(tray[1]), (60, 60, 60), 2)
        jaw = ((FIXTURE[0] - 46, FIXTURE[1] - 32), (FIXTURE[0] + 46, FIXTURE[1] + 32))
        cv2.rectangle(picture, _px(jaw[0]), _px(jaw[1]), (58, 62, 70), -1)
        cv2.rectangle(picture, _px(jaw[0]), _px(jaw[1]), (28, 30, 36), 2)
        return picture

    def _draw_placed(self, picture: np.ndarray, placed: Placed, pose: Pose) -> None:
        if placed.slot == self._body:
            box = (pose.product_at, (70.0, 46.0), float(np.degrees(pose.product_angle)))
            colour = self._looks[placed.look].colour
            cv2.fillPoly(picture, [cv2.boxPoints(box).astype(np.int32)], colour)
            cv2.polylines(picture, [cv2.boxPoints(box).astype(np.int32)], True, SHADE, 1)
        elif placed.slot == SCREWED:
            target = self._targets[placed.look]
            for dx, dy in ((-9.0, -6.0), (9.0, 6.0)):
                at = _turned(pose, target[0] - FIXTURE[0] + dx, target[1] - FIXTURE[1] + dy)
                cv2.circle(picture, _px(at), 2, (226, 226, 230), -1)
        else:
            at = _turned(pose, *self._places.get(placed.slot, (24.0, 10.0)))
            _draw_part(picture, at, self._looks[placed.look], 6)

    def _draw_held(self, picture: np.ndarray, hand: Hand, twist: float) -> None:
        if hand.held is None:
            return
        kind, name = hand.held
        at = (hand.at[0], hand.at[1] - 11)
        if kind == "tool":
            self._draw_tool(picture, at, name, twist)
        elif name == self._body:
            corners = _px((at[0] - 26, at[1] - 16)), _px((at[0] + 26, at[1] + 16))
            cv2.rectangle(picture, *corners, self._looks[name].colour, -1)
        else:
            _draw_part(picture, at, self._looks[name], 7)

    def _draw_tool(self, picture: np.ndarray, at: Point, name: str, twist: float) -> None:
        if name == FOREIGN:
            cv2.line(picture, _px((at[0], at[1] + 14)), _px((at[0], at[1] - 10)), (120, 80, 40), 4)
            head = _px((at[0] - 9, at[1] - 15)), _px((at[0] + 9, at[1] - 7))
            cv2.rectangle(picture, *head, (40, 40, 45), -1)
            return
        index = self._tools.index(name)
        colour = TOOL_COLOURS[(index + len(self._tools[0])) % len(TOOL_COLOURS)]
        dx, dy = 4 * np.cos(twist), 4 * np.sin(twist)
        width = 5 + 3 * (index % 2)
        cv2.line(
            picture, _px((at[0] + dx, at[1] + 10 + dy)), _px((at[0], at[1] - 4)), colour, width
        )
        cv2.line(picture, _px((at[0], at[1] - 4)), _px((at[0], at[1] - 15)), (196, 196, 202), 3)


def _draw_part(picture: np.ndarray, at: Point, look: PartLook, size: int) -> None:
    x, y = _px(at)
    match look.shape:
        case "disc":
            cv2.circle(picture, (x, y), size, look.colour, -1)
            cv2.circle(picture, (x, y), size, SHADE, 1)
        case "ring":
            cv2.circle(picture, (x, y), size, look.colour, max(size // 2, 2))
        case "rod":
            cv2.line(picture, (x - size, y + 2), (x + size, y - 2), look.colour, max(size // 2, 2))
        case "block":
            cv2.rectangle(
                picture, (x - size, y - size + 2), (x + size, y + size - 2), look.colour, -1
            )
            cv2.rectangle(picture, (x - size, y - size + 2), (x + size, y + size - 2), SHADE, 1)
        case "plate":
            cv2.rectangle(picture, (x - size - 2, y - 3), (x + size + 2, y + 3), look.colour, -1)


def _turned(pose: Pose, dx: float, dy: float) -> Point:
    cos, sin = np.cos(pose.product_angle), np.sin(pose.product_angle)
    return (
        pose.product_at[0] + dx * float(cos) - dy * float(sin),
        pose.product_at[1] + dx * float(sin) + dy * float(cos),
    )


def _px(point: Point) -> tuple[int, int]:
    return (round(point[0]), round(point[1]))
