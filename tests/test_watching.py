"""Several stations in one process: what each finds, and that none takes another down."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from edge import watch
from edge.cameras.frame import SourceError
from edge.cameras.sources import open_source
from edge.deployment import Deployment, load_deployment
from edge.messages import Event, Heartbeat
from edge.outbox import Outbox, OutboxError
from edge.pipeline import Pipeline, load_pipeline
from edge.sender import Sender
from edge.watch import watch_stations
from industryasm.stations.rendering import named_looks, render_recording
from industryasm.vocabulary import load_task
from models.card import ModelError
from models.deviations import MonitorConfig, StepDone

pytestmark = pytest.mark.timeout(300)

TASK = load_task("gear-reducer")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one unit, put together well."""
    folder = tmp_path_factory.mktemp("unit")
    recording = render_recording(
        TASK, folder, recording_id="one", **named_looks("o", "s", 5), planted=[None], seed=5
    )
    return folder / str(recording.video)


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FLUSH_S", 0.0)


def deployment(folder: Path, *sources: Path | str, more: str = "") -> Deployment:
    stations = "".join(
        f"  - {{id: s{i}, name: S{i}, line: l, task: gear-reducer, camera: {{source: '{source}'}}"
        f"{more}}}\n"
        for i, source in enumerate(sources)
    )
    path = folder / "deploy.yaml"
    path.write_text(
        f"site: Here\ndata: .\nhub: {{endpoint: 'ipc://hub.sock'}}\nlines:\n"
        f"  - {{id: l, name: L}}\nstations:\n{stations}"
    )
    return load_deployment(path)


def events(folder: Path, station: str) -> list[Event]:
    outbox = Outbox(folder / f"{station}.outbox", station=station, boot="reader")
    try:
        return [event for event in outbox.pending(10_000) if isinstance(event, Event)]
    finally:
        outbox.close()


def told(folder: Path, station: str) -> list[tuple[str, str]]:
    """Return what a station said of its work, without names and times."""
    return [
        (event.payload.kind, getattr(event.payload, "step", ""))
        for event in events(folder, station)
    ]


def test_stations_that_share_an_encoder_tell_what_each_alone_would(
    video: Path, tmp_path: Path
) -> None:
    pipeline = load_pipeline(TASK, None)
    steps = []
    with open_source(str(video), rate_hz=pipeline.rate_hz, size=pipeline.image_size) as source:
        for frame in source:
            steps += [f.step for f in pipeline.push(frame) if isinstance(f, StepDone)]
    steps += [finding.step for finding in pipeline.close() if isinstance(finding, StepDone)]
    assert len(steps) > 5
    watch_stations(deployment(tmp_path, video, video), ["s0", "s1"], threading.Event(), fast=True)
    for station in ("s0", "s1"):
        kinds = told(tmp_path, station)
        assert [step for kind, step in kinds if kind == "segment"] == steps
        assert kinds[0] == ("station_started", "")
        assert kinds[-1][0] == "cycle_ended"


def test_a_station_ends_units_by_its_own_times(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[MonitorConfig] = []

    def build(*parts: Any, monitor: MonitorConfig, **more: Any) -> Pipeline:
        built.append(monitor)
        return Pipeline(*parts, monitor=monitor, **more)

    monkeypatch.setattr(watch, "Pipeline", build)
    own = deployment(tmp_path, video, more=", idle_end_s: 300, handover_s: 5")
    watch_stations(own, ["s0"], threading.Event(), fast=True)
    assert set(built) == {MonitorConfig(idle_end_s=300, handover_s=5)}


def test_a_recording_that_cannot_be_read_fails_alone_and_is_told_at_the_end(
    video: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all")
    both = deployment(tmp_path, bad, video)
    with pytest.raises(SourceError, match=r"bad\.mp4"):
        watch_stations(both, ["s0", "s1"], threading.Event(), fast=True)
    assert told(tmp_path, "s0") == [("station_started", "")]
    assert told(tmp_path, "s1")[-1][0] == "cycle_ended"


def test_live_a_failed_station_says_so_while_the_others_go_on(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all")
    states: dict[str, set[str]] = {"s0": set(), "s1": set()}
    stop = threading.Event()

    def beat(sender: Sender, heartbeat: Heartbeat) -> None:
        states[sender._outbox._station].add(heartbeat.state)
        if heartbeat.state == "failed":
            assert "bad.mp4" in heartbeat.detail
        if "failed" in states["s0"] and "watching" in states["s1"]:
            stop.set()

    monkeypatch.setattr(Sender, "beat", beat)
    watch_stations(deployment(tmp_path, bad, video), ["s0", "s1"], stop, fast=False)
    assert "watching" not in states["s0"]
    assert told(tmp_path, "s1")[0][0] == "station_started"


def test_a_station_whose_disk_was_full_begins_again(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    refused: list[str] = []
    append = Outbox.append

    def full_at_first(outbox: Outbox, payload: object) -> Event:
        if not refused:
            refused.append(type(payload).__name__)
            raise OutboxError("s0.outbox: cannot be written (disk full); make room")
        stop.set()
        return append(outbox, payload)  # type: ignore[arg-type]

    monkeypatch.setattr(Outbox, "append", full_at_first)
    monkeypatch.setattr(watch, "FIRST_WAIT_S", 0.01)
    with caplog.at_level(logging.ERROR):
        watch_stations(deployment(tmp_path, video), ["s0"], stop, fast=False)
    assert refused == ["StationStarted"]
    assert "s0: s0.outbox: cannot be written (disk full); make room; beginning again" in caplog.text
    boots = {event.boot for event in events(tmp_path, "s0")}
    assert len(boots) == 1, "the boot that wrote nothing left nothing"


def test_a_station_whose_boot_the_hub_leaves_begins_another(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    check, abandoned = Outbox.check_boot, []

    def leave_the_first(outbox: Outbox) -> None:
        if not abandoned and len(outbox) > 0:
            abandoned.append(outbox._boot)
            outbox.abandon(outbox._boot)
        elif len({event.boot for event in outbox.pending(100)}) > 1:
            stop.set()
        check(outbox)

    monkeypatch.setattr(Outbox, "check_boot", leave_the_first)
    monkeypatch.setattr(watch, "FIRST_WAIT_S", 0.01)
    with caplog.at_level(logging.ERROR):
        watch_stations(deployment(tmp_path, video), ["s0"], stop, fast=False)
    assert "the station has to begin another; beginning again" in caplog.text
    first, second = dict.fromkeys(event.boot for event in events(tmp_path, "s0"))
    assert [first] == abandoned
    assert second != first


def test_a_fault_of_ours_ends_one_station_s_try_not_the_process(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    tries: list[int] = []

    def broken(*_: object, **__: object) -> None:
        tries.append(1)
        if len(tries) == 3:
            stop.set()
        raise KeyError("a fault of ours")

    monkeypatch.setattr(watch, "Station", broken)
    monkeypatch.setattr(watch, "FIRST_WAIT_S", 0.01)
    watch_stations(deployment(tmp_path, video), ["s0"], stop, fast=False)
    assert len(tries) == 3
    assert "a fault of ours" in caplog.text
    assert "Traceback" in caplog.text, "nobody can mend what is not told"


def test_a_model_that_cannot_be_used_is_said_before_anything_is_watched(
    video: Path, tmp_path: Path
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "card.json").write_text("{}")
    wrong = deployment(tmp_path, video, more=", model: m")
    with pytest.raises(ModelError, match=r"card\.json"):
        watch_stations(wrong, ["s0"], threading.Event(), fast=False)
    assert not list(tmp_path.glob("*.outbox"))
