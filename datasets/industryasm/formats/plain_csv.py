"""Plain CSV: a header `recording,start_s,end_s,label` or with a fifth column `layer`.

Comma-separated UTF-8, times in seconds from the first frame with a decimal point, one segment per
row, in any order; what no row covers is background. There are no comments.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from industryasm.formats.foreign import (
    STEP_LAYER,
    ForeignFileError,
    ForeignLayer,
    ForeignRecording,
    ForeignRow,
)
from industryasm.formats.foreign_file import files_of, read_lines
from industryasm.repairs import Repairs

HEADER = ["recording", "start_s", "end_s", "label"]
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")

Rows = dict[str, dict[str, list[ForeignRow]]]  # recording -> layer -> rows


def read_csv(source: Path, repairs: Repairs) -> list[ForeignRecording]:
    """Read one CSV file, or all of a folder."""
    found: Rows = {}
    places: dict[str, str] = {}
    for path in files_of(source, ".csv"):
        own: Rows = {}
        _read_file(path, own, repairs)
        for name in own:
            if name in found:
                raise ForeignFileError(f"{path}: recording {name!r} is in {places[name]} already")
            places[name] = str(path)
        found.update(own)
    return [
        ForeignRecording(
            name=name,
            unit="seconds",
            layers=tuple(ForeignLayer(layer, tuple(rows)) for layer, rows in layers.items()),
            place=places[name],
        )
        for name, layers in found.items()
    ]


def _read_file(path: Path, found: Rows, repairs: Repairs) -> None:
    lines = read_lines(path, repairs)
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)  # a cell may hold breaks
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if header not in (HEADER, [*HEADER, "layer"]):
            wrong = ",".join(header)[:80]
            raise ForeignFileError(
                f"{path}:1: the header is {wrong!r}, not {','.join(HEADER)!r} (and maybe ',layer')"
            )
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if not cells:
                repairs.add("blank line", place)
                continue
            if len(cells) != len(header):
                raise ForeignFileError(
                    f"{place}: has {len(cells)} columns instead of {len(header)} (decimal point, "
                    "not comma; labels with a comma in quotes)"
                )
            _add(found, cells, place, repairs)
    except csv.Error as error:
        raise ForeignFileError(f"{path}:{reader.line_num}: is not CSV: {error}") from error


def _add(found: Rows, cells: list[str], place: str, repairs: Repairs) -> None:
    stripped = [cell.strip() for cell in cells]
    if stripped != cells:
        repairs.add("stray blanks in a row", place)
    name, start, end, label, *rest = stripped
    if not name:
        raise ForeignFileError(f"{place}: the recording has no name")
    row = ForeignRow(_number(start, place), _number(end, place), label, place)
    layer = (rest[0] if rest else "") or STEP_LAYER
    found.setdefault(name, {}).setdefault(layer, []).append(row)


def _number(text: str, place: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ForeignFileError(f"{place}: {text[:40]!r} is no number of seconds")
    return float(text)


def write_csv(recordings: Sequence[ForeignRecording], target: Path, losses: Repairs) -> None:
    """Write `segments.csv`, with a column `layer` where a recording has several."""
    layered = any(len(recording.layers) > 1 for recording in recordings)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEADER, "layer"] if layered else HEADER)
    for recording in recordings:
        if not any(layer.rows for layer in recording.layers):
            losses.add("recording without segments has no row", recording.name)
        for layer in recording.layers:
            for row in layer.rows:
                cells = [recording.name, repr(float(row.start)), repr(float(row.end)), row.label]
                writer.writerow([*cells, layer.name] if layered else cells)
    target.mkdir(parents=True, exist_ok=True)
    (target / "segments.csv").write_text(text.getvalue(), encoding="utf-8")
