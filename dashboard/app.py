"""The pages' way in, run by Streamlit: the navigation and what all pages share."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

st.set_page_config(page_title="Linewatch", page_icon=str(HERE / "icon.png"), layout="wide")
st.logo(HERE / "logo.svg", size="large")
st.html(HERE / "style.css")
st.navigation(
    [
        st.Page(HERE / "views" / "overview.py", title="Lines", default=True),
        st.Page(HERE / "views" / "station.py", title="Station"),
    ],
    position="top",
).run()
