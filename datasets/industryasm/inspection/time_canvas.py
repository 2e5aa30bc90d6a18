"""A picture whose x axis is time: names at the left, lanes one below the other, an axis."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from industryasm.inspection.step_style import INK, PAPER, Rgb, StepStyle

MARGIN, TEXT_SIZE, SMALL_TEXT_SIZE = 20, 15, 12
WIDE = 2000  # pixels of plot, from which names stand at the right too
TICK_DISTANCE = 70  # pixels, at least: room for "100:00"
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
GREY: Rgb = (95, 95, 100)
PALE: Rgb = (238, 238, 240)
LINE: Rgb = (212, 212, 216)


def minutes(time_s: float) -> str:
    """Word a time as minutes and seconds.

    >>> minutes(75.4), minutes(3600)
    ('1:15', '60:00')
    """
    return f"{int(time_s) // 60}:{int(time_s) % 60:02d}"


def text_width(text: str, size: int = TEXT_SIZE) -> int:
    """Return how many pixels wide `text` is."""
    return int(_font(size).getlength(_printable(text))) + 1


def shortened(text: str, width: int, size: int = TEXT_SIZE) -> str:
    """Return `text`, its end cut off where it is wider than `width` pixels, or nothing."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}..", size) > width:
        text = text[:-1]
    return f"{text}.." if len(text) > 2 else ""


class TimeCanvas:
    """Draws from the top down; `y` is where the next lane goes, in pixels."""

    def __init__(
        self, duration_s: float, *, label_width: int, plot_width: int, most_height: int
    ) -> None:
        """Make an empty picture, `most_height` high until `finish` cuts it off below the axis."""
        self.duration_s = duration_s
        self.left = MARGIN + label_width
        self.right = self.left + plot_width
        self.y = MARGIN
        self._label_width = label_width
        self._has_right_labels = plot_width >= WIDE
        width = self.right + (label_width if self._has_right_labels else MARGIN) + MARGIN
        self._image = Image.new("RGB", (width, most_height), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self._texture = {name: _mask(name, plot_width) for name in ("diagonal", "upright")}
        fitting = (t for t in TICKS_S if t / duration_s * plot_width >= TICK_DISTANCE)
        self._tick_s = next(fitting, TICKS_S[-1])

    def x(self, time_s: float) -> int:
        """Return the pixel column of a time."""
        return self.left + round(time_s / self.duration_s * (self.right - self.left))

    def lane(self, height: int, label: str) -> int:
        """Begin a lane with its name beside it and the ticks' lines; return its upper edge."""
        top, self.y = self.y, self.y + height
        for time_s in self._ticks():
            self._draw.line([(self.x(time_s), top), (self.x(time_s), self.y)], LINE)
        fitting = shortened(label, self._label_width - 8)
        self.text(MARGIN, top + height // 2, fitting)
        if self._has_right_labels:
            self.text(self.right + 10, top + height // 2, fitting)
        return top

    def text(
        self, x: int, y: int, text: str, *, colour: Rgb = INK, size: int = TEXT_SIZE, at: str = "lm"
    ) -> None:
        """Write at (x, y); `at` is Pillow's anchor: `lm` left middle, `mm` middle."""
        self._draw.text((x, y), _printable(text), fill=colour, font=_font(size), anchor=at)

    def box(
        self,
        x0: int,
        y0: int,
        x1: int,
        y1: int,
        *,
        fill: Rgb | None = None,
        line: Rgb | None = None,
    ) -> None:
        """Draw a rectangle over the pixels [x0, x1) x [y0, y1)."""
        width = 2 if line is not None else 1
        self._draw.rectangle(
            [x0, y0, max(x1 - 1, x0), y1 - 1], fill=fill, outline=line, width=width
        )

    def line(self, x: int, y0: int, y1: int, colour: Rgb) -> None:
        """Draw an upright line."""
        self._draw.line([(x, y0), (x, y1)], colour)

    def segment(self, start_s: float, end_s: float, y0: int, y1: int, style: StepStyle) -> None:
        """Fill the time [start_s, end_s) between two heights; at least 2 pixels, to be seen."""
        x0 = self.x(start_s)
        x1 = max(self.x(end_s), x0 + 2)
        self._draw.rectangle([x0, y0, x1 - 1, y1 - 1], fill=style.colour)
        if x1 - x0 < 5:
            return
        if style.texture != "plain":
            box = (x0, y0, x1, y1)
            inside = (x0 - self.left, 0, x1 - self.left, y1 - y0)
            self._image.paste(style.stripes, box, self._texture[style.texture].crop(inside))
        # Neighbours of one hue stay apart, and pale hues have an edge.
        self._draw.rectangle([x0, y0, x1 - 2, y1 - 1], outline=GREY)
        self._draw.line([(x1 - 1, y0), (x1 - 1, y1 - 1)], PAPER)

    def segment_text(
        self, start_s: float, end_s: float, y0: int, y1: int, text: str, style: StepStyle
    ) -> None:
        """Write into a segment what has room there, on plain colour that stripes do not disturb."""
        text = shortened(text, self.x(end_s) - self.x(start_s) - 6, SMALL_TEXT_SIZE)
        if not text:
            return
        x, y = (self.x(start_s) + self.x(end_s)) // 2, (y0 + y1) // 2
        if style.texture != "plain":
            half = text_width(text, SMALL_TEXT_SIZE) // 2 + 2
            self.box(x - half, y - 8, x + half + 1, y + 9, fill=style.colour)
        self.text(x, y, text, colour=style.text, size=SMALL_TEXT_SIZE, at="mm")

    def picture(self, x: int, y: int, pixels: np.ndarray) -> None:
        """Put in a picture, uint8 (H, W, 3) RGB."""
        self._image.paste(Image.fromarray(pixels), (x, y))

    def axis(self) -> None:
        """Draw the axis of time in m:ss and leave room below it."""
        self._draw.line([(self.left, self.y), (self.right, self.y)], GREY)
        for time_s in self._ticks():
            x = self.x(time_s)
            self._draw.line([(x, self.y), (x, self.y + 5)], GREY)
            self.text(x, self.y + 15, minutes(time_s), size=SMALL_TEXT_SIZE, at="mm")
        self.y += 28

    def finish(self) -> Image.Image:
        """Return the picture, cut off below what was drawn."""
        return self._image.crop((0, 0, self._image.width, min(self.y, self._image.height)))

    def _ticks(self) -> list[float]:
        return np.arange(0, self.duration_s + 1e-9, self._tick_s).tolist()


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if size not in _FONTS:
        _FONTS[size] = ImageFont.load_default(size)
    return _FONTS[size]


_FONTS: dict[int, ImageFont.FreeTypeFont | ImageFont.ImageFont] = {}


def _mask(texture: str, width: int) -> Image.Image:
    rows, columns = np.mgrid[0:64, 0:width]
    stripes = (columns + rows) % 8 < 3 if texture == "diagonal" else columns % 5 < 2
    return Image.fromarray((stripes * 255).astype(np.uint8))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
