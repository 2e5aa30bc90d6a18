"""BORIS projects (`.boris`): JSON with an ethogram and observations, whose events are rows.

An event is `[time, subject, code, modifiers, comment, frame]` (before version 8 without the
frame). A state event is written once when it starts and once when it stops; which of the two a row
is follows from how many rows of the same subject, code and modifiers come before it, as in BORIS.
Layout read off olivierfriard/BORIS, tests/files/*.boris, project_format_version 4.0 to 7.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from industryasm.formats.foreign import (
    STEP_LAYER,
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

NO_SUBJECT = "no focal subject"
"""Name of the layer of events without a subject, after BORIS's own words for it."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Behaviour(_Part):
    type: str
    code: str


class _MediaInfo(_Part):
    length: dict[str, float] = {}
    fps: dict[str, float] = {}
    offset: dict[str, float] = {}


class _Observation(_Part):
    type: str
    file: dict[str, list[str]] | list[str] = []
    time_offset: float = Field(default=0.0, alias="time offset")
    events: list[list[Any]]
    media_info: _MediaInfo = _MediaInfo()


class _Subject(_Part):
    name: str = ""


class _Project(_Part):
    subjects_conf: dict[str, _Subject] = {}
    behaviors_conf: dict[str, _Behaviour]
    observations: dict[str, _Observation]


@dataclass(frozen=True, order=True)
class _Event:
    time_s: float
    subject: str
    code: str
    modifiers: str
    place: str


def read_boris(source: Path, repairs: Repairs) -> list[ForeignRecording]:
    """Read one project or all of a folder; each observation is a recording.

    A project that has a subject `steps` has that layer in each, empty where nothing is of it.
    """
    return [
        recording
        for path in files_of(source, ".boris")
        for recording in _read_project(path, repairs)
    ]


def _read_project(path: Path, repairs: Repairs) -> list[ForeignRecording]:
    project = validate(read_json(path, repairs), _Project, str(path))
    codes = {b.code: b.type.startswith("State") for b in project.behaviors_conf.values()}
    has_steps = any(subject.name == STEP_LAYER for subject in project.subjects_conf.values())
    known = (STEP_LAYER,) if has_steps else ()
    return [
        _read_observation(name, observation, codes, known, path, repairs)
        for name, observation in project.observations.items()
    ]


def _read_observation(
    name: str,
    observation: _Observation,
    codes: Mapping[str, bool],
    known: Sequence[str],
    path: Path,
    repairs: Repairs,
) -> ForeignRecording:
    place = f"{path}: observation {name!r}"
    info = observation.media_info
    if observation.time_offset or info.offset.get("1", 0):
        raise ForeignFileError(f"{place}: has a time offset; set it to 0 in BORIS")
    files = observation.file.get("1", []) if isinstance(observation.file, dict) else []
    if len(files) > 1:
        raise ForeignFileError(
            f"{place}: player 1 plays {len(files)} files one after the other; make one observation "
            "of each"
        )
    events: list[_Event] = []
    for index, cells in enumerate(observation.events):
        event = _read_event(cells, f"{place}, event {index + 1}")
        if event.code not in codes:
            raise ForeignFileError(f"{event.place}: {event.code!r} is not in the ethogram")
        if codes[event.code]:
            events.append(event)
        else:
            repairs.add("point event left out: it has no duration", event.place)
    media = files[0] if files else ""
    return ForeignRecording(
        # BORIS names an observation by its file's whole path when it makes one of each in a folder
        name=video_stem(base_name(media)) if media and name == media else name,
        unit="seconds",
        layers=tuple(_pair(events, known)),
        video=base_name(media) or None,
        rate_hz=_read_rate(info, media, place, repairs),
        length=info.length.get(media),
        place=place,
    )


def _read_rate(info: _MediaInfo, media: str, place: str, repairs: Repairs) -> float | None:
    """Return the video's frames per second, unless it is what BORIS 8 put there by mistake.

    Its `Create observations from a directory of media files` writes the length in seconds for it
    (seen in a project made by BORIS 8.27.4; in 10.0.2 it is right).
    """
    rate_hz = info.fps.get(media)
    if rate_hz is None:
        return None
    if rate_hz == info.length.get(media):
        repairs.add("frame rate left out: it is the video's length in seconds", place)
        return None
    if not 0 < rate_hz <= 240:
        repairs.add("frame rate left out: no camera has it", place)
        return None
    return rate_hz


def _read_event(cells: list[Any], place: str) -> _Event:
    if len(cells) < 5:
        raise ForeignFileError(f"{place}: has {len(cells)} fields instead of 5 or 6")
    time, subject, code, modifiers = cells[:4]
    if not is_number(time):
        raise ForeignFileError(f"{place}: {repr(time)[:40]} is no number of seconds")
    if time < 0:
        raise ForeignFileError(f"{place}: is before 0, at {time} s")
    for text in (subject, code, modifiers):
        if not isinstance(text, str):
            raise ForeignFileError(f"{place}: {text!r} is no text")
    return _Event(float(time), subject, code, "" if modifiers == "None" else modifiers, place)


def _pair(events: list[_Event], known: Sequence[str]) -> list[ForeignLayer]:
    open_events: dict[tuple[str, str, str], _Event] = {}
    rows: dict[str, list[ForeignRow]] = {name: [] for name in known}
    for event in sorted(events, key=lambda event: event.time_s):  # as BORIS does
        layer = rows.setdefault(event.subject or NO_SUBJECT, [])
        key = (event.subject, event.code, event.modifiers)
        start = open_events.pop(key, None)
        if start is None:
            open_events[key] = event
            continue
        label = f"{event.code} [{event.modifiers}]" if event.modifiers else event.code
        layer.append(ForeignRow(start.time_s, event.time_s, label, start.place))
    for event in open_events.values():
        raise ForeignFileError(
            f"{event.place}: the state event {event.code!r} at {event.time_s} s is not paired: an "
            "odd number of starts and stops; mend it in BORIS (Check state events)"
        )
    return [
        ForeignLayer(
            name,
            tuple(sorted(found, key=lambda row: row.start)),
            is_named=name != NO_SUBJECT,
        )
        for name, found in rows.items()
    ]


def write_boris(
    recordings: Sequence[ForeignRecording],
    target: Path,
    labels: Mapping[str, str],
    losses: Repairs,
) -> None:
    """Write `project.boris`, times rounded to milliseconds; a layer is a subject.

    It is ASCII: BORIS opens a project in the encoding of the system, which is not always UTF-8.
    """
    subjects = list(dict.fromkeys(layer.name for r in recordings for layer in r.layers))
    used = [row.label for r in recordings for layer in r.layers for row in layer.rows]
    texts = {code: labels.get(code, "") for code in dict.fromkeys([*labels, *used])}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    project = {
        "time_format": "hh:mm:ss",
        "project_date": now,
        "project_name": "",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(index): {"key": "", "name": name, "description": ""}
            for index, name in enumerate(subjects)
        },
        "behaviors_conf": {
            str(index): _behaviour(code, text) for index, (code, text) in enumerate(texts.items())
        },
        "observations": {r.name: _observation(r, now, losses) for r in recordings},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
        "behavioral_categories_config": {},
    }
    target.mkdir(parents=True, exist_ok=True)
    text = json.dumps(project, indent=1, allow_nan=False)
    (target / "project.boris").write_text(text, encoding="ascii")


def _behaviour(code: str, text: str) -> dict[str, Any]:
    return {
        "type": "State event",
        "key": "",
        "code": code,
        "description": text,
        "color": "",
        "category": "",
        "modifiers": {},
        "excluded": "",
        "coding map": "",
    }


def _observation(recording: ForeignRecording, now: str, losses: Repairs) -> dict[str, Any]:
    events: list[list[Any]] = []
    for layer in recording.layers:
        for row in layer.rows:
            start, end = round(row.start, 3), round(row.end, 3)
            if start < end:
                events += [[time, layer.name, row.label, "", "", "NA"] for time in (start, end)]
            else:
                losses.add("segment shorter than a millisecond left out", row.place)
    media = recording.video
    facts = {"length": recording.length, "fps": recording.rate_hz, "hasVideo": True}
    known = {key: value for key, value in facts.items() if value is not None and media}
    return {
        "file": {str(player): [media] if media and player == 1 else [] for player in range(1, 9)},
        "type": "MEDIA" if media else "LIVE",
        "date": now,
        "description": "",
        "time offset": 0.0,
        "events": sorted(events, key=lambda event: event[0]),
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "media_info": {
            **{key: {media: value} for key, value in known.items()},
            "hasAudio": {media: False} if media else {},
            "offset": {"1": 0.0},
        },
    }
