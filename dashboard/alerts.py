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
    """Writes one line for each deviation that reaches the state that people want to hear of."""

    def __init__(self, config: Alerts) -> None:
        self._states = (
            {"confirmed"} if config.min_state == "confirmed" else {"suspected", "confirmed"}
        )
        self._on = config.log
        self._told: dict[tuple[str, str, str], None] = {}

    def tell(self, events: Sequence[Event]) -> None:
        """Write what is new in `events`, which are in the database already."""
        for event in events:
            seen = event.payload
            if (
                not self._on
                or not isinstance(seen, DeviationSeen)
                or seen.state not in self._states
            ):
                continue
            key = (event.station, seen.deviation, seen.state)
            if key in self._told:
                continue
            self._told[key] = None
            if len(self._told) > REMEMBERED:
                del self._told[next(iter(self._told))]
            kind = KINDS[seen.type].words.lower()
            state: str = seen.state
            if seen.probability is not None:
                state = f"{state} ({likely(seen.probability)})"
            logger.warning("%s: %s %s: %s %s", event.station, state, kind, seen.step, seen.detail)
