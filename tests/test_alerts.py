"""Alerts: each deviation is told once for each state that people asked to hear of."""

import logging
from datetime import UTC, datetime

import pytest

from dashboard.alerts import LogAlerts
from edge.deployment import Alerts
from edge.messages import DeviationSeen, DeviationState, Event, Heartbeat, Payload
from industryasm.deviation import FoundKind

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def event(payload: Payload, sequence: int = 1) -> Event:
    return Event(station="gear-1", boot="b", sequence=sequence, sent_at=NOON, payload=payload)


def deviation(state: DeviationState, name: str = "d1", kind: FoundKind = "out_of_order") -> Event:
    return event(
        DeviationSeen(
            deviation=name,
            cycle=None,
            type=kind,
            state=state,
            step="insert-shaft",
            started_at=NOON,
            ended_at=NOON,
            detected_at=NOON,
        )
    )


@pytest.mark.parametrize(
    ("config", "states", "told"),
    [
        (Alerts(), ["suspected", "confirmed"], 1),
        (Alerts(min_state="suspected"), ["suspected", "confirmed"], 2),
        (Alerts(min_state="suspected"), ["suspected", "withdrawn"], 2),
        (Alerts(), ["suspected", "withdrawn"], 0),
        (Alerts(), ["withdrawn"], 0),
        (Alerts(log=False), ["confirmed"], 0),
        (Alerts(), ["confirmed", "confirmed"], 1),
    ],
)
def test_a_deviation_is_told_once_in_the_states_asked_for(
    config: Alerts,
    states: list[DeviationState],
    told: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    alerts = LogAlerts(config)
    with caplog.at_level(logging.INFO):
        for state in states:
            alerts.tell([deviation(state), event(Heartbeat(state="watching"), 0)])
    assert len(caplog.records) == told
    assert all("gear-1: " in record.getMessage() for record in caplog.records)
    assert all("out of order" in record.getMessage() for record in caplog.records)


def test_two_deviations_are_both_told(caplog: pytest.LogCaptureFixture) -> None:
    LogAlerts(Alerts()).tell([deviation("confirmed", "d1"), deviation("confirmed", "d2")])
    assert len(caplog.records) == 2


def test_what_nobody_is_sure_of_is_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    LogAlerts(Alerts(min_state="suspected")).tell([deviation("confirmed", kind="unsure")])
    assert not caplog.records
