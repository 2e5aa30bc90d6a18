"""What every page needs of its viewer's session: the open store, the clock, the day's start."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from dashboard.cards import empty_html
from dashboard.page import DATABASE_VARIABLE
from dashboard.store import Store, StoreError

logger = logging.getLogger(__name__)


@st.cache_resource(show_spinner=False)
def _opened(url: str) -> Store:
    return Store.open(url)


def open_store() -> Store:
    """Return the store named by LINEWATCH_DATABASE, open once per server; raise `StoreError`."""
    url = os.environ.get(DATABASE_VARIABLE)
    if not url:
        raise StoreError(
            f"{DATABASE_VARIABLE} is not set: "
            "start the pages with “linewatch up” or “linewatch demo”"
        )
    return _opened(url)


def viewer_zone() -> tzinfo:
    """Return the time zone of the viewer's browser, UTC when it is not told or not known."""
    name = st.context.timezone
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def day_start(now: datetime, zone: tzinfo) -> datetime:
    """Return when the viewer's day began."""
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


@contextmanager
def faults_shown() -> Iterator[None]:
    """Show a fault of the database on the page, which tries again by itself."""
    try:
        yield
    except StoreError as error:
        logger.error("%s", error)
        st.html(empty_html("The database cannot be read: trying again", str(error)))
