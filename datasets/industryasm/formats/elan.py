"""ELAN's `.eaf` files: XML with tiers whose annotations refer to time slots in milliseconds.

Written as EAF 3.0 after its schema, http://www.mpi.nl/tools/elan/EAFv3.0.xsd (a copy is in
dopefishh/pympi, test/EAFv3.0.xsd); read from 2.x and 3.0. Tiers of reference annotations have no
times of their own and are left out.
"""

from __future__ import annotations

import mimetypes
from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from industryasm.formats.foreign import (
    ForeignFileError,
    ForeignLayer,
    ForeignRecording,
    ForeignRow,
    base_name,
)
from industryasm.formats.foreign_file import attribute, files_of, read_xml, whole_number
from industryasm.repairs import Repairs

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_CONSTRAINTS = (  # ELAN writes all four into every file
    (
        "Time_Subdivision",
        "Time subdivision of parent annotation's time interval, no time gaps allowed within this "
        "interval",
    ),
    (
        "Symbolic_Subdivision",
        "Symbolic subdivision of a parent annotation. Annotations refering to the same parent are "
        "ordered",
    ),
    ("Symbolic_Association", "1-1 association with a parent annotation"),
    (
        "Included_In",
        "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
    ),
)


def read_elan(source: Path, repairs: Repairs) -> list[ForeignRecording]:
    """Read one `.eaf` file or all of a folder; a recording is named as its file."""
    return [_read_file(path, repairs) for path in files_of(source, ".eaf")]


def _read_file(path: Path, repairs: Repairs) -> ForeignRecording:
    top = read_xml(path, repairs, root="ANNOTATION_DOCUMENT")
    slots = _read_slots(top, path, repairs)
    layers: list[ForeignLayer] = []
    for tier in top.iterfind("TIER"):
        name = attribute(tier, "TIER_ID", str(path))
        place = f"{path}: tier {name!r}"
        if any(layer.name == name for layer in layers):
            raise ForeignFileError(f"{place}: there are two tiers of this name")
        if tier.find("ANNOTATION/REF_ANNOTATION") is not None:
            repairs.add("tier without times of its own left out", place)
            continue
        rows = tuple(_read_rows(tier, slots, place))
        layers.append(ForeignLayer(name, rows, tier.get("ANNOTATOR") or None))
    return ForeignRecording(
        name=path.name[: -len(path.suffix)] if path.suffix else path.name,
        unit="seconds",
        layers=tuple(layers),
        video=_read_video(top, path),
        place=str(path),
    )


def _read_video(top: ElementTree.Element, path: Path) -> str | None:
    header = top.find("HEADER")
    if header is None:
        raise ForeignFileError(f"{path}: has no HEADER")
    if (units := header.get("TIME_UNITS", "milliseconds")) != "milliseconds":
        raise ForeignFileError(f"{path}: TIME_UNITS are {units!r}; only milliseconds can be read")
    for media in header.iterfind("MEDIA_DESCRIPTOR"):
        if not media.get("MIME_TYPE", "").startswith("video"):
            continue
        url = attribute(media, "MEDIA_URL", str(path))
        if media.get("TIME_ORIGIN", "0").strip() not in ("", "0"):
            raise ForeignFileError(
                f"{path}: the video has the offset TIME_ORIGIN={media.get('TIME_ORIGIN')!r}; set "
                "it to 0 in ELAN (Media Synchronization Mode)"
            )
        return base_name(url) or None
    return None


def _read_slots(top: ElementTree.Element, path: Path, repairs: Repairs) -> dict[str, float]:
    """Return each slot's time in milliseconds; slots without one stand evenly between the others.

    That is how ELAN itself shows them (TIME_ORDER is in order of time).
    """
    names: list[str] = []
    known: list[tuple[int, int]] = []  # index, milliseconds
    for index, slot in enumerate(top.iterfind("TIME_ORDER/TIME_SLOT")):
        names.append(attribute(slot, "TIME_SLOT_ID", str(path)))
        if (value := slot.get("TIME_VALUE")) is not None:
            known.append((index, whole_number(value, f"{path}: time slot {names[-1]}")))
    if len(set(names)) < len(names):
        raise ForeignFileError(f"{path}: two time slots have one TIME_SLOT_ID")
    times: dict[str, float] = {names[index]: time for index, time in known}
    for index, name in enumerate(names):
        if name not in times:
            times[name] = _between(index, known, f"{path}: time slot {name}")
            repairs.add("time slot without a time set between its neighbours", f"{path}: {name}")
    return times


def _between(index: int, known: list[tuple[int, int]], place: str) -> float:
    after = bisect(known, (index, 0))
    if not 0 < after < len(known):
        raise ForeignFileError(f"{place}: has no TIME_VALUE and no neighbours with one")
    (left, first), (right, last) = known[after - 1], known[after]
    return first + (last - first) * (index - left) / (right - left)


def _read_rows(tier: ElementTree.Element, slots: dict[str, float], place: str) -> list[ForeignRow]:
    rows: list[ForeignRow] = []
    for annotation in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
        at = f"{place}, annotation {attribute(annotation, 'ANNOTATION_ID', place)}"
        ends: list[float] = []
        for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2"):
            slot = attribute(annotation, name, at)
            if slot not in slots:
                raise ForeignFileError(f"{at}: there is no time slot {slot!r}")
            ends.append(slots[slot] / 1000)
        value = annotation.findtext("ANNOTATION_VALUE") or ""
        rows.append(ForeignRow(ends[0], ends[1], value, at))
    return rows


def write_elan(recordings: Sequence[ForeignRecording], target: Path, losses: Repairs) -> None:
    """Write one `.eaf` file per recording, times rounded to milliseconds."""
    target.mkdir(parents=True, exist_ok=True)
    for recording in recordings:
        tree = ElementTree.ElementTree(_document(recording, losses))
        ElementTree.indent(tree, "    ")
        path = target / f"{recording.name}.eaf"
        tree.write(path, encoding="UTF-8", xml_declaration=True)


def _document(recording: ForeignRecording, losses: Repairs) -> ElementTree.Element:
    top = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ElementTree.SubElement(top, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if recording.video is not None:
        _describe_media(header, Path(recording.video))
    layers = [replace(layer, rows=_in_ms(layer.rows, losses)) for layer in recording.layers]
    last = ElementTree.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId")
    last.text = str(sum(len(layer.rows) for layer in layers))
    times = sorted(time for la in layers for row in la.rows for time in (row.start, row.end))
    order = ElementTree.SubElement(top, "TIME_ORDER")
    slots: dict[float, str] = {}
    for time in times:
        if time not in slots:
            slots[time] = f"ts{len(slots) + 1}"
            ElementTree.SubElement(
                order, "TIME_SLOT", TIME_SLOT_ID=slots[time], TIME_VALUE=str(int(time))
            )
    number = 0
    for layer in layers:
        tier = ElementTree.SubElement(top, "TIER", LINGUISTIC_TYPE_REF="default-lt")
        tier.set("TIER_ID", layer.name)
        if layer.annotator:
            tier.set("ANNOTATOR", layer.annotator)
        for row in layer.rows:
            number += 1
            _annotate(tier, f"a{number}", row, slots)
    _describe_types(top)
    return top


def _in_ms(rows: Sequence[ForeignRow], losses: Repairs) -> tuple[ForeignRow, ...]:
    kept: list[ForeignRow] = []
    for row in rows:
        start, end = round(row.start * 1000), round(row.end * 1000)
        if start < end:
            kept.append(replace(row, start=start, end=end))
        else:
            losses.add("segment shorter than a millisecond left out", row.place)
    return tuple(kept)


def _annotate(
    tier: ElementTree.Element, name: str, row: ForeignRow, slots: dict[float, str]
) -> None:
    outer = ElementTree.SubElement(tier, "ANNOTATION")
    inner = ElementTree.SubElement(
        outer,
        "ALIGNABLE_ANNOTATION",
        ANNOTATION_ID=name,
        TIME_SLOT_REF1=slots[row.start],
        TIME_SLOT_REF2=slots[row.end],
    )
    ElementTree.SubElement(inner, "ANNOTATION_VALUE").text = row.label


def _describe_media(header: ElementTree.Element, video: Path) -> None:
    url = video.resolve().as_uri()
    mime = mimetypes.guess_type(video.name)[0] or "video/*"
    ElementTree.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=url,
        MIME_TYPE=mime if mime.startswith("video") else "video/*",
        RELATIVE_MEDIA_URL=f"./{video.name}",
    )


def _describe_types(top: ElementTree.Element) -> None:
    ElementTree.SubElement(
        top,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID="default-lt",
        TIME_ALIGNABLE="true",
    )
    for stereotype, description in _CONSTRAINTS:
        ElementTree.SubElement(top, "CONSTRAINT", DESCRIPTION=description, STEREOTYPE=stereotype)
