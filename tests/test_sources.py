"""Files, folders and views: sampled by PTS, damage counted, what is no recording refused."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import TypeVar

import av
import cv2
import numpy as np
import pytest
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.frame import Frame, SourceError
from edge.cameras.recording_source import RecordingSource
from edge.cameras.sources import open_source
from edge.cameras.timeline import MAX_LIVE_GAP_S, Needless, Sampler, Timeline
from edge.cameras.video_file import video_file_shots
from edge.cameras.view import Scaler, View
from tests.clip import number_of, numbered, write_clip
from tests.test_hostile_videos import png_of_size

SHARED_VIDEO = Path(__file__).resolve().parents[2] / "shared" / "data" / "video"
DEADLINE_S = 60.0

ResultT = TypeVar("ResultT")


def frames_of(path: Path | str, rate_hz: float = 5.0, **options: object) -> list[Frame]:
    with open_source(str(path), rate_hz=rate_hz, size=None, **options) as source:  # type: ignore[arg-type]
        return list(source)


def regular(num: int, rate_hz: float) -> list[float]:
    return [index / rate_hz for index in range(num)]


@pytest.mark.parametrize(
    ("reason", "times_s", "expected"),
    [
        ("a divisor of the rate", regular(50, 25), list(range(0, 50, 5))),
        (
            "not a divisor: first at or after",
            regular(24, 8),
            [0, 2, 4, 5, 7, 8, 10, 12, 13, 15, 16, 18, 20, 21, 23],
        ),
        ("slower than the rate: each once", regular(6, 2), [0, 1, 2, 3, 4, 5]),
        ("variable: a gap is a gap", [0, 0.05, 0.21, 0.22, 1.7, 1.75, 1.81], [0, 2, 4, 6]),
        ("one frame", [0.0], [0]),
        ("starts late: counted from the first", [3.0, 3.1, 3.2, 3.3, 3.4], [0, 2, 4]),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_are_sampled_by_time_stamps(
    tmp_path: Path, reason: str, times_s: list[float], expected: list[int], suffix: str
) -> None:
    path = write_clip(tmp_path / f"clip{suffix}", times_s)
    with av.open(str(path)) as container:  # what the container made of the times
        stored = [frame.time for frame in container.decode(video=0)]
    frames = frames_of(path)
    assert [number_of(frame.image) for frame in frames] == expected
    assert [frame.time_s for frame in frames] == [stored[i] - stored[0] for i in expected]


def test_frames_that_an_mp4_hides_before_its_start_stay_hidden(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", [-0.2, -0.1, 0.0, 0.1, 0.2])
    frames = frames_of(path)
    assert [(number_of(frame.image), frame.time_s) for frame in frames] == [(2, 0.0), (4, 0.2)]


@pytest.mark.parametrize("pyramid", ["none", "normal"])
@pytest.mark.parametrize("rate_hz", [0.7, 3, 5, 10, 24, 25, 60])
@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_pictures_left_undecoded_change_no_sampled_one(
    tmp_path: Path, pyramid: str, rate_hz: float, suffix: str
) -> None:
    path = tmp_path / f"bidirectional{suffix}"
    random = np.random.default_rng(0)
    ground = random.integers(0, 200, (96, 128, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.options = {"bf": "5", "g": "60", "b-pyramid": pyramid, "b_strategy": "0"}
        for index in range(150):
            image = np.roll(ground, index, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
    assert sum(picture.pict_type == PictureType.B for picture in pictures) > 75
    sampler = Sampler(rate_hz)
    start_s = pictures[0].time
    expected = [picture for picture in pictures if sampler.takes(picture.time - start_s)]
    frames = frames_of(path, rate_hz)
    for frame, picture in zip(frames, expected, strict=True):
        assert frame.time_s == pytest.approx(picture.time - start_s)
        np.testing.assert_array_equal(frame.image, View().of(picture, Scaler()))


def test_decoding_in_several_threads_changes_nothing_at_damage_either(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "c.ts", regular(150, 25), size=(160, 120), noise=True)
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(0)
    for position in random.integers(len(data) // 3, 2 * len(data) // 3, 300):
        data[position] = random.integers(256)
    path.write_bytes(bytes(data))
    frames, num_damaged = [], []
    for num_threads in (1, 4):
        shots = video_file_shots(path, View(), 5.0, num_threads=num_threads)
        with RecordingSource(str(path), shots, rate_hz=5.0) as source:
            frames.append([frame.time_s for frame in source])
            num_damaged.append(source.damaged)
    assert frames[0] == frames[1]
    assert num_damaged[0] == num_damaged[1] > 0


@given(
    times=st.lists(st.floats(0, 20) | st.integers(0, 100).map(lambda k: k / 5), max_size=60),
    rate_hz=st.sampled_from([1.0, 5.0, 7.3]),
)
def test_a_needless_picture_is_never_the_sampled_one(times: list[float], rate_hz: float) -> None:
    needless = Needless(rate_hz)  # asked in any order of coding
    needed = {time_s for time_s in times if not needless.has(time_s)}
    sampler = Sampler(rate_hz)
    assert {time_s for time_s in sorted(times) if sampler.takes(time_s)} <= needed


def test_behind_a_jump_of_the_clock_every_picture_is_decoded() -> None:
    needless = Needless(5.0)
    assert [needless.has(time_s) for time_s in (0.0, 0.04, 9999.0, 9999.04, 0.0, 0.04)] == [
        False,
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_rate_above_the_files_gives_every_frame(tmp_path: Path) -> None:
    frames = frames_of(write_clip(tmp_path / "c.mp4", regular(30, 25)), rate_hz=1000)
    assert [number_of(frame.image) for frame in frames] == list(range(30))


def test_a_stream_without_time_stamps_takes_its_stated_rate(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "raw.h264", regular(50, 25))
    times = [frame.time_s for frame in frames_of(path)]
    assert len(times) == 10
    assert all(earlier < later for earlier, later in pairwise(times))


def test_frames_have_the_asked_size_and_the_colours_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "red.mkv"
    red = np.full((90, 120, 3), (200, 30, 30), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5, width=120, height=90, pix_fmt="bgr0")
        container.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        container.mux(stream.encode(None))
    with open_source(str(path), rate_hz=5, size=(40, 20)) as source:
        image = next(source).image
    assert image.shape == (20, 40, 3)
    assert image.flags.c_contiguous
    np.testing.assert_allclose(image, np.broadcast_to((200, 30, 30), (20, 40, 3)), atol=3)


@pytest.mark.parametrize("size", [None, (32, 32), (17, 9)])
def test_a_region_is_cut_out(size: tuple[int, int] | None) -> None:
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[48:72, 32:96] = (10, 200, 90)  # the region, and nothing else
    region = View(size, roi=(0.25, 0.5, 0.5, 0.25)).of_bgr(picture, Scaler())
    assert region.shape[:2] == ((size[1], size[0]) if size else (24, 64))
    inner = region[2:-2, 2:-2]  # scaling mixes the border with what is around
    np.testing.assert_allclose(inner, np.broadcast_to((90, 200, 10), inner.shape), atol=12)


def test_a_scaler_gives_the_same_picture_whatever_it_scaled_before() -> None:
    random = np.random.default_rng(0)
    pictures = []
    for width, height, kind in (
        (128, 96, "yuv420p"),
        (128, 96, "yuvj420p"),  # full range
        (96, 128, "yuv420p"),
        (128, 96, "yuv422p10le"),
        (127, 95, "rgb24"),
        (128, 96, "yuv420p"),
    ):
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        pictures.append(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=kind))
    pictures[0].colorspace = 1  # ITU-R BT.709
    scaler, view = Scaler(), View((40, 30))
    for picture in pictures:
        np.testing.assert_array_equal(view.of(picture, scaler), view.of(picture, Scaler()))


def test_a_scaler_works_in_the_calling_thread() -> None:
    picture = av.VideoFrame.from_ndarray(np.zeros((720, 1280, 3), np.uint8), format="rgb24")
    scaler, before = Scaler(), set(Path("/proc/self/task").iterdir())
    View((224, 224)).of(picture, scaler)
    assert set(Path("/proc/self/task").iterdir()) <= before


def test_capture_times_are_utc_and_run_with_the_recording(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    frames = frames_of(write_clip(tmp_path / "c.mp4", regular(26, 25)))
    assert before <= frames[0].captured_at <= datetime.now(UTC)
    assert frames[-1].captured_at - frames[0].captured_at == timedelta(seconds=1)


def test_a_live_file_is_not_faster_than_real_time(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "c.mp4", regular(26, 25))
    with open_source(str(path), rate_hz=5, size=None, live=True) as source:
        start_s = monotonic()
        early_s = [frame.time_s - (monotonic() - start_s) for frame in source]
    assert len(early_s) == 6
    assert max(early_s) <= 0


def test_closing_a_live_file_ends_the_wait_of_another_thread(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "c.mp4", [0.0, 600.0])
    source = open_source(str(path), rate_hz=5, size=None, live=True)
    got: list[Frame] = []
    consumer = threading.Thread(target=lambda: got.extend(source))
    consumer.start()
    source.close()
    consumer.join(DEADLINE_S)
    assert not consumer.is_alive()
    source.close()
    assert len(got) <= 1


def test_a_folder_of_images_is_played_by_name_at_its_rate(tmp_path: Path) -> None:
    for index in range(10):
        cv2.imwrite(str(tmp_path / f"picture_{index:03}.png"), numbered(index))
    (tmp_path / "notes.txt").write_text("not a picture")
    frames = frames_of(f"{tmp_path}@10")
    assert [number_of(frame.image) for frame in frames] == [0, 2, 4, 6, 8]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_a_name_with_a_colon_or_an_at_sign_is_a_file(tmp_path: Path) -> None:
    for name in ("a:b.mp4", "concat:c.mp4", "shift@6.mp4"):
        assert len(frames_of(write_clip(tmp_path / name, regular(10, 25)))) == 2


def truncated(path: Path) -> None:
    """Cut an MP4 whose index is at its end, so that it has no moov."""
    data = write_clip(path.with_name("whole.mp4"), regular(50, 25)).read_bytes()
    path.write_bytes(data[: len(data) // 2])


def audio_only(path: Path) -> None:
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n")


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("absent.mp4", lambda path: None, "No such file"),
        ("empty.mp4", lambda path: path.write_bytes(b""), "is it complete"),
        (
            "random.mp4",
            lambda path: path.write_bytes(np.random.default_rng(1).bytes(300_000)),
            "is it complete",
        ),
        ("truncated.mp4", truncated, "is it complete"),
        ("text.txt", lambda path: path.write_text("step 1\n" * 500), "holds no video"),
        ("audio.wav", audio_only, "holds no video"),
        ("list.m3u8", playlist, "is it complete"),
        ("folder", lambda path: path.mkdir(), "holds no images"),
        ("fifo", os.mkfifo, "not a regular file"),
        ("nul\0byte", lambda path: None, "null byte"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], object], told: str
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(SourceError, match=told) as error:
        within_deadline(lambda: frames_of(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("/dev/zero", "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("ftp://host/x.mp4", "unknown kind of address 'ftp'; known are http, https, rtsp, rtsps"),
        ("987", "USB camera 987: there is no /dev/video987"),
        ("", "source is empty"),
        ("{folder}@10", "holds no images"),
        ("{folder}@fast", "'fast' images a second; give a number"),
        ("{folder}@0", "'0' images a second"),
        ("{folder}@nan", "'nan' images a second"),
        (f"{'x' * 300}.mp4", "xxx.mp4: cannot be read .File name too long.; check the path"),
        (f"{'x' * 300}@5", "x@5: cannot be read .File name too long.; check the path"),
    ],
)
def test_a_source_that_cannot_be_is_refused(tmp_path: Path, spec: str, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        frames_of(spec.format(folder=tmp_path))


def test_an_image_that_does_not_decode_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(SourceError, match=r"a\.png: cannot be read as an image"):
        frames_of(f"{tmp_path}@5")


def test_an_image_that_claims_to_be_huge_is_named(tmp_path: Path) -> None:
    png_of_size(tmp_path / "huge.png", 65535, 65535)
    with pytest.raises(SourceError, match=r"huge\.png: cannot be read as an image"):
        next(open_source(str(tmp_path), rate_hz=5, size=None))


def test_a_file_damaged_half_way_gives_what_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_clip(tmp_path / "c.ts", regular(250, 25), size=(160, 120), noise=True)
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    random = np.random.default_rng(0)
    for position in random.integers(third, 2 * third, 3000):
        data[position] = random.integers(256)
    path.write_bytes(bytes(data))
    with open_source(str(path), rate_hz=5, size=None) as source:
        times = within_deadline(lambda: [frame.time_s for frame in source])
    assert source.damaged > 0
    assert times[0] < 0.1
    assert times[-1] > 9  # it went on behind the damage
    assert all(earlier < later for earlier, later in pairwise(times))
    assert [r.levelno for r in caplog.records if str(path) in r.getMessage()] == [logging.WARNING]


@pytest.mark.skipif(not SHARED_VIDEO.is_dir(), reason="the shared videos are not on this machine")
def test_a_recording_whose_time_stamps_keep_going_back_is_refused() -> None:
    path = str(SHARED_VIDEO / "damaged.avi")
    with (
        open_source(path, rate_hz=5, size=(64, 48)) as source,
        pytest.raises(SourceError, match=r"damaged\.avi: is damaged: 10 of its first"),
    ):
        within_deadline(lambda: list(source))


@pytest.mark.parametrize(
    ("reason", "pts", "expected"),
    [
        ("none at all", [None, None, None], [0, 0.5, 1.0]),
        ("some missing", [0, None, 1.0], [0, 0.5, 1.0]),
        ("out of order", [0, 1.0, 0.5, 1.5], [0, 1.0, 1.0, 1.5]),
        ("set back: goes on", [0, 100.0, 3.0, 4.0], [0, 100.0, 100.5, 101.5]),
        ("wraps at 33 bits", [95443.0, 95443.5, 0.2, 0.7], [0, 0.5, 1.0, 1.5]),
        ("jumps by days", [0, 1.0, 1e6, 1e6 + 1], [0, 1.0, 1.5, 2.5]),
        ("not a number", [0, float("nan"), 1.0], [0, 0.5, 1.0]),
        ("a pause of minutes stays", [0, 600.0], [0, 600.0]),
    ],
)
def test_time_never_goes_back(reason: str, pts: list[float | None], expected: list[float]) -> None:
    timeline = Timeline()
    assert [timeline.at(pts_s, 0.5) for pts_s in pts] == pytest.approx(expected)


def test_a_live_clock_that_jumps_ahead_is_not_followed() -> None:
    """A connection on which nothing came for so long would have been given up."""
    timeline, gap_s = Timeline(), 0.04 + MAX_LIVE_GAP_S
    times = [timeline.at(pts, 0.04, max_gap_s=gap_s) for pts in (0.0, 0.04, 3000.0, 3000.04, 3005)]
    assert times == pytest.approx([0.0, 0.04, 0.08, 0.12, 5.08])
    assert timeline.num_backward == 1


def test_sampling_is_exact_at_rates_that_binary_fractions_do_not_have() -> None:
    for rate_hz, fps in (
        (5, Fraction(30000, 1001)),
        (10, Fraction(30)),
        (3, Fraction(24)),
        (0.7, Fraction(25)),
    ):
        times = [Fraction(i) / fps for i in range(20_000)]
        instants = range(int(times[-1] * Fraction(str(rate_hz))) + 1)
        expected = [next_at_or_after(times, k / Fraction(str(rate_hz)), fps) for k in instants]
        sampler = Sampler(rate_hz)
        assert [i for i, time in enumerate(times) if sampler.takes(float(time))] == expected


def next_at_or_after(times: list[Fraction], instant: Fraction, fps: Fraction) -> int:
    index = int(instant * fps)
    return index if times[index] >= instant else index + 1


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate_hz: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        Sampler(rate_hz)


@pytest.mark.parametrize(
    ("image", "time_s", "captured_at", "told"),
    [
        (np.zeros((4, 4, 3), np.float32), 0.0, datetime.now(UTC), "must be uint8"),
        (np.zeros((4, 4), np.uint8), 0.0, datetime.now(UTC), "must be uint8"),
        (np.zeros((4, 4, 3), np.uint8), -1.0, datetime.now(UTC), "not negative"),
        (np.zeros((4, 4, 3), np.uint8), 0.0, datetime(2026, 1, 1), "time zone"),
    ],
)
def test_a_frame_checks_itself(
    image: object, time_s: float, captured_at: datetime, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        Frame(image, time_s, captured_at)  # type: ignore[arg-type]


def within_deadline(work: Callable[[], list[ResultT]]) -> list[ResultT]:
    """Run `work` in a thread and return or raise what it does; fail when it hangs."""
    outcome: list[list[ResultT] | Exception] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    assert outcome, f"no end within {DEADLINE_S} s"
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]
