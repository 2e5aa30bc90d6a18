"""The alarm judge's state over a restart: nothing is lost by it, and a damaged one is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED
from models.alarm_judge import AlarmJudge
from models.calibration import AlarmScale
from models.deviations import CycleMonitor, CycleStarted, Deviation, Finding
from models.judge_state import JudgeStateError
from models.soft_time import MEMORY_S

PERIOD_S = 0.5
ORDER = Procedure(
    (
        ProcedureStep("a", expected_s=4.0),
        ProcedureStep("b", frozenset({"a"}), expected_s=4.0),
        ProcedureStep("c", frozenset({"b"}), expected_s=4.0, limit_s=8.0),
    )
)
LABELS = (BACKGROUND, "a", "b", "c", UNEXPECTED)
HALF = AlarmScale(intercept=0.0, slope=1.0, threshold=0.5)


def judge() -> AlarmJudge:
    return AlarmJudge(ORDER, LABELS, HALF, period_s=PERIOD_S)


def work(seed: int, num_segments: int = 60) -> list[Segment]:
    rng = np.random.default_rng(seed)
    segments, now_s = [], 0.0
    for _ in range(num_segments):
        label = str(rng.choice(["a", "b", "c", "a", UNEXPECTED]))
        start_s = now_s + float(rng.choice([0.2, 2.5, 25.0], p=[0.7, 0.2, 0.1]))
        now_s = start_s + float(rng.uniform(1.0, 9.0))
        segments.append(Segment(start_s, now_s, label, float(rng.uniform(0.6, 1.0))))
    return segments


def frames(segment: Segment) -> tuple[np.ndarray, np.ndarray]:
    """Frames of `segment` (T, K), each a little less sure than the one before."""
    times = np.arange(segment.start_s, segment.end_s, PERIOD_S)
    rows = np.full((len(times), len(LABELS)), 0.01)
    rows[:, LABELS.index(segment.label)] = np.linspace(0.96, 0.3, len(times))
    rows[:, 0] += 1 - rows.sum(axis=1)
    return rows, times


def watched(segments: list[Segment], cuts: set[int]) -> tuple[list[Finding], int]:
    """Return all that is said, and the largest state, with a restart before each of `cuts`."""
    monitor, a_judge = CycleMonitor(ORDER), judge()
    said: list[Finding] = []
    largest = 0
    for index, segment in enumerate(segments):
        if index in cuts:
            state = a_judge.state()
            largest = max(largest, len(state))
            monitor, a_judge = CycleMonitor.resume(ORDER, monitor.state()), judge()
            a_judge.resume(state)
            assert a_judge.state() == state
        rows, times = frames(segment)
        a_judge.see(rows, times)
        said += a_judge.judge(monitor.watch(segment, segment.end_s), segment.end_s)
        a_judge.take(segment)
        said += a_judge.judge(monitor.observe(segment, segment.end_s), segment.end_s)
    now_s = segments[-1].end_s
    return said + a_judge.judge(monitor.close(now_s), now_s), largest


@pytest.mark.parametrize("seed", range(3))
def test_cut_at_any_place_it_says_the_same_with_the_same_probabilities(seed: int) -> None:
    segments = work(seed)
    uncut, _ = watched(segments, set())
    judged = [f for f in uncut if isinstance(f, Deviation) and f.probability is not None]
    assert len({d.kind for d in judged}) >= 4, "much is said of this work"
    assert sum(isinstance(f, CycleStarted) for f in uncut) > 5, "more than are remembered"
    for cut in range(len(segments)):
        assert watched(segments, {cut})[0] == uncut, f"cut before segment {cut}"
    assert watched(segments, set(range(len(segments))))[0] == uncut


def test_a_state_stays_small_however_long_the_stream() -> None:
    segments = work(9, 400)
    _, early = watched(segments[:200], set(range(0, 200, 10)))
    _, late = watched(segments, set(range(0, 400, 10)))
    assert late < 2 * early
    assert late < MEMORY_S * len(LABELS) * 6, "never more than the whole memory"


def test_a_judge_that_saw_nothing_goes_on_as_a_new_one() -> None:
    fresh, a_judge = judge(), judge()
    a_judge.see(*frames(Segment(0.0, 4.0, "a")))
    a_judge.resume(fresh.state())
    assert a_judge.state() == fresh.state()


def damaged(*path: str | int, to: Any) -> Callable[[dict[str, Any]], Any]:
    def damage(plain: dict[str, Any]) -> Any:
        place: Any = plain
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to
        return plain

    return damage


def stored(*seconds: float) -> str:
    return base64.b64encode(np.array(seconds, "<f4").tobytes()).decode()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda _: [], "object"),
        (lambda _: {}, "since_s"),
        (damaged("mood", to="good"), "mood"),
        (damaged("since_s", to=NAN), "since_s"),
        (damaged("since_s", to=-1.0), "since_s"),
        (damaged("cycles", 0, "start_s", to=INF), "cycles.0.start_s"),
        (damaged("cycles", to=[{"number": 1, "start_s": 0, "end_s": None}] * 99), "cycles"),
        (damaged("segments", 0, "end_s", to=-1.0), "segments.0.end_s"),
        (damaged("segments", 0, "end_s", to=0.0), "after it starts"),
        (damaged("segments", 0, "confidence", to=2.0), "confidence"),
        (damaged("segments", 0, "label", to="x" * 1000), "label"),
        (damaged("suspected", to=[3]), "suspected.0"),
        (damaged("suspected", to=["x"] * 50_001), "suspected"),
        (damaged("soft", "newest", to=10**400), "newest"),
        (damaged("soft", "newest", to=1), "seconds until"),  # more of them than there were
        (damaged("soft", "newest", to=-1), "seconds until"),
        (damaged("soft", "seconds", to="not base64!"), "seconds"),
        (damaged("soft", "seconds", to=stored(1, 2, 3)), "5 labels"),
        (damaged("soft", "seconds", to=stored(0, 0, 0, 0, NAN)), "seen for"),
        (damaged("soft", "seconds", to=stored(0, 0, 0, 0, INF)), "seen for"),
        (damaged("soft", "seconds", to=stored(0, 0, 0, 0, -1)), "seen for"),
        (damaged("soft", "seconds", to=stored(*[0.1] * 5 * (MEMORY_S + 1))), "seconds until"),
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(
    damage: Callable[[dict[str, Any]], Any], says: str
) -> None:
    a_judge = judge()
    a_judge.judge([CycleStarted(1, 0.0, 1.0)], 1.0)
    for segment in work(4, 8):
        a_judge.see(*frames(segment))
        a_judge.take(segment)
    state = a_judge.state()
    with pytest.raises(JudgeStateError, match=says):
        a_judge.resume(json.dumps(damage(json.loads(state))))
    assert a_judge.state() == state


@pytest.mark.parametrize("text", ["", "null", "{", "\x00", '{"since_s": 1e999}', "[" * 100_000])
def test_what_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(JudgeStateError):
        judge().resume(text)
