"""Files and cameras that lie, stop short or never end: survived or refused in one line, in time."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge.cameras.frame import Frame, SourceError
from edge.cameras.sources import open_source
from edge.cameras.video_file import MAX_PIXELS
from tests.clip import TIME_BASE, number_of, numbered, write_clip
from tests.rtsp_server import AccessUnit, RtspServer, access_units, parameter_sets

# by a thread, because no signal is heard while ffmpeg holds on to a read
pytestmark = pytest.mark.timeout(50, method="thread")
START_CODE = b"\0\0\0\1"


def frames_of(path: Path | str, rate_hz: float = 5.0) -> list[Frame]:
    with open_source(str(path), rate_hz=rate_hz, size=None) as source:
        return list(source)


def refused(path: Path | str) -> str:
    """Return the one line with which `path` is refused."""
    with pytest.raises(SourceError) as error:
        frames_of(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def read_or_refused(path: Path) -> list[Frame]:
    """Return what `path` gives; nothing when it is refused, which must be in one line."""
    try:
        frames = frames_of(path)
    except SourceError as fault:
        lines = str(fault).splitlines()
        frames = []
    else:
        lines = []
    assert len(lines) <= 1
    assert rises(frames)
    return frames


def rises(frames: list[Frame]) -> bool:
    return all(earlier.time_s < later.time_s for earlier, later in pairwise(frames))


def seconds(num: int, rate_hz: float = 25.0) -> list[float]:
    return [index / rate_hz for index in range(num)]


# --- files that are no files ----------------------------------------------------------------------


@pytest.mark.parametrize("is_link", [False, True])
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.mkdir(), "holds no images"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to(path.with_name("gone")), "No such file"),
        (lambda path: path.write_bytes(b""), "is it complete"),
        (lambda path: path.write_bytes(bytes(1_000_000)), "is it complete"),
    ],
)
def test_what_is_no_video_is_refused_directly_and_through_a_link(
    tmp_path: Path, make: Callable[[Path], object], told: str, is_link: bool
) -> None:
    path = tmp_path / "thing.mp4"
    make(path)
    if is_link:
        path = tmp_path / "link.mp4"
        path.symlink_to("thing.mp4")
    assert told in refused(path)


def test_a_link_to_a_video_is_read(tmp_path: Path) -> None:
    link = tmp_path / "link.mp4"
    link.symlink_to(write_clip(tmp_path / "clip.mp4", seconds(11)))
    assert [number_of(frame.image) for frame in frames_of(link)] == [0, 5, 10]


@pytest.mark.parametrize(
    "suffix", [".mp4", ".mkv", ".avi", ".ts", ".h264", ".mjpeg", ".mov", ".gif"]
)
def test_random_bytes_of_any_suffix_end_in_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"random{suffix}"
    path.write_bytes(np.random.default_rng(3).bytes(200_000))
    refused(path)


# --- headers that lie -----------------------------------------------------------------------------


class Bits:
    """The bits of an H.264 parameter set (ISO 14496-10, 7.2 and 9.1)."""

    def __init__(self) -> None:
        self._bits = ""

    def fixed(self, length: int, value: int) -> Bits:
        self._bits += format(value, f"0{length}b")
        return self

    def golomb(self, *values: int) -> Bits:
        for value in values:
            digits = format(value + 1, "b")
            self._bits += "0" * (len(digits) - 1) + digits
        return self

    def payload(self) -> bytes:
        """Return the bytes with stop bit and emulation prevention."""
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        data = int(bits, 2).to_bytes(len(bits) // 8)
        return re.sub(rb"\x00\x00(?=[\x00-\x03])", lambda _: b"\0\0\3", data)


def size_claim(width: int, height: int) -> bytes:
    """Return a sequence parameter set (7.3.2.1.1) of the Baseline profile, level 6.2."""
    bits = Bits().fixed(8, 66).fixed(8, 0).fixed(8, 62).golomb(0, 0, 2, 1).fixed(1, 0)
    bits.golomb((width + 15) // 16 - 1, (height + 15) // 16 - 1)
    return b"\x67" + bits.fixed(4, 0b1100).payload()


def h264_of_size(path: Path, width: int, height: int) -> None:
    clip = write_clip(path.with_name("small.h264"), seconds(10)).read_bytes()
    units = re.split(rb"\x00\x00\x00?\x01", clip)[1:]
    claim = size_claim(width, height)
    path.write_bytes(b"".join(START_CODE + (claim if u[0] & 31 == 7 else u) for u in units))


def mjpeg_of_size(path: Path, width: int, height: int) -> None:
    jpeg = bytearray(cv2.imencode(".jpg", numbered(3))[1].tobytes())
    place = jpeg.find(b"\xff\xc0") + 5
    jpeg[place : place + 4] = struct.pack(">HH", height, width)
    path.write_bytes(bytes(jpeg) * 5)


def gif_of_size(path: Path, width: int, height: int) -> None:
    size = struct.pack("<HH", width, height)
    path.write_bytes(
        b"GIF89a" + size + b"\xf0\0\0" + bytes(6) + b"," + bytes(4) + size + b"\0\2\2\x4c\1\0;"
    )


def png_of_size(path: Path, width: int, height: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))


FILL = """
import resource, sys
from edge.cameras.frame import SourceError
from edge.cameras.sources import open_source
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 256 * 2**20,) * 2)
for path in sys.argv[1:]:
    try:
        with open_source(path, rate_hz=5, size=None) as source:
            print(path, sum(1 for _ in source))
    except SourceError as error:
        print(error)
"""


def test_a_header_that_claims_a_huge_picture_costs_no_memory(
    tmp_path: Path, start_process: Callable[..., subprocess.Popen[bytes]]
) -> None:
    paths = []
    sizes = ((65535, 65535), (40000, 40000), (16000, 16000), (65535, 600))
    for make in (h264_of_size, mjpeg_of_size, gif_of_size, png_of_size):
        for width, height in sizes:
            paths.append(tmp_path / f"{make.__name__}_{width}x{height}")
            make(paths[-1], width, height)
            assert width * height > MAX_PIXELS
    reader = start_process("-c", FILL, *map(str, paths), stdout=subprocess.PIPE)
    told = reader.communicate(timeout=45)[0].decode().splitlines()
    assert reader.returncode == 0
    assert len(told) == len(paths)
    for path, line in zip(paths, told, strict=True):
        assert line.startswith(f"{path}: ")
    assert any(re.search(r"16000x16000 pixels, and at most \d+ \(8K\) are read", t) for t in told)


def boxes_that_count(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield an MP4's tables and the place of the number of their entries."""
    for kind, behind in ((b"stts", 8), (b"stsz", 12), (b"stsc", 8), (b"stco", 8), (b"stss", 8)):
        yield kind.decode(), data.index(kind) + behind


@pytest.mark.parametrize("claim", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_table_that_claims_billions_of_entries_is_survived(tmp_path: Path, claim: int) -> None:
    data = write_clip(tmp_path / "clip.mp4", seconds(50)).read_bytes()
    for kind, place in boxes_that_count(data):
        path = tmp_path / f"{kind}.mp4"
        path.write_bytes(data[:place] + struct.pack(">I", claim) + data[place + 4 :])
        assert len(read_or_refused(path)) <= 50


def test_a_declared_length_of_days_does_not_last_days(tmp_path: Path) -> None:
    data = bytearray(write_clip(tmp_path / "clip.mkv", seconds(50)).read_bytes())
    place = data.index(b"\x44\x89\x88") + 3  # Matroska's Duration, 8 bytes, milliseconds
    data[place : place + 8] = struct.pack(">d", 30 * 86_400e3)
    path = tmp_path / "days.mkv"
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert container.duration / av.time_base > 86_400
    assert [number_of(frame.image) for frame in frames_of(path)] == list(range(0, 50, 5))


def test_a_gap_of_days_is_a_damaged_time_stamp(tmp_path: Path) -> None:
    times = [0.0, 0.2, 300_000.0, 300_000.2]
    frames = frames_of(write_clip(tmp_path / "gap.mkv", times))
    assert [number_of(frame.image) for frame in frames] == [0, 1, 3] or len(frames) == 4
    assert frames[-1].time_s < 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_a_file_cut_off_anywhere_ends_in_time(tmp_path: Path, suffix: str) -> None:
    data = write_clip(tmp_path / f"whole{suffix}", seconds(50)).read_bytes()
    path = tmp_path / f"cut{suffix}"
    for part in range(1, 20):
        path.write_bytes(data[: len(data) * part // 20])
        read_or_refused(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".h264"])
def test_flipped_bytes_end_in_time_and_time_never_goes_back(tmp_path: Path, suffix: str) -> None:
    data = write_clip(tmp_path / f"whole{suffix}", seconds(25)).read_bytes()
    path = tmp_path / f"flipped{suffix}"
    random = np.random.default_rng(5)
    for _ in range(40):
        flipped = bytearray(data)
        for place in random.integers(0, len(data), random.integers(1, 20)):
            flipped[place] = random.integers(256)
        path.write_bytes(flipped)
        read_or_refused(path)


# --- unusual but true -----------------------------------------------------------------------------


def write_with(
    path: Path, codec: str, pixels: str, size: tuple[int, int], num: int = 11, rate: int = 25
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for index in range(num):
            frame = av.VideoFrame.from_ndarray(numbered(index, size), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "pixels", "size"),
    [
        ("libx264", "yuv444p", (127, 63)),
        ("ffv1", "yuv420p", (101, 51)),
        ("libx264", "yuv420p10le", (128, 64)),
        ("ffv1", "yuv422p10le", (128, 64)),
        ("ffv1", "gray", (128, 64)),
        ("mjpeg", "yuvj420p", (99, 17)),
        ("mjpeg", "yuvj420p", (17, 3)),
    ],
)
def test_odd_sizes_and_deep_colours_are_read(
    tmp_path: Path, codec: str, pixels: str, size: tuple[int, int]
) -> None:
    frames = frames_of(write_with(tmp_path / "clip.mkv", codec, pixels, size))
    assert [number_of(frame.image) for frame in frames] == [0, 5, 10]
    assert {frame.image.shape for frame in frames} == {(size[1], size[0], 3)}


@pytest.mark.parametrize(
    ("rate_hz", "num", "expected"),
    [(1, 4, [0, 1, 2, 3]), (240, 481, list(range(0, 481, 48)))],
)
def test_very_slow_and_very_fast_recordings_are_sampled_by_time(
    tmp_path: Path, rate_hz: int, num: int, expected: list[int]
) -> None:
    frames = frames_of(write_clip(tmp_path / "clip.mp4", seconds(num, rate_hz)))
    assert [number_of(frame.image) for frame in frames] == [index % 256 for index in expected]


ONE = 1 << 16
TURNS = {  # a, b, c, d of the display matrix, and what it makes of the stored picture
    "upright": ((ONE, 0, 0, ONE), lambda image: image),
    "clockwise": ((0, ONE, -ONE, 0), lambda image: np.rot90(image, -1)),
    "counterclockwise": ((0, -ONE, ONE, 0), lambda image: np.rot90(image)),
    "half": ((-ONE, 0, 0, -ONE), lambda image: np.rot90(image, 2)),
    "mirrored": ((-ONE, 0, 0, ONE), lambda image: image[:, ::-1]),
    "upside down": ((ONE, 0, 0, -ONE), lambda image: image[::-1]),
    "by an eighth": ((46341, 46341, -46341, 46341), lambda image: image),
    "nothing": ((0, 0, 0, 0), lambda image: image),
}


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a picture, dark but for a corner, with a display matrix in its track's header."""
    image = np.full((48, 96, 3), 20, np.uint8)
    image[:16, :32] = 230
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, width=96, height=48, pix_fmt="yuv444p")
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44  # ISO 14496-12, 8.3.2, version 0
    a, b, c, d = matrix
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("roi", [None, (0.0, 0.0, 0.5, 0.5)])
def test_a_recording_is_shown_upright_as_its_display_matrix_says(
    tmp_path: Path, turn: str, roi: tuple[float, float, float, float] | None
) -> None:
    matrix, expected = TURNS[turn]
    stored = np.zeros((48, 96), bool)
    stored[:16, :32] = True
    upright = expected(stored)
    if roi:
        upright = upright[: upright.shape[0] // 2, : upright.shape[1] // 2]
    with open_source(
        str(turned(tmp_path / "turned.mp4", matrix)), rate_hz=5, size=None, roi=roi
    ) as source:
        image = next(source).image
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image[..., 0] > 128, upright)


def test_a_turned_recording_fits_the_asked_size(tmp_path: Path) -> None:
    path = turned(tmp_path / "turned.mp4", TURNS["clockwise"][0])
    with open_source(str(path), rate_hz=5, size=(20, 60)) as source:
        image = next(source).image
    assert image.shape == (60, 20, 3)
    bright = image[..., 0] > 128
    assert bright[3:17, 15:18].all()  # the left upper corner is the right upper one now
    assert not bright[:, :12].any()


# --- time stamps ----------------------------------------------------------------------------------


def with_pts(path: Path, pts: list[int]) -> Path:
    """Write a transport stream of numbered pictures whose packets have these 90 kHz time stamps."""
    clip = write_clip(path.with_suffix(".mp4"), seconds(len(pts)))
    with av.open(str(clip)) as source, av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet, value in zip(packets, pts, strict=True):
            packet.stream = stream
            packet.time_base = TIME_BASE
            packet.pts = packet.dts = value
            container.mux(packet)
    return path


def test_time_stamps_that_wrap_at_33_bits_go_on(tmp_path: Path) -> None:
    begin = 2**33 - 90_000
    path = with_pts(tmp_path / "wrap.ts", [begin + index * 3600 for index in range(75)])
    frames = frames_of(path)
    assert [number_of(frame.image) for frame in frames] == list(range(0, 75, 5))
    assert [frame.time_s for frame in frames] == pytest.approx(seconds(15, 5), abs=1e-3)


@pytest.mark.parametrize("suffix", [".ts", ".h264"])
def test_files_joined_end_to_end_go_on_in_time_and_in_each_ones_size(
    tmp_path: Path, suffix: str
) -> None:
    sizes = ((64, 48), (128, 96), (32, 64))
    parts = [
        write_clip(tmp_path / f"{size[0]}{suffix}", seconds(50), size=size).read_bytes()
        for size in sizes
    ]
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(b"".join(parts))  # a transport stream's time goes back at each seam
    frames = frames_of(path)
    assert rises(frames)
    assert 5.5 < frames[-1].time_s < 6.5
    shapes = [frame.image.shape[1::-1] for frame in frames]
    assert list(dict.fromkeys(shapes)) == list(sizes)
    assert {number_of(frame.image) < 50 for frame in frames} == {True}


# --- cameras that lie -----------------------------------------------------------------------------


def test_a_camera_that_changes_its_size_goes_on(tmp_path: Path) -> None:
    sizes = ((64, 48), (160, 96))
    clips = [write_clip(tmp_path / f"{size[0]}.mp4", seconds(50), size=size) for size in sizes]

    def units() -> Iterator[AccessUnit]:
        for part, clip in enumerate(clips):
            sets = parameter_sets(clip)
            for unit in access_units(clip, loops=False):
                nal_units = (*sets, *unit.nal_units) if unit.is_key else unit.nal_units
                yield AccessUnit(nal_units, part * 2.0 + unit.time_s, unit.is_key)

    with (
        RtspServer(clips[0], units=units) as server,
        open_source(server.url, rate_hz=5, size=None) as source,
    ):
        frames = [frame for frame, _ in zip(source, range(18), strict=False)]
        assert source.num_reconnects == 0
    assert rises(frames)
    assert list(dict.fromkeys(frame.image.shape[1::-1] for frame in frames)) == list(sizes)


def test_a_camera_whose_time_goes_back_is_followed(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", seconds(50))

    def units() -> Iterator[AccessUnit]:
        for part in (500.0, 100.0, 50.0):  # seconds of a clock that is set
            for unit in access_units(clip, loops=False):
                yield AccessUnit(unit.nal_units, part + unit.time_s, unit.is_key)

    with (
        RtspServer(clip, units=units, pace=np.inf) as server,
        open_source(server.url, rate_hz=5, size=None) as source,
    ):
        frames = [next(source), next(source)]
        deadline = time.monotonic() + 10
        while source.num_reconnects == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        frames += [next(source), next(source)]
    assert rises(frames)
    assert frames[-1].time_s < 30
    assert source.damaged >= 1  # each jump back is counted


def claims_40000(path: Path) -> Iterator[AccessUnit]:
    claim = size_claim(40000, 40000)
    for unit in access_units(path, loops=True):
        yield AccessUnit((claim, *unit.nal_units), unit.time_s, unit.is_key)


def is_noise(path: Path) -> Iterator[AccessUnit]:
    random = np.random.default_rng(7)
    for unit in access_units(path, loops=True):
        noise = tuple(random.bytes(random.integers(1, 300)) for _ in unit.nal_units)
        yield AccessUnit(noise, unit.time_s, unit.is_key)


def breaks_half_way(path: Path) -> Iterator[AccessUnit]:
    for index, unit in enumerate(access_units(path, loops=True)):
        nal_units = unit.nal_units
        if index > 20:
            nal_units = tuple(nal[:4] + bytes(len(nal) // 2) for nal in nal_units)
        yield AccessUnit(nal_units, unit.time_s, unit.is_key)


@pytest.mark.parametrize("lie", [claims_40000, is_noise, breaks_half_way])
def test_a_stream_that_lies_is_refused_or_survived(
    tmp_path: Path, lie: Callable[[Path], Iterator[AccessUnit]]
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", seconds(50))
    with RtspServer(clip, units=lambda: lie(clip), pace=16) as server:
        try:
            source = open_source(server.url, rate_hz=5, size=None)
        except SourceError as fault:
            lines = str(fault).splitlines()
        else:
            with source:
                times: list[float] = []
                taking = threading.Thread(target=lambda: times.extend(f.time_s for f in source))
                taking.start()
                wait_for(lambda: source.num_reconnects or (times and times[-1] > 3))
            taking.join()
            lines = []
    assert len(lines) <= 1


def wait_for(condition: Callable[[], object], limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.02)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve `answer` to everybody who connects, and return the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.settimeout(20)
                with connection, suppress(OSError):
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(25)


def noise_for_ever(connection: socket.socket) -> None:
    random = np.random.default_rng(11)
    while True:
        connection.sendall(random.bytes(10_000))


def a_header_without_end(connection: socket.socket) -> None:
    connection.sendall(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n")
    while True:
        connection.sendall(b"X-Line: " + b"a" * 1000 + b"\r\n")


def a_body_of_gigabytes(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 2000000000\r\n\r\n")
    while True:
        connection.sendall(b"v=0\r\n" * 1000)


def a_byte_a_second(connection: socket.socket) -> None:
    connection.recv(1000)
    for byte in b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n" * 10:
        connection.sendall(bytes([byte]))
        time.sleep(0.5)


def a_redirect_to_a_file(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"
    )


def a_picture_without_end(connection: socket.socket) -> None:
    connection.recv(1000)
    jpeg = bytearray(cv2.imencode(".jpg", numbered(3))[1].tobytes())
    place = jpeg.find(b"\xff\xc0") + 5
    jpeg[place : place + 4] = b"\xff\xff\xff\xff"
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 2000000000\r\n\r\n"
    )
    connection.sendall(jpeg)
    while True:
        connection.sendall(bytes(10_000))
        time.sleep(0.001)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize(
    "answer",
    [
        noise_for_ever,
        a_header_without_end,
        a_body_of_gigabytes,
        a_byte_a_second,
        a_redirect_to_a_file,
        a_picture_without_end,
    ],
)
def test_a_server_that_lies_is_an_error_in_time(
    scheme: str, answer: Callable[[socket.socket], None]
) -> None:
    with answering(answer) as port, pytest.raises(SourceError) as error:
        open_source(f"{scheme}://127.0.0.1:{port}/x", rate_hz=5, size=None).close()
    assert "\n" not in str(error.value)
