"""The rendered people: how each looks and moves, and which order each is used to."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from industryasm.stations.bench import Colour, Point


@dataclass(frozen=True)
class Operator:
    """How one worker looks and works.

    `pace` multiplies durations; `sleeve_share` is how much of the forearm is covered; `habit` seeds
    the order the worker is used to, and `variety` is how often it is left; `restless` is the share
    of pauses that are long or talked through.
    """

    name: str
    pace: float
    left_handed: bool
    two_handed: bool
    skin: Colour
    sleeve: Colour
    sleeve_share: float
    glove: Colour | None
    hand_size: float
    home: Point
    tremor: float
    habit: int
    variety: float
    restless: float


GLOVES: tuple[Colour, ...] = ((70, 110, 190), (225, 225, 220), (60, 60, 64))


def draw_operator(name: str, rng: np.random.Generator) -> Operator:
    """Draw a worker at random."""
    tone = float(rng.uniform(0.3, 1.0))
    sleeve = colorsys.hsv_to_rgb(
        float(rng.random()), float(rng.uniform(0.05, 0.6)), float(rng.uniform(0.2, 0.85))
    )
    return Operator(
        name=name,
        pace=float(rng.uniform(0.8, 1.25)),
        left_handed=bool(rng.random() < 0.15),
        two_handed=bool(rng.random() < 0.4),
        skin=(int(228 * tone), int(180 * tone), int(150 * tone)),
        sleeve=(int(255 * sleeve[0]), int(255 * sleeve[1]), int(255 * sleeve[2])),
        sleeve_share=float(rng.choice([0.15, 0.75, 0.85])),
        glove=GLOVES[int(rng.integers(len(GLOVES)))] if rng.random() < 0.35 else None,
        hand_size=float(rng.uniform(0.85, 1.15)),
        home=(float(rng.uniform(184, 208)), float(rng.uniform(196, 214))),
        tremor=float(rng.uniform(0.3, 1.1)),
        habit=int(rng.integers(2**31)),
        variety=float(rng.uniform(0.0, 0.5)),
        restless=float(rng.uniform(0.05, 0.3)),
    )
