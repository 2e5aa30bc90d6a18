"""The judge between the monitor and whoever takes findings: probabilities, and doubt said aloud."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from edge.reporter import Reporter
from industryasm.deviation import FoundKind
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, load_task
from models.alarm_judge import AlarmJudge, doubted_kind
from models.calibration import AS_SCORED, AlarmScale
from models.confusion import fit_confusion
from models.deviations import (
    CycleEnded,
    CycleMonitor,
    CycleStarted,
    Deviation,
    DeviationState,
    Finding,
    MonitorConfig,
)
from models.metrics import match_deviations
from models.soft_time import MEMORY_S, SoftTime

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PERIOD_S = 0.2
ORDER = Procedure(
    (
        ProcedureStep("a", expected_s=4.0),
        ProcedureStep("b", frozenset({"a"}), expected_s=4.0),
        ProcedureStep("c", frozenset({"b"}), expected_s=4.0, limit_s=8.0),
    )
)
LABELS = (BACKGROUND, "a", "b", "c", UNEXPECTED)
STRICT = AS_SCORED.model_copy(update={"threshold": 0.7})


def judge(scale: AlarmScale = AS_SCORED) -> AlarmJudge:
    return AlarmJudge(ORDER, LABELS, scale, period_s=PERIOD_S)


def frames(spans: list[tuple[float, float, str, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (T, K) and times (T,) of spans (start_s, end_s, label, probability)."""
    times = np.arange(0.0, max(end for _, end, _, _ in spans), PERIOD_S)
    rows = np.zeros((len(times), len(LABELS)))
    for start_s, end_s, label, probability in spans:
        rows[(times >= start_s) & (times < end_s), LABELS.index(label)] = probability
    rows[:, 0] += 1 - rows.sum(axis=1)
    return rows, times


def accusation(
    kind: FoundKind, step: str, span: tuple[float, float], state: DeviationState = "confirmed"
) -> Deviation:
    return Deviation(f"1-{kind}-{step}-1", kind, state, step, 1, *span, span[1], "because")


def said(found: list[Finding]) -> list[tuple[str, str, float | None]]:
    return [(f.id, f.state, f.probability) for f in found if isinstance(f, Deviation)]


def begun(a_judge: AlarmJudge, until_s: float = 30.0) -> AlarmJudge:
    """Return the judge in its first unit, in which `a` was seen well and `b` weakly."""
    a_judge.see(*frames([(0, 4, "a", 0.9), (4, 8, "b", 0.6), (8, until_s, BACKGROUND, 1.0)]))
    a_judge.judge([CycleStarted(1, 0.0, 1.0)], 1.0)
    return a_judge


@pytest.mark.parametrize(
    ("spans", "is_unsure"),
    [
        ([(0, "a"), (5, "a"), (10, "c")], True),
        ([(0, "a"), (5, "c"), (10, "c")], True),
        ([(0, "a"), (5, "c")], False),
    ],
)
def test_a_step_is_unsure_where_another_was_done_twice_and_once_in_its_place(
    spans: list[tuple[float, str]], *, is_unsure: bool
) -> None:
    labels = fit_confusion(LABELS, [(np.eye(5), list(LABELS))])
    a_judge = judge(AS_SCORED.model_copy(update={"confusion": labels}))
    a_judge.see(*frames([(t, t + 4, step, 1.0) for t, step in spans]))
    for start_s, step in spans:
        a_judge.take(Segment(start_s, start_s + 4, step))
    cycle = [CycleStarted(1, 0.0, 1.0), accusation("missed", "b", (4.0, 20.0))]
    (found,) = [f for f in a_judge.judge([*cycle], 20.0) if isinstance(f, Deviation)]
    assert (found.kind == "unsure") == is_unsure
    assert ("was done twice, once where b was due" in found.detail) == is_unsure


@pytest.mark.parametrize("step", ["b", "c"])
@pytest.mark.parametrize("followed", [True, False])
def test_what_was_seen_of_a_last_step_counts_as_of_any_other(step: str, *, followed: bool) -> None:
    """The unit ends with the last step that was recognised; what is missed comes behind it."""

    def missed(seen: float) -> float | None:
        a_judge, monitor = judge(), CycleMonitor(ORDER, MonitorConfig.of(ORDER))
        work = [(4.5 * place, label) for place, label in enumerate("abc")]
        work += [(20.0 + start_s, label) for start_s, label in work] if followed else []
        spans = [(t, t + 4, s, seen if (s, t < 15) == (step, True) else 1.0) for t, s in work]
        a_judge.see(*frames([*spans, (59.0, 60.0, BACKGROUND, 1.0)]))
        found: list[Finding] = []
        for start_s, end_s, label, certainty in spans:
            if certainty == 1.0:
                segment = Segment(start_s, end_s, label)
                a_judge.take(segment)
                found += a_judge.judge(monitor.observe(segment, end_s), end_s)
        found += a_judge.judge(monitor.close(60.0), 60.0)
        told = [d for d in found if isinstance(d, Deviation) and d.state == "confirmed"]
        assert [(d.kind, d.step, d.cycle) for d in told] == [("missed", step, 1)]
        return told[0].probability

    assert [missed(seen) for seen in (0.0, 0.25, 0.5, 0.75)] == pytest.approx(
        [0.98, 0.75, 0.5, 0.25]
    )


@pytest.mark.parametrize("kind", ["missed", "wrong_part", "incomplete", "too_short"])
@pytest.mark.parametrize(
    ("step", "probability"),
    [
        ("b", 1 - 4 * 0.6 / 4),  # seen for 2.4 of its 4 seconds
        ("a", 1 - 4 * 0.9 / 4),
        ("c", 0.98),  # never seen; no score is beyond doubt
    ],
)
def test_a_step_is_the_likelier_not_done_or_left_the_less_of_it_was_seen(
    kind: FoundKind, step: str, probability: float
) -> None:
    found = begun(judge()).judge([accusation(kind, step, (4.0, 10.0))], 10.0)
    assert said(found)[0][2] == pytest.approx(probability, abs=1e-3)


def test_what_was_seen_in_the_next_unit_does_not_excuse_a_missed_step() -> None:
    a_judge = judge()
    a_judge.see(*frames([(0, 4, "a", 0.9), (4, 8, "b", 0.9), (20, 24, "c", 0.9)]))
    a_judge.judge([CycleStarted(1, 0.0, 1.0)], 1.0)
    batch = [
        accusation("missed", "c", (8.0, 24.0)),
        CycleEnded(1, 0.0, 8.0, 24.0, False, "next_unit"),
        CycleStarted(2, 20.0, 24.0),
    ]
    assert said(a_judge.judge(batch, 24.0))[0][2] == pytest.approx(0.98)


@pytest.mark.parametrize(
    ("kind", "step", "span", "probability"),
    [
        ("too_long", "c", (9.0, 19.0), 0.8 * 2 / 3),  # 2 s beyond its limit of 8 s
        ("out_of_order", "b", (4.0, 6.0), 0.9 * 0.5),  # half of its usual time
        ("unexpected", UNEXPECTED, (6.0, 9.0), 0.7),
        ("repeated", "a", (20.0, 24.0), 0.5),  # the weaker of both times
        ("rework", "a", (6.0, 24.0), 0.5),
    ],
)
def test_the_score_is_how_well_the_accused_work_was_seen(
    kind: FoundKind, step: str, span: tuple[float, float], probability: float
) -> None:
    a_judge = begun(judge())
    for segment in (
        Segment(0.0, 4.0, "a", 0.8),
        Segment(4.0, 6.0, "b", 0.9),
        Segment(6.0, 9.0, UNEXPECTED, 0.7),
        Segment(9.0, 19.0, "c", 0.8),
        Segment(20.0, 24.0, "a", 0.5),
    ):
        a_judge.take(segment)
    found = a_judge.judge([accusation(kind, step, span)], 25.0)
    assert said(found) == [(f"1-{kind}-{step}-1", "confirmed", pytest.approx(probability))]


def test_a_step_that_goes_on_is_scored_by_its_frames() -> None:
    a_judge = judge()
    a_judge.see(*frames([(0, 20, "c", 0.75)]))
    for until_s, probability in ((8.0, 0.02), (12.0, 0.75 * 4 / 5), (20.0, 0.75 * 12 / 13)):
        found = a_judge.judge([accusation("too_long", "c", (0.0, until_s), "suspected")], until_s)
        assert said(found)[0][1:] == ("suspected", pytest.approx(probability, abs=1e-3))


def test_a_weak_suspicion_is_withdrawn_and_comes_again_as_unsure() -> None:
    a_judge = begun(judge(STRICT))
    suspected = replace(accusation("missed", "b", (4.0, 10.0), "suspected"), detected_s=10.0)
    (first,) = a_judge.judge([suspected], 10.0)
    assert isinstance(first, Deviation)
    assert first.state == "suspected"
    confirmed = replace(suspected, state="confirmed", detail="not done when the cycle ended")
    withdrawn, unsure = a_judge.judge([confirmed], 14.0)
    assert isinstance(withdrawn, Deviation)
    assert isinstance(unsure, Deviation)
    assert (withdrawn.id, withdrawn.state) == (first.id, "withdrawn")
    assert withdrawn.detail == "only 40 % sure"
    assert (unsure.id, unsure.kind, unsure.state) == (f"{first.id}-unsure", "unsure", "confirmed")
    assert unsure.detail == "not done when the cycle ended; only 40 % sure"
    assert (unsure.step, unsure.cycle, unsure.start_s, unsure.end_s) == ("b", 1, 4.0, 10.0)
    assert (unsure.detected_s, withdrawn.detected_s) == (14.0, 10.0)
    assert doubted_kind(unsure) == "missed"
    assert match_deviations([], [first, withdrawn, unsure]).invented == ()
    for finding in (withdrawn, unsure):
        Reporter(load_task("gear-reducer"), boot="b").message(finding, NOW)


def test_what_was_not_said_before_is_not_withdrawn() -> None:
    found = begun(judge(STRICT)).judge([accusation("missed", "b", (4.0, 10.0))], 10.0)
    assert [(name, state) for name, state, _ in said(found)] == [
        ("1-missed-b-1-unsure", "confirmed")
    ]


def test_a_sure_one_is_confirmed_under_its_own_id() -> None:
    found = begun(judge(STRICT)).judge([accusation("missed", "c", (8.0, 10.0))], 10.0)
    assert said(found) == [("1-missed-c-1", "confirmed", pytest.approx(0.98))]


def test_what_the_monitor_withdraws_or_could_not_see_passes_untouched() -> None:
    a_judge = begun(judge(STRICT))
    a_judge.judge([accusation("missed", "b", (4.0, 10.0), "suspected")], 10.0)
    findings: list[Finding] = [
        accusation("missed", "b", (4.0, 10.0), "withdrawn"),
        accusation("unsure", "c", (4.0, 10.0)),
        CycleEnded(1, 0.0, 10.0, 12.0, True, "complete"),
    ]
    assert a_judge.judge(findings, 12.0) == findings
    assert doubted_kind(accusation("unsure", "c", (4.0, 10.0))) is None


@pytest.mark.parametrize("kind", ["missed", "repeated", "out_of_order", "too_long", "unexpected"])
def test_what_was_before_the_judge_began_passes_without_a_probability(kind: FoundKind) -> None:
    a_judge = judge(STRICT)
    rows, times = frames([(0, 4, "c", 0.9)])
    a_judge.see(rows, times + 100.0)
    for detected_s in (50.0, 103.0):  # said before a restart, and of what was before it
        before = replace(accusation(kind, "b", (90.0, 99.0)), detected_s=detected_s)
        assert a_judge.judge([before], 104.0) == [before]


def test_a_station_without_frames_judges_nothing() -> None:
    deviation = accusation("missed", "b", (1.0, 2.0))
    assert judge(STRICT).judge([deviation], 3.0) == [deviation]


@pytest.mark.parametrize("length", [1, 7, 1000])
def test_it_says_the_same_however_the_stream_is_cut(length: int) -> None:
    rng = np.random.default_rng(3)
    rows = rng.dirichlet(np.ones(len(LABELS)), 700)
    times = np.arange(700) * PERIOD_S

    def probabilities(cut: int) -> list[tuple[str, str, float | None]]:
        a_judge = judge(STRICT)
        for first in range(0, 700, cut):
            a_judge.see(rows[first : first + cut], times[first : first + cut])
        a_judge.judge([CycleStarted(1, 3.3, 4.0)], 4.0)
        accused = [accusation("missed", step, (9.0, 90.0)) for step in "abc"]
        return said(a_judge.judge(accused, 140.0))

    for cut, whole in zip(probabilities(length), probabilities(700), strict=True):
        assert cut == (*whole[:2], pytest.approx(whole[2], abs=1e-5))


def test_behind_the_monitor_every_id_ends_once_and_is_never_taken_back_twice() -> None:
    monitor, a_judge = CycleMonitor(ORDER), judge(AlarmScale(intercept=0, slope=1, threshold=0.5))
    rng = np.random.default_rng(11)
    states: dict[str, list[str]] = {}
    now_s = 0.0
    for _ in range(400):
        label = str(rng.choice(["a", "b", "c", "a", UNEXPECTED]))
        start_s = now_s + float(rng.choice([0.2, 2.5, 25.0], p=[0.7, 0.2, 0.1]))
        now_s = start_s + float(rng.uniform(1.0, 9.0))
        segment = Segment(start_s, now_s, label, float(rng.uniform(0.6, 1.0)))
        row = np.full((1, len(LABELS)), 0.0)
        row[0, LABELS.index(label)] = 1.0
        for time_s in np.arange(start_s, now_s, PERIOD_S):
            a_judge.see(row, np.array([time_s]))
        a_judge.take(segment)
        for finding in a_judge.judge(monitor.observe(segment, now_s), now_s):
            if isinstance(finding, Deviation):
                states.setdefault(finding.id, []).append(finding.state)
    for finding in a_judge.judge(monitor.close(now_s), now_s):
        if isinstance(finding, Deviation):
            states.setdefault(finding.id, []).append(finding.state)
    assert any(name.endswith("-unsure") for name in states)
    for name, had in states.items():
        assert had[-1] in ("confirmed", "withdrawn"), name
        assert had[:-1] in ([], ["suspected"]), name
        assert had != ["withdrawn"], "nothing is taken back that was not said"


def test_memory_is_constant_however_long_the_stream() -> None:
    a_judge = judge()
    rows, times = frames([(0, 20, "a", 0.9)])

    def size() -> int:
        soft, counted = a_judge._soft, (a_judge._cycles, a_judge._suspected, a_judge._segments)
        return soft._seconds.nbytes + sum(len(held) for held in counted)

    sizes = []
    for unit in range(1, 400):
        start_s = 20.0 * unit
        a_judge.judge([CycleStarted(unit, start_s, start_s)], start_s)
        a_judge.see(rows, times + start_s)
        for step in range(5):
            a_judge.take(Segment(start_s + 4 * step, start_s + 4 * step + 3, "a"))
        accused = replace(accusation("repeated", "a", (start_s, start_s + 3)), cycle=unit)
        a_judge.judge([replace(accused, state="suspected"), accused], start_s + 20)
        a_judge.judge([CycleEnded(unit, start_s, start_s + 20, start_s, True, "complete")], start_s)
        sizes.append(size())
    assert max(sizes[200:]) == max(sizes[100:200])


def test_soft_time_is_remembered_for_half_an_hour_and_no_longer() -> None:
    soft = SoftTime(LABELS, period_s=PERIOD_S)
    assert not soft.knows(0.0)
    rows, times = frames([(0, 10, "a", 0.5)])
    soft.add(rows, times)
    assert soft.of("a", 0.0, 10.0) == pytest.approx(5.0, abs=1e-4)
    assert soft.of("a", 0.0, 1e9) == pytest.approx(5.0, abs=1e-4)
    assert soft.of("elsewhere", 0.0, 10.0) == 0.0
    soft.add(rows, times + MEMORY_S - 5)
    assert not soft.knows(4.0)
    assert soft.knows(5.0)
    assert soft.of("a", 0.0, 10.0) == pytest.approx(2.5, abs=1e-4)
    soft.add(rows, times + 1e7)  # a camera that was away for long
    assert soft.of("a", 0.0, 1e7 - 1) == 0.0
    assert soft.of("a", 1e7, 1e7 + 10) == pytest.approx(5.0, abs=1e-4)
