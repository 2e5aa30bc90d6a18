"""A camera is read in a process of its own, which may hang, die or be killed at any moment."""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.backlog import LATE_S, NUM_READY, Backlog
from edge.cameras.child import CameraChild
from edge.cameras.frame import Frame, SourceError
from edge.cameras.link import (
    NUM_SLOTS,
    Alive,
    Back,
    Camera,
    Link,
    LinkClosedError,
    LinkSilentError,
    Picture,
    Read,
    Shape,
    new_memory,
    slots_of,
)
from edge.cameras.live_source import QUEUE_FRAMES, LiveSource
from edge.cameras.process import Reader
from edge.cameras.sources import open_source
from edge.cameras.view import View
from tests.clip import number_of, write_clip
from tests.rtsp_server import RtspServer

pytestmark = pytest.mark.timeout(55)
RATE_HZ = 25.0


def camera(kind: str, address: object = "") -> Camera:
    return Camera(f"tests.faulty_cameras:{kind}", str(address), View())


def numbers(frames: list[Frame]) -> list[int]:
    return [number_of(frame.image) for frame in frames]


def rises(frames: list[Frame]) -> bool:
    return all(earlier.time_s < later.time_s for earlier, later in pairwise(frames))


def wait_for(condition: Callable[[], object], limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Return whether the process lives; one that nobody has waited for yet is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_reader_that_hangs_is_killed_and_started_anew(tmp_path: Path) -> None:
    states: list[tuple[str, str]] = []
    address = camera("hangs_in_c_once", tmp_path / "counter")
    with LiveSource(
        "bench", address, rate_hz=RATE_HZ, on_state=lambda *s: states.append(s), silence_s=1.5
    ) as source:
        first = source.process_id
        frames = list(islice(source, 10))
        assert source.process_id != first
        assert (source.num_killed, source.num_reconnects) == (1, 1)
    assert first is not None
    assert not is_running(first)
    assert rises(frames)
    gap_s = max(later.time_s - earlier.time_s for earlier, later in pairwise(frames))
    assert gap_s > 1.5  # the hang is in the times
    assert [state for state, _ in states] == ["connected", "reconnecting", "connected"]
    assert "hung for 1.5 s; its process was killed; trying again in" in states[1][1]


def test_a_reader_that_hangs_before_its_first_picture_is_an_error() -> None:
    with pytest.raises(SourceError, match=r"bench: hung for 1 s; its process was killed"):
        LiveSource("bench", camera("hangs_at_once"), rate_hz=RATE_HZ, silence_s=1.0)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("refuses", "no such camera"),
        ("dies", r"the process that reads it ended \(status 3\)"),
        ("absent", r"the process that reads it ended \(status 1\)"),
    ],
)
def test_a_reader_that_fails_at_once_is_an_error(kind: str, told: str) -> None:
    with pytest.raises(SourceError, match=f"^bench: {told}$"):
        LiveSource("bench", camera(kind, "no such camera"), rate_hz=RATE_HZ)


def test_a_machine_without_room_for_a_process_is_a_fault_that_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def scarce() -> CameraChild:
        made.append(1)
        if len(made) == 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return CameraChild()

    monkeypatch.setattr("edge.cameras.live_source.CameraChild", scarce)
    with LiveSource("bench", camera("good"), rate_hz=RATE_HZ) as source:
        next(source)
        assert source.process_id is not None
        os.kill(source.process_id, signal.SIGKILL)
        wait_for(lambda: source.num_reconnects == 2)
        list(islice(source, QUEUE_FRAMES + 3))
    assert len(made) == 3


def test_a_source_that_is_closed_starts_no_further_process() -> None:
    source = LiveSource("bench", camera("good"), rate_hz=RATE_HZ)
    source.close()
    assert source._read_until_fault() == "closed"
    assert source.process_id is None


def test_a_reader_killed_from_outside_is_replaced_and_time_goes_on() -> None:
    with LiveSource("bench", camera("good"), rate_hz=RATE_HZ) as source:
        before = list(islice(source, 5))
        killed = source.process_id
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: source.num_reconnects == 1)
        after = list(islice(source, QUEUE_FRAMES + 5))
        assert source.process_id != killed
        assert source.num_killed == 0  # by us
    assert rises(before + after)
    gap_s = max(later.time_s - earlier.time_s for earlier, later in pairwise(before + after))
    assert gap_s > 0.2  # the least wait before a new try
    assert numbers(after)[-5:] == list(range(numbers(after)[-5], numbers(after)[-5] + 5))


STATION = """
import sys, time
from edge.cameras.link import Camera
from edge.cameras.live_source import LiveSource
from edge.cameras.view import View
source = LiveSource("bench", Camera(sys.argv[1], sys.argv[2], View()), rate_hz=25)
next(source)
print(source.process_id, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("kind", ["good", "hangs_in_c_once"])
def test_a_reader_ends_with_a_station_that_is_killed(
    kind: str, tmp_path: Path, start_process: Callable[..., subprocess.Popen[bytes]]
) -> None:
    reader = f"tests.faulty_cameras:{kind}"
    station = start_process(
        "-c", STATION, reader, str(tmp_path / "counter"), stdout=subprocess.PIPE
    )
    assert station.stdout is not None
    with station.stdout:
        pid = int(station.stdout.readline())
    assert is_running(pid)
    station.kill()
    station.wait()
    wait_for(lambda: not is_running(pid), 10.0)


def test_a_reader_is_not_ended_by_the_signals_of_its_group() -> None:
    with LiveSource("bench", camera("good"), rate_hz=RATE_HZ) as source:
        pid = source.process_id
        assert pid is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        assert rises(list(islice(source, 10)))
        assert source.num_reconnects == 0
    assert not is_running(pid)


def test_a_late_consumer_gets_the_newest_and_drops_are_counted() -> None:
    with LiveSource("bench", camera("burst", 200), rate_hz=RATE_HZ) as source:
        wait_for(lambda: source.dropped == 200 - QUEUE_FRAMES)
        frames = list(islice(source, QUEUE_FRAMES))
        assert numbers(frames) == list(range(200 - QUEUE_FRAMES, 200))
        assert source.dropped + len(frames) == 200


def test_a_station_that_takes_nothing_is_told_what_it_missed() -> None:
    ours, theirs = (Link(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    reading = threading.Thread(target=read_until_closed, args=(theirs,))
    reading.start()
    ours.send(Read(camera("burst", 20), RATE_HZ))
    num_pictures = num_dropped = 0
    while num_pictures + num_dropped < 20:
        message, memory = ours.receive(10.0)
        if memory is not None:
            os.close(memory)
        num_pictures += isinstance(message, Picture)
        num_dropped += message.dropped if isinstance(message, Alive) else 0
    assert (num_pictures, num_dropped) == (NUM_SLOTS, 20 - NUM_SLOTS)
    ours.hang_up()
    reading.join()
    ours.close()


def read_until_closed(link: Link) -> None:
    with pytest.raises(LinkClosedError):
        Reader(link).run()
    link.close()


def test_closing_ends_a_reader_that_hangs(tmp_path: Path) -> None:
    source = LiveSource("bench", camera("hangs_in_c_once", tmp_path / "counter"), rate_hz=RATE_HZ)
    pid = source.process_id
    wait_for(lambda: len(list(islice(source, 3))) == 3)
    source.close()
    assert pid is not None
    assert not is_running(pid)
    assert list(source) == []


def test_pictures_that_change_their_size_are_all_whole() -> None:
    with LiveSource("bench", camera("changes_size", 30), rate_hz=RATE_HZ) as source:
        frames = list(islice(source, 30))
    widths = {frame.image.shape[1] for frame in frames}
    assert widths == {64, 80, 96}
    by_number = [(number_of(frame.image), frame.image.shape[1]) for frame in frames]
    assert all(width == 64 + 16 * (number % 3) for number, width in by_number if number < 30)


def test_pictures_from_another_process_are_those_read_in_this_one(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "noise.mp4", [i / 25 for i in range(50)], size=(320, 240), noise=True
    )
    size, roi = (96, 64), (0.1, 0.2, 0.7, 0.6)
    with open_source(str(path), rate_hz=5, size=size, roi=roi) as file:
        expected = {round(frame.time_s, 2): frame.image for frame in file}
    with (
        RtspServer(path, loops=True) as server,
        open_source(server.url, rate_hz=5, size=size, roi=roi) as source,
    ):
        frames = [frame for frame in islice(source, 8) if frame.time_s < 2]
    assert len(frames) >= 5
    for frame in frames:
        np.testing.assert_array_equal(frame.image, expected[round(frame.time_s, 2)])


def test_a_frame_stays_as_it_is_when_more_come() -> None:
    with LiveSource("bench", camera("good"), rate_hz=RATE_HZ) as source:
        frames = list(islice(source, 20))
        seen = numbers(frames)
        copies = [frame.image.copy() for frame in frames]
        list(islice(source, 10))
    assert numbers(frames) == seen
    assert all(
        np.array_equal(frame.image, copy) for frame, copy in zip(frames, copies, strict=True)
    )


def test_nothing_is_left_behind_by_twenty_sources() -> None:
    def held() -> tuple[int, int, int]:
        gc.collect()
        shared = Path("/proc/self/maps").read_text().count("memfd:camera")
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), shared

    def process_of_a_source() -> int | None:
        with LiveSource("bench", camera("good"), rate_hz=RATE_HZ) as source:
            next(source)
            return source.process_id

    process_of_a_source()
    before = held()
    pids = [process_of_a_source() for _ in range(20)]
    assert held() == before
    assert before[2] == 0
    assert not [pid for pid in pids if pid is None or is_running(pid)]


def test_the_same_interval_is_not_sampled_again_by_the_next_connection() -> None:
    with LiveSource("bench", camera("good"), rate_hz=1.0) as source:
        first = next(source)
        pid = source.process_id
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        second = next(source)
    assert first.time_s == 0.0
    assert second.time_s >= 1.0


@pytest.mark.parametrize("limit_s", [0.0, 0.01])
def test_a_silent_link_and_a_closed_one_are_told_apart(limit_s: float) -> None:
    ours, theirs = (Link(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    with pytest.raises(LinkSilentError):
        ours.receive(limit_s)
    theirs.hang_up()
    theirs.close()
    with pytest.raises(LinkClosedError):
        ours.receive(limit_s)
    with pytest.raises(LinkClosedError):
        ours.send(Back(0))
    ours.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Picture(0, -1.0),
        lambda: Picture(0, float("nan")),
        lambda: Shape(0, 10, 0),
        lambda: Shape(10, -1, 0),
    ],
)
def test_a_message_that_cannot_be_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"must be finite|has none"):
        make()


def test_memory_that_is_too_small_for_its_pictures_is_refused() -> None:
    memory = new_memory(Shape(10, 10, 0))
    try:
        with pytest.raises(ValueError, match="too small"):
            slots_of(memory, Shape(100, 100, 0))
    finally:
        os.close(memory)


def skipped(seconds: float, *, speed: float, clock: float = 1.0) -> list[float]:
    """Return when packets of 25 Hz, a key each second, were skipped; decoding takes 1 / `speed`.

    The camera's own clock runs at `clock`. A packet is read when it has come and the one before
    it has been decoded, which takes no time for a skipped one.
    """
    backlog, free_s, times = Backlog(), 0.0, []
    for index in range(round(seconds * 25)):
        sent_s = index / 25
        now_s = max(free_s, sent_s)
        is_skipped = backlog.skips(
            sent_s * clock, is_key=index % 25 == 0, waited_s=max(0.0, sent_s - free_s), now_s=now_s
        )
        free_s = now_s + (0.0 if is_skipped else 0.04 / speed)
        times += [now_s] if is_skipped else []
        assert now_s - sent_s < LATE_S + 2 * NUM_READY / 25 / speed  # the delay is bounded
    return times


def test_a_reader_that_keeps_up_skips_nothing() -> None:
    assert skipped(600, speed=1.5) == []


@pytest.mark.parametrize("clock", [0.9, 0.9997, 1.0003, 1.1])
def test_a_camera_whose_clock_drifts_is_not_taken_for_late(clock: float) -> None:
    assert skipped(3600, speed=1.5, clock=clock) == []


def test_a_reader_at_half_the_speed_skips_half_and_is_never_far_behind() -> None:
    assert 0.4 < len(skipped(600, speed=0.5)) / (600 * 25) < 0.7


@pytest.mark.parametrize("outage_s", [0.7, 1.9])
def test_what_a_hiccup_of_the_network_held_up_is_decoded(outage_s: float) -> None:
    backlog, free_s = Backlog(), 0.0
    for index in range(1500):
        sent_s = index / 25
        come_s = max(sent_s, 20.0 + outage_s) if sent_s >= 20 else sent_s
        now_s = max(free_s, come_s)
        waited_s = max(0.0, come_s - free_s)
        assert not backlog.skips(sent_s, is_key=index % 25 == 0, waited_s=waited_s, now_s=now_s)
        free_s = now_s + 0.03


def test_a_camera_whose_clock_is_set_back_loses_nothing() -> None:
    backlog = Backlog()
    times = [index / 25 for index in range(250)] + [index / 25 for index in range(250)]
    assert not [
        index
        for index, pts_s in enumerate(times)
        if backlog.skips(pts_s, is_key=index % 25 == 0, waited_s=0.03, now_s=index / 25)
    ]
