"""What a station does while its camera shows nothing of the work, and what it says meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.frame import Frame, Source
from edge.cameras.picture_health import PictureHealth
from edge.cameras.sources import open_source
from edge.messages import StationState
from edge.outbox import Outbox
from edge.pipeline import load_pipeline
from edge.reporter import Reporter
from edge.sender import Sender
from edge.station import Station
from industryasm.segment import Segment
from industryasm.stations.rendering import named_looks, render_recording
from industryasm.vocabulary import load_task
from models.deviations import CycleStarted, Finding, StepDone
from tests.conftest import Script

RATE_HZ = 5.0
TASK = load_task("gear-reducer")
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Playing(Source):
    """Plays pictures."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        super().__init__("pictures")
        self._frames = frames

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        pass


class Noting:
    """Stands for a pipeline: notes what it is shown and when it is told to pause."""

    rate_hz, image_size, runtime = RATE_HZ, (32, 32), "none"
    running = Segment(0, 1, "press-bearing")

    def __init__(self) -> None:
        self.said: list[float | str] = []

    def push(self, frame: Frame) -> list[Finding]:
        self.said.append(round(frame.time_s, 1))
        return []

    def pause(self) -> list[Finding]:
        self.said.append("pause")
        return [StepDone(1, "press-bearing", 0.0, 1.0, 0.9, 2.0)]

    def close(self, *, interrupted: bool = False) -> list[Finding]:
        self.said.append("close")
        return []


def pictures(*levels: tuple[float, int], size: tuple[int, int] = (640, 480)) -> Iterator[Frame]:
    """Yield noise around a level for some seconds each."""
    random, index = np.random.default_rng(0), 0
    for seconds, level in levels:
        for _ in range(round(seconds * RATE_HZ)):
            image = np.clip(random.normal(level, 3, (32, 32, 3)), 0, 255).astype(np.uint8)
            time_s = index / RATE_HZ
            yield Frame(image, time_s, NOON + timedelta(seconds=time_s), size)
            index += 1


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[tuple[StationState, str]]:
    """Note every state with its detail, however short it lasts."""
    noted: list[tuple[StationState, str]] = []
    note = Station._note

    def noting(station: Station, state: StationState, detail: str = "") -> None:
        noted.append((state, detail))
        note(station, state, detail)

    monkeypatch.setattr(Station, "_note", noting)
    return noted


def watch(folder: Path, source: Source, pipeline: object) -> int:
    """Let a station watch a source to its end; return how many steps it reported."""
    outbox = Outbox(folder / "a.outbox", station="a", boot="b")
    sender = Sender(outbox, f"ipc://{folder / 'no-hub'}")
    try:
        Station(
            Script().started(),
            lambda _: source,
            pipeline,  # type: ignore[arg-type]
            Reporter(TASK, boot="b"),
            outbox,
            sender,
            PictureHealth(RATE_HZ),
        ).run(threading.Event(), leave_when_finished=True)
        return sum(event.payload.kind == "segment" for event in outbox.pending(10_000))
    finally:
        sender.close()
        outbox.close()


def test_no_work_is_looked_for_in_the_dark_and_what_was_seen_before_is_decided(
    tmp_path: Path, states: list[tuple[StationState, str]]
) -> None:
    pipeline = Noting()
    assert watch(tmp_path, Playing(pictures((6, 120), (6, 3), (6, 120))), pipeline) == 1
    blind_at = pipeline.said.index("pause")
    seen, later = pipeline.said[:blind_at], pipeline.said[blind_at + 1 :]
    assert seen == [round(i / RATE_HZ, 1) for i in range(len(seen))]
    assert 6 <= float(seen[-1]) <= 9, "told dark some seconds after it became dark"
    assert 12 <= float(later[0]) <= 16, "and good again some seconds after the light came back"
    assert later[-1] == "close"
    told = [state for state, _ in states]
    assert told == ["watching", "camera_blind", "watching", "finished"]
    assert "black" in states[1][1], "a person must know what to look for"


def test_a_camera_that_connects_again_in_the_dark_stays_blind(
    tmp_path: Path, states: list[tuple[StationState, str]]
) -> None:
    class Reconnecting(Playing):
        def __next__(self) -> Frame:
            frame = super().__next__()
            if frame.time_s == 5.0:
                station._note_source("reconnecting", "no data for 2 s")
                station._note_source("connected", "")
            return frame

    outbox = Outbox(tmp_path / "a.outbox", station="a", boot="b")
    sender = Sender(outbox, f"ipc://{tmp_path / 'no-hub'}")
    source = Reconnecting(pictures((10, 3)))
    station = Station(
        Script().started(),
        lambda _: source,
        Noting(),  # type: ignore[arg-type]
        Reporter(TASK, boot="b"),
        outbox,
        sender,
        PictureHealth(RATE_HZ),
    )
    station.run(threading.Event(), leave_when_finished=True)
    sender.close()
    outbox.close()
    told = [state for state, _ in states]
    assert told == ["watching", "camera_blind", "reconnecting", "camera_blind", "finished"]
    assert states[3][1] == states[1][1] != ""


def test_a_camera_with_another_picture_size_is_told_and_still_watched(
    tmp_path: Path, states: list[tuple[StationState, str]]
) -> None:
    def frames() -> Iterator[Frame]:
        yield from pictures((6, 120))
        for frame in pictures((12, 120), size=(320, 240)):
            if frame.time_s >= 6:
                yield frame

    pipeline = Noting()
    watch(tmp_path, Playing(frames()), pipeline)
    assert "pause" not in pipeline.said
    assert len(pipeline.said) == 60 + 1
    assert [state for state, _ in states] == ["watching", "camera_moved", "finished"]
    assert "320" in states[1][1]


@pytest.mark.timeout(300)
def test_a_pipeline_that_pauses_loses_no_step_and_goes_on_with_its_cycle(tmp_path: Path) -> None:
    recording = render_recording(
        TASK, tmp_path, recording_id="one", **named_looks("o", "s", 5), planted=[None], seed=5
    )
    plain, paused = load_pipeline(TASK, None), load_pipeline(TASK, None)
    middle_s = recording.segments[len(recording.segments) // 2].end_s + 0.1
    found: dict[str, list[Finding]] = {"plain": [], "paused": []}
    has_paused = False
    with open_source(
        str(tmp_path / str(recording.video)), rate_hz=plain.rate_hz, size=plain.image_size
    ) as source:
        for frame in source:
            if frame.time_s >= middle_s and not has_paused:
                has_paused = True
                found["paused"] += paused.pause()
            found["plain"] += plain.push(frame)
            found["paused"] += paused.push(frame)
    found["plain"] += plain.close()
    found["paused"] += paused.close()
    assert has_paused
    steps = {
        name: {f.step for f in some if isinstance(f, StepDone)} for name, some in found.items()
    }
    assert len(steps["plain"]) > 5
    assert steps["plain"] <= steps["paused"], "a pause may cut a step in two, never lose one"
    cycles = [sum(isinstance(f, CycleStarted) for f in some) for some in found.values()]
    assert cycles == [1, 1]
