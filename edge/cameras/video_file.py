"""The pictures of a video file, with their presentation times; decodes by PyAV."""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from edge.cameras.frame import Shot, SourceError
from edge.cameras.timeline import Needless
from edge.cameras.view import Scaler, View

OPEN_S, READ_S = 10.0, 10.0  # a regular file answers in milliseconds, a network share in seconds
MAX_PIXELS = 8192 * 4320  # 8K; a header may claim any size, and a codec keeps up to 17 pictures
PIXEL_LIMIT = {"max_pixels": str(MAX_PIXELS)}
# These store when each picture is shown; for others, AVI among them, ffmpeg guesses.
WITH_TIMES = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts"})


def video_file_shots(
    path: Path, view: View, rate_hz: float, *, num_threads: int = 1
) -> Iterator[Shot]:
    """Yield the pictures of the video at `path`, PTS counted from the stream's start.

    Those that nothing refers to and no sampling at `rate_hz` takes are not even decoded. A picture
    that cannot be decoded is yielded without image, and decoding goes on behind it. With several
    `num_threads` so many pictures are decoded at once, where the codec can do that.
    Raises `SourceError` when `path` is not a regular file or holds no video.
    """
    _refuse_what_is_no_file(path)
    try:
        # "file:" so that a name with a colon is a name, and no playlist leads to the network
        container = av.open(
            f"file:{path}",
            timeout=(OPEN_S, READ_S),
            options={"protocol_whitelist": "file", **PIXEL_LIMIT},
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
        if fault := stream_fault(container):
            raise SourceError(f"{path}: {fault}")
        stream = container.streams.video[0]
        start_s = _start_s(container)
        interval_s = float(1 / stream.average_rate) if stream.average_rate else 1 / 25
        scaler = Scaler()
        try:
            for picture in _decoded(container, start_s, rate_hz, num_threads):
                if picture is None:
                    yield Shot(None, None, intact=False, interval_s=interval_s)
                    continue
                if start_s is None:
                    start_s = picture.time
                pts_s = None if picture.time is None else picture.time - (start_s or 0.0)
                image = partial(view.of, picture, scaler)
                yield Shot(
                    pts_s,
                    image,
                    intact=not picture.is_corrupt,
                    interval_s=interval_s,
                    size=(picture.width, picture.height),
                )
        except av.FFmpegError:  # the container's own structure is broken from here on
            yield Shot(None, None, intact=False, interval_s=interval_s)


def _start_s(container: InputContainer) -> float | None:
    """Return the PTS at which the video starts; None where the container does not say."""
    stream = container.streams.video[0]
    if stream.start_time is None or stream.time_base is None:
        return None
    return float(stream.start_time * stream.time_base)


def stream_fault(container: InputContainer) -> str | None:
    """Return why the first video stream cannot be decoded; None where nothing is in the way."""
    codec = container.streams.video[0].codec_context
    if codec is None:  # which PyAV's stub does not know
        return "its video is of a kind that cannot be decoded; encode it as H.264"
    if codec.width * codec.height > MAX_PIXELS:
        return (
            f"its pictures have {codec.width}x{codec.height} pixels, and at most {MAX_PIXELS} (8K) "
            "are read; scale them down"
        )
    return None


def _decoded(
    container: InputContainer, start_s: float | None, rate_hz: float, num_threads: int
) -> Iterator[av.VideoFrame | None]:
    """Yield the pictures of the first video stream, None where a packet does not decode.

    Raises `av.FFmpegError` when the container cannot be read on.
    """
    stream = prepared(container, num_threads)
    needless = Needless(rate_hz)
    if start_s is None or container.format.name not in WITH_TIMES:
        needless.stop()
    last_s = -math.inf
    for packet in container.demux(stream):
        if packet.pts is not None and packet.time_base is not None:
            time_s = float(packet.pts * packet.time_base) - (start_s or 0.0)
            stream.codec_context.skip_frame = "NONREF" if needless.has(time_s) else "DEFAULT"
        try:
            for picture in packet.decode():
                if picture.time is None or picture.time < last_s or picture.is_corrupt:
                    needless.stop()
                last_s = picture.time or last_s
                yield picture
        except av.FFmpegError:
            needless.stop()
            yield None


def prepared(container: InputContainer, num_threads: int = 1) -> VideoStream:
    """Return the first video stream, to be decoded in the calling thread alone, or in several.

    Alone for cameras, which share the cores: each thread more holds a picture back for as long as
    the next one is away.
    """
    stream = container.streams.video[0]
    stream.codec_context.thread_count = num_threads
    stream.codec_context.thread_type = "FRAME"  # most cameras and files have one slice a picture
    stream.codec_context.options = PIXEL_LIMIT  # the size may change on the way
    return stream


def _refuse_what_is_no_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{path}: cannot be read ({reason}); check the path") from error
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path}: is not a regular file; name a video file")
