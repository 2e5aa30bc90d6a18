"""The pictures of a camera behind a URL: RTSP over TCP, or MJPEG and others over HTTP; by PyAV."""

from __future__ import annotations

import math
from collections.abc import Generator
from functools import partial
from time import monotonic

import av
from av.container import InputContainer

from edge.frame import Shot, SourceError
from edge.video_file import decoded
from edge.view import View

OPEN_S, READ_S = 3.0, 2.0  # without limits PyAV waits for ever on a camera that stalls
LIMITS = f"limits: {OPEN_S:g} s to open, {READ_S:g} s without data"
TIMEOUTS = (av.error.ExitError, av.error.TimeoutError)
LIMIT_BAD_PACKETS = 100  # 4 s at 25 Hz in which nothing decodes: then a new connection is better
WITHOUT_CLOCK = frozenset({"mjpeg", "mpjpeg"})  # ffmpeg invents 25 Hz for these, whatever comes
OPTIONS = {
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",
    # by default ffmpeg watches 20 pictures to guess the rate: 10 s with a camera of 2 Hz
    "fpsprobesize": "0",
    "analyzeduration": "1000000",
    "protocol_whitelist": "crypto,http,https,rtp,rtsp,rtsps,tcp,tls,udp",
}


def network_camera_shots(url: str, view: View) -> Generator[Shot]:
    """Open the camera at `url` and yield its pictures until it fails.

    Raises `SourceError` with the reason alone (no name, no password) when the camera cannot be
    reached, sends nothing for 2 s, or sends what does not decode.
    """
    began_s = monotonic()
    try:
        with av.open(url, timeout=(OPEN_S, READ_S), options=dict(OPTIONS)) as container:
            began_s = math.inf
            if not container.streams.video:
                raise SourceError("sends no video; check the path of the URL")
            yield from _shots(container, view)
    except (av.FFmpegError, OSError, ValueError) as error:
        # ffmpeg gives several names to an opening that ran out of time
        is_late = isinstance(error, TIMEOUTS) or monotonic() - began_s >= OPEN_S
        reason = getattr(error, "strerror", None) or type(error).__name__
        what = f"does not answer ({LIMITS})" if is_late else f"cannot be read ({reason})"
        # "from None" because PyAV's error holds the URL with its password
        raise SourceError(f"{what}; check address, network and camera") from None


def _shots(container: InputContainer, view: View) -> Generator[Shot]:
    has_clock = container.format.name not in WITHOUT_CLOCK
    # ffmpeg counts RTP time from the first packet and leaves just that packet without a time
    unset_s = 0.0 if container.format.name == "rtsp" else None
    num_bad = 0
    for picture in decoded(container):
        if picture is None:
            num_bad += 1
            if num_bad == LIMIT_BAD_PACKETS:
                raise SourceError(f"{num_bad} packets in a row do not decode; check its codec")
            yield Shot(None, None, intact=False, interval_s=0.0)
            continue
        num_bad = 0
        pts_s = picture.time if has_clock else monotonic()
        pts_s, unset_s = unset_s if pts_s is None else pts_s, None
        yield Shot(pts_s, partial(view.of, picture), intact=not picture.is_corrupt)


def masked(url: str) -> str:
    """Return `url` without what may be secret: user, password and the query.

    >>> masked("rtsp://admin:pa@ss@10.0.0.7:554/live?token=1")
    'rtsp://***@10.0.0.7:554/live?***'
    """
    # by hand: what stands before the last @ goes, also where the password was not escaped
    scheme, separator, rest = url.partition("://")
    rest, query, _ = rest.partition("?")
    _, at, host = rest.rpartition("@")
    return f"{scheme}{separator}{'***@' if at else ''}{host}{'?***' if query else ''}"
