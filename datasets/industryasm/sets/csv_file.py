"""A published CSV file, read as hostile input: rows with their line numbers."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from industryasm.regular_file import size_of_file
from industryasm.repairs import Repairs
from industryasm.sets.set_error import SetError

MAX_BYTES = 64_000_000
MAX_FRAME = 24 * 3600 * 60  # a day at 60 frames a second


@dataclass(frozen=True)
class Row:
    """One row: its file, its line from 1, and its cells without space around them."""

    path: Path
    line: int
    cells: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where the row stands, for an error."""
        return f"{self.path}:{self.line}"

    @property
    def brief(self) -> str:
        """Where the row stands inside the folder, for a count of repairs."""
        return f"{self.path.name}:{self.line}"

    def frame(self, column: int) -> int:
        """Return a cell as a frame number; raise `SetError` when it is none."""
        text = self.cells[column]
        if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > MAX_FRAME:
            raise SetError(f"{self.place}: {text!r} is no frame number from 0 to {MAX_FRAME}")
        return int(text)


def read_rows(path: Path, repairs: Repairs) -> list[Row]:
    """Return the rows that are not empty; raise `SetError` for what is no UTF-8 CSV.

    A byte order mark, CRLF, empty lines and space around cells are mended and counted.
    """
    text = _read_text(path)
    if text.startswith("\ufeff"):
        repairs.add("byte order mark at the beginning of a file", f"{path.name}:1")
        text = text[1:]
    lines = text.split("\n")
    ended = [number for number, line in enumerate(lines, 1) if line.endswith("\r")]
    if ended:
        what = "line ends with CRLF"
        repairs.add(what, f"{path.name}:{ended[0]}", len(ended))
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        cells = _cells(path, number, line.removesuffix("\r"))
        stripped = tuple(cell.strip() for cell in cells)
        if stripped != tuple(cells):
            repairs.add("space around a cell", f"{path.name}:{number}")
        if any(stripped):
            rows.append(Row(path, number, stripped))
        elif number < len(lines):
            repairs.add("empty line", f"{path.name}:{number}")
    return rows


def _read_text(path: Path) -> str:
    try:
        if size_of_file(path) > MAX_BYTES:
            raise SetError(f"{path}: larger than {MAX_BYTES} bytes; this is no annotation file")
        raw = path.read_bytes()
    except OSError as error:
        raise SetError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SetError(f"{path}:{line}: is not UTF-8 text; save it as UTF-8") from error


def _cells(path: Path, number: int, line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise SetError(f"{path}:{number}: cannot be read as CSV: {error}") from error
