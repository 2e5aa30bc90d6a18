"""Which recordings of foreign files can be taken, and the ids that they get."""

from __future__ import annotations

import re
from collections.abc import Sequence

from industryasm.formats.foreign import ForeignFileError, ForeignRecording
from industryasm.repairs import Repairs

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # recording.RecordingId


def with_length(
    foreign: Sequence[ForeignRecording], *, has_videos: bool, repairs: Repairs
) -> list[ForeignRecording]:
    """Leave out recordings of which nobody knows how long they are: no row, length or video."""
    kept: list[ForeignRecording] = []
    for recording in foreign:
        if has_videos or recording.length or any(layer.rows for layer in recording.layers):
            kept.append(recording)
        else:
            repairs.add("recording without row, length and video left out", recording.place)
    if not kept:
        raise ForeignFileError("the files hold no recording with a row; --videos gives lengths")
    return kept


def recording_ids(foreign: Sequence[ForeignRecording], repairs: Repairs) -> list[str]:
    """Return an id for each recording, made of its name; paths and doubles are refused."""
    taken: dict[str, ForeignRecording] = {}
    for recording in foreign:
        name = recording.name
        if re.search(r"[/\\]|^\.|[\x00-\x1f\x7f]", name) or not name:
            raise ForeignFileError(
                f"{recording.place}: {name[:80]!r} cannot name a recording: no path, no leading "
                "dot, no control characters"
            )
        if not _ID.fullmatch(name):
            name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "-"
            if not _ID.fullmatch(name):
                raise ForeignFileError(
                    f"{recording.place}: no id can be made of the name {recording.name[:120]!r}: "
                    "letters, digits, dot, hyphen, 100 at most"
                )
            repairs.add("name made an id", f"{recording.place}: {recording.name!r} is {name!r}")
        if name in taken:
            raise ForeignFileError(
                f"{recording.place}: the recording {name!r} is there already, in "
                f"{taken[name].place}"
            )
        taken[name] = recording
    return list(taken)
