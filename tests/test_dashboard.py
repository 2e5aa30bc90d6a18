"""The pages as scripts, and what they say: escaped, complete, and helpful when there is nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.cards import overview_html
from dashboard.charts import timeline_html
from dashboard.page import streamlit_command
from dashboard.panels import station_html
from dashboard.progress import foreign_work, step_progress
from dashboard.store import Store
from dashboard.words import KINDS, ago, clock
from edge.messages import AlarmTrust, StepTrust, utc_now
from industryasm.deviation import FoundKind

APP = Path(__file__).parent.parent / "dashboard" / "app.py"
EVIL = "<img src=x onerror=alert(1)>\"'&"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    monkeypatch.setenv("LINEWATCH_DATABASE", url)
    with Store.open(url) as store:
        yield store


def shown(page: str | None = None, **query: str) -> str:
    """Run the app and return the HTML of what it shows, without its style sheet."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    if page:
        app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return "".join(part.proto.body for part in app.get("html") if "--shape" not in part.proto.body)


def detail(store, station="line-1.station-1"):
    return store.station(station, now=utc_now(), today_from=SINCE)


def say(store, station, *payloads):
    receipts = store.record_many([station.event(payload) for payload in payloads])
    assert [receipt.refused for receipt in receipts] == [None] * len(payloads)


def beat(store, station, *arguments, **more):
    store.record(station.event(station.heartbeat(*arguments, **more), sequence=0))


def test_without_stations_the_pages_say_what_to_do(store):
    for page in (None, "views/station.py"):
        html = shown(page)
        assert "No station has reported yet" in html
        assert "linewatch demo" in html


def test_the_overview_shows_each_station_and_leads_to_its_page(store, script):
    one, two = script("one"), script("two")
    say(store, one, one.started(name="Press"), one.cycle(7))
    say(store, one, one.deviation(7, "missed", "insert-gear"))
    say(store, two, two.started(line="Line 2", name="Oven"))
    beat(store, one, step="screw-cover")
    beat(store, two, "camera_blind", detail="The picture is black")
    html = shown()
    for text in ("Line 1", "Press", "Watching", "Screw the cover on", "Missed", "Insert the gear"):
        assert text in html
    for text in ("Line 2", "Oven", "Camera blind", "The picture is black"):
        assert text in html
    assert 'href="station?station=one"' in html


def test_a_station_page_shows_its_steps_cycles_and_deviations(store, script):
    station = script()
    say(store, station, station.started(), station.cycle(1))
    say(store, station, station.segment(1, "place-base", 1, 4))
    say(store, station, station.deviation(1, "too_long", "place-base", detail="13 s, limit 9"))
    beat(store, station, step="insert-gear")
    html = shown("views/station.py", station=station.station)
    for text in ("Now: step 2 of 3", "Insert the gear", "Steps of cycle 1", "Took too long"):
        assert text in html
    assert "13 s, limit 9" in html


def test_without_a_choice_the_first_station_is_shown(store, script):
    for name in ("a", "b"):
        station = script(name)
        say(store, station, station.started(name=f"Station {name}"))
    assert "<h1>Station a</h1>" in shown("views/station.py")


def test_another_station_can_be_chosen(store, script):
    for name in ("a", "b"):
        station = script(name)
        say(store, station, station.started(name=f"Station {name}"))
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.switch_page("views/station.py").run()
    app.selectbox[0].select("b").run()
    assert app.query_params["station"] == "b"
    assert any("<h1>Station b</h1>" in part.proto.body for part in app.get("html"))


def test_an_unknown_station_is_told(store):
    assert "No station is called “nobody”" in shown("views/station.py", station="nobody")


def test_a_database_that_cannot_be_read_is_told_without_a_traceback(monkeypatch):
    monkeypatch.setenv("LINEWATCH_DATABASE", "mysql://user:geheim@host/x")
    for page in (None, "views/station.py"):
        html = shown(page)
        assert "The database cannot be read" in html
        assert "geheim" not in html


def test_a_missing_database_variable_is_told(monkeypatch):
    monkeypatch.delenv("LINEWATCH_DATABASE", raising=False)
    assert "LINEWATCH_DATABASE is not set" in shown()


def test_all_text_of_the_database_is_escaped(store, script):
    station = script(steps=((EVIL, EVIL), ("b", "b")), task=("t", EVIL))
    say(store, station, station.started(line=EVIL, name=EVIL), station.cycle(1))
    say(store, station, station.segment(1, EVIL, 1, 4), station.segment(1, "gone" + EVIL, 4, 5))
    for kind in get_args(FoundKind):
        say(store, station, station.deviation(1, kind, EVIL, detail=EVIL))
    say(store, station, station.deviation(1, "unexpected", "unexpected", detail=EVIL))
    beat(store, station, step=EVIL, detail=EVIL, runtime=EVIL)
    html = shown() + shown("views/station.py", station=station.station)
    html += shown("views/station.py", station=EVIL)
    assert "<img" not in html
    assert "&lt;img src=x" in html
    for attribute in html.split('title="')[1:]:
        assert "<" not in attribute.split('"')[0]


def marks(store):
    return [step.mark for step in step_progress(detail(store))]


def test_steps_are_marked_by_what_happened_in_the_newest_cycle(store, script):
    station = script()
    say(store, station, station.started())
    assert marks(store) == ["to_do", "to_do", "to_do"]
    say(store, station, station.cycle(1), station.segment(1, "place-base", 1, 4))
    beat(store, station, step="screw-cover")
    assert marks(store) == ["done", "to_do", "current"]
    say(store, station, station.deviation(1, "missed", "insert-gear", state="suspected"))
    assert marks(store) == ["done", "missing", "current"]
    say(store, station, station.deviation(1, "missed", "insert-gear", state="withdrawn"))
    assert marks(store) == ["done", "to_do", "current"]
    say(store, station, station.deviation(1, "unsure", "insert-gear", state="suspected"))
    assert marks(store) == ["done", "unsure", "current"]
    assert "Not sure" in shown("views/station.py", station=station.station)
    say(store, station, station.deviation(1, "unsure", "insert-gear", state="withdrawn"))
    say(store, station, station.cycle_end(1))
    assert marks(store) == ["done", "not_seen", "not_seen"]
    say(store, station, station.cycle(2, 70))
    assert marks(store) == ["to_do", "to_do", "current"]


def test_a_step_that_was_left_or_replaced_is_not_shown_as_done(store, script):
    station = script()
    say(store, station, station.started(), station.cycle(1))
    say(store, station, station.segment(1, "place-base", 1, 3))
    say(store, station, station.deviation(1, "incomplete", "place-base", state="suspected"))
    say(store, station, station.deviation(1, "wrong_part", "insert-gear"))
    assert marks(store) == ["left", "missing", "to_do"]
    html = shown("views/station.py", station=station.station)
    assert "Started and left?" in html
    assert "Something else in its place" in html


def test_every_kind_that_a_station_tells_has_words():
    assert set(KINDS) == set(get_args(FoundKind))


def test_how_likely_a_deviation_is_stands_beside_its_state(store, script):
    station = script()
    say(store, station, station.started(), station.cycle(1))
    say(store, station, station.deviation(1, "rework", "place-base", probability=0.874))
    say(store, station, station.deviation(1, "too_short", "insert-gear"))
    html = shown("views/station.py", station=station.station)
    assert "<td>Confirmed, 87 %</td>" in html
    assert "<td>Confirmed</td>" in html  # nobody judged it
    assert "Undone and done again" in html


def test_what_a_missed_step_alarm_is_worth_is_shown_step_by_step(store, script):
    station = script()
    say(store, station, station.started())
    assert "What an alarm is worth" not in shown("views/station.py", station=station.station)
    steps = (
        StepTrust(step="place-base", right=0.146, low=0.034, high=0.994),
        StepTrust(step="gone", right=0.5, low=0.2, high=0.8),  # calibrated with another revision
    )
    trust = AlarmTrust(miss_rate=0.005, steps=steps)
    say(store, station, station.started().model_copy(update={"alarm_trust": trust}))
    assert detail(store).status.alarm_trust == trust
    html = shown("views/station.py", station=station.station)
    assert "Where one step in 200 is missed" in html
    assert "<b>Place the base plate in the fixture</b>" in html
    assert "15 %</td>" in html
    assert "3 % to over 99 %</td>" in html
    assert "<b>gone</b>" in html
    say(store, station, station.started())
    assert detail(store).status.alarm_trust is None, "its model is not calibrated any more"


def test_a_station_that_was_taken_down_makes_no_alarm_for_ever(store, script):
    for name in ("one", "two"):
        station = script(name)
        say(store, station, station.started(name=f"Bench {name}"))
        beat(store, station)
    (one, two) = store.stations(now=utc_now(), today_from=SINCE)
    assert one.beat
    gone = replace(one, beat=replace(one.beat, age_s=25 * 3600.0))
    html = overview_html([gone, two], now=utc_now())
    cards, _, away = html.partition("No word for over a day")
    assert "Bench one" not in cards
    assert '<a href="station?station=one">Bench one</a>' in away
    assert "<b>1 of 1</b>stations watching" in cards
    assert "No word for over a day" not in overview_html([one, two], now=utc_now())


def test_findings_that_no_hub_took_are_counted_on_the_page(store, script):
    station = script()
    say(store, station, station.started())
    beat = station.event(station.heartbeat(set_aside=3), sequence=0)
    store.record(beat)
    html = station_html(detail(store), now=utc_now(), zone=UTC)
    assert "3 findings not recorded" in html


def test_foreign_work_is_listed_beside_the_steps(store, script):
    station = script()
    say(store, station, station.started())
    assert foreign_work(detail(store)) == ()
    say(store, station, station.cycle(1), station.deviation(1, "unexpected", "unexpected"))
    assert [found.kind for found in foreign_work(detail(store))] == ["unexpected"]
    assert "Work that is not in this task" in station_html(detail(store), now=utc_now(), zone=UTC)


def test_the_timeline_keeps_everything_inside_its_scale(store, script):
    station = script()
    say(store, station, station.started(), station.cycle(1, 10))
    say(store, station, station.segment(1, "place-base", 5, 12))  # begins before its cycle
    say(store, station, station.deviation(1, "missed", "insert-gear", 900))
    say(store, station, station.cycle_end(1, 20, complete=False))
    html = timeline_html(detail(store))
    lefts = [float(part.split("%")[0]) for part in html.split("left:")[1:]]
    assert lefts
    assert all(0 <= left <= 100 for left in lefts)
    assert "10 s, incomplete, 1 deviation" in html


def test_a_cycle_that_was_broken_off_is_said_to_be(store, script):
    for boot in ("boot-1", "boot-2"):
        station = script(boot=boot)
        say(store, station, station.started(), station.cycle(1))
    assert timeline_html(detail(store)).count("broken off") == 1


def test_times_are_told_in_the_viewers_zone(script):
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert clock(now, UTC, now) == "12:00:00"
    assert clock(now - timedelta(days=1), UTC, now) == "2026-11-19 12:00:00"
    assert ago(now, now) == "just now"
    assert ago(now - timedelta(minutes=7), now) == "7 min ago"


def test_the_command_hides_the_database_and_calls_nobody(monkeypatch):
    url = "postgresql+psycopg://user:geheim@host/x"
    command, environment = streamlit_command(url, "127.0.0.1", 8501)
    assert "geheim" not in " ".join(command)
    assert environment["LINEWATCH_DATABASE"] == url
    assert {
        "--browser.gatherUsageStats=false",
        "--server.headless=true",
        "--client.toolbarMode=minimal",
        "--server.address=127.0.0.1",
        "--server.port=8501",
    } <= set(command)
