"""The page of all lines: one card per station, refreshed every second."""

from __future__ import annotations

import streamlit as st

from dashboard.cards import overview_html
from dashboard.session import day_start, faults_shown, open_store, viewer_zone
from edge.messages import utc_now


@st.fragment(run_every=1)
def show() -> None:
    """Read all stations and show them."""
    now = utc_now()
    with faults_shown():
        stations = open_store().stations(now=now, today_from=day_start(now, viewer_zone()))
        st.html(overview_html(stations, now=now))


show()
