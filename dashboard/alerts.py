"""Tells people of deviations as the hub records them; for now in the hub's log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dashboard.words import KINDS, likely
from edge.deployment import Alerts
from edge.messages import DeviationSeen, Event

logger = logging.getLogger(__name__)

REMEMBERED = 10_000  # told deviations are remembered, so that a resent event is not told twice


class LogAlerts:
    """Writes one line for each deviation that reaches the state that people want to hear of.

    One that was told and is withdrawn is taken back by another line; `unsure` is no alarm.
    """

    def __init__(self, config: Alerts) -> None:
        self._states = (
            {"confirmed"} if config.min_state == "confirmed" else {"suspected", "confirmed"}
        )
        self._on = config.log
        self._told: dict[tuple[str, str], list[str]] = {}  # states, by station and deviation

    def tell(self, events: Sequence[Event]) -> None:
        """Write what is new in `events`, which are in the database already."""
        for event in events:
            seen = event.payload
            if self._on and isinstance(seen, DeviationSeen) and seen.type != "unsure":
                self._tell(event.station, seen)

    def _tell(self, station: str, seen: DeviationSeen) -> None:
        told = self._told.setdefault((station, seen.deviation), [])
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        is_wanted = seen.state in self._states or (seen.state == "withdrawn" and told)
        if not is_wanted or seen.state in told:
            return
        told.append(seen.state)
        kind = KINDS[seen.type].words.lower()
        state: str = seen.state
        if seen.probability is not None:
            state = f"{state} ({likely(seen.probability)})"
        logger.warning("%s: %s %s: %s %s", station, state, kind, seen.step, seen.detail)
