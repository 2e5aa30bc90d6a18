"""Whose unit an alarm is of, where the station counts the units otherwise than the annotation."""

from __future__ import annotations

import pytest

from edge.evaluation.watched import Watched, is_normal
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.recording import Recording
from industryasm.segment import Segment
from models.deviations import CycleMonitor, Deviation, Finding, MonitorConfig

Span = tuple[float, float]
CHAIN = Procedure(
    (
        ProcedureStep("a"),
        ProcedureStep("b", frozenset("a")),
        ProcedureStep("c", frozenset("b")),
        ProcedureStep("d", frozenset("c")),
    )
)


def annotated(spans: list[Span], missed: dict[int, str]) -> Recording:
    """Return a recording of units, and by their number what was missed in them."""
    return Recording.model_validate(
        {
            "id": "r",
            "task": "t",
            "task_revision": 1,
            "duration_s": spans[-1][1] + 10,
            "station": "s",
            "camera": "c",
            "operator": "o",
            "annotator": "a",
            "review": "draft",
            "cycles": [
                {"number": number, "start_s": start_s, "end_s": end_s}
                for number, (start_s, end_s) in enumerate(spans, start=1)
            ],
            "segments": [],
            "deviations": [
                {
                    "kind": "missed",
                    "step": step,
                    "cycle": number,
                    "start_s": spans[number - 1][0],
                    "end_s": spans[number - 1][1],
                }
                for number, step in missed.items()
            ],
        }
    )


def worked(*units: str) -> tuple[list[Finding], list[Span]]:
    """Return what is found in units of these steps, and when they were made."""
    monitor, findings, spans = CycleMonitor(CHAIN, MonitorConfig.of(CHAIN)), list[Finding](), []
    time_s = 1.0
    for unit in units:
        start_s = time_s
        for step in unit:
            findings += monitor.observe(Segment(time_s, time_s + 4, step), time_s + 5)
            time_s += 4.5
        spans.append((start_s, time_s - 0.5))
        time_s += 4.0
    return findings + monitor.close(time_s), spans


def test_an_alarm_without_a_unit_is_of_the_one_that_it_touches_most() -> None:
    recording = annotated([(0, 20), (25, 50)], {1: "x"})

    def accused(start_s: float, end_s: float, cycle: int = 0) -> bool:
        alarm = Deviation("i", "missed", "confirmed", "x", cycle, start_s, end_s, end_s, "")
        return is_normal(recording, alarm)

    assert not accused(5.0, 10.0)
    assert accused(30.0, 40.0)
    assert accused(18.0, 40.0)
    assert not accused(20.5, 21.0), "between two units it is of the nearer one"
    assert accused(55.0, 58.0)
    assert not accused(18.0, 45.0, cycle=1), "its unit counts, however late it was known"


@pytest.mark.parametrize("before", [[], ["d"]])
def test_alarms_are_matched_in_a_recording_that_begins_in_the_middle_of_a_unit(
    before: list[str],
) -> None:
    findings, spans = worked(*before, "abcd", "abd", "abcd", "acd")
    recording = annotated(spans[len(before) :], {2: "c", 4: "b"})
    score = Watched(recording, findings).score()
    assert [(m.found.step, m.found.cycle) for m in score.matched] == [("c", 2), ("b", 4)]
    assert {alarm.cycle for alarm in score.invented} <= {0}, "nobody knows the unit cut off"


def test_a_wrong_alarm_in_one_unit_is_no_hit_for_the_next() -> None:
    findings, spans = worked("d", "abd", "abcd")
    score = Watched(annotated(spans[1:], {2: "c"}), findings).score()
    assert score.matched == ()
    assert [(alarm.step, alarm.cycle) for alarm in score.invented if alarm.cycle] == [("c", 1)]
