"""What else is in the picture: things left on the bench, heads that lean in, people who pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from industryasm.stations.bench import BINS, FIXTURE, HEIGHT, TRAY, WIDTH, Colour, Point

_MEAN_GAP_S = 22.0
_HAIR: tuple[Colour, ...] = ((38, 30, 26), (86, 62, 44), (150, 130, 104), (66, 66, 70))
_CLOTHES: tuple[Colour, ...] = ((48, 62, 92), (110, 112, 108), (140, 60, 48), (222, 214, 70))


@dataclass(frozen=True)
class _Visit:
    """Someone in the picture for the frames [start, end)."""

    kind: Literal["passer", "head", "refill"]
    start: int
    end: int
    place: Point
    clothes: Colour
    hair: Colour
    skin: Colour

    def draw(self, picture: np.ndarray, share: float) -> None:
        match self.kind:
            case "passer":
                x = -60 + share * (WIDTH + 120) * (1 if self.place[0] < FIXTURE[0] else -1)
                x = x if self.place[0] < FIXTURE[0] else x + WIDTH + 120
                cv2.ellipse(picture, (int(x), -4), (46, 24), 0, 0, 360, self.clothes, -1)
                cv2.circle(picture, (int(x), 4), 15, self.hair, -1)
            case "head":
                lean = np.sin(np.pi * share) * 66
                at = (int(FIXTURE[0] + (self.place[0] - FIXTURE[0]) / 6), int(HEIGHT + 30 - lean))
                cv2.circle(picture, at, 30, self.hair, -1)
                cv2.ellipse(picture, (at[0], at[1] - 26), (7, 6), 0, 0, 360, self.skin, -1)
            case "refill":
                reach = min(1.0, 3 * min(share, 1 - share))
                hand = (int(self.place[0]), int(self.place[1] * reach - 30 * (1 - reach)))
                cv2.line(picture, (int(self.place[0]) + 30, -50), hand, self.clothes, 20)
                cv2.circle(picture, hand, 10, self.skin, -1)


class Surroundings:
    """Draws what has nothing to do with the work, as it comes and goes."""

    def __init__(self, rng: np.random.Generator, *, num_frames: int, rate_hz: float) -> None:
        self._visits = _draw_visits(rng, num_frames, rate_hz)

    def draw(self, picture: np.ndarray, frame_index: int) -> None:
        """Draw who is there at this frame over `picture`, in place."""
        for visit in self._visits:
            if visit.start <= frame_index < visit.end:
                visit.draw(picture, (frame_index - visit.start) / (visit.end - visit.start))


def draw_left_things(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Draw some things that were left on the bench (a cup, a phone, a rag), in place."""
    for _ in range(int(rng.integers(0, 5))):
        x, y = int(rng.uniform(8, WIDTH - 8)), int(rng.uniform(96, HEIGHT - 8))
        if abs(x - FIXTURE[0]) < 66 and abs(y - FIXTURE[1]) < 50:
            continue
        if abs(x - TRAY[0]) < 40 and abs(y - TRAY[1]) < 30:
            continue
        colour = tuple(int(v) for v in rng.integers(30, 230, 3))
        match int(rng.integers(3)):
            case 0:
                cv2.circle(picture, (x, y), 11, colour, -1)
                cv2.circle(picture, (x, y), 8, (40, 26, 20), -1)
            case 1:
                box = ((float(x), float(y)), (13.0, 25.0), float(rng.uniform(0, 180)))
                cv2.fillPoly(picture, [cv2.boxPoints(box).astype(np.int32)], (24, 24, 30))
            case _:
                corners = rng.normal((x, y), 13, (6, 2))
                hull = cv2.convexHull(corners.astype(np.int32))
                cv2.fillPoly(picture, [hull], colour)


def _draw_visits(rng: np.random.Generator, num_frames: int, rate_hz: float) -> Sequence[_Visit]:
    visits: list[_Visit] = []
    at = rng.exponential(_MEAN_GAP_S)
    bins = list(BINS.values())
    while at * rate_hz < num_frames:
        kind: Literal["passer", "head", "refill"] = ("passer", "head", "refill")[rng.integers(3)]
        lasts_s = float(rng.uniform(1.2, 3.0))
        tone = float(rng.uniform(0.3, 1.0))
        visits.append(
            _Visit(
                kind,
                start=int(at * rate_hz),
                end=int((at + lasts_s) * rate_hz) + 1,
                place=bins[int(rng.integers(len(bins)))],
                clothes=_CLOTHES[int(rng.integers(len(_CLOTHES)))],
                hair=_HAIR[int(rng.integers(len(_HAIR)))],
                skin=(int(228 * tone), int(180 * tone), int(150 * tone)),
            )
        )
        at += lasts_s + rng.exponential(_MEAN_GAP_S)
    return visits
