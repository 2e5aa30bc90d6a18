"""What is appended is on disk, comes out in order, and stays until the hub has it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import pytest

from edge.messages import Envelope, Receipt
from edge.outbox import Outbox, OutboxError, kept_state


@pytest.fixture
def open_outbox(tmp_path):
    opened = []

    def open_it(boot="boot-1", path=tmp_path / "work" / "outbox.sqlite"):
        opened.append(Outbox(path, station="line-1.station-1", boot=boot))
        return opened[-1]

    yield open_it
    for outbox in opened:
        outbox.close()


def receipt(event, refused=None):
    return Receipt(station=event.station, boot=event.boot, sequence=event.sequence, refused=refused)


def test_events_are_numbered_from_one_and_pending_in_order(open_outbox, script):
    outbox, station = open_outbox(), script()
    appended = [outbox.append(station.cycle(number)) for number in (1, 2, 3)]
    assert [event.sequence for event in appended] == [1, 2, 3]
    assert outbox.pending(10) == appended
    assert outbox.pending(1, skip=1) == appended[1:2]
    assert len(outbox) == 3


def test_a_receipt_takes_out_everything_up_to_it(open_outbox, script):
    outbox, station = open_outbox(), script()
    events = [outbox.append(station.cycle(number)) for number in (1, 2, 3)]
    outbox.acknowledge(receipt(events[1]))
    assert outbox.pending(10) == events[2:]
    outbox.acknowledge(receipt(events[2]))
    assert len(outbox) == 0
    assert outbox.append(station.cycle(4)).sequence == 4


def test_events_of_an_earlier_boot_come_first(open_outbox, script):
    station = script()
    first = open_outbox("boot-1")
    before = [first.append(station.cycle(1)), first.append(station.cycle(2))]
    first.close()
    second = open_outbox("boot-2")
    after = second.append(station.started())
    assert after.sequence == 1
    assert second.pending(10) == [*before, after]
    second.acknowledge(receipt(after))
    assert second.pending(10) == before


def test_a_boot_opened_again_goes_on_counting(open_outbox, script):
    station = script()
    first = open_outbox()
    first.acknowledge(receipt(first.append(station.cycle(1))))
    first.close()
    assert open_outbox().append(station.cycle(2)).sequence == 2


def test_a_refused_event_is_set_aside_with_its_reason(open_outbox, script, tmp_path):
    outbox, station = open_outbox(), script()
    events = [outbox.append(station.cycle(number)) for number in (1, 2, 3)]
    outbox.acknowledge(receipt(events[1], refused="cycle 'x' is not known"))
    outbox.set_aside(events[2], "the hub lost it")
    assert (len(outbox), outbox.num_refused) == (0, 2)
    outbox.close()
    kept = sqlite3.connect(tmp_path / "work" / "outbox.sqlite")
    rows = kept.execute("SELECT sequence, reason FROM refused ORDER BY sequence").fetchall()
    kept.close()
    assert rows == [(2, "cycle 'x' is not known"), (3, "the hub lost it")]


def test_an_event_of_another_version_keeps_its_place(open_outbox, script, tmp_path):
    station = script()
    outbox = open_outbox()
    events = [outbox.append(station.cycle(number)) for number in (1, 2)]
    outbox.close()
    with sqlite3.connect(tmp_path / "work" / "outbox.sqlite") as file:
        file.execute("UPDATE event SET body = '{}' WHERE sequence = 1")
    file.close()
    outbox = open_outbox("boot-2")
    first, second = outbox.pending(10)
    assert first == Envelope(station=events[0].station, boot="boot-1", sequence=1)
    assert second == events[1]
    outbox.acknowledge(receipt(events[0], refused="not an event"))
    assert (outbox.pending(10), outbox.num_refused) == (events[1:], 1)


def test_events_behind_a_copy_of_before_are_set_aside_and_the_boot_is_left(
    open_outbox, script, tmp_path
):
    outbox, station = open_outbox(), script()
    outbox.extend([station.started(), station.cycle(1)], state="of boot-1")
    held = Receipt(station="line-1.station-1", boot="boot-1", sequence=9)
    outbox.acknowledge(held)
    assert (len(outbox), outbox.num_refused) == (0, 2)
    with pytest.raises(OutboxError, match="the station has to begin another"):
        outbox.append(station.cycle(2))
    outbox.close()
    assert kept_state(tmp_path / "work" / "outbox.sqlite") is None
    again = open_outbox("boot-2")
    assert again.num_refused == 2
    assert again.append(station.started()).sequence == 1


def test_several_threads_may_append(open_outbox, script):
    outbox, station = open_outbox(), script()

    def append():
        for number in range(1, 26):
            outbox.append(station.cycle(number))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.sequence for event in outbox.pending(200)] == list(range(1, 101))


KILLED = """
import os, sys
from pathlib import Path
from edge.messages import CycleStarted, utc_now
from edge.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), station="s", boot="killed")
for number in range(1, 8):
    outbox.append(CycleStarted(cycle=f"c{number}", number=number, task="t", started_at=utc_now()))
os.kill(os.getpid(), 9)
"""


def test_what_was_appended_survives_a_killed_process(open_outbox, tmp_path):
    path = tmp_path / "killed.sqlite"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    outbox = open_outbox("boot-2", path)
    assert [event.payload.number for event in outbox.pending(10)] == [1, 2, 3, 4, 5, 6, 7]


def test_an_event_larger_than_the_wire_takes_is_not_queued(open_outbox, script):
    outbox = open_outbox()
    station = script(steps=(("step", "x" * 70_000),))
    with pytest.raises(OutboxError, match="shorten the texts of the task"):
        outbox.append(station.started())
    assert len(outbox) == 0
    assert outbox.append(station.cycle(1)).sequence == 1


def test_a_file_in_use_by_another_station_is_refused(open_outbox):
    open_outbox()
    with pytest.raises(OutboxError, match="locked: another process has it open"):
        open_outbox("boot-2")


def test_a_path_that_cannot_be_written_is_told_in_one_line(open_outbox, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "outbox.sqlite", tmp_path):
        with pytest.raises(OutboxError, match="choose a work folder that can be") as caught:
            open_outbox(path=path)
        assert str(path) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_outbox_is_told(open_outbox, tmp_path):
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"not a database at all " * 100)
    with pytest.raises(OutboxError, match="move the file away"):
        open_outbox(path=path)


def test_a_damaged_outbox_is_told(open_outbox, script, tmp_path):
    path = tmp_path / "outbox.sqlite"
    station, outbox = script(), open_outbox(path=path)
    for number in range(1, 200):
        outbox.append(station.cycle(number))
    outbox.close()
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(OutboxError, match="move the file away"):
        open_outbox(path=path)
