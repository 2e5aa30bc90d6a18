"""The pictures of a video file, with their presentation times; decodes by PyAV."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
from av.container import InputContainer

from edge.frame import Shot, SourceError
from edge.view import View

OPEN_S, READ_S = 10.0, 10.0  # a regular file answers in milliseconds, a network share in seconds


def video_file_shots(path: Path, view: View) -> Iterator[Shot]:
    """Yield every picture of the video at `path`, PTS counted from the stream's start.

    A picture that cannot be decoded is yielded without image, and decoding goes on behind it.
    Raises `SourceError` when `path` is not a regular file or holds no video.
    """
    _refuse_what_is_no_file(path)
    try:
        # "file:" so that a name with a colon is a name, and no playlist leads to the network
        container = av.open(
            f"file:{path}", timeout=(OPEN_S, READ_S), options={"protocol_whitelist": "file"}
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(
            f"{path}: cannot be read as video ({reason}); is it complete, and is it a video?"
        ) from error
    with container:
        # ffmpeg draws text files as pictures of a terminal
        if not container.streams.video or container.format.name == "tty":
            raise SourceError(
                f"{path}: holds no video ({container.format.long_name}); name a video file"
            )
        stream = container.streams.video[0]
        start_s = _start_s(container)
        interval_s = float(1 / stream.average_rate) if stream.average_rate else 1 / 25
        try:
            for picture in decoded(container):
                if picture is None:
                    yield Shot(None, None, intact=False, interval_s=interval_s)
                    continue
                if start_s is None:
                    start_s = picture.time
                pts_s = None if picture.time is None else picture.time - (start_s or 0.0)
                image = partial(view.of, picture)
                yield Shot(pts_s, image, intact=not picture.is_corrupt, interval_s=interval_s)
        except av.FFmpegError:  # the container's own structure is broken from here on
            yield Shot(None, None, intact=False, interval_s=interval_s)


def _start_s(container: InputContainer) -> float | None:
    """Return the PTS at which the video starts; None where the container does not say."""
    stream = container.streams.video[0]
    if stream.start_time is None or stream.time_base is None:
        return None
    return float(stream.start_time * stream.time_base)


def decoded(container: InputContainer) -> Iterator[av.VideoFrame | None]:
    """Yield the pictures of the first video stream, None where a packet does not decode.

    Decodes in the calling thread alone: several cameras share the cores, and a picture is not
    held back. Raises `av.FFmpegError` when the container cannot be read on.
    """
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            yield None


def _refuse_what_is_no_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{path}: cannot be read ({reason}); check the path") from error
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path}: is not a regular file; name a video file")
