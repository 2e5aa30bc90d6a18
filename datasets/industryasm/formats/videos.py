"""Finds the video of an imported recording and puts it into the data set."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from industryasm.formats.foreign import (
    VIDEO_SUFFIXES,
    ForeignFileError,
    ForeignRecording,
    video_stem,
)
from industryasm.recording import RecordingError

LinkMode = Literal["link", "copy", "either"]
Put = Literal["linked", "copied"]


def find_video(folder: Path, recording: ForeignRecording) -> Path:
    """Return the video that the file names, else the one named as the recording.

    Only files that lie in `folder` itself are looked at. Raises `ForeignFileError` if none fits.
    """
    if not folder.is_dir():
        raise ForeignFileError(f"{folder}: is no folder of videos")
    videos = [
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(VIDEO_SUFFIXES) and path.is_file()
    ]
    named = [path for path in videos if path.name == recording.video]
    alike = named or [path for path in videos if video_stem(path.name) == recording.name]
    if len(alike) != 1:
        looked_for = recording.video or f"{recording.name}.mp4 (or .avi, ...)"
        found = ", ".join(sorted(path.name for path in alike)) or "none"
        raise ForeignFileError(
            f"{recording.place}: needs one video {looked_for} in {folder}, found {found}"
        )
    return alike[0]


@dataclass(frozen=True)
class VideoFacts:
    """What a recording keeps of its video beside the frames' times: pixels."""

    width: int
    height: int


def read_facts(video: Path) -> VideoFacts:
    """Read a video's picture size; raise `RecordingError` for a file that is no video."""
    import av

    try:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            return VideoFacts(stream.width, stream.height)
    except (av.FFmpegError, OSError, IndexError) as error:
        raise RecordingError(f"{video}: cannot be read as a video: {error}") from error


def put_video(video: Path, target: Path, mode: LinkMode) -> Put:
    """Link (hard) or copy a video to `target`; `either` links where the file system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode != "copy":
        try:
            os.link(video.resolve(), target)
            return "linked"
        except OSError as error:
            if mode == "link":
                message = f"{video}: cannot be linked to {target}: {error.strerror}; use --copy"
                raise ForeignFileError(message) from error
    try:
        shutil.copyfile(video, target)
    except OSError as error:
        raise ForeignFileError(f"{video}: cannot be copied: {error.strerror or error}") from error
    return "copied"
