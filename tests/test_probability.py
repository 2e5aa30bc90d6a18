"""How likely a deviation is, from whoever judged it to the message, and through a saved state."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from edge.messages import DeviationSeen, Event, MessageError, read_event
from edge.reporter import Reporter
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.vocabulary import load_task
from models.cycle import Cycle
from models.deviation_ledger import DeviationLedger
from models.findings import Deviation

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def deviation(probability: float | None) -> Deviation:
    return Deviation("1-rework-b-1", "rework", "confirmed", "b", 1, 1.0, 5.0, 6.0, "", probability)


def event(probability: float | None) -> Event:
    said = Reporter(load_task("gear-reducer"), boot="b1").message(deviation(probability), NOW)
    assert isinstance(said, DeviationSeen)
    return Event(station="s", boot="b1", sequence=1, sent_at=NOW, payload=said)


@pytest.mark.parametrize("probability", [None, 0.0, 0.87, 1.0])
def test_the_message_says_what_was_judged(probability: float | None) -> None:
    said = read_event(event(probability).to_bytes()).payload
    assert isinstance(said, DeviationSeen)
    assert (said.type, said.probability) == ("rework", probability)


def test_a_station_of_before_says_nothing() -> None:
    said = read_event(event(None).to_bytes().replace(b',"probability":null', b"")).payload
    assert isinstance(said, DeviationSeen)
    assert said.probability is None


@pytest.mark.parametrize("wrong", [b"1.01", b"-0.1", b"NaN", b'"likely"'])
def test_a_message_with_no_probability_is_refused(wrong: bytes) -> None:
    data = event(0.5).to_bytes().replace(b'"probability":0.5', b'"probability":' + wrong)
    with pytest.raises(MessageError, match="probability"):
        read_event(data)


@pytest.mark.parametrize("wrong", [1.01, -0.1, float("nan")])
def test_a_deviation_with_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        deviation(wrong)


def test_a_saved_suspicion_keeps_it() -> None:
    cycle = Cycle(Procedure((ProcedureStep("a"), ProcedureStep("b"))), 1, 0.0, 0.0)
    ledger = DeviationLedger()
    ledger.suspect(cycle, "missed", "b", (0.0, 1.0), now_s=1.0, detail="", probability=0.3)
    kept = DeviationLedger.from_plain(ledger.to_plain()).suspected("missed", "b")
    assert kept is not None
    assert kept.probability == 0.3
