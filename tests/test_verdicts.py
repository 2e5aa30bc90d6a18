"""A verdict keeps its id, a unit is complete only if it is, and memory is bounded."""

from __future__ import annotations

import pytest

from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED
from models.decoder import DecoderError, StreamDecoder
from models.deviations import CycleMonitor, Deviation, Finding, MonitorConfig
from models.foreign_work import MOST
from tests.test_outages import CHAIN, STEPS, confirmed, ended, new_monitor


def test_what_is_too_long_keeps_its_id_while_its_unit_is_not_known() -> None:
    """A step seen again may be the next unit's first; unexpected work and the next step tell."""
    unit = [(step, 5.0 * place, 5.0 * place + 4) for place, step in enumerate("abcd")]
    monitor, findings = new_monitor(), list[Finding]()
    for label, start_s, end_s in unit:
        findings += monitor.observe(Segment(start_s, end_s, label, 0.9), end_s)
    limit_s = CHAIN.step("a").limit_s
    end_s = 20.0 + limit_s + 2
    findings += monitor.watch(Segment(20.0, end_s - 1, "a", 0.9), end_s - 1)
    findings += monitor.observe(Segment(20.0, end_s, "a", 0.9), end_s)
    findings += monitor.observe(Segment(end_s, end_s + 2, UNEXPECTED, 0.9), end_s + 2)
    findings += monitor.observe(Segment(end_s + 2, end_s + 6, "e", 0.9), end_s + 6)
    findings += monitor.close(end_s + 60)
    long = [f for f in findings if isinstance(f, Deviation) and f.kind == "too_long"]
    assert [found.state for found in long] == ["suspected", "confirmed"]
    assert len({found.id for found in long}) == 1


@pytest.mark.parametrize("watched", [True, False])
def test_a_first_step_that_is_late_and_long_begins_no_unit(watched: bool) -> None:
    order = [(step, 5.0 * place, 5.0 * place + 4) for place, step in enumerate("bcde")]
    monitor, findings = new_monitor(), list[Finding]()
    for label, start_s, end_s in order:
        findings += monitor.observe(Segment(start_s, end_s, label, 0.9), end_s)
    limit_s = CHAIN.step("a").limit_s
    end_s = 19.5 + limit_s + 2
    if watched:
        findings += monitor.watch(Segment(19.5, end_s - 1, "a", 0.9), end_s - 1)
    findings += monitor.observe(Segment(19.5, end_s, "a", 0.9), end_s)
    findings += monitor.close(end_s + 60)
    assert sorted(confirmed(findings)) == [("out_of_order", "b"), ("too_long", "a")]
    assert ended(findings) == [True]


def observed(*steps: tuple[str, float]) -> list[Finding]:
    """Return what is said of steps in turn, each with its confidence, and of their end."""
    monitor, findings = new_monitor(), list[Finding]()
    for place, (step, confidence) in enumerate(steps):
        segment = Segment(5.0 * place, 5.0 * place + 4, step, confidence)
        findings += monitor.observe(segment, segment.end_s)
    return findings + monitor.close(5.0 * len(steps) + 60)


def test_a_step_that_was_hardly_recognised_is_unsure_and_its_unit_not_complete() -> None:
    findings = observed(("a", 0.9), ("b", 0.33), ("c", 0.9), ("d", 0.9), ("e", 0.9))
    said = [f for f in findings if isinstance(f, Deviation)]
    assert [(f.kind, f.step, f.state) for f in said] == [
        ("unsure", "b", "suspected"),
        ("unsure", "b", "confirmed"),
    ]
    assert said[0].detail == "only 33 % sure that it was done"
    assert len({f.id for f in said}) == 1
    assert ended(findings) == [False]


def test_a_step_that_is_seen_better_later_is_not_unsure() -> None:
    findings = observed(("a", 0.9), ("b", 0.33), ("b", 0.9), ("c", 0.9), ("d", 0.9), ("e", 0.9))
    assert confirmed(findings) == []
    assert ended(findings) == [True]
    assert "withdrawn" in {f.state for f in findings if isinstance(f, Deviation)}


@pytest.mark.parametrize("pause_s", [6.0, 25.0])
def test_a_repeatable_step_that_is_done_first_and_last_begins_no_unit(pause_s: float) -> None:
    wipe = ProcedureStep("wipe", repeatable=True)
    order = Procedure((wipe, ProcedureStep("a"), ProcedureStep("b", frozenset("a"))))
    monitor, findings = CycleMonitor(order, MonitorConfig.of(order)), list[Finding]()
    time_s = 0.0
    for unit in (["wipe", "a", "b", "wipe"], ["a", "b", "wipe"], ["wipe", "a", "b"]) * 3:
        for step in unit:
            findings += monitor.observe(Segment(time_s, time_s + 4, step), time_s + 5)
            time_s += 4.5
        time_s += pause_s
        findings += monitor.watch(None, time_s - 0.5)
    findings += monitor.close(time_s)
    assert confirmed(findings) == []
    assert ended(findings) == [True] * 9


def test_a_unit_with_a_step_that_was_left_is_not_complete() -> None:
    steps = list(CHAIN.steps)
    steps[1] = ProcedureStep("b", frozenset("a"), expected_s=4.0, least_s=2.5)
    monitor = CycleMonitor(Procedure(tuple(steps)), MonitorConfig.of(CHAIN))
    findings = list[Finding]()
    for place, step in enumerate(STEPS):
        length_s = 1.0 if step == "b" else 4.0
        segment = Segment(5.0 * place, 5.0 * place + length_s, step, 0.9)
        findings += monitor.observe(segment, segment.end_s)
    findings += monitor.close(60.0)
    assert confirmed(findings) == [("incomplete", "b")]
    assert ended(findings) == [False]


def test_endless_unexpected_work_takes_no_more_memory() -> None:
    monitor = new_monitor()
    monitor.observe(Segment(0.0, 4.0, "a", 0.9), 4.0)
    sizes, found = [], set()
    for place in range(500):
        start_s = 5.0 + 2.0 * place
        segment = Segment(start_s, start_s + 1, UNEXPECTED, 0.9)
        found |= {f.id for f in monitor.observe(segment, segment.end_s) if isinstance(f, Deviation)}
        sizes.append(len(monitor.state()))
    assert len(found) == MOST
    end = max(f.end_s for f in monitor.close(2000.0) if isinstance(f, Deviation) and f.id in found)
    assert end == 5.0 + 2.0 * 499 + 1
    assert max(sizes[MOST:]) < sizes[MOST] + 100


def test_a_recogniser_of_another_task_is_refused() -> None:
    for labels, absent in (
        ((BACKGROUND, "x", "y"), "'a'"),
        (tuple(STEPS), f"'{BACKGROUND}'"),
    ):
        with pytest.raises(DecoderError, match=f"lack {absent}, which the procedure needs"):
            StreamDecoder(labels, procedure=CHAIN)
