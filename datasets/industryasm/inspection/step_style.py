"""Colours and textures of steps in pictures: the same step always looks the same.

Hues are Paul Tol's muted scheme (personal.sron.nl/~pault), told apart in all common forms of colour
blindness. Nine hues times three textures make 27 looks; numbers and names stand beside them, so
that nothing is told by colour alone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

Rgb = tuple[int, int, int]

HUES: tuple[Rgb, ...] = (
    (51, 34, 136),  # indigo
    (136, 204, 238),  # cyan
    (17, 119, 51),  # green
    (221, 204, 119),  # sand
    (136, 34, 85),  # wine
    (68, 170, 153),  # teal
    (204, 102, 119),  # rose
    (153, 153, 51),  # olive
    (170, 68, 153),  # purple
)
TEXTURES: tuple[Literal["plain", "diagonal", "upright"], ...] = ("plain", "diagonal", "upright")
INK: Rgb = (28, 28, 30)
PAPER: Rgb = (255, 255, 255)


@dataclass(frozen=True)
class StepStyle:
    """How a step's segments are filled: `colour`, over which `stripes` are drawn where textured."""

    colour: Rgb
    texture: Literal["plain", "diagonal", "upright"]

    @property
    def stripes(self) -> Rgb:
        """A lighter or darker tone of the same hue."""
        towards = INK if luminance(self.colour) > 0.4 else PAPER
        return mix(self.colour, towards, 0.45)

    @property
    def text(self) -> Rgb:
        """The one of ink and paper that reads better on `colour`."""
        return max((INK, PAPER), key=lambda colour: contrast(colour, self.colour))


def style_of_position(position: int) -> StepStyle:
    """Return the style of the step at `position` in its task, from 0."""
    texture = TEXTURES[position // len(HUES) % len(TEXTURES)]
    return StepStyle(HUES[position % len(HUES)], texture)


def style_of_word(word: str) -> StepStyle:
    """Return the style of a label that is in no vocabulary."""
    return style_of_position(zlib.crc32(word.encode()) % (len(HUES) * len(TEXTURES)))


def mix(colour: Rgb, other: Rgb, share: float) -> Rgb:
    """Return `colour` with a `share` of `other` in it."""
    r, g, b = (round(c * (1 - share) + o * share) for c, o in zip(colour, other, strict=True))
    return r, g, b


def luminance(colour: Rgb) -> float:
    """Return the relative luminance of an sRGB colour, 0 to 1 (WCAG 2.2)."""
    r, g, b = (c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: Rgb, b: Rgb) -> float:
    """Return the contrast of two sRGB colours, 1 to 21 (WCAG 2.2).

    >>> round(contrast((0, 0, 0), (255, 255, 255)))
    21
    """
    bright, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)
