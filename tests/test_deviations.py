"""Segments against a procedure: which departures are found, when, and that none is invented.

Sequences are written as letters, one step each: `|` is the handover to the next unit, `_` a pause
that could be one, `~` idleness, `?` work that is not in the task, an upper case letter takes too
long, `-` after a letter makes it short. Steps follow each other after 0.5 s.
"""

from __future__ import annotations

import itertools
import json
import random
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from industryasm.procedure import Procedure, ProcedureError, ProcedureStep
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED
from models.deviations import (
    CycleEnded,
    CycleMonitor,
    CycleStarted,
    Deviation,
    Finding,
    MonitorConfig,
    MonitorError,
    StepDone,
)

PAUSES_S = {"|": 5.0, "_": 3.0, "~": 25.0}
SHORT_S = 1.5


def procedure(
    order: str, *, optional: str = "", repeatable: str = "", least_s: float = 0.0
) -> Procedure:
    """`a b<a c<ab` is a first, b after a, c after both."""
    steps = (item.partition("<") for item in order.split())
    return Procedure(
        tuple(
            ProcedureStep(
                step,
                frozenset(after),
                optional=step in optional,
                repeatable=step in repeatable,
                limit_s=6.0,
                least_s=least_s,
            )
            for step, _, after in steps
        )
    )


CHAIN = procedure("a b<a c<b d<c")


def segments_of(text: str) -> list[Segment]:
    segments, time_s = [], 0.0
    for letter in text:
        if letter == "-":
            short = segments.pop()
            segments.append(Segment(short.start_s, short.start_s + SHORT_S, short.label))
            time_s = segments[-1].end_s + 0.5
            continue
        if letter in PAUSES_S:
            time_s += PAUSES_S[letter] - 0.5
            continue
        label = UNEXPECTED if letter == "?" else letter.lower()
        length_s = 10.0 if letter.isupper() else 4.0
        segments.append(Segment(time_s, time_s + length_s, label))
        time_s += length_s + 0.5
    return segments


def observe_all(
    order: Procedure, segments: list[Segment], config: MonitorConfig | None = None
) -> list[Finding]:
    monitor = CycleMonitor(order, config)
    findings = [f for segment in segments for f in monitor.observe(segment, segment.end_s + 1)]
    return findings + monitor.close(segments[-1].end_s + 2 if segments else 0.0)


def settled(findings: list[Finding]) -> list[Deviation]:
    """The newest state of every deviation, in the order of their first mention."""
    newest = {found.id: found for found in findings if isinstance(found, Deviation)}
    return list(newest.values())


def confirmed(findings: list[Finding]) -> list[tuple[str, str, int]]:
    return [(d.kind, d.step, d.cycle) for d in settled(findings) if d.state == "confirmed"]


def cycles(findings: list[Finding]) -> list[tuple[int, bool, str]]:
    return [(f.cycle, f.complete, f.reason) for f in findings if isinstance(f, CycleEnded)]


def check_lives(findings: list[Finding]) -> None:
    """Every cycle is started and ended once, in turn; every deviation is settled once."""
    marks = [f for f in findings if isinstance(f, CycleStarted | CycleEnded)]
    started, ended = marks[::2], marks[1::2]
    assert all(isinstance(mark, CycleStarted) for mark in started)
    assert all(isinstance(mark, CycleEnded) for mark in ended)
    assert [m.cycle for m in started] == [m.cycle for m in ended]
    assert [m.cycle for m in started] == list(range(1, len(started) + 1))
    lives: dict[str, list[Deviation]] = {}
    for found in findings:
        if isinstance(found, Deviation):
            lives.setdefault(found.id, []).append(found)
    for life in lives.values():
        assert [d.state for d in life] in (
            ["confirmed"],
            ["suspected", "confirmed"],
            ["suspected", "withdrawn"],
        )
        assert len({(d.kind, d.step, d.cycle, d.detected_s) for d in life}) == 1


@pytest.mark.parametrize(
    ("text", "expected", "ends"),
    [
        ("", [], []),
        ("abcd", [], [(1, True, "complete")]),
        ("abcd|abcd", [], [(1, True, "complete"), (2, True, "complete")]),
        ("abcdabcd", [], [(1, True, "complete"), (2, True, "complete")]),  # no pause between
        # missed
        ("abd|abcd", [("missed", "c", 1)], [(1, False, "next_unit"), (2, True, "complete")]),
        ("bcd|abcd", [("missed", "a", 1)], [(1, False, "next_unit"), (2, True, "complete")]),
        ("abcd|bcd", [("missed", "a", 2)], [(1, True, "complete"), (2, False, "closed")]),
        ("abcd|abc", [("missed", "d", 2)], [(1, True, "complete"), (2, False, "closed")]),
        ("abc|abcd", [("missed", "d", 1)], [(1, False, "next_unit"), (2, True, "complete")]),
        ("abcabcd", [("missed", "d", 1)], [(1, False, "next_unit"), (2, True, "complete")]),
        ("abc~abcd", [("missed", "d", 1)], [(1, False, "next_unit"), (2, True, "complete")]),
        (
            "a~abcd",
            [("missed", step, 1) for step in "bcd"],
            [(1, False, "next_unit"), (2, True, "complete")],
        ),
        # a pause in the middle of a unit, however often, is not its end
        ("ab~cd", [], [(1, True, "complete")]),
        ("a~b~c~d", [], [(1, True, "complete")]),
        ("ab~d|abcd", [("missed", "c", 1)], [(1, False, "next_unit"), (2, True, "complete")]),
        ("ad", [("missed", "b", 1), ("missed", "c", 1)], [(1, False, "closed")]),
        # swapped
        ("bacd", [("out_of_order", "b", 1)], [(1, True, "complete")]),
        ("acbd", [("out_of_order", "c", 1)], [(1, True, "complete")]),
        ("abdc|abcd", [("out_of_order", "d", 1)], [(1, True, "complete"), (2, True, "complete")]),
        ("bcad", [("out_of_order", "b", 1)], [(1, True, "complete")]),  # one step late
        ("cabd", [("out_of_order", "c", 1)], [(1, True, "complete")]),  # one step early
        # repeated
        ("abbcd", [("repeated", "b", 1)], [(1, True, "complete")]),
        ("abcbd", [("repeated", "b", 1)], [(1, True, "complete")]),
        ("abcad", [("repeated", "a", 1)], [(1, True, "complete")]),
        ("abca", [("repeated", "a", 1), ("missed", "d", 1)], [(1, False, "closed")]),
        ("aabcd", [("repeated", "a", 1)], [(1, True, "complete")]),
        ("abcdd|abcd", [("repeated", "d", 1)], [(1, True, "complete"), (2, True, "complete")]),
        # unexpected: in a cycle, before the first, between two, after the last
        ("ab?cd", [("unexpected", UNEXPECTED, 1)], [(1, True, "complete")]),
        ("?abcd", [("unexpected", UNEXPECTED, 1)], [(1, True, "complete")]),
        (
            "abcd?abcd",
            [("unexpected", UNEXPECTED, 2)],
            [(1, True, "complete"), (2, True, "complete")],
        ),
        ("abcd?", [("unexpected", UNEXPECTED, 1)], [(1, True, "complete")]),
        (
            "abcd?~abcd",
            [("unexpected", UNEXPECTED, 1)],
            [(1, True, "complete"), (2, True, "complete")],
        ),
        ("?", [("unexpected", UNEXPECTED, 0)], []),
        # too long
        ("abCd", [("too_long", "c", 1)], [(1, True, "complete")]),
        ("abcdD", [("too_long", "d", 1), ("repeated", "d", 1)], [(1, True, "complete")]),
        # a pause within a cycle is not its end
        ("ab_cd", [], [(1, True, "complete")]),
    ],
)
def test_departures_from_a_chain(
    text: str, expected: list[object], ends: list[tuple[int, bool, str]]
) -> None:
    findings = observe_all(CHAIN, segments_of(text))
    assert confirmed(findings) == expected
    assert cycles(findings) == ends
    check_lives(findings)


@pytest.mark.parametrize(
    ("order", "optional", "repeatable", "text", "expected", "num_cycles"),
    [
        # any order
        ("a b<a c<a d<bc", "", "", "acbd|abcd", [], 2),
        # a last step that is optional: waited for until the handover
        ("a b<a c<b", "c", "", "ab|abc|ab", [], 3),
        ("a b<a c<b", "c", "", "ababcab", [], 3),
        ("a b<a c<b", "c", "", "ab_c|abc", [], 2),
        ("a b<a c<b", "c", "", "acb|abc", [("out_of_order", "c", 1)], 2),
        # an optional step is never missed, but its order counts
        ("a b<a c<b", "b", "", "ac|abc", [], 2),
        ("a b<a c<b", "b", "", "acb|abc", [("out_of_order", "c", 1)], 2),
        ("a b<a c<ab", "a", "", "bac|bc", [("out_of_order", "b", 1)], 2),
        # repeatable
        ("a b<a c<b", "", "b", "abbbc", [], 1),
        ("a b<a c<b", "", "a", "abac|abc", [], 2),
        ("a b<a c<b", "", "c", "abcc|abc", [], 2),
        # several first and last steps
        ("a b c<ab d<ab", "", "", "abcd|badc", [], 2),
        ("a b c<ab d<ab", "", "", "abc|badc", [("missed", "d", 1)], 2),
        ("a b c<ab d<ab", "", "", "abcad", [("repeated", "a", 1)], 1),
        # a first step at the end is late when swapped, and else the next unit's
        ("a b c<ab", "", "", "acb|abc", [("out_of_order", "c", 1)], 2),
        ("a b c<ab", "", "", "ac|bac", [("missed", "b", 1)], 2),
        # two steps: only the pause tells a repetition from the next unit
        ("a b<a", "", "", "aab", [("repeated", "a", 1)], 1),
        ("a b<a", "", "", "a|ab", [("missed", "b", 1)], 2),
        ("a b<a", "", "", "ba|ab", [("out_of_order", "b", 1)], 2),
        ("a b<a", "", "", "b|ab", [("missed", "a", 1)], 2),
        # one step, and nothing but optional ones
        ("a", "", "", "aaa", [], 3),
        ("a b<a", "ab", "", "ab|b|ab", [], 3),
    ],
)
def test_departures_from_partial_orders(
    order: str,
    optional: str,
    repeatable: str,
    text: str,
    expected: list[object],
    num_cycles: int,
) -> None:
    partial = procedure(order, optional=optional, repeatable=repeatable)
    findings = observe_all(partial, segments_of(text))
    assert confirmed(findings) == expected
    assert len(cycles(findings)) == num_cycles
    check_lives(findings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # undone and done again, within the cycle, at its end, after it
        ("ab?bcd", [("rework", "b", 1)]),
        ("a?abcd", [("rework", "a", 1)]),
        ("abc?c|abcd", [("rework", "c", 1), ("missed", "d", 1)]),
        ("abcd?d|abcd", [("rework", "d", 1)]),
        ("ab??bcd", [("rework", "b", 1)]),  # one stretch
        ("ab?bc?cd", [("rework", "b", 1), ("rework", "c", 1)]),
        # not undone: another step is between, or nothing was done before
        ("ab?cbd", [("unexpected", UNEXPECTED, 1), ("repeated", "b", 1)]),
        ("ab??cd", [("unexpected", UNEXPECTED, 1), ("unexpected", UNEXPECTED, 1)]),
        # something else in a step's place: in the middle, first, last
        ("ab?d", [("wrong_part", "c", 1)]),
        ("?bcd", [("wrong_part", "a", 1)]),
        ("abc?", [("wrong_part", "d", 1)]),
        ("abc?|abcd", [("wrong_part", "d", 1)]),
        ("a?d", [("wrong_part", "b", 1), ("missed", "c", 1)]),  # the first of two
        ("ab?-d", [("unexpected", UNEXPECTED, 1), ("missed", "c", 1)]),  # too short for it
        ("a?bd", [("unexpected", UNEXPECTED, 1), ("missed", "c", 1)]),  # c was not due
        ("ab?dc|abcd", [("unexpected", UNEXPECTED, 1), ("out_of_order", "d", 1)]),  # done late
        # left, and taken up again
        ("ab-cd", [("incomplete", "b", 1)]),
        ("abcd-", [("incomplete", "d", 1)]),
        ("abcd-d-", []),
        ("ab-b-cd", []),
        ("ab-b-bcd", [("repeated", "b", 1)]),  # whole, and once more
        ("ab-?b-cd", [("unexpected", UNEXPECTED, 1)]),  # interrupted
        ("ab-cb-d", [("incomplete", "b", 1)]),  # c was built on it
    ],
)
def test_what_was_undone_replaced_or_left(text: str, expected: list[object]) -> None:
    order = procedure("a b<a c<b d<c", least_s=2.5)
    findings = observe_all(order, segments_of(text))
    assert sorted(confirmed(findings)) == sorted(expected)
    check_lives(findings)


def test_foreign_work_is_suspected_until_the_next_step_tells_what_it_was() -> None:
    monitor = CycleMonitor(CHAIN)
    a, foreign, again = segments_of("a?a")
    monitor.observe(a, 4.0)
    (suspected,) = settled(monitor.observe(foreign, 9.0))
    assert (suspected.kind, suspected.state) == ("unexpected", "suspected")
    withdrawn, rework = settled(monitor.observe(again, 14.0))
    assert (withdrawn.id, withdrawn.state) == (suspected.id, "withdrawn")
    assert withdrawn.detail == "it was the undoing of a"
    assert (rework.kind, rework.step, rework.state) == ("rework", "a", "confirmed")
    assert (rework.start_s, rework.end_s) == (foreign.start_s, again.end_s)


def test_foreign_work_before_a_step_that_may_go_on_undoes_nothing() -> None:
    order = procedure("a b<a c<b", repeatable="b")
    findings = observe_all(order, segments_of("ab?bc"))
    assert confirmed(findings) == [("unexpected", UNEXPECTED, 1)]


def test_foreign_work_in_a_place_is_told_with_the_step_that_shows_it() -> None:
    monitor = CycleMonitor(CHAIN)
    for segment in segments_of("ab?"):
        monitor.observe(segment, segment.end_s)
    d = segments_of("ab?d")[-1]
    (place,) = settled(monitor.observe(d, 18.0))
    assert (place.kind, place.step, place.state) == ("wrong_part", "c", "suspected")
    resumed = CycleMonitor.resume(CHAIN, monitor.state())
    found = {d.kind: d.state for d in settled(resumed.close(20.0))}
    assert found == {"unexpected": "withdrawn", "wrong_part": "confirmed"}


def test_a_step_that_was_left_is_suspected_at_once_and_settled_by_what_follows() -> None:
    order = procedure("a b<a c<b d<c", least_s=2.5)
    for following, state in (("b-", "withdrawn"), ("c", "confirmed")):
        monitor = CycleMonitor(order)
        *before, last = segments_of(f"ab-{following}")
        findings = [f for s in before for f in monitor.observe(s, s.end_s)]
        (suspected,) = settled(findings)
        assert (suspected.kind, suspected.state) == ("incomplete", "suspected")
        assert "took 1.5 s, its least is 2.5 s" in suspected.detail
        monitor = CycleMonitor.resume(order, monitor.state())
        (after,) = settled(monitor.observe(last, last.end_s))
        assert (after.id, after.state) == (suspected.id, state)


@pytest.mark.parametrize(
    ("pace", "seconds", "kind"),
    [
        (1.0, 2.4, "incomplete"),
        (1.0, 2.6, None),
        (1.5, 3.5, "incomplete"),  # long enough by the clock, and left by a slow cycle's pace
        (0.5, 2.0, "too_short"),  # all of the cycle is done as fast
        (0.5, 1.2, "incomplete"),
    ],
)
def test_a_step_is_left_by_the_pace_of_its_cycle(
    pace: float, seconds: float, kind: str | None
) -> None:
    steps = [
        ProcedureStep(name, frozenset("abcde"[:index]), least_s=2.5 if name == "e" else 0.0)
        for index, name in enumerate("abcdef")
    ]
    segments, start_s = [], 0.0
    for step in steps:
        length_s = seconds if step.id == "e" else step.expected_s * pace
        segments.append(Segment(start_s, start_s + length_s, step.id))
        start_s += length_s + 0.5
    findings = observe_all(Procedure(tuple(steps)), segments)
    assert confirmed(findings) == ([(kind, "e", 1)] if kind else [])


def test_a_step_that_was_not_recognised_surely_was_not_left() -> None:
    order = procedure("a b<a c<b", least_s=2.5)
    segments = [Segment(0, 4, "a"), Segment(5, 6, "b", 0.55), Segment(7, 11, "c")]
    assert confirmed(observe_all(order, segments, MonitorConfig(least_confidence=0.6))) == []


def test_a_missed_step_is_suspected_when_its_successor_is_confirmed() -> None:
    monitor = CycleMonitor(CHAIN)
    a, c, d = segments_of("acd")
    assert not settled(monitor.observe(a, 4.0))
    (suspected,) = settled(monitor.observe(c, 9.0))
    assert (suspected.id, suspected.state) == ("1-missed-b-1", "suspected")
    assert (suspected.start_s, suspected.end_s, suspected.detected_s) == (a.end_s, c.end_s, 9.0)
    assert "c" in suspected.detail
    assert not settled(monitor.observe(d, 14.0))  # said once
    (at_end,) = settled(monitor.close(20.0))
    assert (at_end.id, at_end.state, at_end.detected_s) == ("1-missed-b-1", "confirmed", 9.0)


def test_a_late_step_withdraws_the_missed_one_and_names_the_early_one() -> None:
    monitor = CycleMonitor(CHAIN)
    a, c, b = segments_of("acb")
    monitor.observe(a, 4.0)
    (suspected,) = settled(monitor.observe(c, 9.0))
    withdrawn, early = settled(monitor.observe(b, 14.0))
    assert (withdrawn.id, withdrawn.state) == (suspected.id, "withdrawn")
    assert (early.kind, early.step, early.state) == ("out_of_order", "c", "confirmed")
    assert (early.start_s, early.end_s) == (c.start_s, c.end_s)
    assert "c was done before b" in early.detail


def test_pauses_grow_with_the_steps_and_can_be_given() -> None:
    def steps(*expected_s: float) -> Procedure:
        return Procedure(tuple(ProcedureStep(f"s{s:g}", expected_s=s) for s in expected_s))

    assert MonitorConfig.of(steps(3, 4, 6)) == MonitorConfig(20.0, 2.0)
    assert MonitorConfig.of(steps(10, 30, 100)) == MonitorConfig(200.0, 15.0)
    assert MonitorConfig.of(steps(30, 100), idle_end_s=10) == MonitorConfig(10.0, 10.0)
    assert MonitorConfig.of(steps(3), handover_s=40) == MonitorConfig(40.0, 40.0)
    assert MonitorConfig.of(steps(3), idle_end_s=9, handover_s=1) == MonitorConfig(9.0, 1.0)


@pytest.mark.parametrize(
    ("text", "units", "missed"),
    [
        ("cdab", 1, []),  # both come late
        ("cda", 1, [("missed", "b", 1)]),
        ("bcdabcd", 2, [("missed", "a", 1)]),  # b was done: this is the next unit's
        ("cd|ab", 2, [("missed", step, 1) for step in "ab"] + [("missed", s, 2) for s in "cd"]),
    ],
)
def test_a_first_step_behind_the_last_is_late_if_the_one_after_it_is_late_too(
    text: str, units: int, missed: list[tuple[str, str, int]]
) -> None:
    findings = observe_all(procedure("a b c<ab d<c"), segments_of(text))
    assert len(cycles(findings)) == units
    assert [d for d in confirmed(findings) if d[0] == "missed"] == missed


def test_a_repetition_is_withdrawn_when_it_was_the_next_unit() -> None:
    monitor = CycleMonitor(CHAIN)
    *first, a, b = segments_of("abcab")
    for segment in first:
        monitor.observe(segment, segment.end_s)
    (repeated,) = monitor.observe(a, 19.0)
    assert isinstance(repeated, Deviation)
    assert (repeated.kind, repeated.state) == ("repeated", "suspected")
    findings = monitor.observe(b, 24.0)
    assert [(d.kind, d.state) for d in settled(findings)] == [
        ("missed", "confirmed"),
        ("repeated", "withdrawn"),
    ]
    assert [(f.cycle, f.step) for f in findings if isinstance(f, StepDone)] == [(2, "a"), (2, "b")]
    (started,) = (f for f in findings if isinstance(f, CycleStarted))
    assert started.start_s == a.start_s


def test_a_step_is_too_long_while_it_still_goes_on() -> None:
    monitor = CycleMonitor(CHAIN)
    assert monitor.watch(Segment(0.0, 6.0, "a"), 6.0) == []  # at the limit, not beyond
    started, suspected = monitor.watch(Segment(0.0, 6.2, "a"), 6.2)
    assert isinstance(started, CycleStarted)
    assert isinstance(suspected, Deviation)
    assert (suspected.kind, suspected.state, suspected.detected_s) == ("too_long", "suspected", 6.2)
    assert monitor.watch(Segment(0.0, 9.0, "a"), 9.0) == []  # said once
    (judged,) = settled(monitor.observe(Segment(0.2, 11.0, "a"), 12.0))
    assert (judged.id, judged.state) == (suspected.id, "confirmed")
    assert (judged.start_s, judged.end_s) == (0.2, 11.0)
    assert monitor.watch(Segment(0.2, 11.0, "a"), 12.0) == []  # judged already


@pytest.mark.parametrize(
    "decided",
    [
        [Segment(0.0, 5.0, "a")],  # within its limit
        [Segment(0.0, 12.0, "b")],  # another step
        [Segment(0.0, 4.0, "b"), Segment(4.0, 12.0, "c")],  # two others
        [],  # nothing at all
    ],
)
def test_a_wrong_guess_of_a_long_step_is_withdrawn(decided: list[Segment]) -> None:
    monitor = CycleMonitor(CHAIN)
    findings = monitor.watch(Segment(0.0, 10.0, "a"), 10.0)
    for segment in decided:
        findings += monitor.observe(segment, 13.0)
    findings += monitor.close(14.0)
    assert ("too_long", "withdrawn") in [(d.kind, d.state) for d in settled(findings)]
    assert ("too_long", "a", 1) not in confirmed(findings)
    check_lives(findings)


def test_a_short_piece_decided_late_does_not_settle_the_step_that_goes_on() -> None:
    monitor = CycleMonitor(CHAIN)
    findings = monitor.observe(Segment(0.0, 4.0, "a"), 5.0)
    findings += monitor.watch(Segment(5.0, 12.0, "b"), 12.0)
    findings += monitor.observe(Segment(4.5, 5.5, "c"), 12.0)
    findings += monitor.observe(Segment(5.5, 14.0, "b"), 15.0)
    assert [d.state for d in settled(findings) if d.kind == "too_long"] == ["confirmed"]


def test_a_pause_of_minutes_in_the_middle_of_a_unit_says_nothing() -> None:
    monitor = CycleMonitor(CHAIN, MonitorConfig(idle_end_s=20.0))
    findings = monitor.observe(Segment(0.0, 4.0, "a"), 5.0)
    findings += monitor.watch(None, 23.9) + monitor.watch(None, 600.0)
    for at, step in enumerate("bcd"):
        start_s = 700.0 + 300.0 * at
        findings += monitor.watch(None, start_s)
        findings += monitor.observe(Segment(start_s, start_s + 4, step), start_s + 5)
    assert settled(findings) == []
    assert cycles(findings) == [(1, True, "complete")]


def test_what_was_not_due_in_a_unit_that_was_left_is_unsure() -> None:
    monitor = CycleMonitor(CHAIN, MonitorConfig(idle_end_s=20.0, left_s=300.0))
    findings = monitor.observe(Segment(0.0, 4.0, "a"), 5.0)
    findings += monitor.observe(Segment(5.0, 9.0, "c"), 10.0)
    findings += monitor.watch(None, 308.9)
    assert monitor.cycle == 1
    findings += monitor.watch(None, 309.0)
    (ended,) = (f for f in findings if isinstance(f, CycleEnded))
    assert (ended.reason, ended.complete, ended.end_s) == ("idle", False, 9.0)
    assert confirmed(findings) == [("missed", "b", 1), ("unsure", "d", 1)]
    check_lives(findings)
    assert monitor.cycle is None


@pytest.mark.parametrize(
    ("optional", "repeatable", "text"), [("b", "", "a_b"), ("", "b", "ab_b"), ("b", "b", "a_bb")]
)
def test_what_may_be_left_over_from_the_unit_before_accuses_nobody(
    optional: str, repeatable: str, text: str
) -> None:
    """`b` may be late in the unit before, which ended when nothing was done for a while."""
    order = procedure("a b", optional=optional, repeatable=repeatable)
    assert confirmed(observe_all(order, segments_of(text))) == [("unsure", "a", 2)]


def test_what_was_not_recognised_yet_is_not_idle() -> None:
    monitor = CycleMonitor(CHAIN, MonitorConfig(idle_end_s=20.0, left_s=20.0))
    monitor.observe(Segment(0.0, 4.0, "a"), 5.0)
    assert monitor.watch(None, 27.0, seen_until_s=23.9) == []
    assert cycles(monitor.watch(None, 27.2, seen_until_s=24.1)) == [(1, False, "idle")]


def test_an_interrupted_cycle_misses_only_what_was_suspected() -> None:
    monitor = CycleMonitor(CHAIN)
    for segment in segments_of("ac"):
        monitor.observe(segment, segment.end_s)
    findings = monitor.close(10.0, interrupted=True)
    assert confirmed(findings) == [("missed", "b", 1)]
    assert cycles(findings) == [(1, False, "closed")]


def test_background_is_no_step() -> None:
    findings = observe_all(CHAIN, [Segment(0.0, 5.0, BACKGROUND)])
    assert findings == []


def test_a_label_that_is_not_in_the_procedure_is_unexpected() -> None:
    segments = segments_of("abcd")
    segments.insert(2, Segment(8.6, 8.9, "polish"))
    assert confirmed(observe_all(CHAIN, segments)) == [("unexpected", "polish", 1)]


def test_ids_of_one_kind_and_step_differ() -> None:
    ids = [d.id for d in settled(observe_all(CHAIN, segments_of("abbbcd|abbcd")))]
    assert ids == ["1-repeated-b-1", "1-repeated-b-2", "2-repeated-b-1"]


def test_steps_with_long_names_are_told_apart() -> None:
    names = [f"connect-the-left-wiring-harness-{letter}" for letter in "abcd"]
    order = Procedure(
        tuple(
            ProcedureStep(name, frozenset(names[:index][-1:])) for index, name in enumerate(names)
        )
    )
    sequence = [names[1], names[0], names[3], names[2]]
    segments = [Segment(5.0 * i, 5.0 * i + 4, name) for i, name in enumerate(sequence)]
    found = settled(observe_all(order, segments))
    early = [d.step for d in found if d.kind == "out_of_order"]
    assert early == [names[1], names[3]]
    assert len({d.id for d in found}) == len(found)
    assert all(len(d.id) < 50 for d in found)


# Properties over random partial orders


@st.composite
def partial_orders(draw: st.DrawFn) -> Procedure:
    """Up to 7 steps with random precedence, some optional or repeatable, two or more required."""
    names = "abcdefg"[: draw(st.integers(2, 7))]
    required = draw(st.sets(st.sampled_from(names), min_size=2))
    steps = [
        ProcedureStep(
            name,
            frozenset(draw(st.sets(st.sampled_from(names[:index]))) if index else ()),
            optional=name not in required,
            repeatable=draw(st.integers(0, 3)) == 0,
            limit_s=6.0,
            least_s=draw(st.sampled_from([0.0, 2.5])),
        )
        for index, name in enumerate(names)
    ]
    return Procedure(tuple(draw(st.permutations(steps))))


def linear_extension(order: Procedure, seed: random.Random) -> str:
    """A random allowed order, optional steps dropped at random."""
    done: list[str] = []
    left = [step.id for step in order.steps]
    while left:
        ready = [step for step in left if not order.predecessors(step) & set(left)]
        left.remove(step := seed.choice(ready))
        done.append(step)
    return "".join(s for s in done if not order.step(s).optional or seed.random() < 0.5)


@settings(deadline=None)
@given(partial_orders(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_allowed_orders_give_no_deviation_and_complete_cycles(
    order: Procedure, seed: random.Random, num_cycles: int
) -> None:
    text = "|".join(linear_extension(order, seed) for _ in range(num_cycles))
    findings = observe_all(order, segments_of(text))
    assert settled(findings) == []
    assert cycles(findings) == [(n + 1, True, "complete") for n in range(num_cycles)]
    assert [f.step for f in findings if isinstance(f, StepDone)] == list(text.replace("|", ""))
    check_lives(findings)


@settings(deadline=None)
@given(partial_orders(), st.randoms(use_true_random=False), st.sampled_from([0, 2]))
def test_a_required_step_left_out_is_missed_once(
    order: Procedure, seed: random.Random, at: int
) -> None:
    units = [linear_extension(order, seed) for _ in range(3)]
    step = seed.choice([s for s in units[at] if not order.step(s).optional])
    units[at] = units[at].replace(step, "")
    following = "" if at else units[1][0]
    if following and not {following, *order.successors(following)} & set(units[at]):
        units = units[: at + 1]  # the next unit's first step would be in order in this one
    assume(not at or units[at][0] in units[at - 1])  # and so would this one's in the one before
    own = [s for s in units[at] if not order.step(s).optional and not order.step(s).repeatable]
    assume(not at or own)  # else all of it may be of the unit before
    findings = observe_all(order, segments_of("|".join(units)))
    assert confirmed(findings) == [("missed", step, at + 1)]
    assert [complete for _, complete, _ in cycles(findings)] == [
        number != at for number in range(len(units))
    ]
    check_lives(findings)


@settings(deadline=None)
@given(partial_orders(), st.randoms(use_true_random=False))
def test_two_neighbours_swapped_are_one_step_out_of_order(
    order: Procedure, seed: random.Random
) -> None:
    unit = linear_extension(order, seed)
    related = [i for i, (u, v) in enumerate(itertools.pairwise(unit)) if u in order.predecessors(v)]
    if not related:
        return
    at = seed.choice(related)
    swapped = unit[:at] + unit[at + 1] + unit[at] + unit[at + 2 :]
    after = linear_extension(order, seed)
    findings = observe_all(order, segments_of(f"{swapped}|{after}"))
    assert confirmed(findings) == [("out_of_order", unit[at + 1], 1)]
    assert [complete for _, complete, _ in cycles(findings)] == [True, True]
    check_lives(findings)


@settings(deadline=None)
@given(partial_orders(), st.randoms(use_true_random=False))
def test_a_step_done_again_before_the_end_is_repeated_once(
    order: Procedure, seed: random.Random
) -> None:
    unit = linear_extension(order, seed)
    last_required = max(unit.index(step) for step in order.required())
    if last_required == 0:
        return
    first = seed.randrange(last_required)
    again = seed.randrange(first, last_required) + 1
    text = unit[:again] + unit[first] + unit[again:]
    findings = observe_all(order, segments_of(f"{text}|{linear_extension(order, seed)}"))
    said = [] if order.step(unit[first]).repeatable else [("repeated", unit[first], 1)]
    assert confirmed(findings) == said
    assert [complete for _, complete, _ in cycles(findings)] == [True, True]
    check_lives(findings)


SEGMENTS = st.builds(
    lambda start_s, length_s, label: Segment(start_s, start_s + length_s, label),
    st.floats(0, 100),
    st.floats(0.1, 30),
    st.sampled_from([*"abcdefg", UNEXPECTED, BACKGROUND, "polish"]),
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["observe", "watch", "unobserved"]), st.none() | SEGMENTS, st.floats(0, 200)
    ),
    max_size=30,
)


def play(monitor: CycleMonitor, calls: list[tuple[str, Segment | None, float]]) -> list[Finding]:
    findings: list[Finding] = []
    for call, segment, now_s in calls:
        if call == "unobserved" and segment is not None:
            monitor.unobserved(segment.start_s, segment.end_s)
        elif call == "watch" or segment is None:
            findings += monitor.watch(segment, now_s)
        else:
            with suppress(MonitorError):  # time went back
                findings += monitor.observe(segment, now_s)
    return findings


@settings(deadline=None, max_examples=300)
@given(partial_orders(), CALLS, st.booleans())
def test_no_sequence_of_calls_is_too_strange(
    order: Procedure, calls: list[tuple[str, Segment | None, float]], interrupted: bool
) -> None:
    monitor = CycleMonitor(order)
    findings = play(monitor, calls) + monitor.close(300.0, interrupted=interrupted)
    check_lives(findings)
    assert monitor.cycle is None
    assert monitor.close(301.0) == []


@settings(deadline=None, max_examples=200)
@given(partial_orders(), CALLS, st.integers(0, 30))
def test_a_monitor_goes_on_from_its_saved_state(
    order: Procedure, calls: list[tuple[str, Segment | None, float]], at: int
) -> None:
    through = CycleMonitor(order)
    expected = play(through, calls) + through.close(300.0)
    before = CycleMonitor(order)
    findings = play(before, calls[:at])
    after = CycleMonitor.resume(order, before.state())
    assert after.state() == before.state()
    assert findings + play(after, calls[at:]) + after.close(300.0) == expected


@settings(deadline=None, max_examples=25)
@given(partial_orders(), st.randoms(use_true_random=False))
def test_watching_beside_changes_nothing_but_the_time_of_detection(
    order: Procedure, seed: random.Random
) -> None:
    text = "|".join(linear_extension(order, seed) for _ in range(3))
    text = "".join(s.upper() if seed.random() < 0.2 else s for s in text)
    segments = segments_of(text)
    watched, findings = CycleMonitor(order), []
    for index in range(int((segments[-1].end_s + 1) / 0.2) + 2):
        now_s = index * 0.2
        while segments and segments[0].end_s + 1 <= now_s:
            findings += watched.observe(segments.pop(0), now_s)
        running = [s for s in segments if s.start_s + 0.2 <= now_s < s.end_s]
        guess = Segment(running[0].start_s, now_s, running[0].label) if running else None
        findings += watched.watch(guess, now_s)
    findings += watched.close(1e6)
    check_lives(findings)
    without = observe_all(order, segments_of(text))
    assert [(d.id, d.state) for d in settled(findings)] == [
        (d.id, d.state) for d in settled(without)
    ]
    assert cycles(findings) == cycles(without)


def test_a_long_shift_keeps_no_history() -> None:
    monitor = CycleMonitor(CHAIN)
    sizes = []
    for number in range(200):
        for segment in segments_of("ab?bd"):
            start_s = segment.start_s + 100.0 * number
            monitor.observe(Segment(start_s, start_s + 4, segment.label), start_s + 5)
        sizes.append(len(monitor.state()))
    assert sizes[-1] < sizes[10] + 100


@pytest.mark.parametrize(
    "state",
    ["", "[]", "{}", '{"last": null}', CycleMonitor(CHAIN).state().replace("number", "nummer")],
)
def test_a_damaged_state_is_refused(state: str) -> None:
    with pytest.raises(MonitorError, match="saved state"):
        CycleMonitor.resume(CHAIN, state)


def test_a_state_of_another_task_is_refused() -> None:
    monitor = CycleMonitor(CHAIN)
    monitor.observe(Segment(0.0, 4.0, "d"), 4.0)
    assert json.loads(monitor.state())
    with pytest.raises(MonitorError, match="'d'"):
        CycleMonitor.resume(procedure("a b<a"), monitor.state())


@pytest.mark.parametrize(
    ("idle_end_s", "handover_s"),
    [(20.0, 0.0), (20.0, -1.0), (1.0, 2.0), (float("inf"), 2.0), (float("nan"), 2.0)],
)
def test_settings_out_of_bounds_are_refused(idle_end_s: float, handover_s: float) -> None:
    with pytest.raises(MonitorError, match="handover_s"):
        MonitorConfig(idle_end_s=idle_end_s, handover_s=handover_s)


@pytest.mark.parametrize(
    ("first", "second", "accuses"), [(0.9, 0.9, True), (0.9, 0.5, False), (0.5, 0.9, False)]
)
def test_a_step_is_repeated_only_if_both_times_were_recognised_surely(
    first: float, second: float, accuses: bool
) -> None:
    order = procedure("a b<a c<b")
    segments = [
        Segment(0.0, 4.0, "a"),
        Segment(4.5, 8.0, "b", first),
        Segment(8.5, 12.0, "b", second),
        Segment(12.5, 16.0, "c"),
    ]
    findings = observe_all(order, segments, MonitorConfig(least_confidence=0.6))
    assert confirmed(findings) == [("repeated" if accuses else "unsure", "b", 1)]
    assert cycles(findings) == [(1, True, "complete")]


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan")])
def test_a_confidence_is_a_share(least: float) -> None:
    with pytest.raises(MonitorError, match="least_confidence"):
        MonitorConfig(least_confidence=least)


def test_a_segment_from_before_the_newest_one_is_refused_and_changes_nothing() -> None:
    """Else a chain seen backwards would be a complete unit."""
    monitor = CycleMonitor(CHAIN)
    monitor.observe(Segment(50.0, 54.0, "a"), 55.0)
    before = monitor.state()
    with pytest.raises(MonitorError, match=r"'b' begins at 10 s, .* time went back"):
        monitor.observe(Segment(10.0, 14.0, "b"), 56.0)
    assert monitor.state() == before


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_a_segment_is_recognised_with_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        Segment(0.0, 4.0, "a", confidence)


@pytest.mark.parametrize(
    "times", [{"expected_s": float("nan")}, {"limit_s": -1.0}, {"least_s": float("nan")}]
)
def test_a_step_takes_time(times: dict[str, float]) -> None:
    with pytest.raises(ProcedureError, match="'a'"):
        Procedure((ProcedureStep("a", **times),))
