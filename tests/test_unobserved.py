"""Work that could not be seen is not missed, and a camera without sight is no worker at rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment
from models.deviations import (
    CycleEnded,
    CycleMonitor,
    CycleStarted,
    Deviation,
    Finding,
    MonitorConfig,
)
from models.unseen import MAX_SPANS, Unseen

STEPS = "abcde"
CHAIN = Procedure(
    tuple(
        ProcedureStep(step, frozenset(STEPS[i - 1 : i] if i else ()), expected_s=4.0)
        for i, step in enumerate(STEPS)
    )
)


def watch(
    steps: Sequence[tuple[str, float, float]],
    gaps: Sequence[tuple[float, float]],
    config: MonitorConfig | None = None,
) -> list[Finding]:
    """Tell a monitor of steps (label, start, end) and gaps as they end, then close it."""
    monitor = CycleMonitor(CHAIN, config)
    found: list[Finding] = []
    news = sorted([(end, "", start) for start, end in gaps] + [(e, x, s) for x, s, e in steps])
    for end_s, label, start_s in news:
        if label:
            found += monitor.observe(Segment(start_s, end_s, label), end_s)
        else:
            monitor.unobserved(start_s, end_s)
    return found + monitor.close(news[-1][0])


def told(found: list[Finding]) -> dict[str, tuple[str, str]]:
    """Return the last kind and state of each step that was told of and not withdrawn."""
    newest = {d.id: d for d in found if isinstance(d, Deviation)}
    return {d.step: (d.kind, d.state) for d in newest.values() if d.state != "withdrawn"}


def test_a_step_that_may_have_been_done_out_of_sight_is_unsure() -> None:
    seen = [("a", 0.0, 4.0), ("b", 5.0, 9.0), ("d", 20.0, 24.0), ("e", 25.0, 29.0)]
    assert told(watch(seen, [])) == {"c": ("missed", "confirmed")}
    assert told(watch(seen, [(10.0, 18.0)])) == {"c": ("unsure", "confirmed")}


def test_it_is_suspected_as_what_it_is_and_says_why() -> None:
    found = watch([("a", 0.0, 4.0), ("b", 5.0, 9.0), ("d", 20.0, 24.0)], [(10.0, 18.0)])
    first = next(d for d in found if isinstance(d, Deviation))
    assert (first.kind, first.state, first.step) == ("unsure", "suspected", "c")
    assert first.detail == "may have been done in the 8 s in which the work could not be seen"


@pytest.mark.parametrize(
    ("gap", "kind"),
    [
        ((9.5, 10.0), "missed"),  # too short to hide a step of four seconds
        ((5.5, 8.5), "missed"),  # while b was done, which comes before c
        ((25.0, 35.0), "missed"),  # after d, which comes after c
        ((1.0, 3.5), "missed"),
        ((9.5, 12.0), "unsure"),
    ],
)
def test_only_a_stretch_in_which_its_order_allows_it_hides_a_step(
    gap: tuple[float, float], kind: str
) -> None:
    seen = [("a", 0.0, 4.0), ("b", 5.0, 9.0), ("d", 20.0, 24.0), ("e", 36.0, 39.0)]
    assert told(watch(seen, [gap]))["c"][0] == kind


def test_the_unit_ends_when_the_next_is_begun_though_its_last_steps_were_out_of_sight() -> None:
    seen = [(step, 5.0 * i, 5.0 * i + 4.0) for i, step in enumerate("abc")]
    later = [(step, 60.0 + 5 * i, 64.0 + 5 * i) for i, step in enumerate(STEPS)]
    found = watch([*seen, *later], [(15.0, 59.0)])
    assert [f.cycle for f in found if isinstance(f, CycleStarted)] == [1, 2]
    assert told(found) == {"d": ("unsure", "confirmed"), "e": ("unsure", "confirmed")}


def test_a_camera_without_sight_is_no_worker_at_rest() -> None:
    """Who left the unit for 40 s gave it up; 40 s without a picture say nothing."""
    left = MonitorConfig(left_s=30.0)
    seen = [("a", 0.0, 4.0), ("b", 5.0, 9.0), ("c", 50.0, 54.0), ("d", 55.0, 59.0)]
    done = [*seen, ("e", 60.0, 64.0)]
    ends = [f.complete for f in watch(done, [(9.5, 49.5)], left) if isinstance(f, CycleEnded)]
    assert ends == [True]
    assert len([f for f in watch(done, [], left) if isinstance(f, CycleEnded)]) == 2


def test_a_step_that_comes_late_after_all_is_out_of_order_and_no_longer_unsure() -> None:
    seen = [("a", 0.0, 4.0), ("c", 20.0, 24.0), ("b", 25.0, 29.0), ("d", 30.0, 34.0)]
    found = told(watch([*seen, ("e", 35.0, 39.0)], [(5.0, 15.0)]))
    assert found == {"c": ("out_of_order", "confirmed")}


@pytest.mark.parametrize(("gap", "kinds"), [(None, {"incomplete"}), ((6.0, 14.0), set())])
def test_a_step_that_may_have_gone_on_out_of_sight_was_not_left(
    gap: tuple[float, float] | None, kinds: set[str]
) -> None:
    order = Procedure(tuple(replace(step, least_s=2.5) for step in CHAIN.steps))
    monitor = CycleMonitor(order)
    found = monitor.observe(Segment(0.0, 4.0, "a"), 4.0)
    found += monitor.observe(Segment(5.0, 6.0, "b"), 6.0)
    if gap:
        monitor.unobserved(*gap)
    found += monitor.observe(Segment(15.0, 19.0, "c"), 19.0)
    settled = {d.id: d for d in found if isinstance(d, Deviation)}
    assert {d.kind for d in settled.values() if d.state == "confirmed"} == kinds


def test_a_saved_monitor_knows_what_it_did_not_see() -> None:
    monitor = CycleMonitor(CHAIN)
    monitor.observe(Segment(0, 4, "a"), 4.0)
    monitor.unobserved(5.0, 15.0)
    resumed = CycleMonitor.resume(CHAIN, monitor.state())
    found = resumed.observe(Segment(16, 20, "c"), 20.0)
    assert told(found) == {"b": ("unsure", "suspected")}


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=100))
def test_spans_without_sight_stay_apart_and_few(steps: list[tuple[float, float]]) -> None:
    unseen, now_s = Unseen(), 0.0
    for pause_s, length_s in steps:
        unseen.note(now_s + pause_s, now_s + pause_s + length_s)
        now_s += pause_s + length_s
    spans = unseen.spans
    assert len(spans) <= MAX_SPANS
    assert all(start < end for start, end in spans)
    assert all(first[1] < second[0] for first, second in pairwise(spans))
    assert unseen.seconds(0.0, now_s) == pytest.approx(sum(end - start for start, end in spans))
