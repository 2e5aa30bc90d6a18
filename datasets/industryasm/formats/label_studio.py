"""Label Studio's JSON export of video timelines: `timelinelabels` with `ranges` of frames.

Frames count from 1 and a range holds both its ends: the editor's whole video is `{start: 1, end:
length}` (HumanSignal/label-studio, web/libs/editor/src/tags/object/Video/Video.js, `frame: 1`,
`fullFrameRange`) and one click makes the single frame `{start: f, end: f}` (the same file,
`addTimelineRegion`; docs/source/tags/timelinelabels.md). Programs that predict for it, such as its
own YOLO backend (label-studio-ml-backend, .../yolo/utils/converter.py), write half-open ranges
from 0; a 0 cannot come from the editor and is moved to 1, which makes such a range right.

The editor counts frames as time times the `frameRate` of its `<Video>` tag, which is 24 unless it
is set: where that is not the video's own rate, give it as `--fps`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict

from industryasm.formats.foreign import (
    VIDEO_SUFFIXES,
    ForeignFileError,
    ForeignLayer,
    ForeignRecording,
    ForeignRow,
    base_name,
    is_number,
    video_stem,
)
from industryasm.formats.foreign_file import files_of, read_json, validate
from industryasm.repairs import Repairs

# label_studio/data_import/models.py, upload_name_generator
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Range(_Part):
    start: int
    end: int


class _Timeline(_Part):
    ranges: list[_Range]
    timelinelabels: list[str] = []


class _Result(_Part):
    id: str = ""
    from_name: str = ""
    value: dict[str, Any] = {}


class _Annotation(_Part):
    id: int | str | None = None
    completed_by: int | dict[str, Any] | None = None
    was_cancelled: bool = False
    result: list[_Result]


class _Task(_Part):
    id: int | str | None = None
    data: dict[str, Any]
    annotations: list[_Annotation]


def read_label_studio(source: Path, repairs: Repairs) -> list[ForeignRecording]:
    """Read one JSON export or all of a folder; each task is a recording, named as its video."""
    found: list[ForeignRecording] = []
    for path in files_of(source, ".json"):
        tasks = read_json(path, repairs)
        if not isinstance(tasks, list):
            raise ForeignFileError(f"{path}: is no list of tasks; export the project as JSON")
        for index, value in enumerate(tasks):
            place = f"{path}: task {index + 1}"
            hint = " (export as JSON, not as JSON-MIN)"
            task = validate(value, _Task, place, hint)
            found.append(_read_task(task, place, repairs))
    return found


def _read_task(task: _Task, place: str, repairs: Repairs) -> ForeignRecording:
    video = _video_name(task.data, place)
    layers: list[ForeignLayer] = []
    for annotation in task.annotations:
        at = f"{place}, annotation {annotation.id}"
        if annotation.was_cancelled:
            repairs.add("skipped annotation left out", at)
            continue
        rows: dict[str, list[ForeignRow]] = {}
        for result in annotation.result:
            rows.setdefault(result.from_name, []).extend(_read_result(result, at, repairs))
        annotator = _annotator(annotation.completed_by)
        layers += [
            ForeignLayer(name, tuple(found), annotator) for name, found in rows.items() if found
        ]
    rate = task.data.get("fps")
    return ForeignRecording(
        name=video_stem(video),
        unit="frames",
        layers=tuple(layers),
        video=video,
        rate_hz=float(rate) if is_number(rate) and 0 < rate <= 240 else None,
        place=place,
    )


def _read_result(result: _Result, place: str, repairs: Repairs) -> list[ForeignRow]:
    at = f"{place}, region {result.id!r}"
    if "ranges" not in result.value:
        repairs.add("result that is no timeline left out", at)
        return []
    timeline = validate(result.value, _Timeline, at)
    if not timeline.timelinelabels:
        repairs.add("region without a label left out", at)
    rows: list[ForeignRow] = []
    for span in timeline.ranges:
        start = span.start
        if start == 0:
            repairs.add("range from frame 0, before the first, 1: moved to it", at)
            start = 1
        rows += [ForeignRow(start - 1, span.end, label, at) for label in timeline.timelinelabels]
    return rows


def _annotator(completed_by: int | dict[str, Any] | None) -> str | None:
    """Name an annotator by number: the export may hold the e-mail address too, which stays there.

    >>> _annotator(3), _annotator({"id": 3, "email": "someone"}), _annotator(None)
    ('user 3', 'user 3', None)
    """
    number = completed_by.get("id") if isinstance(completed_by, dict) else completed_by
    return f"user {number}" if isinstance(number, int) else None


def _video_name(data: Mapping[str, Any], place: str) -> str:
    urls = {key: value for key, value in data.items() if isinstance(value, str)}
    names = {key: _name_in_url(url) for key, url in urls.items()}
    videos = {key: name for key, name in names.items() if name.lower().endswith(VIDEO_SUFFIXES)}
    key = "video" if "video" in names else next(iter(videos), None)
    if key is None or not names[key] or (len(videos) > 1 and key != "video"):
        raise ForeignFileError(
            f"{place}: its data names {len(videos)} videos ({', '.join(videos) or 'none'}); one "
            "is needed, under the key 'video' if there are several"
        )
    return names[key]


def _name_in_url(url: str) -> str:
    """Return a video's file name, without what Label Studio puts before uploaded files.

    >>> _name_in_url("/data/upload/3/0d1e2f3a-cam%201.mp4")
    'cam 1.mp4'
    >>> _name_in_url("/data/local-files/?d=line1/cam.mp4")
    'cam.mp4'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return base_name(url)
    local = parse_qs(parts.query).get("d", [""])[0]
    return _UPLOAD_PREFIX.sub("", base_name(local or unquote(parts.path)))


def write_label_studio(
    recordings: Sequence[ForeignRecording],
    target: Path,
    labels: Mapping[str, str],
) -> None:
    """Write `tasks.json`, ready to import, and `label_config.xml`, the project's interface.

    Videos are named as local files of Label Studio, `/data/local-files/?d=videos/NAME`.
    """
    target.mkdir(parents=True, exist_ok=True)
    tasks = [_task(index, recording) for index, recording in enumerate(recordings, start=1)]
    text = json.dumps(tasks, ensure_ascii=False, indent=1, allow_nan=False)
    (target / "tasks.json").write_text(text + "\n", encoding="utf-8")
    view = ElementTree.Element("View")
    layers: dict[str, list[str]] = {}
    for layer in (layer for recording in recordings for layer in recording.layers):
        known = layers.setdefault(layer.name, list(labels) if not layers else [])
        known += [row.label for row in layer.rows]
    for name, used in layers.items():
        control = ElementTree.SubElement(view, "TimelineLabels", name=name, toName="video")
        for label in dict.fromkeys(used):
            ElementTree.SubElement(control, "Label", value=label)
    ElementTree.SubElement(view, "Video", name="video", value="$video", frameRate="$fps")
    tree = ElementTree.ElementTree(view)
    ElementTree.indent(tree)
    tree.write(target / "label_config.xml", encoding="unicode")


def _task(number: int, recording: ForeignRecording) -> dict[str, Any]:
    name = base_name(recording.video) if recording.video else f"{recording.name}.mp4"
    result = [
        {
            "id": f"{layer.name}-{index}",
            "type": "timelinelabels",
            "value": {
                "ranges": [{"start": int(row.start) + 1, "end": int(row.end)}],
                "timelinelabels": [row.label],
            },
            "origin": "manual",
            "to_name": "video",
            "from_name": layer.name,
        }
        for layer in recording.layers
        for index, row in enumerate(layer.rows, start=1)
    ]
    return {
        "id": number,
        "data": {"video": f"/data/local-files/?d=videos/{quote(name)}", "fps": recording.rate_hz},
        "annotations": [{"id": number, "was_cancelled": False, "result": result}],
    }
