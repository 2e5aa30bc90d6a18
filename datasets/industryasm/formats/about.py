"""Who and where: a CSV beside the annotations, since no annotation tool tells operator and station.

Its header is `recording,operator,station,camera`; every recording has one row. Operators are
pseudonyms. A data set without these can be watched and counted, but not split by people.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from industryasm.formats.foreign import ForeignFileError
from industryasm.formats.foreign_file import read_lines
from industryasm.formats.importing import ImportedSet
from industryasm.recording import RecordingId
from industryasm.repairs import Repairs

HEADER = ["recording", "operator", "station", "camera"]
_NAME = TypeAdapter(RecordingId)


@dataclass(frozen=True)
class About:
    """Who is seen in a recording, where, and by which camera."""

    operator: str
    station: str
    camera: str


def read_about(path: Path, repairs: Repairs) -> dict[str, About]:
    """Read the file; raise `ForeignFileError` naming the line of what is wrong in it."""
    lines = read_lines(path, repairs)
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)  # a cell may hold breaks
    found: dict[str, About] = {}
    try:
        header = next(reader, [])
        if header != HEADER:
            raise ForeignFileError(f"{path}:1: the header is {header}, not {','.join(HEADER)}")
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if len(cells) != len(HEADER):
                raise ForeignFileError(f"{place}: has {len(cells)} columns, not {len(HEADER)}")
            name, *rest = cells
            if name in found:
                raise ForeignFileError(f"{place}: recording {name!r} has a row already")
            found[name] = About(*(_checked(cell, place) for cell in rest))
    except csv.Error as error:
        raise ForeignFileError(f"{path}:{reader.line_num}: is not CSV: {error}") from error
    return found


def with_about(imported: ImportedSet, about: dict[str, About], path: Path) -> ImportedSet:
    """Return the set with operators, stations and cameras; every recording must be told of."""
    names = [recording.id for recording in imported.recordings()]
    for name in [*(n for n in names if n not in about), *(n for n in about if n not in names)]:
        what = "is in no row" if name in names else "is not among those imported"
        raise ForeignFileError(f"{path}: recording {name!r} {what}")
    splits = {
        split: [recording.model_copy(update=asdict(about[recording.id])) for recording in of_split]
        for split, of_split in imported.splits.items()
    }
    return replace(imported, splits=splits)


def _checked(name: str, place: str) -> str:
    try:
        return _NAME.validate_python(name)
    except ValidationError as error:
        message = "may hold letters, digits and _ . - and begins with a letter or digit"
        raise ForeignFileError(f"{place}: {name!r}: a name {message}") from error
