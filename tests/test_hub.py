"""The hub takes what is right, survives what is not, and listens only where it may."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import threading
import time
from datetime import UTC, datetime

import pytest
import zmq
from sqlalchemy.exc import OperationalError

from dashboard.hub import Hub, HubError, _open_store
from dashboard.store import Store, StoreError
from edge.messages import read_receipt, utc_now

ANSWER_MS = 20_000


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path / 'hub.sqlite'}") as store:
        yield store


@contextlib.contextmanager
def serving(store, endpoint="tcp://127.0.0.1:*"):
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
def dealer(hub):
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.connect(hub.endpoint)
        yield peer


def answer(peer):
    assert peer.poll(ANSWER_MS), "the hub did not answer"
    return read_receipt(peer.recv())


def stations(store):
    return store.stations(now=utc_now(), today_from=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_receipt_comes_after_the_commit(store, script):
    station = script()
    with serving(store) as hub, dealer(hub) as peer:
        peer.send(station.event(station.started()).to_bytes())
        assert answer(peer).sequence == 1
        assert len(stations(store)) == 1


def test_the_hub_speaks_over_ipc_too(store, script, tmp_path):
    station = script()
    with serving(store, f"ipc://{tmp_path / 'hub'}") as hub, dealer(hub) as peer:
        peer.send(station.event(station.started()).to_bytes())
        assert answer(peer).sequence == 1


def test_a_second_hub_does_not_take_the_endpoint_of_the_first(store, script, tmp_path):
    station, endpoint = script(), f"ipc://{tmp_path / 'hub'}"
    with serving(store, endpoint) as hub:
        with pytest.raises(HubError, match="stop the other hub"):
            Hub(endpoint, store)
        with dealer(hub) as peer:
            peer.send(station.event(station.started()).to_bytes())
            assert answer(peer).sequence == 1
    with serving(store, endpoint):
        pass  # what has ended is in nobody's way


def bad_messages(event):
    envelope = json.loads(event.to_bytes())
    return [
        [b""],
        [b"\x00\xff" * 100],
        [b"{"],
        [b"[" * 60_000],
        [b'{"version": 1}'],
        [json.dumps(envelope | {"version": 2}).encode()],
        [json.dumps(envelope | {"station": "../x"}).encode()],
        [json.dumps(envelope | {"sequence": -1, "payload": {}}).encode()],
        [event.to_bytes(), event.to_bytes()],
    ]


def test_bad_messages_are_counted_and_the_next_good_one_is_taken(store, script, caplog):
    station = script()
    event = station.event(station.started())
    bad = bad_messages(event)
    with serving(store) as hub, dealer(hub) as peer, caplog.at_level(logging.WARNING):
        for frames in bad:
            peer.send_multipart(frames)
        peer.send(event.to_bytes())
        assert answer(peer).sequence == 1
        assert hub.counts.bad == len(bad)
    complaints = [row for row in caplog.records if "bad message" in row.getMessage()]
    assert len(complaints) == 1  # a flood is not logged line by line


def test_the_counts_are_logged_at_the_end_and_once_an_hour_with_new_faults(
    store, script, caplog, monkeypatch
):
    monkeypatch.setattr("dashboard.hub.COUNTS_EVERY_S", 0.0)
    station = script()
    with (
        caplog.at_level(logging.INFO, logger="dashboard.hub"),
        serving(store) as hub,
        dealer(hub) as peer,
    ):
        peer.send(b"{")
        for _ in range(2):
            peer.send(station.event(station.started(), sequence=1).to_bytes())
            assert answer(peer).sequence == 1
    told = [row.getMessage() for row in caplog.records if "receipted" in row.getMessage()]
    assert [line.partition(":")[0] for line in told] == ["hub so far", "hub ends"]
    assert told[-1].endswith(
        "receipted 2, heartbeats 0, refused 0, bad 1, unanswered 0, failed_batches 0"
    )


def test_what_was_recorded_is_told_before_its_receipt_and_nothing_else(store, script):
    station, told, sent = script(), [], []
    first, second, third = (station.event(station.cycle(n)) for n in (1, 2, 3))
    start = station.event(station.started(), sequence=1)
    events = [start, *(e.model_copy(update={"sequence": n}) for e, n in ((first, 2), (third, 4)))]
    stop = threading.Event()
    hub = Hub("tcp://127.0.0.1:*", store, tell=lambda events: told.extend(events))
    hub._reply = lambda *_: sent.append(len(told))
    thread = threading.Thread(target=hub.serve, args=(stop,))
    thread.start()
    try:
        with dealer(hub) as peer:
            for event in events:
                peer.send(event.to_bytes())
            peer.send(second.model_copy(update={"sequence": 9}).to_bytes())
            deadline = time.monotonic() + ANSWER_MS / 1000
            while not any(sent) or len(told) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(0.3)
    finally:
        stop.set()
        thread.join()
        hub.close()
    assert [event.sequence for event in told] == [1, 2], "4 and 9 came out of turn"
    assert sent[0] > 0, "the first were told when they were receipted"


def test_a_flood_of_bad_messages_keeps_no_good_one_waiting(store, script, monkeypatch):
    monkeypatch.setattr("dashboard.hub.MAX_BATCH", 2)
    station = script()
    hub = Hub("tcp://127.0.0.1:*", store)
    try:
        with dealer(hub) as peer:
            for _ in range(3):
                peer.send(b"{")
            peer.send(station.event(station.started()).to_bytes())
            batches = []
            while not batches or not batches[-1]:
                assert hub._socket.poll(ANSWER_MS, zmq.POLLIN)
                batches.append(hub._receive())
                assert hub.counts.bad <= 2 * len(batches)
            assert hub.counts.bad == 3
    finally:
        hub.close()


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_time_that_no_clock_tells_is_refused(store, script, year):
    station = script()
    event = json.loads(station.event(station.started()).to_bytes()) | {"sent_at": year}
    with serving(store) as hub, dealer(hub) as peer:
        peer.send(json.dumps(event).encode())
        assert "is not from 1970 to 2200" in (answer(peer).refused or "")


def test_an_oversized_message_ends_its_connection_and_no_other(store, script):
    station = script()
    with serving(store) as hub, dealer(hub) as flood, dealer(hub) as peer:
        flood.send(b"x" * 10_000_000)
        peer.send(station.event(station.started()).to_bytes())
        assert answer(peer).sequence == 1
    assert (hub.counts.receipted, hub.counts.bad) == (1, 0)


def test_a_peer_that_does_not_speak_zmq_does_no_harm(store, script):
    station = script()
    with serving(store) as hub, dealer(hub) as peer:
        port = int(hub.endpoint.rpartition(":")[2])
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, os.urandom(5000)):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.sendall(garbage)
        peer.send(station.event(station.started()).to_bytes())
        assert answer(peer).sequence == 1


def test_an_event_with_an_unreadable_payload_is_refused_in_its_turn(store, script):
    station = script()
    strange = json.loads(station.event(station.started(), sequence=2).to_bytes())
    strange["payload"] = {"kind": "dance"}
    with serving(store) as hub, dealer(hub) as peer:
        peer.send(station.event(station.started()).to_bytes())
        peer.send(json.dumps(strange).encode())
        peer.send(station.event(station.cycle(1), sequence=3).to_bytes())
        receipts = [answer(peer) for _ in range(3)]
    assert [receipt.sequence for receipt in receipts] == [1, 2, 3]
    assert "dance" in receipts[1].refused
    assert hub.counts.refused == 1


def test_a_peer_that_went_away_does_not_stop_the_hub(store, script):
    first, second = script("one"), script("two")
    with serving(store) as hub:
        for _ in range(20):
            with dealer(hub) as gone:
                gone.linger = -1
                gone.send(first.event(first.started(), sequence=1).to_bytes())
        with dealer(hub) as peer:
            peer.send(second.event(second.started()).to_bytes())
            assert answer(peer).station == "two"


class BrokenOnce:
    """A store whose database fails once, as a full disk or a restarted server does."""

    def __init__(self, store):
        self.store, self.failures = store, 1

    def record_many(self, events):
        if self.failures:
            self.failures -= 1
            raise StoreError("database x: disk full: free space on this disk")
        return self.store.record_many(events)


def test_without_a_database_nothing_is_receipted_and_the_hub_goes_on(store, script, monkeypatch):
    monkeypatch.setattr("dashboard.hub.RETRY_S", 0.0)
    station = script()
    event = station.event(station.started()).to_bytes()
    with serving(BrokenOnce(store)) as hub, dealer(hub) as peer:
        peer.send(event)
        while hub.counts.failed_batches == 0:
            time.sleep(0.01)
        assert hub.counts.receipted == 0
        peer.send(event)
        assert answer(peer).sequence == 1


def test_a_port_in_use_is_told(store):
    with (
        serving(store) as hub,
        pytest.raises(HubError, match=r"in use: stop the other hub") as caught,
    ):
        Hub(hub.endpoint, store)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://0.0.0.0:5555",
        "tcp://*:5555",
        "tcp://192.0.2.1:5555",
        "tcp://eth0:5555",
        "tcp://factory.example:5555",
        "tcp://[::]:5555",
        "tcp://:5555",
    ],
)
def test_an_endpoint_beyond_this_machine_is_refused(store, endpoint):
    with pytest.raises(HubError, match="this machine only"):
        Hub(endpoint, store)


@pytest.mark.parametrize(
    "endpoint", ["", "5555", "http://127.0.0.1:1", "inproc://x", "tcp://127.0.0.1", "ipc://"]
)
def test_what_is_no_endpoint_is_told(store, endpoint):
    with pytest.raises(HubError, match=r"write tcp://127\.0\.0\.1:PORT or ipc://FILE"):
        Hub(endpoint, store)


RUN = "import sys; from dashboard.hub import run_hub; run_hub(sys.argv[1], sys.argv[2])"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command_cleanly(start_process, tmp_path, script, number):
    endpoint = f"ipc://{tmp_path / 'hub'}"
    station = script()
    process = start_process("-c", RUN, endpoint, f"sqlite:///{tmp_path / 'hub.sqlite'}")
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.connect(endpoint)
        peer.send(station.event(station.started()).to_bytes())
        assert answer(peer).sequence == 1
        process.send_signal(number)
        assert process.wait(timeout=30) == 0


def test_a_database_server_that_is_away_is_waited_for(store, monkeypatch, caplog):
    tried = []

    def opened(url):
        tried.append(url)
        if len(tried) < 3:
            raise StoreError("database u@h: refused") from OperationalError("", {}, Exception())
        return store

    monkeypatch.setattr(Store, "open", opened)
    monkeypatch.setattr("dashboard.hub.REOPEN_S", 0.01)
    with caplog.at_level(logging.ERROR):
        assert _open_store("postgresql+psycopg://u:geheim@h/x", threading.Event()) is store
    assert (len(tried), len(caplog.records)) == (3, 2)
    assert "geheim" not in caplog.text
    tried.clear()
    stop = threading.Event()
    stop.set()
    assert _open_store("postgresql+psycopg://u@h/x", stop) is None, "stopped while it waited"
    with pytest.raises(StoreError, match="refused"):
        _open_store("sqlite:///x", threading.Event())


def test_importing_the_hub_brings_neither_torch_nor_streamlit(start_process):
    check = (
        "import sys, dashboard.hub, edge.sender; "
        "sys.exit(bool({'torch', 'streamlit', 'pandas'} & set(sys.modules)))"
    )
    assert start_process("-c", check).wait() == 0
