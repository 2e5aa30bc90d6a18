"""`linewatch bench edge`: every measurement gives a ratio; files are read ahead in order."""

from __future__ import annotations

import json
import math
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge.bench.after_network import after_network
from edge.bench.cameras import Limits, camera_rows, four_against_one, limits, most_cameras
from edge.bench.clips import bench_clips
from edge.bench.cold_start import cold_start
from edge.bench.deciding import deciding, evidence, four_chains
from edge.bench.decoding import decoding
from edge.bench.file_stream import file_streams, pictures
from edge.bench.incremental import incremental
from edge.bench.latency_controlled import _chunked, _full, _session, latency_controlled
from edge.bench.measurement import Goal, Measurement, NotMeasured, Row, in_turns, p99
from edge.bench.memory import memory_growth
from edge.bench.overload import overload
from edge.bench.park import CameraPark
from edge.bench.peers import peers
from edge.bench.report import Report, commit_of
from edge.bench.subject import Subject
from edge.cameras.frame import Frame, Shot, SourceError
from edge.cameras.read_ahead import ReadAhead
from edge.cameras.recording_source import RecordingSource
from edge.cameras.sources import open_source
from edge.cameras.video_file import video_file_shots
from edge.cameras.view import View
from edge.machine import this_machine
from edge.pipeline import ordered_decoder
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, load_task
from models.card import ENCODER
from models.chunks import ChunkShape
from models.runtime import Encoder, load_encoder
from tests.clip import numbered, write_clip

TASK = "gear-reducer"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(ENCODER, num_threads=1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 2 s of numbered frames at 25 Hz."""
    folder = tmp_path_factory.mktemp("bench")
    return write_clip(folder / "clip.mp4", [i / 25 for i in range(55)], size=(160, 120))


@pytest.fixture(scope="module")
def subject(clip: Path) -> Subject:
    return Subject.of(load_task(TASK), clip)


def assert_measured(row: Row) -> None:
    assert isinstance(row, Measurement), row
    assert math.isfinite(row.ratio)
    assert all(math.isfinite(ratio) and ratio >= 0 for ratio in row.ratios)
    assert row.what
    assert row.unit


def test_the_clips_are_of_a_camera_s_size_and_rate_and_are_made_once(
    clip: Path, tmp_path: Path
) -> None:
    clips = bench_clips(clip, 0.4, tmp_path)
    made = clips.main.stat().st_mtime_ns
    assert bench_clips(clip, 0.4, tmp_path) == clips
    assert clips.main.stat().st_mtime_ns == made
    for path, shape in ((clips.main, (720, 1280, 3)), (clips.sub, (360, 640, 3))):
        shots = list(video_file_shots(path, View(), 25.0))
        assert len(shots) == 10
        assert shots[0].image is not None
        assert shots[0].image().shape == shape


@pytest.mark.parametrize("num_streams", [1, 4])
def test_files_are_measured_against_the_bare_encoder(
    clip: Path, subject: Subject, encoder: Encoder, num_streams: int
) -> None:
    against_encoder, against_limit = file_streams(
        "_x", clip, subject, encoder, num_streams=num_streams, num_rounds=1, what="x"
    )
    assert_measured(against_encoder)
    assert_measured(against_limit)
    assert against_encoder.key == "end_to_end_over_encoder_x"
    assert against_encoder.goal is not None
    assert against_limit.ratio >= against_encoder.ratio  # which is at most the bare encoder


def test_decoding_is_measured_against_ffmpeg_or_says_that_there_is_none(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("ffmpeg"):
        for row in decoding(clip, (64, 48), 1):
            assert_measured(row)
    monkeypatch.setenv("PATH", "")
    rows = decoding(clip, (64, 48), 1)
    assert [type(row) for row in rows] == [NotMeasured, NotMeasured]
    assert all(isinstance(row, NotMeasured) and "apt-get" in row.reason for row in rows)


def test_a_stride_is_measured_against_its_window(
    clip: Path, subject: Subject, encoder: Encoder
) -> None:
    row = incremental(pictures(clip, encoder), subject.model, encoder, 1)
    assert_measured(row)
    assert row.goal == Goal("at most", 1.1 * 16 / 32)


def test_the_bounded_look_ahead_is_measured_against_a_full_pass() -> None:
    shape = ChunkShape(chunk=4, lookahead=5)
    row = latency_controlled("lc", shape, width=8, num_rounds=1, num_frames=64)
    assert_measured(row)
    assert "times 1.62" in row.what


def test_the_measured_bilstm_with_bounded_look_ahead_is_that_of_the_network() -> None:
    """With a look-ahead to the end it is the full pass; with less, only backward differs."""
    frames = np.random.default_rng(0).normal(size=(24, 1, 8)).astype(np.float32)
    whole = _session(_full(8)).run(None, {"frames": frames})[0]
    assert whole.shape == (24, 2, 1, 8)
    state = {name: np.zeros((1, 1, 8), np.float32) for name in ("hidden", "cell")}
    session = _session(_chunked(8, 16))
    ahead, behind, hidden, cell = session.run(None, {"frames": frames, **state})
    assert ahead.shape == behind.shape == (16, 1, 1, 8)
    again, _, _, _ = session.run(None, {"frames": frames[16:], "hidden": hidden, "cell": cell})
    halves = np.concatenate([ahead, again])
    fresh = session.run(None, {"frames": np.concatenate([frames, frames])[:40], **state})[0]
    np.testing.assert_allclose(fresh, ahead, atol=1e-6)
    one_by_one = _session(_chunked(8, 24)).run(None, {"frames": frames, **state})
    np.testing.assert_allclose(halves, one_by_one[0], atol=1e-6)
    np.testing.assert_allclose(behind, one_by_one[1][:16], atol=1e-6)


def test_what_comes_after_the_network_is_measured(
    subject: Subject, encoder: Encoder, tmp_path: Path
) -> None:
    rows = after_network(subject, encoder, tmp_path, seconds=2, num_rounds=1)
    assert [row.key for row in rows] == [
        "after_network_p99_over_interval",
        "after_network_p99_over_interval_with_fsync",
    ]
    for row in rows:
        if not isinstance(row, NotMeasured) or Path("/dev/shm").is_dir():
            assert_measured(row)


def test_decoding_by_the_order_and_judging_are_measured(clip: Path, encoder: Encoder) -> None:
    images = np.zeros((2, encoder.height, encoder.width, 3), np.uint8)
    rows = deciding(clip, images, encoder, num_units=1, num_rounds=1)
    assert [row.key for row in rows] == [
        "deciding_over_frame",
        "decoder_by_order_over_encoder",
        "monitor_event_over_1_ms",
    ]
    for row in rows:
        assert_measured(row)


def test_the_measured_units_are_decoded_as_they_are() -> None:
    procedure = four_chains()
    labels = (BACKGROUND, UNEXPECTED, *(step.id for step in procedure.steps))
    rows = evidence(labels, 2, np.random.default_rng(0))
    decoder = ordered_decoder(labels, procedure, 5.0)
    segments = decoder.push(rows, np.arange(len(rows)) / 5.0) + decoder.close()
    assert sorted(segment.label for segment in segments) == sorted(labels[2:] * 2)


def test_what_is_measured_judges_alarms_as_a_station_does(
    subject: Subject, encoder: Encoder
) -> None:
    assert subject.pipeline(encoder).alarms_state() is not None


def test_other_ways_are_measured(clip: Path, subject: Subject, encoder: Encoder) -> None:
    rows = peers(clip, subject, encoder, 1)
    assert [row.key for row in rows if isinstance(row, NotMeasured)] in (
        [],
        ["ours_over_supervision"],
    )
    for row in rows:
        if isinstance(row, Measurement):
            assert_measured(row)


def test_a_cold_start_is_measured(clip: Path) -> None:
    assert_measured(cold_start(clip, TASK, 1))


def test_live_cameras_are_measured(clip: Path, subject: Subject, encoder: Encoder) -> None:
    threads = threading.active_count()
    bound = limits(clip, encoder, pictures(clip, encoder), subject.model.card.rate_hz)
    assert bound.both < min(bound.decode_only, bound.network_only)
    with CameraPark(clip, subject, encoder, max_cameras=4) as park:
        rows: list[Row] = [*four_against_one(park, num_rounds=1, window_s=1.0)]
        rows.append(memory_growth(park, seconds=0.5))
        park.max_cameras = 2
        best = most_cameras(park, Limits(2.0, 2.0), window_s=1.0, settle_s=0.0)
        rows += camera_rows(best, bound)
        rows += overload(park, best, window_s=1.0, settle_s=0.0)
    for row in rows:
        assert_measured(row)
    assert best.is_in_order
    assert threading.active_count() == threads


def test_the_report_has_the_promised_keys() -> None:
    row = Measurement(
        "a_over_b", "a / b", "s", (1.0, 2.0, 9.0), (1.0, 1.0, 3.0), Goal("at most", 1)
    )
    missing = NotMeasured("c_over_d", "c / d", "there is no d")
    report = Report((row, missing), this_machine(), date(2026, 1, 2), "abc1234", True)
    told = json.loads(json.dumps(report.as_json()))
    assert told["ratios"] == {"a_over_b": 2.0, "c_over_d": None}
    assert {"rows", "machine", "versions", "date", "commit", "quick"} <= told.keys()
    assert told["rows"][0]["is_met"] is False
    assert "onnxruntime" in told["versions"]
    table = report.markdown()
    assert "| a / b `a_over_b` | 2 s | 1 | 2 | 1 to 3 | <= 1 | **missed** |" in table
    assert "not measured: there is no d" in table


def test_a_folder_that_is_no_checkout_has_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None


@pytest.mark.parametrize(
    ("reason", "ours", "yardstick"),
    [
        ("none", (), ()),
        ("of unequal number", (1.0,), (1.0, 2.0)),
        ("not finite", (math.nan,), (1.0,)),
        ("a yardstick of 0", (1.0,), (0.0,)),
    ],
)
def test_numbers_that_give_no_ratio_are_refused(
    reason: str, ours: tuple[float, ...], yardstick: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="a_over_b"):
        Measurement("a_over_b", "a / b", "s", ours, yardstick)


@pytest.mark.parametrize("num_ahead", [1, 4, 100])
def test_read_ahead_gives_the_same_frames_in_the_same_order(clip: Path, num_ahead: int) -> None:
    with recording_of(clip) as plain:
        expected = list(plain)
    with ReadAhead(recording_of(clip), num_frames=num_ahead) as ahead:
        got = list(ahead)
        assert list(ahead) == []
    assert [frame.time_s for frame in got] == [frame.time_s for frame in expected]
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert no_thread_reads()


def test_files_are_read_ahead_unless_they_are_paced(clip: Path) -> None:
    with open_source(str(clip), rate_hz=5, size=None) as source:
        assert isinstance(source, ReadAhead)
    with open_source(str(clip), rate_hz=5, size=None, live=True) as source:
        assert isinstance(source, RecordingSource)


def recording_of(clip: Path) -> RecordingSource:
    return RecordingSource("clip", video_file_shots(clip, View(), 25.0), rate_hz=25.0)


def shots(num: int, *, fault: Exception | None = None, damaged: int = 0) -> Iterator[Shot]:
    for index in range(num):
        yield Shot(index / 5, partial(numbered, index), intact=index >= damaged)
    if fault:
        raise fault


def no_thread_reads() -> bool:
    return not [t for t in threading.enumerate() if t.name.startswith("read ahead")]


def test_a_fault_arrives_behind_the_frames_before_it_and_once() -> None:
    fault = SourceError("clip: is damaged")
    recording = RecordingSource("clip", shots(6, fault=fault), rate_hz=5.0)
    with ReadAhead(recording, num_frames=3) as source:
        times = [next(source).time_s for _ in range(6)]
        with pytest.raises(SourceError, match="clip: is damaged"):
            next(source)
        assert list(source) == []
    assert times == pytest.approx([index / 5 for index in range(6)])
    assert no_thread_reads()


def test_the_counts_are_those_of_the_recording() -> None:
    with ReadAhead(RecordingSource("clip", shots(9, damaged=3), rate_hz=5.0)) as source:
        assert len(list(source)) == 9
        assert source.damaged == 3
        assert source.dropped == 0


def test_memory_is_bounded_by_the_frames_ahead() -> None:
    read: list[int] = []

    def counted() -> Iterator[Shot]:
        for index, shot in enumerate(shots(50)):
            read.append(index)
            yield shot

    with ReadAhead(RecordingSource("clip", counted(), rate_hz=5.0), num_frames=3) as source:
        for taken in range(1, 6):
            next(source)
            time.sleep(0.05)
            assert len(read) <= taken + 3 + 1, "those that wait, and the one in the reader's hand"
    assert no_thread_reads()


def test_closing_while_the_reader_waits_for_room_leaves_no_thread() -> None:
    source = ReadAhead(RecordingSource("clip", shots(50), rate_hz=5.0), num_frames=2)
    next(source)
    time.sleep(0.1)
    source.close()
    source.close()
    assert no_thread_reads()
    with pytest.raises(StopIteration):
        next(source)


def test_closing_from_another_thread_ends_a_consumer_that_waits() -> None:
    going_on = threading.Event()

    def slow() -> Iterator[Shot]:
        yield Shot(0.0, partial(numbered, 0))
        going_on.wait(30)
        yield Shot(0.2, partial(numbered, 1))

    source = ReadAhead(RecordingSource("clip", slow(), rate_hz=5.0))
    got: list[Frame] = []
    consumer = threading.Thread(target=lambda: got.extend(source))
    consumer.start()
    time.sleep(0.1)
    closer = threading.Thread(target=source.close)
    closer.start()
    consumer.join(10)
    assert not consumer.is_alive(), "it must not wait for a reader that hangs"
    going_on.set()
    closer.join(10)
    assert len(got) == 1
    assert no_thread_reads()


def test_a_source_that_is_closed_before_its_first_frame_starts_no_thread(clip: Path) -> None:
    source = ReadAhead(recording_of(clip))
    source.close()
    assert list(source) == []
    assert no_thread_reads()


def test_no_frame_ahead_is_refused(clip: Path) -> None:
    with recording_of(clip) as recording, pytest.raises(ValueError, match="num_frames 0"):
        ReadAhead(recording, num_frames=0)


def test_turns_alternate_and_the_first_is_not_kept() -> None:
    numbers = iter(range(100))
    ours, yardstick = in_turns(lambda: float(next(numbers)), lambda: float(next(numbers)), 3)
    assert ours == (3.0, 4.0, 7.0)
    assert yardstick == (2.0, 5.0, 6.0)


def test_the_99th_percentile_leaves_one_in_a_hundred() -> None:
    assert p99([float(i) for i in range(100)]) == 98.0
    assert p99([5.0]) == 5.0
