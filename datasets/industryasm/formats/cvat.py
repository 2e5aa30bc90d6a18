"""CVAT's XML 1.1: tracks of a video task, or the tags on the frames of an image export.

`CVAT for video 1.1` has tracks only and drops tags (cvat-ai/cvat, issues 2923 and 7198); tags come
out of `CVAT for images 1.1`. A track is there from a shape with outside="0" until, and without, the
next with outside="1"; one that lasts to the end of the video has no such last shape (cvat-ai/cvat,
cvat/apps/dataset_manager/formats/cvat.py, dump_as_cvat_interpolation). Frames count from 0 in the
video, also where the task took every n-th (`frame_filter`). A step has no shape: a box of one pixel
is written, which can be told apart from what was drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from industryasm.formats.foreign import (
    VIDEO_SUFFIXES,
    ForeignFileError,
    ForeignLayer,
    ForeignRecording,
    ForeignRow,
    base_name,
    video_stem,
)
from industryasm.formats.foreign_file import attribute, files_of, read_xml, whole_number
from industryasm.repairs import Repairs

_SHAPES = ("box", "polygon", "polyline", "points", "cuboid", "mask", "ellipse", "skeleton")


def read_cvat(source: Path, repairs: Repairs) -> list[ForeignRecording]:
    """Read one XML file or all of a folder; a recording is named as its source video."""
    return [_read_file(path, repairs) for path in files_of(source, ".xml")]


def _read_file(path: Path, repairs: Repairs) -> ForeignRecording:
    top = read_xml(path, repairs, root="annotations")
    if (version := (top.findtext("version") or "").strip()) != "1.1":
        raise ForeignFileError(f"{path}: is of version {version!r}; export as CVAT 1.1")
    if top.find("meta/project") is not None:
        raise ForeignFileError(f"{path}: holds a project; export each of its tasks")
    meta = next((m for m in map(top.find, ("meta/task", "meta/job")) if m is not None), None)
    step = _frame_step(meta, path)
    tracks = tuple(row for track in top.iterfind("track") for row in _track(track, step, path))
    tags = tuple(_tags(top, step, path))
    video = top.findtext("meta/source") or top.findtext("meta/task/source") or ""
    name = base_name(video.strip())
    layers = {"tracks": tracks, "tags": tags}
    return ForeignRecording(
        name=video_stem(name) or path.stem,
        unit="frames",
        layers=tuple(
            ForeignLayer(key, rows, is_named=False) for key, rows in layers.items() if rows
        ),
        video=name if name.lower().endswith(VIDEO_SUFFIXES) else None,
        length=_size(meta, path) if step == 1 else None,
        place=str(path),
    )


def _frame_step(meta: ElementTree.Element | None, path: Path) -> int:
    text = (meta.findtext("frame_filter") if meta is not None else "") or ""
    if not text.strip():
        return 1
    match = re.fullmatch(r"step=([0-9]{1,6})", text.strip())
    if match is None or int(match[1]) < 1:
        raise ForeignFileError(f"{path}: frame_filter {text[:40]!r} is not `step=NUMBER`")
    return int(match[1])


def _size(meta: ElementTree.Element | None, path: Path) -> int | None:
    """Return the frames of the video where the task shows all of them."""
    start = meta.findtext("start_frame") if meta is not None else None
    size = meta.findtext("size") if meta is not None else None
    if not size or whole_number(start or "0", f"{path}: start_frame"):
        return None
    return whole_number(size, f"{path}: size") or None


def _track(track: ElementTree.Element, step: int, path: Path) -> Iterator[ForeignRow]:
    place = f"{path}: track {track.get('id', '?')}"
    label = attribute(track, "label", place)
    start: int | None = None
    frame = -1
    for shape in (child for child in track if child.tag in _SHAPES):
        text = attribute(shape, "frame", place)
        at = f"{place}, frame {text[:20]}"
        previous, frame = frame, whole_number(text, at)
        if frame < 0:
            raise ForeignFileError(f"{at}: is before the first frame, 0")
        if frame <= previous:
            raise ForeignFileError(f"{at}: comes after frame {previous}; frames must ascend")
        outside = attribute(shape, "outside", at)
        if outside not in ("0", "1"):
            raise ForeignFileError(f"{at}: outside is {outside[:20]!r}, not 0 or 1")
        if outside == "0" and start is None:
            start = frame
        elif outside == "1" and start is not None:
            yield ForeignRow(start, frame, label, f"{place}, frame {start}")
            start = None
    if start is not None:
        yield ForeignRow(start, frame + step, label, f"{place}, frame {start}")


def _tags(top: ElementTree.Element, step: int, path: Path) -> Iterator[ForeignRow]:
    """Yield the runs of frames that carry one tag."""
    spans: dict[str, tuple[int, int]] = {}
    previous = -1
    for image in top.iterfind("image"):
        place = f"{path}: image {image.get('id', '?')[:20]}"
        frame = whole_number(attribute(image, "id", place), place)
        if frame <= previous:
            raise ForeignFileError(f"{place}: comes after {previous}; ids must ascend from 0")
        previous = frame
        if step > 1:
            raise ForeignFileError(f"{path}: tags on every {step}th frame: export all frames")
        for label in sorted({attribute(tag, "label", place) for tag in image.iterfind("tag")}):
            start, end = spans.get(label, (frame, frame))
            if end != frame:
                yield _tagged(start, end, label, path)
                start = frame
            spans[label] = (start, frame + 1)
    for label, (start, end) in spans.items():
        yield _tagged(start, end, label, path)


def _tagged(start: int, end: int, label: str, path: Path) -> ForeignRow:
    return ForeignRow(start, end, label, f"{path}: tag on image {start}")


def write_cvat(
    recordings: Sequence[ForeignRecording],
    target: Path,
    labels: Mapping[str, str],
    losses: Repairs,
) -> None:
    """Write one `CVAT for video 1.1` file per recording: the steps as tracks, other layers not."""
    target.mkdir(parents=True, exist_ok=True)
    for recording in recordings:
        for layer in recording.layers[1:]:
            place = f"{recording.name} {layer.name}"
            losses.add("second layer left out: the format has one", place)
        top = ElementTree.Element("annotations")
        ElementTree.SubElement(top, "version").text = "1.1"
        num_frames = int(recording.length or 0)
        used = [row.label for row in recording.layers[0].rows]
        _write_meta(top, recording, num_frames, list(dict.fromkeys([*labels, *used])))
        for index, row in enumerate(recording.layers[0].rows):
            _write_track(top, index, row, num_frames)
        tree = ElementTree.ElementTree(top)
        ElementTree.indent(tree)
        path = target / f"{recording.name}.xml"
        tree.write(path, encoding="utf-8", xml_declaration=True)


def _write_meta(
    top: ElementTree.Element, recording: ForeignRecording, num_frames: int, labels: Sequence[str]
) -> None:
    meta = ElementTree.SubElement(top, "meta")
    task = ElementTree.SubElement(meta, "task")
    now = datetime.now(UTC).isoformat(sep=" ")
    for key, value in (
        ("id", "1"),
        ("name", recording.name),
        ("size", str(num_frames)),
        ("mode", "interpolation"),
        ("overlap", "0"),
        ("bugtracker", ""),
        ("created", now),
        ("updated", now),
        ("start_frame", "0"),
        ("stop_frame", str(num_frames - 1)),
        ("frame_filter", ""),
    ):
        ElementTree.SubElement(task, key).text = value
    group = ElementTree.SubElement(task, "labels")
    for name in labels:
        label = ElementTree.SubElement(group, "label")
        ElementTree.SubElement(label, "name").text = name
        ElementTree.SubElement(label, "attributes")
    if recording.size is not None:  # Datumaro opens no tracks without it
        original = ElementTree.SubElement(task, "original_size")
        for key, pixels in zip(("width", "height"), recording.size, strict=True):
            ElementTree.SubElement(original, key).text = str(pixels)
    ElementTree.SubElement(meta, "dumped").text = now
    source = base_name(recording.video) if recording.video else recording.name
    ElementTree.SubElement(meta, "source").text = source


def _write_track(top: ElementTree.Element, index: int, row: ForeignRow, num_frames: int) -> None:
    track = ElementTree.SubElement(top, "track", id=str(index), label=row.label, source="manual")
    start, end = int(row.start), int(row.end)
    _write_box(track, start, outside=False)
    if end < num_frames:
        _write_box(track, end, outside=True)
    elif end - 1 > start:
        _write_box(track, end - 1, outside=False)


def _write_box(track: ElementTree.Element, frame: int, *, outside: bool) -> None:
    ElementTree.SubElement(
        track,
        "box",
        frame=str(frame),
        outside=str(int(outside)),
        occluded="0",
        keyframe="1",
        xtl="0.00",
        ytl="0.00",
        xbr="1.00",
        ybr="1.00",
        z_order="0",
    )
