"""The reliability diagram of a calibration, drawn as SVG by hand."""

from __future__ import annotations

from html import escape

from models.calibration import Calibration

_SIDE, _LEFT, _TOP = 320, 60, 50  # pixels of the square, and of the margins before it
_INK, _LINE, _DOT = "#24303c", "#9aa5b1", "#1f6feb"


def reliability_svg(calibration: Calibration) -> str:
    """Draw the share that was real over the probability given; the diagonal would be perfect."""
    bins = calibration.reliability
    counts = [one.num_real + one.num_false for one in bins]
    title = f"{calibration.task}: {sum(counts)} accusations, each judged by the other recordings"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIDE + 100}" height="{_SIDE + 120}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" fill="white"/>{_text(20, 24, title)}',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" '
        f'stroke="{_LINE}"/>',
        f'<line x1="{_x(0):.1f}" y1="{_y(0):.1f}" x2="{_x(1):.1f}" y2="{_y(1):.1f}" '
        f'stroke="{_LINE}" stroke-dasharray="4 4"/>',
        *(_tick(tenth / 5) for tenth in range(6)),
        _text(_LEFT, _TOP + _SIDE + 40, "probability given (dot size: number of accusations)"),
        f'<g transform="translate(18 {_TOP + _SIDE}) rotate(-90)">{_text(0, 0, "share real")}</g>',
    ]
    for one, count in zip(bins, counts, strict=True):
        words = f"{one.num_real} real, {one.num_false} false"
        parts.append(
            f'<circle cx="{_x(one.predicted):.1f}" cy="{_y(one.observed):.1f}" '
            f'r="{3 + 1.5 * count**0.5:.1f}" fill="{_DOT}" fill-opacity="0.6">'
            f"<title>{words}</title></circle>"
        )
        parts.append(_text(_x(one.predicted) + 10, _y(one.observed) - 8, words))
    x = _x(calibration.threshold)
    parts.append(
        f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_TOP + _SIDE}" stroke="{_INK}"/>'
        f"{_text(x + 4, _TOP + 14, 'threshold')}</svg>"
    )
    return "\n".join(parts) + "\n"


def _tick(share: float) -> str:
    below = _text(_x(share) - 8, _TOP + _SIDE + 18, f"{share:.1f}")
    return below + _text(_LEFT - 26, _y(share) + 4, f"{share:.1f}")


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{_INK}">{escape(words)}</text>'


def _x(share: float) -> float:
    return _LEFT + _SIDE * share


def _y(share: float) -> float:
    return _TOP + _SIDE * (1.0 - share)
