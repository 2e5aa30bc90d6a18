"""The last cycles of a station as a timeline in HTML: a row per cycle, a block per segment.

Blocks carry the number of their step, the same as in the list of steps. All text is escaped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from dashboard.status import SeenCycle, SeenDeviation, SeenSegment, StationDetail, StationStatus
from dashboard.words import KINDS, counted, icon, what

NUM_COLOURS = 10
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
MAX_TICKS = 8
UNTOLD = timedelta(hours=1)  # a running cycle is not drawn on beyond this


def timeline_html(detail: StationDetail) -> str:
    """Return the station's last cycles, the newest on top, on one common scale from their start."""
    ends = [_end(cycle, detail.status) for cycle in detail.cycles]
    spans = [
        (end - cycle.started_at).total_seconds()
        for cycle, end in zip(detail.cycles, ends, strict=True)
    ]
    scale_s = max([1.0, *spans]) * 1.02
    rows = "".join(
        _row(cycle, span_s, scale_s, detail.status)
        for cycle, span_s in zip(detail.cycles, spans, strict=True)
    )
    return f'<div class="lw-timeline">{rows}{_axis(scale_s)}</div>'


def _end(cycle: SeenCycle, status: StationStatus) -> datetime:
    """Return where the drawing of `cycle` ends, by the station's own clock."""
    if cycle.ended_at is not None:
        return cycle.ended_at
    seen = max([cycle.started_at, *(segment.ended_at for segment in cycle.segments)])
    if cycle.running and status.beat:
        return max(seen, min(status.beat.sent_at, seen + UNTOLD))
    return seen


def _row(cycle: SeenCycle, span_s: float, scale_s: float, status: StationStatus) -> str:
    numbers = {step.id: number for number, step in enumerate(status.steps, start=1)}
    blocks = "".join(_block(s, cycle, scale_s, numbers, status) for s in cycle.segments)
    flags = "".join(_flag(d, cycle, span_s, scale_s) for d in cycle.deviations if d.counts)
    length = f"{100 * span_s / scale_s:.2f}%"
    return (
        f'<div class="lw-row"><div class="lw-row-name"><b>Cycle {cycle.number}</b>'
        f"<span>{_outcome(cycle, span_s)}</span></div>"
        f'<div class="lw-track"><div class="lw-span{_running(cycle)}" style="width:{length}"></div>'
        f"{blocks}{flags}</div></div>"
    )


def _block(
    segment: SeenSegment,
    cycle: SeenCycle,
    scale_s: float,
    numbers: dict[str, int],
    status: StationStatus,
) -> str:
    left, width = _place(segment.started_at, segment.ended_at, cycle, scale_s)
    number = numbers.get(segment.step)
    colour = f"lw-c{number % NUM_COLOURS}" if number else "lw-c-none"
    seconds = (segment.ended_at - segment.started_at).total_seconds()
    title = escape(f"{status.step_text(segment.step)}, {seconds:.1f} s", quote=True)
    return (
        f'<div class="lw-block {colour}" title="{title}" '
        f'style="left:{left:.2f}%;width:{width:.2f}%">{number or "?"}</div>'
    )


def _flag(deviation: SeenDeviation, cycle: SeenCycle, span_s: float, scale_s: float) -> str:
    """Return a deviation's flag where it began; a step that never came is flagged at the end."""
    at_s = (deviation.started_at - cycle.started_at).total_seconds()
    if deviation.kind == "missed":
        at_s = (deviation.detected_at - cycle.started_at).total_seconds()
    left = 100 * min(max(0.0, at_s), span_s) / scale_s
    sign = KINDS[deviation.kind]
    title = escape(f"{sign.words}: {what(deviation)}", quote=True)
    return (
        f'<div class="lw-flag lw-{sign.tone}" title="{title}" style="left:{left:.2f}%">'
        f"{icon(sign)}</div>"
    )


def _place(start: datetime, end: datetime, cycle: SeenCycle, scale_s: float) -> tuple[float, float]:
    """Return left edge and width in percent of the scale, kept inside it."""
    left = 100 * (start - cycle.started_at).total_seconds() / scale_s
    right = 100 * (end - cycle.started_at).total_seconds() / scale_s
    left, right = min(max(left, 0.0), 100.0), min(max(right, 0.0), 100.0)
    return left, right - left


def _outcome(cycle: SeenCycle, span_s: float) -> str:
    num_open = sum(deviation.accuses for deviation in cycle.deviations)
    if cycle.running:
        outcome = "running"
    elif cycle.ended_at is None:
        outcome = "broken off"
    else:
        outcome = f"{span_s:.0f} s, {'complete' if cycle.complete else 'incomplete'}"
    return f"{outcome}, {counted(num_open, 'deviation')}" if num_open else outcome


def _running(cycle: SeenCycle) -> str:
    return " lw-running" if cycle.running else ""


def _axis(scale_s: float) -> str:
    every_s = next((t for t in TICKS_S if scale_s / t <= MAX_TICKS), TICKS_S[-1] * 2)
    ticks: Sequence[int] = range(0, int(scale_s) + 1, every_s)[: MAX_TICKS + 1]
    marks = "".join(
        f'<span style="left:{100 * tick / scale_s:.2f}%">{tick} s</span>' for tick in ticks
    )
    axis = f'<div class="lw-axis">{marks}</div>'
    return f'<div class="lw-row"><div class="lw-row-name"></div>{axis}</div>'
