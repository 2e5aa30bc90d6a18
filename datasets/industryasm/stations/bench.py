"""A rendered station: where its bins, fixture, tools and tray are, and what its parts look like.

Positions are pixels of a 320 x 240 picture of the bench seen from above, before the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from industryasm.vocabulary import Step, Task

WIDTH, HEIGHT = 320, 240
FIXTURE = (160.0, 144.0)
TRAY = (44.0, 198.0)
FOREIGN_TOOL = (36.0, 118.0)
Point = tuple[float, float]
Colour = tuple[int, int, int]
Shape = Literal["disc", "block", "ring", "rod", "plate"]

BINS: dict[str, Point] = {
    f"{shelf}{column + 1}": (23.0 + 39.0 * column, y)
    for shelf, y in (("A", 20.0), ("B", 56.0))
    for column in range(8)
}
TOOL_RESTS: tuple[Point, ...] = tuple((288.0, 98.0 + 28 * i) for i in range(5))
# Metals and plastics as they lie on benches: few colours, so that many parts look alike.
MATERIALS: tuple[Colour, ...] = (
    (172, 174, 178),
    (120, 124, 130),
    (52, 54, 58),
    (196, 168, 96),
    (222, 222, 216),
    (62, 92, 140),
    (168, 72, 52),
)
SHAPES: tuple[Shape, ...] = ("disc", "block", "ring", "rod", "plate")


@dataclass(frozen=True)
class PartLook:
    """How a part looks in a bin, in a hand and on the product."""

    shape: Shape
    colour: Colour


def part_looks(task: Task) -> dict[str, PartLook]:
    """Give each part of a task its look, the same in every recording; several look alike."""
    rng = np.random.default_rng(list(task.id.encode()))
    return {
        part.id: PartLook(
            SHAPES[int(rng.integers(len(SHAPES)))], MATERIALS[int(rng.integers(len(MATERIALS)))]
        )
        for part in task.parts
    }


def part_bins(task: Task) -> dict[str, Point]:
    """Return where each part is taken from."""
    return {part.id: BINS[part.bin] for part in task.parts}


def foreign_bins(task: Task) -> list[Point]:
    """Return bins that no part of the task comes from, with parts of something else in them."""
    used = {part.bin for part in task.parts}
    return [point for name, point in BINS.items() if name not in used][::3]


def tool_rests(task: Task) -> dict[str, Point]:
    """Return where each tool of the task lies."""
    return {tool.id: TOOL_RESTS[i % len(TOOL_RESTS)] for i, tool in enumerate(task.tools)}


def fetched_parts(task: Task, step: Step) -> tuple[str, ...]:
    """Return the parts that `step` takes from their bins: those that no step above it uses."""
    above = {part for other in task.steps[: task.steps.index(step)] for part in other.parts}
    return tuple(part for part in step.parts if part not in above)


def step_targets(task: Task) -> dict[str, Point]:
    """Return where each step is done: where its part sits on the product, or a place of its own.

    Places are 15 px apart, less than a hand is wide.
    """
    slots = {part.id: slot_offset(i) for i, part in enumerate(task.parts)}
    targets: dict[str, Point] = {}
    for index, step in enumerate(task.steps):
        own = slots[step.parts[0]] if step.parts else slot_offset(1 + (5 * index) % 11)
        targets[step.id] = (FIXTURE[0] + own[0], FIXTURE[1] + own[1])
    return targets


def slot_offset(index: int) -> Point:
    """Return where the part with this index sits on the product; the first is its body."""
    if index == 0:
        return (0.0, 0.0)
    column, row = (index - 1) % 4, (index - 1) // 4 % 4
    return (-23.0 + 15 * column, -16.0 + 11 * row)
