"""Deviations from true steps: the exact definition, the monitor beside it, and real sequences."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from statistics import median

import pytest
from typer.testing import CliRunner

from edge.evaluation.cli import evaluate
from edge.protocols import oracle
from edge.protocols.oracle import Found, judge
from edge.protocols.oracle_agreement import exact_units, judged_differently, watch
from edge.protocols.oracle_cases import Case, random_case
from edge.protocols.oracle_procedure import learned_procedure
from edge.protocols.oracle_sequences import StepSequence
from industryasm.fault import UserFault
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED
from models.exact_deviations import Exact, exact_deviations, fewest_moves

REAL = Path(__file__).parents[2] / "shared" / "data"
TOYS = REAL / "assembly101_mistakes"
NUM_CASES = 2_000  # the command takes 10,000


def trace(text: str, *, start_s: float = 0.0) -> list[Segment]:
    """`?` is work that is not in the task, an upper case letter takes too long."""
    segments: list[Segment] = []
    for letter in text:
        length_s = 10.0 if letter.isupper() else 4.0
        label = UNEXPECTED if letter == "?" else letter.lower()
        segments.append(Segment(start_s, start_s + length_s, label))
        start_s += length_s + 0.5
    return segments


def procedure(
    order: str, *, optional: str = "", repeatable: str = "", group: str = ""
) -> Procedure:
    steps = tuple(
        ProcedureStep(
            step,
            frozenset(after),
            optional=step in optional,
            repeatable=step in repeatable,
            limit_s=6.0,
        )
        for step, _, after in (item.partition("<") for item in order.split())
    )
    return Procedure(steps, (frozenset(group),) if group else ())


CHAIN = procedure("a b<a c<b d<c")


@pytest.mark.parametrize(
    ("order", "text", "expected"),
    [
        (CHAIN, "", {}),
        (CHAIN, "?", {("unexpected", UNEXPECTED): 1}),  # no step, no cycle, nothing missed
        (CHAIN, "abcd", {}),
        (CHAIN, "abd", {("missed", "c"): 1}),
        (CHAIN, "bacd", {("out_of_order", "b"): 1}),
        (CHAIN, "bcad", {("out_of_order", "b"): 1}),  # a was misplaced, not b and c
        (CHAIN, "cbad", {("out_of_order", "b"): 1, ("out_of_order", "c"): 1}),
        (CHAIN, "abbbcd", {("repeated", "b"): 2}),
        (CHAIN, "abCd?", {("too_long", "c"): 1, ("unexpected", UNEXPECTED): 1}),
        (CHAIN, "dd", {("missed", s): 1 for s in "abc"} | {("repeated", "d"): 1}),
        (procedure("a b<a c<b", optional="b"), "ac", {}),
        (procedure("a b<a c<b", optional="b"), "acb", {("out_of_order", "c"): 1}),
        (procedure("a b<a", repeatable="b"), "abbb", {}),
        (procedure("a b<a c<a", optional="bc", group="bc"), "a", {}),
        (procedure("a b<a c<a", optional="bc", group="bc"), "ab", {("missed", "c"): 1}),
    ],
)
def test_exact_deviations_of_a_cycle(
    order: Procedure, text: str, expected: dict[tuple[str, str], int]
) -> None:
    assert exact_deviations(order, trace(text)) == Counter(expected)


def test_background_is_no_deviation() -> None:
    pause = Segment(0.0, 50.0, BACKGROUND)
    assert exact_deviations(procedure("a"), [pause, Segment(50.0, 54.0, "a")]) == Counter()


def allowed_orders(order: Procedure) -> list[tuple[str, ...]]:
    """Every linear extension, by trying all permutations against the direct predecessors."""
    steps = [step.id for step in order.steps]
    return [
        p
        for p in itertools.permutations(steps)
        if all(p.index(a) < p.index(step.id) for step in order.steps for a in step.after)
    ]


def brute_force(order: Procedure, unit: list[Segment]) -> Exact:
    """The definitions, from the allowed orders alone; not by predecessors or sets of done steps."""
    orders = allowed_orders(order)
    labels = [s.label for s in unit]
    steps = [label for label in labels if label in order]
    first = {step: steps.index(step) for step in steps}
    found: Exact = Counter()
    for step in order.steps:
        begun = any(step.id in g and not g.isdisjoint(first) for g in order.optional_groups)
        if first and step.id not in first and (begun or not step.optional):
            found["missed", step.id] += 1
        lengths = [s.duration_s for s in unit if s.label == step.id]
        found["too_long", step.id] += sum(length > step.limit_s for length in lengths)
    for late in sorted(first, key=lambda step: first[step]):
        before = sorted((step for step in first if first[step] < first[late]), key=first.get)
        overtook = [s for s in before if all(p.index(late) < p.index(s) for p in orders)]
        new = [step for step in overtook if ("out_of_order", step) not in found]
        found.update(("out_of_order", step) for step in new[:1])
    for index, label in enumerate(labels):
        if label in order and is_again(order, unit, index):
            undone = index > 0 and labels[index - 1] not in order
            found["rework" if undone else "repeated", label] += 1
        elif label in order and label not in labels[:index]:
            after = [i for i in range(index, len(unit)) if comes_before(orders, label, labels[i])]
            until = min(after, default=len(unit))
            kind, enough_s = least(order, unit, index)
            if sum(s.duration_s for s in unit[index:until] if s.label == label) < enough_s:
                found[kind, label] += 1
    for start in range(len(unit)):
        if labels[start] in order or (start and labels[start - 1] not in order):
            continue
        end = next((i for i in range(start, len(unit)) if labels[i] in order), len(unit))
        if end < len(unit) and is_again(order, unit, end):
            continue  # undoing
        place = replaced(order, orders, unit, start, end)
        if place is None or place in labels:
            found["unexpected", UNEXPECTED] += end - start
        else:
            found["wrong_part", place] += 1
            found["missed", place] -= 1
    return +found


def comes_before(orders: list[tuple[str, ...]], first: str, second: str) -> bool:
    return all(first in p and second in p and p.index(first) < p.index(second) for p in orders)


def least(order: Procedure, unit: list[Segment], index: int) -> tuple[str, float]:
    """What the step first done at `index` is if it takes less than these seconds."""
    firsts: dict[str, float] = {}
    for s in unit[:index]:
        if s.label in order:
            firsts.setdefault(s.label, s.duration_s / order.step(s.label).expected_s)
    pace = median(firsts.values()) if len(firsts) >= 4 else 1.0
    clock_s = order.step(unit[index].label).least_s
    kind = "incomplete" if unit[index].duration_s < clock_s * pace else "too_short"
    return kind, clock_s * max(pace, 1.0)


def is_again(order: Procedure, unit: list[Segment], index: int) -> bool:
    """Whether the step at `index` was whole before."""
    step = unit[index].label
    times = [i for i in range(index) if unit[i].label == step]
    if order.step(step).repeatable or not times:
        return False
    return sum(unit[i].duration_s for i in times) >= least(order, unit, times[0])[1]


def replaced(
    order: Procedure, orders: list[tuple[str, ...]], unit: list[Segment], start: int, end: int
) -> str | None:
    """The first step of the file that was due in unit[start:end], which is unexpected work."""
    done = {s.label for s in unit[:start] if s.label in order}
    following = unit[end].label if end < len(unit) else None
    begun = done | ({following} if following else set())
    length_s = sum(s.duration_s for s in unit[start:end])
    for step in order.steps:
        is_begun = any(step.id in g and not g.isdisjoint(begun) for g in order.optional_groups)
        asked = [following] if following else list(done)[:1]
        if (
            step.id not in begun
            and (is_begun or not step.optional)
            and asked
            and (following is None or comes_before(orders, step.id, following))
            and not any(comes_before(orders, step.id, name) for name in done)
            and all(
                other.id in done
                for other in order.steps
                if comes_before(orders, other.id, step.id)
                and (
                    not other.optional
                    or any(
                        other.id in g and not g.isdisjoint({*done, step.id})
                        for g in order.optional_groups
                    )
                )
            )
            and length_s >= step.expected_s / 2
        ):
            return step.id
    return None


def test_the_definition_is_that_of_all_allowed_orders() -> None:
    cases = (random_case(seed) for seed in range(1_000_000, 1_000_400))
    small = [case for case in cases if len(case.procedure.steps) <= 5]
    assert len(small) > 100
    for case in small:
        for unit in case.units:
            expected = brute_force(case.procedure, list(unit))
            assert exact_deviations(case.procedure, unit) == expected, case.drawn()


def test_fewest_moves_are_those_to_the_nearest_allowed_order() -> None:
    for seed in range(2_000_000, 2_000_300):
        case = random_case(seed)
        if len(case.procedure.steps) > 5:
            continue
        done = list(dict.fromkeys(s.label for s in case.units[0] if s.label in case.procedure))
        nearest = min(
            len(done) - _longest_common(done, [s for s in order if s in done])
            for order in allowed_orders(case.procedure)
        )
        assert fewest_moves(case.procedure, done) == nearest, case.drawn()


def _longest_common(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + _longest_common(a[1:], b[1:])
    return max(_longest_common(a[1:], b), _longest_common(a, b[1:]))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [random_case(seed) for seed in range(NUM_CASES)]


def test_the_monitor_judges_its_cycles_by_the_definition(cases: list[Case]) -> None:
    """Whatever units it makes of the stream."""
    for case in cases:
        watched = watch(case.procedure, case.stream)
        assert judged_differently(case.procedure, watched) == set(), case.drawn()


def test_as_many_steps_are_out_of_order_as_must_be_moved(cases: list[Case]) -> None:
    for case in cases:
        for unit in case.units:
            named = exact_deviations(case.procedure, unit)
            num_named = sum(kind == "out_of_order" for kind, _ in named)
            steps = [s.label for s in unit if s.label in case.procedure]
            assert num_named == fewest_moves(case.procedure, steps), case.drawn()


def test_never_more_steps_are_out_of_order_than_must_be_moved() -> None:
    chain = procedure("a b<a c<b d<c e<d f<e")
    below = 0
    for order in itertools.permutations("abcdef"):
        num_named = len(exact_deviations(chain, trace("".join(order))))
        assert num_named <= fewest_moves(chain, order)
        below += num_named < fewest_moves(chain, order)
    assert below == 24  # of 720: a step that overtook two late ones is named once


def test_a_stream_with_one_reading_is_judged_exactly(cases: list[Case]) -> None:
    plain = [case for case in cases if case.is_plain]
    assert len(plain) > NUM_CASES / 3
    assert sum(len(case.units) > 1 for case in plain) > NUM_CASES / 20
    assert sum(bool(exact_units(case)) for case in plain) > NUM_CASES / 5
    for case in plain:
        watched = watch(case.procedure, case.stream)
        assert dict(watched.confirmed) == exact_units(case), case.drawn()


@pytest.mark.parametrize("text", ["bcad", "cbad", "adcb"])
def test_the_monitor_names_one_early_step_for_each_late_one(text: str) -> None:
    watched = watch(CHAIN, trace(text))
    assert judged_differently(CHAIN, watched) == set()


def test_a_variant_begun_after_a_pause_is_to_be_finished() -> None:
    order = procedure("a b<a c<a", optional="bc", group="bc")
    stream = [*trace("a"), *trace("b", start_s=9.0)]
    assert judged_differently(order, watch(order, stream)) == set()


def test_repeatable_first_steps_done_again_begin_no_unit() -> None:
    order = procedure("a b<a c<b", repeatable="ab")
    assert exact_deviations(order, trace("ababc")) == Counter()
    assert dict(watch(order, trace("ababc")).confirmed) == {}


def test_a_procedure_holds_what_enough_sequences_agree_on() -> None:
    traces = [trace("abcd"), trace("acbd"), trace("abd"), trace("abdd")]
    learned = learned_procedure(traces, at_least=2)
    assert learned is not None
    assert {s.id: "".join(sorted(s.after)) for s in learned.steps} == {
        "a": "",
        "b": "a",  # c came before b and after it
        "c": "a",
        "d": "abc",
    }
    assert learned.required() == {"a", "b", "d"}
    assert [s.id for s in learned.steps if s.repeatable] == ["d"]
    assert learned_procedure(traces[:1], at_least=2) is None
    assert learned_procedure([], at_least=0) is None


def test_steps_done_together_have_no_order() -> None:
    together = [Segment(0.0, 4.0, "a"), Segment(0.0, 4.0, "b")]
    learned = learned_procedure([trace("ab"), trace("ab"), together], at_least=2)
    assert learned is not None
    assert all(not step.after for step in learned.steps)


def test_relations_in_a_circle_are_left_out() -> None:
    learned = learned_procedure([trace("abx"), trace("bcx"), trace("cax")], at_least=1)
    assert learned is not None
    assert {s.id: sorted(s.after) for s in learned.steps} == {
        "a": [],
        "b": [],
        "c": [],
        "x": ["a", "b", "c"],
    }


def test_a_sequence_teaches_nothing_about_itself() -> None:
    normal = [StepSequence(f"n{i}", "toy", tuple(trace("abcd")), normal=True) for i in range(2)]
    early = StepSequence("e", "toy", tuple(trace("acbd")), normal=False, early=frozenset("c"))
    alone = StepSequence("x", "other", tuple(trace("ab")), normal=True)
    report = judge("toys", [*normal, early, alone], support=2)
    assert (report.num_judged, report.num_sequences) == (1, 4)  # the normal ones have one other
    assert report.order is not None
    assert report.order["linewatch, streaming monitor"] == Found(right=1)
    assert report.order["never alarm"] == Found(missed=1)
    assert report.order["always alarm"] == Found(right=1, wrong=3)
    report = judge("toys", [*normal, early, alone], support=1)
    assert (report.num_judged, report.num_normal, report.num_planted) == (3, 2, 8)
    assert report.missing["set difference"] == Found(right=8)
    assert report.missing["always alarm"] == Found(right=8, wrong=24)
    assert report.alarmed_normal["linewatch, streaming monitor"] == 0


def test_a_folder_without_the_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserFault, match="assembly101_mistakes"):
        oracle.report(tmp_path)


@pytest.mark.skipif(not TOYS.is_dir(), reason=f"{TOYS} is not there")
def test_real_sequences_are_judged_beside_baselines(tmp_path: Path) -> None:
    (tmp_path / "assembly101_mistakes").symlink_to(TOYS)
    found = oracle.report(tmp_path, num_cases=50)
    toys = found.sequences[0]
    assert (toys.num_sequences, toys.num_judged) == (228, 40)
    assert toys.order is not None
    truth = {f.right + f.missed for f in toys.order.values()}
    assert len(truth) == 1  # all systems are judged on the same errors
    assert toys.order["always alarm"].recall == 100
    assert toys.missing["never alarm"].recall == 0
    assert json.loads(json.dumps(found.plain()))["agreement"]["num_cases"] == 50
    assert "Assembly101, same toy" in found.table()


def test_the_command_asks_for_its_data() -> None:
    result = CliRunner().invoke(evaluate, ["deviations", "--protocol", "oracle"])
    assert isinstance(result.exception, UserFault)
    assert "--data" in str(result.exception)
