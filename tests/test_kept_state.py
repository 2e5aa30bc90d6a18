"""A station that was ended in mid-cycle, however it was, goes on with the same unit."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edge import station, watch
from edge.cameras.frame import Frame, Source
from edge.cameras.sources import open_source
from edge.kept_state import Keeping, KeptState, read_kept
from edge.messages import CycleEnded, CycleStarted, DeviationSeen, Event, Payload, SegmentSeen
from edge.outbox import Outbox, OutboxError, kept_state
from edge.pipeline import Pipeline, load_pipeline
from edge.reporter import Reporter
from edge.sender import Sender
from edge.station import Station
from industryasm.stations.rendering import named_looks, render_recording
from industryasm.vocabulary import load_task
from models.deviations import Deviation, Finding
from tests.conftest import Script
from tests.test_watching import deployment, events

pytestmark = pytest.mark.timeout(200)

TASK = load_task("gear-reducer")
HASH = TASK.vocabulary_hash()
PayloadT = TypeVar("PayloadT", bound=Payload)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RATE_HZ = 5.0


class PowerCutError(Exception):
    """The end of a station that has no time for anything."""


class Camera(Source):
    """Gives frames; at their end the power is cut, or `stop` is set."""

    def __init__(self, frames: list[Frame], stop: threading.Event | None = None) -> None:
        super().__init__("camera")
        self._frames, self._stop = iter(frames), stop

    def __next__(self) -> Frame:
        for frame in self._frames:
            return frame
        if self._stop is None:
            raise PowerCutError
        self._stop.set()
        raise StopIteration

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    """The frames of one unit that was put together well, as a camera would give them."""
    folder, pipeline = tmp_path_factory.mktemp("unit"), load_pipeline(TASK, None)
    recording = render_recording(
        TASK, folder, recording_id="one", **named_looks("o", "s", 5), planted=[None], seed=5
    )
    video = str(folder / str(recording.video))
    with open_source(video, rate_hz=pipeline.rate_hz, size=pipeline.image_size) as frames:
        return [
            replace(f, captured_at=NOON + timedelta(seconds=f.time_s), image=f.image.copy())
            for f in frames
        ]


def later(frames: list[Frame]) -> list[Frame]:
    """The frames as another run of the station is given them: its time begins anew."""
    first_s = frames[0].time_s
    return [replace(frame, time_s=frame.time_s - first_s) for frame in frames]


def run(folder: Path, source: Camera, stop: threading.Event | None = None) -> Pipeline:
    """Let a station with its own outbox watch `source`, going on with what was kept before."""
    file = folder / "a.outbox"
    kept = read_kept(kept_state(file), vocabulary_hash=HASH)
    pipeline = load_pipeline(TASK, None)
    if kept:
        pipeline.resume(kept.monitor, kept.judged_until_s, kept.alarms)
    keeping = Keeping(kept.boot if kept else "b1", HASH, kept)
    outbox = Outbox(file, station="a", boot=keeping.boot)
    sender = Sender(outbox, f"ipc://{folder / 'no-hub'}")
    reporter = Reporter(TASK, boot=keeping.boot, num_segments=kept.num_segments if kept else 0)
    try:
        Station(
            Script().started(),
            lambda _: source,
            pipeline,
            reporter,
            outbox,
            sender,
            keeping=keeping,
        ).run(stop or threading.Event(), leave_when_finished=True)
    finally:
        sender.close()
        outbox.close()
    return pipeline


def said(folder: Path) -> list[Event]:
    return events(folder, "a")


def payloads(folder: Path, kind: type[PayloadT]) -> list[PayloadT]:
    return [event.payload for event in said(folder) if isinstance(event.payload, kind)]


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_unit_goes_on_after_the_station_was_ended_in_the_middle(
    tmp_path: Path, unit: list[Frame], is_cut: bool
) -> None:
    """Ended by a power cut or by SIGTERM; away for two seconds."""
    middle = len(unit) // 2
    stop = None if is_cut else threading.Event()
    first = Camera(unit[:middle], stop)
    if is_cut:
        with pytest.raises(PowerCutError):
            run(tmp_path, first)
    else:
        run(tmp_path, first, stop)
    assert not list(payloads(tmp_path, CycleEnded))
    end = threading.Event()
    run(tmp_path, Camera(later(unit[middle + 10 :]), end), end)
    everything = said(tmp_path)
    assert [event.sequence for event in everything] == list(range(1, len(everything) + 1))
    segments = payloads(tmp_path, SegmentSeen)
    assert len(payloads(tmp_path, CycleStarted)) == 1
    assert len({segment.segment for segment in segments}) == len(segments)
    assert {segment.cycle for segment in segments} == {"b1-1"}
    times = [segment.started_at for segment in segments]
    assert times == sorted(times)
    assert times[-1] > unit[middle].captured_at, "steps of the second run are told at their time"
    newest = {d.deviation: d for d in payloads(tmp_path, DeviationSeen)}
    assert "missed" not in {d.type for d in newest.values() if d.state == "confirmed"}


def test_the_frames_behind_an_outage_lie_on_the_grid_of_those_before(
    tmp_path: Path, unit: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that none of them is lost because two lie in one slot of the rolling window."""
    middle, times_s, push = len(unit) // 2, list[float](), Pipeline.push

    def noted(pipeline: Pipeline, frame: Frame) -> list[Finding]:
        times_s.append(frame.time_s)
        return push(pipeline, frame)

    with pytest.raises(PowerCutError):
        run(tmp_path, Camera(unit[:middle]))
    monkeypatch.setattr(Pipeline, "push", noted)
    begun_at = unit[middle + 10].captured_at + timedelta(seconds=0.15)
    sampled_s = [math.ceil(round(k * 12 / RATE_HZ, 6)) / 12 for k in range(30)]  # of 12 Hz
    again = [
        replace(frame, time_s=time_s, captured_at=begun_at + timedelta(seconds=time_s))
        for frame, time_s in zip(unit[middle:], sampled_s, strict=False)
    ]
    with pytest.raises(PowerCutError):
        run(tmp_path, Camera(again))
    slots = [math.floor((time_s + 1e-6) * RATE_HZ) for time_s in times_s]
    assert slots == list(range(slots[0], slots[0] + 30))


def test_a_clock_set_back_between_two_runs_ends_no_unit_before_it_began(
    tmp_path: Path, unit: list[Frame]
) -> None:
    middle = len(unit) // 2
    with pytest.raises(PowerCutError):
        run(tmp_path, Camera(unit[:middle]))
    hour = timedelta(hours=1)
    back = [replace(f, captured_at=f.captured_at - hour) for f in later(unit[middle + 5 :])]
    pipeline = run(tmp_path, Camera(back, threading.Event()))
    assert pipeline.now_s > unit[middle].time_s
    begun = min(started.started_at for started in payloads(tmp_path, CycleStarted))
    times = [segment.ended_at for segment in payloads(tmp_path, SegmentSeen)]
    assert all(time > begun for time in times)
    assert all(ended.ended_at > begun for ended in payloads(tmp_path, CycleEnded))


def test_a_station_that_was_ended_leaves_no_thread(
    tmp_path: Path, unit: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    closers, closing = [], station._close_on

    def noted(*arguments: Any) -> None:
        closers.append(threading.current_thread())
        closing(*arguments)

    monkeypatch.setattr(station, "_close_on", noted)
    with pytest.raises(PowerCutError):
        run(tmp_path, Camera(unit[:3]), None)
    (closer,) = closers
    closer.join(60)
    assert not closer.is_alive()


def test_until_its_first_frames_are_decided_a_resumed_pipeline_keeps_what_was_judged(
    tmp_path: Path, unit: list[Frame]
) -> None:
    kept = kept_in_mid_cycle(unit, tmp_path)
    pipeline = load_pipeline(TASK, None)
    pipeline.resume(kept.monitor, kept.judged_until_s, kept.alarms)
    assert pipeline.judged_until_s == kept.judged_until_s
    frame = replace(unit[0], time_s=kept.judged_until_s + 1)
    pipeline.push(frame)
    assert pipeline.judged_until_s == kept.judged_until_s
    with pytest.raises(ValueError, match="time went back"):
        pipeline.push(replace(frame, time_s=kept.judged_until_s))


def test_the_state_is_written_with_the_events_it_knows_of_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "a.outbox"
    assert kept_state(file) is None
    script = Script()
    outbox = Outbox(file, station="a", boot="b")
    outbox.append(script.started())
    assert (len(outbox), kept_state_after(outbox, file)) == (1, None)
    outbox = Outbox(file, station="a", boot="b")
    too_large = script.started().model_copy(update={"site": "x" * 70_000})
    with pytest.raises(OutboxError, match="the hub takes"):
        outbox.extend([script.started(), too_large], state="new")
    assert (len(outbox), kept_state_after(outbox, file)) == (1, None)
    outbox = Outbox(file, station="a", boot="b")
    outbox.extend([script.started()], state="first")
    outbox.extend([], state="second")
    assert (len(outbox), kept_state_after(outbox, file)) == (2, "second")


def kept_state_after(outbox: Outbox, file: Path) -> str | None:
    outbox.close()
    return kept_state(file)


def test_an_outbox_of_before_has_no_state(tmp_path: Path) -> None:
    file = tmp_path / "a.outbox"
    sqlite3.connect(file).close()
    file.write_bytes(b"")
    assert kept_state(file) is None
    file.write_bytes(b"no database at all, but long enough to look at" * 100)
    assert kept_state(file) is None


@pytest.mark.parametrize("text", ["", "{}", "null", "[1]", '{"boot": 3}', "\x00"])
def test_a_damaged_state_is_left(text: str) -> None:
    assert read_kept(text, vocabulary_hash=HASH) is None


def kept_in_mid_cycle(unit: list[Frame], folder: Path) -> KeptState:
    with pytest.raises(PowerCutError):
        run(folder, Camera(unit[: len(unit) // 2]))
    return kept_in(folder)


def kept_in(folder: Path) -> KeptState:
    kept = read_kept(kept_state(folder / "a.outbox"), vocabulary_hash=HASH)
    assert kept is not None
    return kept


def test_a_state_of_another_vocabulary_is_left(tmp_path: Path, unit: list[Frame]) -> None:
    kept = kept_in_mid_cycle(unit, tmp_path)
    assert read_kept(kept.model_dump_json(), vocabulary_hash="0" * 64) is None


def station_of(folder: Path) -> watch._Watch:
    return watch._Watch(
        deployment(folder, "rtsp://127.0.0.1:9/none"),
        "s0",
        watch.SharedEncoders(num_clients=1),
        threading.Event(),
        fast=False,
    )


def test_what_was_seen_before_the_station_was_ended_is_known_again(
    tmp_path: Path, unit: list[Frame]
) -> None:
    """The first step is left out; that is suspected before the power cut, confirmed after it."""
    unit = [frame for frame in unit if frame.time_s >= 4.2]  # the first step ends at 3.8 s
    place = len(unit) // 2
    with pytest.raises(PowerCutError):
        run(tmp_path, Camera(later(unit[:place])))
    end = threading.Event()
    run(tmp_path, Camera(later(unit[place:]), end), end)
    pipeline, kept = load_pipeline(TASK, None), kept_in(tmp_path)
    pipeline.resume(kept.monitor, kept.judged_until_s, kept.alarms)
    ended = [f for f in pipeline.close() if isinstance(f, Deviation)]
    missed = {(d.type, d.step): d for d in payloads(tmp_path, DeviationSeen)}
    assert missed["missed", "place-housing"].probability is not None
    of_the_end = {f.step: f for f in ended if f.kind == "missed"}
    assert of_the_end["place-housing"].probability is not None


def test_a_state_of_the_version_before_is_gone_on_with(
    tmp_path: Path, unit: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = json.loads(kept_in_mid_cycle(unit, tmp_path).model_dump_json())
    assert plain.pop("alarms")
    kept = keep_instead(tmp_path, json.dumps(plain))
    seen_until = kept.origin + timedelta(seconds=kept.judged_until_s)
    monkeypatch.setattr(watch, "utc_now", lambda: seen_until + timedelta(minutes=5))
    pipeline = load_pipeline(TASK, None)
    keeping = station_of(tmp_path)._keeping(pipeline)
    assert keeping is not None
    assert (keeping.kept, pipeline.cycle) == (kept, 1)


def test_a_damaged_state_of_the_judge_is_told_and_left_with_all_the_rest(
    tmp_path: Path,
    unit: list[Frame],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = json.loads(kept_in_mid_cycle(unit, tmp_path).model_dump_json())
    alarms = json.loads(plain["alarms"])
    alarms["soft"]["newest"] = -5
    kept = keep_instead(tmp_path, json.dumps(plain | {"alarms": json.dumps(alarms)}))
    seen_until = kept.origin + timedelta(seconds=kept.judged_until_s)
    monkeypatch.setattr(watch, "utc_now", lambda: seen_until + timedelta(minutes=5))
    pipeline = load_pipeline(TASK, None)
    keeping = station_of(tmp_path)._keeping(pipeline)
    assert keeping is not None
    assert (keeping.kept, pipeline.cycle) == (None, None)
    assert "soft.newest" in caplog.text
    assert "starting afresh" in caplog.text


def keep_instead(folder: Path, state: str) -> KeptState:
    """Put `state` in the place of what the station kept."""
    (folder / "a.outbox").rename(folder / "s0.outbox")
    outbox = Outbox(folder / "s0.outbox", station="s0", boot="b1")
    outbox.extend([], state=state)
    outbox.close()
    kept = read_kept(state, vocabulary_hash=HASH)
    assert kept is not None
    return kept


def test_a_cycle_kept_too_long_ago_is_ended_as_of_then(
    tmp_path: Path, unit: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_in_mid_cycle(unit, tmp_path)
    (tmp_path / "a.outbox").rename(tmp_path / "s0.outbox")
    station = station_of(tmp_path)
    seen_until = kept.origin + timedelta(seconds=kept.judged_until_s)
    monkeypatch.setattr(watch, "utc_now", lambda: seen_until + timedelta(minutes=5))
    keeping = station._keeping(load_pipeline(TASK, None))
    assert keeping is not None
    assert (keeping.boot, keeping.kept) == ("b1", kept)
    monkeypatch.setattr(watch, "utc_now", lambda: seen_until + timedelta(hours=9))
    for _ in range(2):  # the second time nothing is left to end
        keeping = station._keeping(load_pipeline(TASK, None))
        assert keeping is not None
        assert keeping.kept is None
        assert keeping.boot != "b1"
        told = [event.payload for event in events(tmp_path, "s0")]
        ended = [payload for payload in told if isinstance(payload, CycleEnded)]
        assert [payload.cycle for payload in ended] == ["b1-1"]
        assert ended[0].ended_at <= seen_until


def test_a_recording_begins_anew(tmp_path: Path) -> None:
    station = watch._Watch(
        deployment(tmp_path, "sample:gear-reducer"),
        "s0",
        watch.SharedEncoders(num_clients=1),
        threading.Event(),
        fast=False,
    )
    assert station._keeping(load_pipeline(TASK, None)) is None
