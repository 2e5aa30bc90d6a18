"""The overview as HTML: one card per station, grouped by line. All text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from itertools import groupby
from urllib.parse import quote

from dashboard.status import StationStatus
from dashboard.words import HEALTH, ago, counted, doing, health_pill, kind_pill, what


def overview_html(stations: Sequence[StationStatus], *, now: datetime) -> str:
    """Return all stations, ordered by site and line as they come; at the end those long away."""
    if not stations:
        return empty_html(
            "No station has reported yet",
            "Start the stations of this machine with “linewatch up”, or see a sample with "
            "“linewatch demo”. This page updates by itself.",
        )
    here = [station for station in stations if not station.is_away]
    groups = groupby(here, key=lambda station: (station.site, station.line))
    lines = "".join(
        f'<h2 class="lw-line">{escape(line)}<span>{escape(site)}</span></h2>'
        f'<div class="lw-cards">{"".join(card_html(station, now=now) for station in group)}</div>'
        for (site, line), group in groups
    )
    away = _away([station for station in stations if station.is_away])
    return f'<div class="lw">{_summary(here)}{lines}{away}</div>'


def card_html(station: StationStatus, *, now: datetime) -> str:
    """Return the card of one station; it links to the station's page."""
    tone = "bad" if station.open_in_cycle else HEALTH[station.health].tone
    return (
        f'<a class="lw-card lw-edge-{tone}" href="{_page_of(station)}">'
        f'<div class="lw-card-head"><span class="lw-name">{escape(station.name)}</span>'
        f"{health_pill(station)}</div>"
        f'<div class="lw-task">{escape(station.task_name)}</div>'
        f'<div class="lw-doing{_muted(station)}">{escape(doing(station))}</div>'
        f'<div class="lw-facts">{facts_html(station)}</div>'
        f'<div class="lw-last">{_last(station, now)}</div></a>'
    )


def empty_html(headline: str, sentence: str) -> str:
    """Return what stands where there is nothing to show yet."""
    return (
        f'<div class="lw"><div class="lw-empty"><b>{escape(headline)}</b>'
        f"<p>{escape(sentence)}</p></div></div>"
    )


def facts_html(station: StationStatus) -> str:
    """Return the figures of a station: its cycle, the deviations in it, and today's."""
    cycle = station.cycle
    in_it = "deviation in it" if station.open_in_cycle == 1 else "deviations in it"
    return (
        _fact(
            cycle.number if cycle else "–",
            "cycle, running" if cycle and cycle.running else "last cycle",
        )
        + _fact(station.open_in_cycle, in_it, alarming=station.open_in_cycle > 0)
        + _fact(station.open_deviations, "deviations today")
        + _fact(station.cycles_today, "cycles today")
    )


def _away(stations: Sequence[StationStatus]) -> str:
    if not stations:
        return ""
    links = " &nbsp;·&nbsp; ".join(
        f'<a href="{_page_of(one)}">{escape(one.name)}</a> ({escape(one.line)})' for one in stations
    )
    return f'<h2 class="lw-line">No word for over a day</h2><p>{links}</p>'


def _page_of(station: StationStatus) -> str:
    return f"station?station={quote(station.id, safe='')}"


def _fact(value: object, name: str, *, alarming: bool = False) -> str:
    tone = " lw-text-bad" if alarming else ""
    return f'<div class="lw-fact{tone}"><b>{escape(str(value))}</b>{escape(name)}</div>'


def _summary(stations: Sequence[StationStatus]) -> str:
    watching = sum(station.looks for station in stations)
    num_open = sum(station.open_deviations for station in stations)
    num_cycles = sum(station.cycles_today for station in stations)
    return (
        '<div class="lw-summary">'
        + _fact(f"{watching} of {len(stations)}", "stations watching")
        + _fact(num_cycles, "cycles today")
        + _fact(num_open, "deviations today", alarming=num_open > 0)
        + "</div>"
    )


def _last(station: StationStatus, now: datetime) -> str:
    last = station.last_deviation
    if last is None and not station.cycles_today:
        return "No cycle yet today"
    if last is None:
        return f"No deviation in {counted(station.cycles_today, 'cycle')} today"
    return (
        f'{kind_pill(last)}<span class="lw-last-what">{escape(what(last))}</span>'
        f'<span class="lw-when">{ago(last.detected_at, now)}</span>'
    )


def _muted(station: StationStatus) -> str:
    return "" if station.current_step else " lw-muted"
