"""What could not be seen accuses nobody: outages inside a step, between steps, and power cuts."""

from __future__ import annotations

import numpy as np
import pytest

from edge.pipeline import ordered_decoder
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED
from models.deviations import CycleEnded, CycleMonitor, Deviation, Finding, MonitorConfig
from models.unseen import MAX_SPANS, Unseen

STEPS = "abcde"
CHAIN = Procedure(
    tuple(
        ProcedureStep(step, frozenset(STEPS[place - 1 : place] if place else ()), expected_s=4.0)
        for place, step in enumerate(STEPS)
    )
)
LABELS = (BACKGROUND, UNEXPECTED, *STEPS)
RATE_HZ = 5.0
END_S = 27.0


def new_monitor() -> CycleMonitor:
    return CycleMonitor(CHAIN, MonitorConfig.of(CHAIN))


def observed(*segments: tuple[str, float, float]) -> list[Finding]:
    """Watch segments (label, start, end), of which those labelled "-" could not be seen."""
    monitor, findings = new_monitor(), list[Finding]()
    for label, start_s, end_s in segments:
        if label == "-":
            monitor.unobserved(start_s, end_s)
        else:
            findings += monitor.observe(Segment(start_s, end_s, label, 0.9), end_s)
    return findings + monitor.close(segments[-1][2] + 60)


def confirmed(findings: list[Finding]) -> list[tuple[str, str]]:
    newest = {found.id: found for found in findings if isinstance(found, Deviation)}
    return [(found.kind, found.step) for found in newest.values() if found.state == "confirmed"]


def ended(findings: list[Finding]) -> list[bool]:
    return [found.complete for found in findings if isinstance(found, CycleEnded)]


def label_at(time_s: float) -> str:
    """Each step takes 4 s, with 1 s behind it."""
    place, within_s = divmod(time_s, 5.0)
    return STEPS[int(place)] if place < len(STEPS) and within_s < 4 else BACKGROUND


def probabilities(time_s: float) -> np.ndarray:
    row = np.full((1, len(LABELS)), 0.1 / (len(LABELS) - 1))
    row[0, LABELS.index(label_at(time_s))] = 0.9
    return row


class Line:
    """A decoder and a monitor, as a station has them."""

    def __init__(self) -> None:
        self.decoder, self.monitor = ordered_decoder(LABELS, CHAIN, RATE_HZ), new_monitor()
        self.findings: list[Finding] = []

    def see(self, time_s: float) -> None:
        for segment in self.decoder.push(probabilities(time_s), np.array([time_s])):
            self.findings += self.monitor.observe(segment, time_s)
        running, seen_s = self.decoder.running, self.decoder.seen_until_s
        self.findings += self.monitor.watch(running, time_s, seen_until_s=seen_s)

    def cut(self, back_s: float) -> None:
        """Lose what was not saved, and see again from `back_s` on."""
        lost_since_s = self.decoder.judged_until_s
        config = self.monitor.config
        self.monitor = CycleMonitor.resume(CHAIN, self.monitor.state(), config)
        self.decoder = ordered_decoder(LABELS, CHAIN, RATE_HZ)
        self.decoder.resume(self.monitor.done)
        self.monitor.unobserved(lost_since_s, back_s)

    def close(self) -> list[Finding]:
        for segment in self.decoder.close():
            self.findings += self.monitor.observe(segment, END_S)
        return self.findings + self.monitor.close(END_S)


@pytest.mark.parametrize("away_s", [0.4, 1.0])
def test_a_power_cut_at_any_moment_makes_no_step_missed_or_repeated(away_s: float) -> None:
    times_s = np.arange(0, END_S, 1 / RATE_HZ)
    for cut_s in times_s[times_s < 24]:
        line, back_s = Line(), cut_s + away_s
        for time_s in times_s[times_s <= cut_s]:
            line.see(float(time_s))
        line.cut(float(back_s))
        for time_s in times_s[times_s >= back_s]:
            line.see(float(time_s))
        assert {kind for kind, _ in confirmed(line.close())} <= {"unsure"}, cut_s


def test_an_outage_inside_a_step_is_no_repetition_and_no_next_unit() -> None:
    before, after = ("a", 0.0, 4.0), [("c", 15.0, 19.0), ("d", 20.0, 24.0), ("e", 25.0, 29.0)]
    for pause_s in (0.0, 0.3):
        cut = [("b", 5.0, 8.0), ("-", 8.0, 11.0 - pause_s), ("b", 11.0, 14.0)]
        found = observed(before, *cut, *after)
        assert (confirmed(found), ended(found)) == ([], [True])
    seen = observed(before, ("b", 5.0, 8.0), ("b", 11.0, 14.0), *after)
    assert confirmed(seen) == [("repeated", "b")]


def test_an_outage_inside_the_first_or_the_last_step_begins_no_unit() -> None:
    four = [(step, 5.0 * place, 5.0 * place + 4) for place, step in enumerate("abcd")]
    found = observed(*four, ("e", 20.0, 22.0), ("-", 22.0, 25.0), ("e", 25.0, 27.0))
    assert (confirmed(found), ended(found)) == ([], [True])
    first = [("a", 0.0, 1.0), ("-", 1.0, 3.0), ("a", 3.0, 4.5), *four[1:], ("e", 20.0, 24.0)]
    found = observed(*first)
    assert (confirmed(found), ended(found)) == ([], [True])


def test_an_outage_longer_than_a_step_may_take_can_have_hidden_a_unit() -> None:
    unit = [(step, 5.0 * place, 5.0 * place + 4) for place, step in enumerate(STEPS)]
    found = observed(*unit, ("-", 24.0, 90.0), ("e", 90.0, 94.0))
    assert ended(found) == [True, False]
    assert confirmed(found) == [("unsure", step) for step in "abcd"]


def test_many_dropouts_leave_an_outage_of_before_unsure() -> None:
    dropouts = [("-", 40.0 + 1.5 * n, 41.1 + 1.5 * n) for n in range(MAX_SPANS + 10)]
    found = observed(("a", 0.0, 4.0), ("-", 4.0, 10.0), ("c", 11.0, 15.0), *dropouts)
    assert ("unsure", "b") in confirmed(found)
    assert ("missed", "b") not in confirmed(found)


def test_spans_without_sight_are_joined_where_they_are_near_and_forgotten_when_told() -> None:
    unseen = Unseen()
    for place in range(MAX_SPANS):
        unseen.note(100.0 * place, 100.0 * place + 1)
    unseen.note(6310.0, 6311.0)
    assert len(unseen.spans) == MAX_SPANS
    assert unseen.spans[0] == (0.0, 1.0)
    assert unseen.spans[-1] == (6300.0, 6311.0)
    unseen.forget(6200.0)
    assert unseen.spans == [(6200.0, 6201.0), (6300.0, 6311.0)]


def test_an_outage_that_began_before_a_known_one_takes_it_in() -> None:
    """A power cut forgets what was seen around a short dropout before it."""
    unseen = Unseen([(1.0, 2.0), (45.0, 46.5)])
    unseen.note(8.0, 48.0)
    assert unseen.spans == [(1.0, 2.0), (8.0, 48.0)]


def test_little_unseen_time_in_a_long_pause_is_no_going_on() -> None:
    before = [("a", 0.0, 4.0), ("b", 5.0, 9.0)]
    after = [("c", 35.0, 39.0), ("d", 40.0, 44.0), ("e", 45.0, 49.0)]
    found = observed(*before, ("-", 15.0, 16.1), ("b", 25.0, 29.0), *after)
    assert confirmed(found) == [("repeated", "b")]
    found = observed(*before, (UNEXPECTED, 10.0, 13.0), ("-", 13.0, 14.1), ("b", 14.5, 18), *after)
    assert confirmed(found) == [("rework", "b")]


def test_a_step_cut_short_by_an_outage_leaves_the_unit_complete() -> None:
    steps = list(CHAIN.steps)
    steps[1] = ProcedureStep("b", frozenset("a"), expected_s=4.0, least_s=2.5)
    monitor = CycleMonitor(Procedure(tuple(steps)), MonitorConfig.of(CHAIN))
    findings = monitor.observe(Segment(0.0, 4.0, "a", 0.9), 4.0)
    findings += monitor.observe(Segment(5.0, 6.0, "b", 0.9), 6.0)
    monitor.unobserved(6.0, 9.0)
    for place, step in enumerate("cde"):
        segment = Segment(10.0 + 5 * place, 14.0 + 5 * place, step, 0.9)
        findings += monitor.observe(segment, segment.end_s)
    findings += monitor.close(60.0)
    assert (confirmed(findings), ended(findings)) == ([], [True])
