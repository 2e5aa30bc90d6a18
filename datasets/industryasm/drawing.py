"""Draws one moment of a rendered station: the bench, the product, hands, held items, the camera."""

from __future__ import annotations

import cv2
import numpy as np

from industryasm.bench import (
    BINS,
    FIXTURE,
    FOREIGN_TOOL,
    HEIGHT,
    TRAY,
    WIDTH,
    Camera,
    Colour,
    Operator,
    Point,
    part_colours,
    tool_rests,
)
from industryasm.motion import FOREIGN, Item, Pose, slot_offset
from industryasm.vocabulary import Task

TOOL_COLOURS: tuple[Colour, ...] = ((210, 60, 40), (30, 90, 200), (230, 190, 40))
FOREIGN_COLOUR: Colour = (250, 250, 250)
SHADE = (20, 20, 24)


class Drawing:
    """Draws poses of one task, worker and camera into (240, 320, 3) uint8 RGB pictures."""

    def __init__(self, task: Task, operator: Operator, camera: Camera, rng: np.random.Generator):
        self._operator, self._camera, self._rng = operator, camera, rng
        self._colours = part_colours(task)
        self._order = [part.id for part in task.parts]
        self._tools = [tool.id for tool in task.tools]
        self._rests = tool_rests(task)
        self._empty_bench = self._draw_bench(task)
        grain = rng.normal(128, 32, (HEIGHT + 64, WIDTH + 64, 3))
        self._grain = np.clip(grain, 0, 255).astype(np.uint8)

    def draw(self, pose: Pose) -> np.ndarray:
        """Return the picture of `pose` as the camera sees it."""
        picture = self._empty_bench.copy()
        for tool, rest in self._rests.items():
            if pose.held != ("tool", tool):
                self._draw_tool(picture, rest, tool, 0.0)
        if pose.held != ("tool", FOREIGN):
            self._draw_tool(picture, FOREIGN_TOOL, FOREIGN, 0.0)
        self._draw_product(picture, pose)
        if pose.beam:
            tip = (pose.work[0] - 6, pose.work[1])
            cv2.line(picture, _px(tip), _px((FIXTURE[0] - 8, FIXTURE[1] + 8)), (255, 30, 30), 1)
        self._draw_arm(picture, pose.other, working=False, grip=pose.grip)
        self._draw_arm(picture, pose.work, working=True, grip=pose.grip)
        if pose.held is not None:
            self._draw_item(picture, pose.held, pose.work, pose.twist)
        return self._see(picture)

    def _draw_bench(self, task: Task) -> np.ndarray:
        picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        picture[:] = self._camera.bench
        parts = {part.bin: part.id for part in task.parts}
        for name, (x, y) in BINS.items():
            cv2.rectangle(
                picture, (int(x) - 17, int(y) - 20), (int(x) + 17, int(y) + 20), (70, 80, 105), -1
            )
            cv2.rectangle(
                picture, (int(x) - 14, int(y) - 17), (int(x) + 14, int(y) + 12), SHADE, -1
            )
            colour = self._colours[parts[name]] if name in parts else FOREIGN_COLOUR
            for dx, dy in self._rng.uniform(-10, 10, (7, 2)):
                cv2.circle(picture, (int(x + dx), int(y - 3 + dy)), 4, colour, -1)
        cv2.rectangle(
            picture,
            (int(TRAY[0]) - 34, int(TRAY[1]) - 24),
            (int(TRAY[0]) + 34, int(TRAY[1]) + 24),
            (60, 60, 60),
            2,
        )
        fx, fy = int(FIXTURE[0]), int(FIXTURE[1])
        cv2.rectangle(picture, (fx - 48, fy - 34), (fx + 48, fy + 34), (58, 62, 70), -1)
        cv2.rectangle(picture, (fx - 48, fy - 34), (fx + 48, fy + 34), (28, 30, 36), 2)
        return picture

    def _draw_product(self, picture: np.ndarray, pose: Pose) -> None:
        cos, sin = np.cos(pose.product_angle), np.sin(pose.product_angle)
        for part in pose.placed:
            index = self._order.index(part) if part in self._order else None
            if index == 0:
                box = (pose.product_at, (72.0, 48.0), float(np.degrees(pose.product_angle)))
                cv2.fillPoly(picture, [cv2.boxPoints(box).astype(np.int32)], self._colours[part])
            elif part == "screwed":
                for dx, dy in ((-32.0, -20.0), (32.0, -20.0), (-32.0, 20.0), (32.0, 20.0)):
                    cv2.circle(
                        picture,
                        _px(_turn(pose.product_at, dx, dy, cos, sin)),
                        3,
                        (235, 235, 240),
                        -1,
                    )
            else:
                dx, dy = slot_offset(index) if index is not None else (24.0, 10.0)
                colour = self._colours[part] if index is not None else FOREIGN_COLOUR
                at = _turn(pose.product_at, dx, dy, cos, sin)
                cv2.circle(picture, _px(at), 7, colour, -1)
                cv2.circle(picture, _px(at), 7, SHADE, 1)

    def _draw_arm(self, picture: np.ndarray, hand: Point, *, working: bool, grip: bool) -> None:
        operator = self._operator
        side = 1.0 if working != operator.left_handed else -1.0
        shoulder = (FIXTURE[0] + side * 62, HEIGHT + 52.0)
        elbow = _elbow(shoulder, hand, side)
        cv2.line(picture, _px(shoulder), _px(elbow), operator.sleeve, 24)
        cv2.line(picture, _px(elbow), _px(_mix(elbow, hand, 0.8)), operator.sleeve, 17)
        cv2.line(picture, _px(_mix(elbow, hand, 0.7)), _px(hand), operator.skin, 12)
        cv2.circle(picture, _px(hand), 9, operator.skin, -1)
        ahead = np.array(hand) - np.array(elbow)
        ahead = ahead / max(float(np.hypot(*ahead)), 1e-6)
        spread, reach = (0.22, 11) if grip else (0.5, 17)
        dark = tuple(int(0.82 * c) for c in operator.skin)
        for finger in (-1.5, -0.5, 0.5, 1.5):
            turn = finger * spread
            x = ahead[0] * np.cos(turn) - ahead[1] * np.sin(turn)
            y = ahead[0] * np.sin(turn) + ahead[1] * np.cos(turn)
            cv2.line(picture, _px(hand), _px((hand[0] + reach * x, hand[1] + reach * y)), dark, 3)

    def _draw_item(self, picture: np.ndarray, item: Item, hand: Point, twist: float) -> None:
        kind, name = item
        at = (hand[0], hand[1] - 9)
        if kind == "tool":
            self._draw_tool(picture, at, name, twist)
        elif name in self._order and self._order.index(name) == 0:
            cv2.rectangle(
                picture,
                _px((at[0] - 24, at[1] - 14)),
                _px((at[0] + 24, at[1] + 14)),
                self._colours[name],
                -1,
            )
        else:
            colour = self._colours.get(name, FOREIGN_COLOUR)
            cv2.circle(picture, _px(at), 8, colour, -1)
            cv2.circle(picture, _px(at), 8, SHADE, 1)

    def _draw_tool(self, picture: np.ndarray, at: Point, name: str, twist: float) -> None:
        if name == FOREIGN:
            cv2.line(picture, _px((at[0], at[1] + 14)), _px((at[0], at[1] - 10)), (120, 80, 40), 4)
            cv2.rectangle(
                picture, _px((at[0] - 9, at[1] - 15)), _px((at[0] + 9, at[1] - 7)), (40, 40, 45), -1
            )
            return
        colour = TOOL_COLOURS[self._tools.index(name) % len(TOOL_COLOURS)]
        dx, dy = 4 * np.cos(twist), 4 * np.sin(twist)
        cv2.line(picture, _px((at[0] + dx, at[1] + 10 + dy)), _px((at[0], at[1] - 4)), colour, 9)
        cv2.line(picture, _px((at[0], at[1] - 4)), _px((at[0], at[1] - 15)), (200, 200, 205), 3)

    def _see(self, picture: np.ndarray) -> np.ndarray:
        camera = self._camera
        seen = cv2.warpPerspective(
            picture, camera.homography, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE
        )
        if camera.blur:
            seen = cv2.GaussianBlur(seen, (3, 3), 0)
        gain = camera.gain * (1 + camera.flicker * float(self._rng.normal()))
        seen = cv2.convertScaleAbs(seen, alpha=gain, beta=max(camera.offset, 0))
        seen = cv2.subtract(seen, np.array([max(-camera.offset, 0)] * 3 + [0], np.float64))
        seen = cv2.add(seen, np.array([*camera.tint, 0], np.float64))
        y, x = self._rng.integers(0, 64, 2)
        grain = self._grain[y : y + HEIGHT, x : x + WIDTH]
        share = camera.noise / 32
        return np.asarray(cv2.addWeighted(seen, 1.0, grain, share, -128 * share))


def _elbow(shoulder: Point, hand: Point, side: float) -> Point:
    # Two links of equal length, bent outwards; beyond reach the arm is straight.
    dx, dy = hand[0] - shoulder[0], hand[1] - shoulder[1]
    distance = max(float(np.hypot(dx, dy)), 1e-6)
    link = max(120.0, distance / 2)
    bend = float(np.sqrt(max(link * link - distance * distance / 4, 0.0))) * 0.5
    middle = ((shoulder[0] + hand[0]) / 2, (shoulder[1] + hand[1]) / 2)
    return (middle[0] + side * bend * abs(dy) / distance, middle[1] + bend * dx / distance * side)


def _turn(centre: Point, dx: float, dy: float, cos: float, sin: float) -> Point:
    return (centre[0] + dx * cos - dy * sin, centre[1] + dx * sin + dy * cos)


def _mix(a: Point, b: Point, share: float) -> Point:
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)


def _px(point: Point) -> tuple[int, int]:
    return (round(point[0]), round(point[1]))
