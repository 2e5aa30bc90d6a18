"""The store records each event once, in turn, on SQLite and PostgreSQL, and answers the pages."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from dashboard.database import migration_config
from dashboard.recording import UnreadableEvent
from dashboard.store import Store, StoreError
from dashboard.tables import Base
from edge.messages import utc_now


@pytest.fixture
def store(database_url):
    with Store.open(database_url) as store:
        yield store


def status(store, **change):
    times = {"now": utc_now(), "today_from": datetime(2026, 1, 1, tzinfo=UTC)} | change
    return store.stations(**times)


def detail(store, station="line-1.station-1"):
    return store.station(station, now=utc_now(), today_from=datetime(2026, 1, 1, tzinfo=UTC))


def test_the_migrations_make_exactly_the_tables(database_url):
    Store.open(database_url).close()
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_opening_an_up_to_date_database_keeps_its_rows(database_url, script):
    station = script()
    with Store.open(database_url) as store:
        store.record(station.event(station.started()))
    with Store.open(database_url) as store:
        assert [row.name for row in status(store)] == ["Station 1"]


def test_rows_of_the_first_version_are_read_after_the_upgrade(database_url, script):
    with Store.open(database_url) as store:
        station = script()
        story = (
            station.started(),
            station.cycle(1),
            station.deviation(1, "missed", "insert-gear"),
        )
        store.record_many([station.event(payload) for payload in story])
    engine = create_engine(database_url)
    with engine.begin() as connection:
        command.downgrade(migration_config(connection), "0001")
        for table, column in (
            ("deviation", "probability"),
            ("station", "alarm_trust"),
            ("heartbeat", "set_aside"),
        ):
            columns = inspect(connection).get_columns(table)
            assert column not in {found["name"] for found in columns}
    engine.dispose()
    with Store.open(database_url) as store:
        likely = station.deviation(1, "rework", "insert-gear", 20, probability=0.75)
        store.record(station.event(likely))
        found = {d.kind: d.probability for d in detail(store).deviations}
        assert detail(store).status.alarm_trust is None
    assert found == {"missed": None, "rework": 0.75}


def test_a_database_of_a_newer_version_is_refused(database_url):
    Store.open(database_url).close()
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match="made by a newer Linewatch"):
        Store.open(database_url)


def test_events_in_turn_are_recorded_and_receipted(store, script):
    station = script()
    events = [
        station.event(station.started()),
        station.event(station.cycle(1)),
        station.event(station.segment(1, "place-base", 1, 4)),
        station.event(station.deviation(1, "missed", "insert-gear")),
        station.event(station.cycle_end(1, complete=False)),
    ]
    receipts = store.record_many(events)
    assert [receipt.sequence for receipt in receipts] == [1, 2, 3, 4, 5]
    (cycle,) = detail(store).cycles
    assert (cycle.number, cycle.complete, cycle.running) == (1, False, False)
    assert [segment.step for segment in cycle.segments] == ["place-base"]
    assert [deviation.step_text for deviation in cycle.deviations] == ["Insert the gear"]


def test_a_duplicate_is_receipted_again_and_not_recorded_again(store, script):
    station = script()
    events = [station.event(station.started()), station.event(station.cycle(1))]
    events.append(station.event(station.segment(1, "place-base", 1, 4)))
    store.record_many(events)
    again = store.record_many(events)
    assert [(receipt.sequence, receipt.refused) for receipt in again] == [
        (3, None),  # an introduction is told all that is held of its boot
        (2, None),
        (3, None),
    ]
    assert len(detail(store).cycles[0].segments) == 1


def test_an_event_out_of_turn_is_answered_with_the_last_one_held(store, script):
    station = script()
    store.record(station.event(station.started()))
    receipt = store.record(station.event(station.cycle(2), sequence=3))
    assert (receipt.sequence, receipt.refused) == (1, None)
    assert detail(store).cycles == ()


def test_each_boot_is_counted_by_itself(store, script):
    for boot in ("boot-1", "boot-2"):
        station = script(boot=boot)
        assert store.record(station.event(station.started())).sequence == 1
        assert store.record(station.event(station.cycle(1))).sequence == 2
    assert len(detail(store).cycles) == 2


BROKEN_RULES = [
    (lambda s: s.segment(9, "place-base", 1, 4), "cycle 'boot-1.c9' is not known"),
    (lambda s: s.cycle_end(9), "cycle 'boot-1.c9' is not known"),
    (lambda s: s.cycle(1), "has already begun"),
    (lambda s: s.cycle(2, task="other"), "is of task 'other'"),
    (lambda s: s.cycle_end(1, second=-5), "ends before it starts"),
    (lambda s: s.segment(1, "place-base", 4, 4), "ends before it starts"),
    (lambda s: s.segment(1, "place-base", 1, 4, name="taken"), "already recorded"),
    (lambda s: s.heartbeat(), "a heartbeat carries sequence 0"),
    (lambda s: s.cycle(10**30), "does not fit the database"),
]


@pytest.mark.parametrize(("say", "reason"), BROKEN_RULES)
def test_an_event_that_breaks_a_rule_is_refused_and_the_next_one_taken(store, script, say, reason):
    station = script()
    store.record_many(
        [
            station.event(station.started()),
            station.event(station.cycle(1)),
            station.event(station.segment(1, "place-base", 0.5, 0.9, name="taken")),
        ]
    )
    wrong = station.event(say(station))
    receipts = store.record_many([wrong, station.event(station.segment(1, "insert-gear", 5, 6))])
    assert reason in receipts[0].refused
    assert (receipts[1].sequence, receipts[1].refused) == (5, None)
    again = store.record(wrong)
    assert (again.sequence, again.refused) == (4, receipts[0].refused)


def test_a_text_that_the_database_cannot_hold_does_not_stop_the_batch(store, script):
    station = script()
    receipts = store.record_many(
        [
            station.event(station.started()),
            station.event(station.deviation(0, "missed", "insert-gear", detail="a\x00b")),
            station.event(station.heartbeat(detail="a\x00b"), sequence=0),
            UnreadableEvent(station.station, station.boot, 3, "tag 'a\x00b'", "{}"),
            station.event(station.cycle(1), sequence=4),
        ]
    )
    assert [r and r.sequence for r in receipts] == [1, 2, None, 3, 4]
    assert len(detail(store).cycles) == 1


def test_a_station_must_introduce_itself_first(store, script):
    station = script()
    receipt = store.record(station.event(station.cycle(1)))
    assert "has not introduced itself" in receipt.refused
    assert status(store) == []
    store.record(station.event(station.started()))
    assert len(status(store)) == 1


def test_a_deviation_changes_its_state_in_place(store, script):
    station = script()
    store.record(station.event(station.started()))
    store.record(station.event(station.cycle(1)))
    for state in ("suspected", "confirmed", "withdrawn"):
        store.record(station.event(station.deviation(1, "missed", "insert-gear", state=state)))
        assert [found.state for found in detail(store).deviations] == [state]
        (now,) = status(store)
        counted = 0 if state == "withdrawn" else 1
        assert (now.open_deviations, now.open_in_cycle) == (counted, counted)
        assert (now.last_deviation is None) == (state == "withdrawn")


def test_what_nobody_is_sure_of_is_shown_and_not_counted(store, script):
    station = script()
    store.record(station.event(station.started()))
    store.record(station.event(station.cycle(1)))
    store.record(station.event(station.deviation(1, "unsure", "insert-gear")))
    (now,) = status(store)
    assert (now.open_deviations, now.open_in_cycle) == (0, 0)
    assert [found.kind for found in detail(store).deviations] == ["unsure"]


def test_times_come_back_in_utc_whatever_zone_they_came_in(store, script):
    zone = timezone(timedelta(hours=5, minutes=30))
    station = script(begin=datetime(2026, 11, 20, 17, 30, tzinfo=zone))
    store.record(station.event(station.started()))
    store.record(station.event(station.cycle(1)))
    (cycle,) = detail(store).cycles
    assert cycle.started_at == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert cycle.started_at.utcoffset() == timedelta(0)


def test_only_the_newest_heartbeat_is_held(store, script):
    station = script()
    beat = station.event(station.heartbeat(step="insert-gear"), sequence=0)
    assert store.record(beat) is None
    assert status(store) == []  # nobody knows this station yet
    store.record(station.event(station.started()))
    store.record(beat)
    blind = station.heartbeat("camera_blind", set_aside=3)
    store.record(station.event(blind, sequence=0))
    (now,) = status(store)
    assert now.health == "camera_blind"
    assert now.beat
    assert now.beat.set_aside == 3
    assert now.current_step is None


@pytest.mark.parametrize(
    ("state", "age_s", "health"),
    [
        ("watching", 0, "watching"),
        ("watching", 60, "silent"),
        ("reconnecting", 60, "silent"),
        ("finished", 60, "finished"),
        ("failed", 60, "failed"),
    ],
)
def test_a_station_that_stops_beating_is_silent(store, script, state, age_s, health):
    station = script()
    store.record(station.event(station.started()))
    assert status(store)[0].health == "never_seen"
    store.record(station.event(station.heartbeat(state, step="insert-gear"), sequence=0))
    (now,) = status(store, now=utc_now() + timedelta(seconds=age_s))
    assert now.health == health
    assert now.current_step == ("insert-gear" if health == "watching" else None)


def test_a_cycle_of_an_earlier_boot_does_not_run(store, script):
    first, second = script(boot="boot-1"), script(boot="boot-2")
    store.record(first.event(first.started()))
    store.record(first.event(first.cycle(1)))
    assert status(store)[0].cycle.running
    store.record(second.event(second.started()))
    assert not status(store)[0].cycle.running
    store.record(second.event(second.cycle(1)))
    assert [cycle.running for cycle in detail(store).cycles] == [True, False]


def test_today_is_counted_from_the_given_time(store, script):
    station = script()
    store.record(station.event(station.started()))
    for number, second in ((1, -7200), (2, 0), (3, 60)):
        store.record(station.event(station.cycle(number, second)))
        store.record(station.event(station.deviation(number, "missed", "insert-gear", second)))
    (now,) = status(store, today_from=station.at(-60))
    assert (now.cycles_today, now.open_deviations, now.open_in_cycle) == (2, 2, 1)


def test_stations_come_by_line_and_name(store, script):
    for name, line in (("b", "Line 2"), ("c", "Line 1"), ("a", "Line 2")):
        station = script(station=name)
        store.record(station.event(station.started(line=line, name=name)))
    assert [(row.line, row.name) for row in status(store)] == [
        ("Line 1", "c"),
        ("Line 2", "a"),
        ("Line 2", "b"),
    ]


def test_an_unknown_station_has_no_detail(store):
    assert detail(store, "nobody") is None


UNUSABLE = [
    ("mysql://user:geheim@host/x", r"mysql://user:\*\*\*@host/x: 'mysql' is not supported"),
    ("postgresql://user:geheim@host/x", r"write .*postgresql\+psycopg://"),
    ("geheim", "cannot be read: write sqlite:///"),
    ("sqlite://", "hub and pages share a file"),
    ("sqlite:////dev/null/hub.sqlite", "choose a folder that can be written"),
    ("sqlite:////proc", "unable to open database file: choose a file"),
    ("postgresql+psycopg://u:geheim@127.0.0.1:1/x?password=geheim", "check that the server runs"),
]


@pytest.mark.parametrize(("url", "message"), UNUSABLE)
def test_an_unusable_database_is_told_in_one_line_without_secrets(url, message):
    if "psycopg" in url:
        pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match=message) as caught:
        Store.open(url)
    assert len(str(caught.value).splitlines()) == 1
    assert "geheim" not in str(caught.value)


def test_a_file_that_is_no_database_is_told(tmp_path):
    path = tmp_path / "hub.sqlite"
    path.write_bytes(b"not a database at all " * 100)
    with pytest.raises(StoreError, match="move this file away"):
        Store.open(f"sqlite:///{path}")


def test_a_locked_database_is_told_and_nothing_is_half_recorded(tmp_path, script, monkeypatch):
    monkeypatch.setattr("dashboard.database.LOCK_WAIT_S", 0.1)
    path = tmp_path / "hub.sqlite"
    station = script()
    event = station.event(station.started())
    with Store.open(f"sqlite:///{path}") as store:
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked.*end that process"):
            store.record(event)
        assert status(store) == []  # pages read on
        other.rollback()
        other.close()
        assert store.record(event).sequence == 1
