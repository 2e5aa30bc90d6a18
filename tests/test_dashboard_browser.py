"""The pages in a real browser, fed over real zmq: what the hub receives is seen within 5 s."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, update

from dashboard import tables
from dashboard.hub import Hub
from dashboard.page import streamlit_command
from dashboard.store import Store
from edge.messages import utc_now
from edge.outbox import Outbox
from edge.sender import Sender

pytest.importorskip("playwright", reason="playwright is not installed (extra dev)")
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")

PROMISE_MS = 5_000  # from the hub's receipt to the page
START_S = 120  # a bound against hanging, not a promise
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
REDUCER = (
    ("place-housing", "Place the gear housing in the fixture, open side up"),
    ("scan-label", "Scan the label of the housing"),
    ("press-bearing", "Press the ball bearing into its seat until it stops"),
    ("insert-shaft", "Insert the output shaft through the bearing"),
    ("place-gasket", "Lay the gasket on the flange"),
    ("place-cover", "Put the cover on the flange"),
    ("drive-screws", "Drive the six cover screws to 6 Nm"),
    ("insert-plug", "Screw in the oil plug"),
    ("final-check", "Turn the shaft by hand and check it runs free"),
)
RELAY = (
    ("place-rail", "Clip the relay socket onto the rail"),
    ("insert-relay", "Insert the relay into its socket"),
    ("route-wires", "Route the control wires"),
)


class Hall:
    """A hub with its pages, and stations that report to it over zmq."""

    def __init__(self, tmp_path: Path, port: int) -> None:
        self.tmp_path, self.url = tmp_path, f"http://127.0.0.1:{port}"
        self.database = f"sqlite:///{tmp_path / 'hub.sqlite'}"
        self.store = Store.open(self.database)
        self.hub = Hub("tcp://127.0.0.1:*", self.store)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.hub.serve, args=(self.stop,))
        self.thread.start()
        command, environment = streamlit_command(self.database, "127.0.0.1", port)
        self.log = (tmp_path / "streamlit.log").open("wb")
        self.server = subprocess.Popen(
            command, env=environment, stdout=self.log, stderr=subprocess.STDOUT
        )
        self.ends: list[tuple[Outbox, Sender]] = []

    def wait_until_served(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            assert self.server.poll() is None, (self.tmp_path / "streamlit.log").read_text()
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "the pages are not served"
                time.sleep(0.1)

    def connect(self, station) -> tuple[Outbox, Sender]:
        path = self.tmp_path / f"{station.station}.sqlite"
        outbox = Outbox(path, station=station.station, boot=station.boot)
        self.ends.append((outbox, Sender(outbox, self.hub.endpoint)))
        return self.ends[-1]

    def close(self) -> None:
        for outbox, sender in self.ends:
            sender.close()
            outbox.close()
        self.server.terminate()
        self.server.wait()
        self.log.close()
        self.stop.set()
        self.thread.join()
        self.hub.close()
        self.store.close()


@pytest.fixture
def hall(tmp_path, free_port):
    hall = Hall(tmp_path, free_port())
    try:
        hall.wait_until_served()
        yield hall
    finally:
        hall.close()


@pytest.fixture
def browser_page():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 1080})
        yield page
        browser.close()


def save(page: Page, tmp_path: Path, name: str) -> None:
    """Save what is shown, for the README too when LINEWATCH_SCREENSHOTS names a folder."""
    path = tmp_path / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    if folder := os.environ.get("LINEWATCH_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, Path(folder) / path.name)


def assemble(outbox: Outbox, station, number: int, start: float, order: list[int]) -> float:
    """Report a cycle with the steps at the positions `order`; return when the last one ended."""
    outbox.append(station.cycle(number, start))
    at = start + 0.5
    for position in order:
        takes = 2.2 + (position * 7 + number * 3) % 5 * 0.5
        outbox.append(station.segment(number, station.steps[position][0], at, at + takes))
        at += takes + 0.4
    return at


def report_reducer(outbox: Outbox, station) -> None:
    """Report four cycles of the first station, the last of them running, with mistakes in them."""
    outbox.append(station.started(line="Line 1", name="Station 1"))
    end = assemble(outbox, station, 11, 0, list(range(9)))
    outbox.append(station.cycle_end(11, end))
    end = assemble(outbox, station, 12, 40, [0, 1, 2, 3, 5, 6, 7, 8])
    outbox.append(
        station.deviation(
            12,
            "missed",
            "place-gasket",
            end - 1,
            critical="quality",
            detail="cover put on without the gasket",
        )
    )
    outbox.append(station.cycle_end(12, end, complete=False))
    end = assemble(outbox, station, 13, 80, [0, 2, 1, 3, 4, 5, 6, 6, 7, 8])
    outbox.append(
        station.deviation(13, "too_long", "press-bearing", 83.5, detail="13.2 s, limit 11")
    )
    outbox.append(station.deviation(13, "repeated", "drive-screws", 105.8))
    outbox.append(station.deviation(13, "missed", "scan-label", 90, state="suspected"))
    outbox.append(station.deviation(13, "missed", "scan-label", 90, state="withdrawn"))
    outbox.append(station.cycle_end(13, end))
    assemble(outbox, station, 14, 122, [0, 1, 3])


def report_relay(outbox: Outbox, station, name: str) -> None:
    outbox.append(station.started(line="Line 2", name=name))
    for number in (31, 32):
        end = assemble(outbox, station, number, number * 12 - 372, [0, 1, 2])
        outbox.append(station.cycle_end(number, end))


def test_a_deviation_is_on_the_page_within_five_seconds_of_its_receipt(
    hall, browser_page, script, tmp_path
):
    begin = utc_now() - timedelta(seconds=150)
    first = script(
        "line-1.station-1",
        begin=begin,
        steps=REDUCER,
        task=("gear-reducer", "Gear reducer, final assembly"),
    )
    second = script(
        "line-1.station-2",
        begin=begin,
        steps=REDUCER,
        task=("gear-reducer", "Gear reducer, final assembly"),
    )
    other = script(
        "line-2.station-4", begin=begin, steps=RELAY, task=("relay-module", "Relay module, wiring")
    )
    quiet = script(
        "line-2.station-5", begin=begin, steps=RELAY, task=("relay-module", "Relay module, wiring")
    )
    outbox, sender = hall.connect(first)
    report_reducer(outbox, first)
    ends = {name: hall.connect(s) for name, s in (("b", second), ("c", other), ("d", quiet))}
    ends["b"][0].append(second.started(line="Line 1", name="Station 2"))
    ends["b"][0].append(second.cycle(7, 100))
    report_relay(ends["c"][0], other, "Station 4")
    report_relay(ends["d"][0], quiet, "Station 5")
    ends["d"][1].beat(quiet.heartbeat())
    assert all(end.flush(START_S) for _, end in hall.ends)
    go_silent(hall)
    stop = threading.Event()
    beats = [
        (sender, first.heartbeat(step="place-gasket", rate_hz=5.0, runtime="onnxruntime-cpu")),
        (ends["b"][1], second.heartbeat("camera_blind", detail="The picture is black")),
        (ends["c"][1], other.heartbeat(rate_hz=5.0, runtime="openvino-cpu")),
    ]
    beating = threading.Thread(target=beat_until, args=(stop, beats))
    beating.start()
    try:
        watch(hall, browser_page, first, outbox, sender, tmp_path)
    finally:
        stop.set()
        beating.join()


def go_silent(hall: Hall) -> None:
    """Age what was told until now, as if it had been some minutes ago."""
    engine = create_engine(hall.database)
    with engine.begin() as connection:
        earlier = utc_now() - timedelta(minutes=4)
        connection.execute(update(tables.Heartbeat).values(received_at=earlier))
    engine.dispose()


def beat_until(stop: threading.Event, beats: list) -> None:
    while not stop.wait(0.5):
        for sender, heartbeat in beats:
            sender.beat(heartbeat)


def watch(hall, page, station, outbox, sender, tmp_path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{hall.url}/station?station={station.station}")
    expect(page.get_by_role("heading", name="Station 1")).to_be_visible(timeout=START_S * 1000)
    expect(page.get_by_text("Cycle 14", exact=True)).to_be_visible(timeout=START_S * 1000)
    expect(page.get_by_text("before: Press the ball bearing into its seat")).to_have_count(0)

    detail = "before: Press the ball bearing into its seat"
    outbox.append(station.deviation(14, "out_of_order", "insert-shaft", 131, detail=detail))
    assert sender.flush(START_S)  # the hub has receipted it
    expect(page.get_by_text(detail)).to_be_visible(timeout=PROMISE_MS)
    page.set_viewport_size({"width": 1440, "height": 1500})
    save(page, tmp_path, "station")
    page.set_viewport_size({"width": 1440, "height": 900})

    page.get_by_role("link", name="Lines").click()
    expect(page.get_by_role("link", name="Station 1")).to_be_visible(timeout=START_S * 1000)
    expect(page.get_by_text("Camera blind")).to_be_visible()
    expect(page.get_by_text("Silent for")).to_be_visible()
    save(page, tmp_path, "overview")
    page.get_by_role("link", name="Station 4").click()
    expect(page.get_by_role("heading", name="Station 4")).to_be_visible(timeout=START_S * 1000)
    foreign = [url for url in asked if not url.startswith((hall.url, "data:", "blob:"))]
    assert foreign == []
