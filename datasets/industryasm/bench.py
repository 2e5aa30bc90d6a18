"""A rendered station: where its bins, fixture, tools and tray are, and who and what looks at it.

Positions are pixels of a 320 x 240 picture of the bench seen from above, before the camera.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from industryasm.vocabulary import Task

WIDTH, HEIGHT = 320, 240
FIXTURE = (160.0, 138.0)
TRAY = (44.0, 196.0)
Point = tuple[float, float]
Colour = tuple[int, int, int]

BINS: dict[str, Point] = {
    **{f"A{i + 1}": (24.0 + 38 * i, 34.0) for i in range(4)},
    **{f"B{i + 1}": (180.0 + 38 * i, 34.0) for i in range(4)},
}
TOOL_RESTS: tuple[Point, ...] = ((282.0, 104.0), (282.0, 138.0), (282.0, 172.0))
FOREIGN_TOOL: Point = (40.0, 112.0)


@dataclass(frozen=True)
class Operator:
    """How one worker looks and moves; `pace` multiplies durations."""

    name: str
    pace: float
    left_handed: bool
    skin: Colour
    sleeve: Colour
    home: Point
    tremor: float


@dataclass(frozen=True)
class Camera:
    """How one camera sees the bench; `homography` maps bench pixels to picture pixels."""

    name: str
    homography: np.ndarray
    gain: float
    offset: float
    tint: Colour
    noise: float
    blur: bool
    flicker: float
    bench: Colour


def draw_operator(name: str, rng: np.random.Generator) -> Operator:
    """Draw a worker at random."""
    tone = float(rng.uniform(0.35, 1.0))
    hue = float(rng.random())
    sleeve = colorsys.hsv_to_rgb(hue, 0.55, float(rng.uniform(0.25, 0.8)))
    return Operator(
        name=name,
        pace=float(rng.uniform(0.85, 1.2)),
        left_handed=bool(rng.random() < 0.2),
        skin=(int(225 * tone), int(178 * tone), int(148 * tone)),
        sleeve=(int(255 * sleeve[0]), int(255 * sleeve[1]), int(255 * sleeve[2])),
        home=(float(rng.uniform(185, 205)), float(rng.uniform(196, 212))),
        tremor=float(rng.uniform(0.3, 1.0)),
    )


def draw_camera(name: str, rng: np.random.Generator) -> Camera:
    """Draw a camera at random: mount, lens, light and noise."""
    return Camera(
        name=name,
        homography=_draw_homography(rng),
        gain=float(rng.uniform(0.8, 1.15)),
        offset=float(rng.uniform(-18, 18)),
        tint=tuple(int(v) for v in rng.integers(-10, 11, 3)),  # type: ignore[arg-type]
        noise=float(rng.uniform(2, 7)),
        blur=bool(rng.random() < 0.3),
        flicker=float(rng.uniform(0, 0.02)),
        bench=tuple(int(v) for v in rng.integers(95, 175, 1).repeat(3) + rng.integers(-9, 10, 3)),  # type: ignore[arg-type]
    )


def part_colours(task: Task) -> dict[str, Colour]:
    """Give each part of a task a colour of its own, the same in every recording."""
    colours: dict[str, Colour] = {}
    for index, part in enumerate(task.parts):
        r, g, b = colorsys.hsv_to_rgb((0.08 + 0.381966 * index) % 1, 0.7, 0.85)
        colours[part.id] = (int(255 * r), int(255 * g), int(255 * b))
    return colours


def part_bins(task: Task) -> dict[str, Point]:
    """Return where each part is taken from; raise `ValueError` for a bin that is not drawn."""
    for part in task.parts:
        if part.bin not in BINS:
            raise ValueError(f"part {part.id!r}: bin {part.bin} is not on the rendered bench")
    return {part.id: BINS[part.bin] for part in task.parts}


def foreign_bins(task: Task) -> list[Point]:
    """Return the bins that no part of the task comes from."""
    used = {part.bin for part in task.parts}
    return [point for name, point in BINS.items() if name not in used]


def tool_rests(task: Task) -> dict[str, Point]:
    """Return where each tool of the task lies."""
    return {tool.id: TOOL_RESTS[i % len(TOOL_RESTS)] for i, tool in enumerate(task.tools)}


def _draw_homography(rng: np.random.Generator) -> np.ndarray:
    import cv2

    corners = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float32)
    centre = np.array([WIDTH / 2, HEIGHT / 2], np.float32)
    zoom = float(rng.uniform(0.94, 1.06))
    angle = float(rng.uniform(-0.05, 0.05))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (corners - centre) @ turn.T * zoom + centre + rng.uniform(-7, 7, 2)
    moved += rng.uniform(-9, 9, (4, 2))
    return np.asarray(cv2.getPerspectiveTransform(corners, moved.astype(np.float32)))
