"""The page of one station, named by the query parameter `station`, refreshed every second."""

from __future__ import annotations

import streamlit as st

from dashboard.cards import empty_html, overview_html
from dashboard.panels import station_html
from dashboard.session import day_start, faults_shown, open_store, viewer_zone
from dashboard.status import StationStatus
from edge.messages import utc_now


def choose() -> None:
    """Offer the stations; the choice goes into the address, so that it can be kept and sent."""
    now = utc_now()
    stations = open_store().stations(now=now, today_from=now)
    names = {station.id: _name(station) for station in stations}
    if st.query_params.get("station") is None and names:
        st.query_params["station"] = next(iter(names))
    chosen = st.query_params.get("station")
    if chosen in names and len(names) > 1:
        st.session_state["station"] = chosen
        st.selectbox(
            "Station",
            list(names),
            format_func=lambda station: names.get(station, station),
            key="station",
            on_change=_follow,
            label_visibility="collapsed",
            width=420,
        )


@st.fragment(run_every=1)
def show() -> None:
    """Read the station and show it."""
    now, zone = utc_now(), viewer_zone()
    chosen = st.query_params.get("station")
    with faults_shown():
        if chosen is None:
            if open_store().stations(now=now, today_from=now):
                st.rerun(scope="app")  # the first station has reported: offer it
            st.html(overview_html([], now=now))
            return
        detail = open_store().station(chosen, now=now, today_from=day_start(now, zone))
        if detail is None:
            st.html(
                empty_html(
                    f"No station is called “{chosen}”",
                    "It may not have reported to this hub yet. All stations are on the page Lines.",
                )
            )
            return
        st.html(station_html(detail, now=now, zone=zone))


def _follow() -> None:
    st.query_params["station"] = st.session_state["station"]


def _name(station: StationStatus) -> str:
    return f"{station.line} · {station.name}"


with faults_shown():
    choose()
show()
