"""The pictures of a camera behind a URL: RTSP over TCP, or MJPEG and others over HTTP; by PyAV."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from functools import partial
from time import monotonic

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from edge.cameras.backlog import Backlog
from edge.cameras.frame import Shot, SourceError
from edge.cameras.run_queue import run_delay_s
from edge.cameras.video_file import PIXEL_LIMIT, prepared, stream_fault
from edge.cameras.view import Scaler, View

OPEN_S, READ_S = 3.0, 2.0  # without limits PyAV waits for ever on a camera that stalls
LIMITS = f"limits: {OPEN_S:g} s to open, {READ_S:g} s without data"
TIMEOUTS = (av.error.ExitError, av.error.TimeoutError)
# In a row, until a new connection is better: packets that do not decode (4 s at 25 Hz), and packets
# of which no picture comes (16 s, longer than most cameras take from one key picture to the next).
LIMIT_BAD, LIMIT_EMPTY = 100, 400
# Without a picture, whatever comes: junk may come slowly, and a camera that was decoded too slowly
# may be far from its next key picture, where a new connection mostly begins with one.
PICTURE_S = 20.0
WITHOUT_CLOCK = frozenset({"mjpeg", "mpjpeg"})  # ffmpeg invents 25 Hz for these, whatever comes
OPTIONS = {
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",
    # by default ffmpeg watches 20 pictures to guess the rate: 10 s with a camera of 2 Hz
    "fpsprobesize": "0",
    "analyzeduration": "1000000",
    "protocol_whitelist": "crypto,http,https,rtp,rtsp,rtsps,tcp,tls,udp",
    **PIXEL_LIMIT,
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
            if fault := stream_fault(container):
                raise SourceError(fault)
            yield from _shots(container, view)
    except (av.FFmpegError, OSError, ValueError) as error:
        # ffmpeg gives several names to an opening that ran out of time
        is_late = isinstance(error, TIMEOUTS) or monotonic() - began_s >= OPEN_S
        reason = getattr(error, "strerror", None) or type(error).__name__
        what = f"does not answer ({LIMITS})" if is_late else f"cannot be read ({reason})"
        # "from None" because PyAV's error holds the URL with its password
        raise SourceError(f"{what}; check address, network and camera") from None


def _shots(container: InputContainer, view: View) -> Generator[Shot]:
    decoding = _Decoding(container, view)
    backlog = Backlog()
    began_s, began_delay_s = monotonic(), run_delay_s()
    for packet in container.demux(prepared(container)):
        now_s = monotonic()
        # a starved process is late for packets that lie ready: it must skip, not seem to wait
        waited_s = now_s - began_s - (run_delay_s() - began_delay_s)
        pts_s = decoding.time_s(packet.pts, packet.time_base)
        if backlog.skips(pts_s, is_key=packet.is_keyframe, waited_s=waited_s, now_s=now_s):
            yield Shot(pts_s, None)
        else:
            yield from decoding.shots(packet)
        if now_s - decoding.picture_at_s > PICTURE_S:
            raise SourceError(f"gives no picture for {PICTURE_S:g} s; check its codec and load")
        began_s, began_delay_s = monotonic(), run_delay_s()


class _Decoding:
    """Makes shots of packets; too many bad ones in a row are a fault."""

    def __init__(self, container: InputContainer, view: View) -> None:
        self._view, self._scaler = view, Scaler()
        self._has_clock = container.format.name not in WITHOUT_CLOCK
        # ffmpeg counts RTP time from the first packet and leaves just that packet without a time
        self._unset_s = 0.0 if container.format.name == "rtsp" else None
        self._num_bad = self._num_empty = 0
        self.picture_at_s = monotonic()  # when the last picture was had, or the connection began

    def time_s(self, pts: int | None, time_base: Fraction | None) -> float | None:
        if not self._has_clock:
            return monotonic()
        return self._unset_s if pts is None or time_base is None else float(pts * time_base)

    def shots(self, packet: av.Packet[VideoStream]) -> Iterator[Shot]:
        self._num_empty += 1
        if self._num_empty > LIMIT_EMPTY or self._num_bad == LIMIT_BAD:
            reason = f"{self._num_empty - 1} packets in a row give no picture; check its codec"
            raise SourceError(reason)
        is_good = True
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            pictures, is_good = [], False
            self._num_bad += 1
        if packet.size and not pictures:  # is said too, because it is a sign of life
            yield Shot(None, None, intact=is_good, interval_s=0.0)
        for picture in pictures:
            pts_s = self.time_s(picture.pts, picture.time_base)
            self._unset_s, self._num_bad, self._num_empty = None, 0, 0
            self.picture_at_s = monotonic()
            yield Shot(
                pts_s,
                partial(self._view.of, picture, self._scaler),
                intact=not picture.is_corrupt,
                size=(picture.width, picture.height),
            )


def masked(url: str) -> str:
    """Return `url` without what may be secret: user, password and the query.

    >>> masked("rtsp://admin:pa@ss@10.0.0.7:554/live?token=1")
    'rtsp://***@10.0.0.7:554/live?***'
    >>> masked("rtsp://admin:pa?ss@10.0.0.7/live"), masked("http://10.0.0.7/live?pwd=p@ss")
    ('rtsp://***', 'http://***')
    """
    # by hand: what stands before the last @ goes, also where the password was not escaped
    scheme, separator, rest = url.partition("://")
    rest, query, behind = rest.partition("?")
    if "@" in behind:  # in the password or in the query: nobody can tell
        return f"{scheme}{separator}***"
    _, at, host = rest.rpartition("@")
    return f"{scheme}{separator}{'***@' if at else ''}{host}{'?***' if query else ''}"
