"""A picture of one recording over time: what was done when, units, deviations, gaps, tracks.

```
title
[thumbnails]
units           |  1          |  2            |
all steps       |1##|2=|  |4##|1####|2#|4#|        every segment, with its step's number
deviations               [missed: 3 press-cap]     stacked where they would cover each other
 1 place-a      |###|         |##|                 a row for each step, deviations outlined in it
 2 screw-b          |==|         |=====|
track           |..|......|...|
                0:00   0:10   0:20
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from industryasm.inspection.gap import gaps
from industryasm.inspection.step_style import (
    INK,
    PAPER,
    Rgb,
    StepStyle,
    style_of_position,
    style_of_word,
)
from industryasm.inspection.time_canvas import (
    GREY,
    MARGIN,
    PALE,
    SMALL_TEXT_SIZE,
    TimeCanvas,
    minutes,
    shortened,
    text_width,
)
from industryasm.recording import AnnotatedDeviation, Recording, Track
from industryasm.vocabulary import Task

LEAST_PLOT, MOST_PLOT, PIXELS_PER_S = 1100, 6000, 9
LEAST_LABELS, MOST_LABELS = 130, 380
ROW, BAND, LANE, BETWEEN = 22, 46, 22, 10
MAX_ROWS = 24  # of a vocabulary with more steps, only those that occur get a row
MAX_LANES = 12  # of deviations one above the other
THUMBNAIL_HEIGHT = 108
ALARM: Rgb = (184, 18, 18)


def thumbnail_times(recording: Recording) -> list[float]:
    """Return at which times pictures are wanted for the strip above the timeline."""
    width = THUMBNAIL_HEIGHT * (recording.width or 4) // (recording.height or 3) + 2
    number = max(_plot_width(recording) // width, 1)
    return [(index + 0.5) * recording.duration_s / number for index in range(number)]


def draw_timeline(
    recording: Recording, task: Task, *, thumbnails: Sequence[tuple[float, np.ndarray]] = ()
) -> Image.Image:
    """Draw `recording`; `thumbnails` are times and pictures, uint8 (108, W, 3) RGB."""
    rows = _rows(recording, task)
    canvas = _canvas(recording, rows)
    _draw_title(canvas, recording, task)
    if thumbnails:
        _draw_strip(canvas, thumbnails)
    if recording.cycles:
        _draw_units(canvas, recording)
    _draw_band(canvas, recording, rows)
    if recording.deviations:
        _draw_deviations(canvas, recording, rows)
    _draw_rows(canvas, recording, rows)
    for track in recording.tracks:
        _draw_track(canvas, track)
    canvas.axis()
    return canvas.finish()


@dataclass(frozen=True)
class _Row:
    """A step's row: its number in the task, empty for a label that is in no vocabulary."""

    number: str
    label: str
    style: StepStyle

    @property
    def name(self) -> str:
        return f"{self.number} {self.label}".strip()


def _rows(recording: Recording, task: Task) -> dict[str, _Row]:
    positions = {step.id: index for index, step in enumerate(task.steps)}
    seen = dict.fromkeys(segment.label for segment in recording.segments)
    seen |= dict.fromkeys(deviation.step for deviation in recording.deviations)
    rows = {
        step: _Row(str(index + 1), step, style_of_position(index))
        for step, index in positions.items()
        if len(positions) <= MAX_ROWS or step in seen
    }
    for label in seen:
        rows.setdefault(label, _Row("", label, style_of_word(label)))
    return rows


def _plot_width(recording: Recording) -> int:
    return round(min(max(recording.duration_s * PIXELS_PER_S, LEAST_PLOT), MOST_PLOT))


def _canvas(recording: Recording, rows: dict[str, _Row]) -> TimeCanvas:
    names = [row.name for row in rows.values()] + [track.name for track in recording.tracks]
    widest = max((text_width(name) for name in names), default=0)
    num_lanes = len(rows) + len(recording.tracks) + MAX_LANES
    return TimeCanvas(
        recording.duration_s,
        label_width=min(max(widest + 14, LEAST_LABELS), MOST_LABELS),
        plot_width=_plot_width(recording),
        most_height=500 + THUMBNAIL_HEIGHT + num_lanes * (ROW + BETWEEN),
    )


def _draw_title(canvas: TimeCanvas, recording: Recording, task: Task) -> None:
    canvas.text(MARGIN, canvas.y + 10, recording.id, size=20)
    size = f", {recording.width}x{recording.height}" if recording.width and recording.height else ""
    rate = f", {recording.rate_hz:g} Hz" if recording.rate_hz else ""
    background_s = sum(end_s - start_s for start_s, end_s in gaps(recording))
    facts = [
        f"{task.name} ({task.id}, revision {recording.task_revision})",
        f"{minutes(recording.duration_s)}{rate}{size}",
        f"{len(recording.segments)} segments",
        f"{100 * background_s / recording.duration_s:.0f} % background",
        f"station {recording.station}, camera {recording.camera}, operator {recording.operator}",
        f"by {recording.annotator}, {recording.review}",
    ]
    line = shortened("   ".join(facts), canvas.right - MARGIN)
    canvas.text(MARGIN, canvas.y + 36, line, colour=GREY)
    canvas.y += 58


def _draw_strip(canvas: TimeCanvas, thumbnails: Sequence[tuple[float, np.ndarray]]) -> None:
    top = canvas.y
    for time_s, picture in thumbnails:
        width = picture.shape[1]
        middle = min(max(canvas.x(time_s), canvas.left + width // 2), canvas.right - width // 2)
        canvas.picture(middle - width // 2, top, picture)
        canvas.line(canvas.x(time_s), top + THUMBNAIL_HEIGHT, top + THUMBNAIL_HEIGHT + 5, INK)
        text = minutes(time_s)
        canvas.text(middle, top + THUMBNAIL_HEIGHT + 13, text, size=SMALL_TEXT_SIZE, at="mm")
    canvas.y += THUMBNAIL_HEIGHT + 28


def _draw_units(canvas: TimeCanvas, recording: Recording) -> None:
    top = canvas.lane(LANE, "units")
    for cycle in recording.cycles:
        x0, x1 = canvas.x(cycle.start_s), canvas.x(cycle.end_s)
        canvas.box(x0, top, max(x1, x0 + 2), top + LANE - 2, fill=PALE)
        canvas.line(x0, top, top + LANE - 2, GREY)
        name = f"unit {cycle.number}"
        if text_width(name) > x1 - x0 - 8:
            name = str(cycle.number)
        if text_width(name) <= x1 - x0 - 8:
            canvas.text(x0 + 6, top + LANE // 2 - 1, name)
    canvas.y += 4


def _draw_band(canvas: TimeCanvas, recording: Recording, rows: dict[str, _Row]) -> None:
    top = canvas.lane(BAND, "all steps")
    for start_s, end_s in gaps(recording):
        x0, x1 = canvas.x(start_s), canvas.x(end_s)
        if x1 > x0:
            canvas.box(x0, top + BAND // 3, x1, top + 2 * BAND // 3, fill=PALE)
        text = f"{end_s - start_s:.1f} s"
        if end_s - start_s >= 1 and text_width(text, SMALL_TEXT_SIZE) <= x1 - x0 - 4:
            middle = (x0 + x1) // 2
            canvas.text(middle, top + BAND // 2, text, colour=GREY, size=SMALL_TEXT_SIZE, at="mm")
    for segment in recording.segments:
        row = rows[segment.label]
        span = (segment.start_s, segment.end_s, top, top + BAND)
        canvas.segment(*span, row.style)
        canvas.segment_text(*span, row.number or row.label, row.style)
    canvas.y += BETWEEN


def _draw_deviations(canvas: TimeCanvas, recording: Recording, rows: dict[str, _Row]) -> None:
    ends: list[int] = []  # where each lane is free again, in pixels
    placed: list[tuple[int, int, str]] = []
    for deviation in sorted(recording.deviations, key=lambda d: d.start_s):
        text = f"{_words(deviation)}: {rows[deviation.step].name}"
        width = text_width(text, SMALL_TEXT_SIZE) + 14
        x = max(min(canvas.x(deviation.start_s), canvas.right - width), canvas.left)
        lane = next((i for i, end in enumerate(ends) if end <= x), len(ends))
        if lane == MAX_LANES:
            continue
        ends[lane : lane + 1] = [x + width]
        placed.append((lane, x, text))
    hidden = len(recording.deviations) - len(placed)
    label = f"deviations (and {hidden} more)" if hidden else "deviations"
    top = canvas.lane(LANE * len(ends), label)
    for lane, x, text in placed:
        y = top + LANE * lane
        right = x + text_width(text, SMALL_TEXT_SIZE) + 10
        canvas.box(x, y + 2, right, y + LANE - 2, fill=PAPER)
        canvas.box(x, y + 2, x + 4, y + LANE - 2, fill=ALARM)
        canvas.text(x + 8, y + LANE // 2, text, colour=ALARM, size=SMALL_TEXT_SIZE)
    canvas.y += BETWEEN


def _words(deviation: AnnotatedDeviation) -> str:
    return deviation.kind.replace("_", " ")


def _draw_rows(canvas: TimeCanvas, recording: Recording, rows: dict[str, _Row]) -> None:
    for index, row in enumerate(rows.values()):
        top = canvas.lane(ROW, row.name)
        if index % 2 == 0:
            canvas.box(canvas.left, top, canvas.right, top + ROW, fill=PALE)
        for segment in recording.segments:
            if segment.label == row.label:
                canvas.segment(segment.start_s, segment.end_s, top + 3, top + ROW - 3, row.style)
        for deviation in recording.deviations:
            if deviation.step == row.label:
                _outline(canvas, deviation, top)
    for cycle in recording.cycles:
        canvas.line(canvas.x(cycle.start_s), canvas.y - ROW * len(rows), canvas.y, GREY)
    canvas.y += BETWEEN


def _outline(canvas: TimeCanvas, deviation: AnnotatedDeviation, top: int) -> None:
    x0 = canvas.x(deviation.start_s)
    x1 = max(canvas.x(deviation.end_s), x0 + 2)
    canvas.box(x0 - 3, top, x1 + 3, top + ROW, line=ALARM)
    text = _words(deviation)
    if deviation.kind == "missed" and text_width(text, SMALL_TEXT_SIZE) < x1 - x0 - 8:
        middle = (x0 + x1) // 2
        canvas.text(middle, top + ROW // 2, text, colour=ALARM, size=SMALL_TEXT_SIZE, at="mm")


def _draw_track(canvas: TimeCanvas, track: Track) -> None:
    top = canvas.lane(ROW + 4, track.name)
    for segment in track.segments:
        style = style_of_word(segment.label)
        span = (segment.start_s, segment.end_s, top + 2, top + ROW + 2)
        canvas.segment(*span, style)
        canvas.segment_text(*span, segment.label, style)
