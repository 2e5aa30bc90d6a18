"""From outbox to tables over real sockets and processes: nothing lost, nothing doubled."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from datetime import UTC, datetime

import pytest
import zmq

from dashboard.hub import Hub
from dashboard.store import Store
from edge.messages import Receipt, read_event, utc_now
from edge.outbox import Outbox, OutboxError, kept_state
from edge.sender import Sender, SenderError

ENOUGH_S = 60  # a bound against hanging, not a promise
RUN_HUB = "import sys; from dashboard.hub import run_hub; run_hub(sys.argv[1], sys.argv[2])"


@pytest.fixture
def database(tmp_path):
    return f"sqlite:///{tmp_path / 'hub.sqlite'}"


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path / 'hub'}"


@pytest.fixture
def connect(tmp_path):
    """Open a station's outbox and the sender that empties it."""
    with contextlib.ExitStack() as stack:

        def connect(station, endpoint, *, resend_s=0.3, window=64):
            path = tmp_path / f"{station.station}.sqlite"
            outbox = Outbox(path, station=station.station, boot=station.boot)
            stack.callback(outbox.close)
            sender = Sender(outbox, endpoint, resend_s=resend_s, window=window)
            stack.callback(sender.close)
            return outbox, sender

        yield connect


@contextlib.contextmanager
def serving(endpoint, database):
    with Store.open(database) as store:
        hub, stop = Hub(endpoint, store), threading.Event()
        thread = threading.Thread(target=hub.serve, args=(stop,))
        thread.start()
        try:
            yield hub
        finally:
            stop.set()
            thread.join()
            hub.close()


@contextlib.contextmanager
def playing_hub(endpoint):
    """A socket at which the test itself is the hub."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        socket.bind(endpoint)
        yield socket


def receive(socket):
    assert socket.poll(ENOUGH_S * 1000), "nothing came from the station"
    peer, body = socket.recv_multipart()
    return peer, read_event(body)


def cycles(database, station="line-1.station-1"):
    """Return the numbers of the station's recorded cycles, newest first."""
    with Store.open(database) as store:
        found = store.station(
            station,
            now=utc_now(),
            today_from=datetime(2026, 1, 1, tzinfo=UTC),
            num_cycles=10_000,
        )
    return [cycle.number for cycle in found.cycles] if found else None


def test_what_a_station_appends_is_in_the_tables(script, connect, endpoint, database):
    station = script()
    with serving(endpoint, database):
        outbox, sender = connect(station, endpoint)
        outbox.append(station.started())
        for number in range(1, 301):
            outbox.append(station.cycle(number))
        assert sender.flush(ENOUGH_S)
    assert cycles(database) == list(range(300, 0, -1))


def test_without_a_hub_all_is_kept_and_sent_when_it_comes(script, connect, endpoint, database):
    station = script()
    outbox, sender = connect(station, endpoint)
    outbox.append(station.started())
    for number in range(1, 11):
        outbox.append(station.cycle(number))
        sender.beat(station.heartbeat())
    assert not sender.flush(0.5)
    assert len(outbox) == 11
    with serving(endpoint, database):
        assert sender.flush(ENOUGH_S)
    assert cycles(database) == list(range(10, 0, -1))


def test_a_hub_killed_again_and_again_loses_and_doubles_nothing(
    script, connect, endpoint, database, start_process
):
    station = script()
    outbox, sender = connect(station, endpoint, window=8)
    outbox.append(station.started())
    number = 0
    for _ in range(4):
        hub = start_process("-c", RUN_HUB, endpoint, database)
        enough = number - len(outbox) + 40
        deadline = time.monotonic() + ENOUGH_S
        while number - len(outbox) < enough:  # and kill it while more is on its way
            assert time.monotonic() < deadline, "the hub takes nothing"
            number += 1
            outbox.append(station.cycle(number))
            time.sleep(0.005)
        hub.kill()
        hub.wait()
    start_process("-c", RUN_HUB, endpoint, database)
    assert sender.flush(ENOUGH_S)
    assert cycles(database) == list(range(number, 0, -1))
    assert outbox.num_refused == 0


def test_what_a_crashed_station_left_is_sent_by_its_next_boot(
    script, connect, endpoint, database, tmp_path
):
    before, after = script(boot="boot-1"), script(boot="boot-2")
    crashed = Outbox(tmp_path / f"{before.station}.sqlite", station=before.station, boot="boot-1")
    crashed.append(before.started())
    crashed.append(before.cycle(1))
    crashed.close()
    with serving(endpoint, database):
        outbox, sender = connect(after, endpoint)
        outbox.append(after.started())
        outbox.append(after.cycle(2))
        assert sender.flush(ENOUGH_S)
    assert cycles(database) == [2, 1]


def test_two_stations_at_once(script, connect, endpoint, database):
    names = ("one", "two")
    with serving(endpoint, database):
        open_ends = [(script(name), *connect(script(name), endpoint)) for name in names]
        for station, outbox, _ in open_ends:
            outbox.append(station.started(name=station.station))
        for number in range(1, 51):
            for station, outbox, _ in open_ends:
                outbox.append(station.cycle(number))
        assert all(sender.flush(ENOUGH_S) for _, _, sender in open_ends)
    for name in names:
        assert cycles(database, name) == list(range(50, 0, -1))


def test_a_refused_event_is_set_aside_and_the_others_arrive(script, connect, endpoint, database):
    station = script()
    with serving(endpoint, database):
        outbox, sender = connect(station, endpoint)
        outbox.append(station.started())
        outbox.append(station.segment(9, "place-base", 1, 2))  # of a cycle that never began
        outbox.append(station.cycle(1))
        assert sender.flush(ENOUGH_S)
        assert outbox.num_refused == 1
    assert cycles(database) == [1]


def test_an_unanswered_event_is_sent_again(script, connect, endpoint):
    station = script()
    with playing_hub(endpoint) as hub:
        outbox, sender = connect(station, endpoint)
        event = outbox.append(station.started())
        assert receive(hub)[1] == event
        peer, again = receive(hub)
        assert again == event
        done = Receipt(station=event.station, boot=event.boot, sequence=1)
        hub.send_multipart([peer, b"\x00 not a receipt"])
        hub.send_multipart([peer, done.to_bytes()])
        assert sender.flush(ENOUGH_S)


def test_the_window_bounds_what_is_sent_ahead(script, connect, endpoint):
    station = script()
    with playing_hub(endpoint) as hub:
        outbox, _ = connect(station, endpoint, window=4, resend_s=3600)
        for number in range(1, 21):
            outbox.append(station.cycle(number))
        ahead = [receive(hub) for _ in range(4)]
        assert not hub.poll(300)
        first = ahead[0][1]
        done = Receipt(station=first.station, boot=first.boot, sequence=2)
        hub.send_multipart([ahead[0][0], done.to_bytes()])
        assert [receive(hub)[1].sequence for _ in range(2)] == [5, 6]
        assert not hub.poll(300)


def test_a_new_boot_waits_until_the_one_before_is_receipted(script, connect, endpoint, tmp_path):
    before, after = script(boot="boot-1"), script(boot="boot-2")
    left = Outbox(tmp_path / f"{before.station}.sqlite", station=before.station, boot="boot-1")
    left.append(before.started())
    left.close()
    with playing_hub(endpoint) as hub:
        outbox, _ = connect(after, endpoint, resend_s=3600)
        outbox.append(after.started())
        peer, event = receive(hub)
        assert event.boot == "boot-1"
        assert not hub.poll(300)
        done = Receipt(station=event.station, boot="boot-1", sequence=1)
        hub.send_multipart([peer, done.to_bytes()])
        assert receive(hub)[1].boot == "boot-2"


def test_only_the_newest_heartbeat_is_sent(script, connect, endpoint):
    station = script()
    _, sender = connect(station, endpoint)
    for frames in range(1, 101):
        sender.beat(station.heartbeat(frames=frames))
    time.sleep(0.1)
    with playing_hub(endpoint) as hub:
        _, event = receive(hub)
        assert (event.sequence, event.payload.frames) == (0, 100)
        assert not hub.poll(300)
    assert sender.flush(ENOUGH_S)


def test_a_hub_whose_database_was_replaced_does_not_stop_the_station_for_ever(
    script, connect, endpoint, database, tmp_path
):
    station = script()
    outbox, sender = connect(station, endpoint, resend_s=0.1)
    with serving(endpoint, database):
        outbox.append(station.started())
        outbox.append(station.cycle(1))
        assert sender.flush(ENOUGH_S)
    with serving(endpoint, f"sqlite:///{tmp_path / 'another.sqlite'}"):
        outbox.extend([station.cycle(2)], state="of this boot")
        outbox.append(station.cycle(3))
        assert sender.flush(ENOUGH_S)
        with pytest.raises(OutboxError, match="has to begin another"):
            outbox.extend([], state="of this boot, later")
    assert outbox.num_refused == 2
    path = outbox._path
    sender.close()
    outbox.close()
    assert kept_state(path) is None, "started again, the station takes a boot of its own"


def test_an_event_that_the_station_cannot_read_costs_no_other(
    script, connect, endpoint, database, tmp_path
):
    station = script()
    path = tmp_path / f"{station.station}.sqlite"
    outbox = Outbox(path, station=station.station, boot=station.boot)
    outbox.extend([station.started(), *(station.cycle(number) for number in (1, 2, 3))])
    outbox.close()
    with sqlite3.connect(path) as file:
        file.execute("UPDATE event SET body = '{\"version\": 7}' WHERE sequence = 3")
    file.close()
    with serving(endpoint, database):
        outbox, sender = connect(station, endpoint)
        assert sender.flush(ENOUGH_S)
        assert outbox.num_refused == 1
    assert cycles(database) == [3, 1]


def test_a_station_that_goes_on_with_a_copy_of_before_is_told_apart(
    script, connect, endpoint, database, tmp_path
):
    station = script()
    path = tmp_path / f"{station.station}.sqlite"
    with serving(endpoint, database):
        outbox, sender = connect(station, endpoint)
        outbox.extend([station.started(), station.cycle(1)])
        assert sender.flush(ENOUGH_S)
        copy = tmp_path / "copy.sqlite"
        with sqlite3.connect(copy) as file:
            outbox._connection.backup(file)
        file.close()
        outbox.extend([station.cycle(number) for number in range(2, 8)])
        assert sender.flush(ENOUGH_S)
        sender.close()
        outbox.close()
        for old in tmp_path.glob(f"{path.name}*"):
            old.unlink()
        copy.rename(path)
        outbox, sender = connect(station, endpoint)
        outbox.extend([station.started(), station.cycle(8)])
        assert sender.flush(ENOUGH_S)
        assert outbox.num_refused == 2, "kept, not taken for what the hub holds"
        with pytest.raises(OutboxError, match="has to begin another"):
            outbox.check_boot()
    assert cycles(database) == list(range(7, 0, -1))


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:5555", "tcp://127.0.0.1", "foo://x"])
def test_what_is_no_endpoint_is_told_at_once(script, connect, endpoint):
    with pytest.raises(SenderError, match="write tcp://HOST:PORT or ipc://FILE"):
        connect(script(), endpoint)


def test_closing_twice_does_no_harm(script, connect, endpoint):
    _, sender = connect(script(), endpoint)
    sender.close()
    sender.close()
