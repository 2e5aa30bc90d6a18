"""A procedure is proposed from normal cycles: it allows all of them, and says what it rests on.

`PYTHONPATH=.:datasets python tests/test_proposal.py` prints how right the proposals are.
"""

import json
import math
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from industryasm.cli import data
from industryasm.fault import UserFault
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.proposal import Proposal, ProposalError, propose
from industryasm.proposal_order import LEAST_CYCLES, LEAST_DIRECT
from industryasm.proposal_yaml import proposal_yaml, proposed_task
from industryasm.segment import Segment
from industryasm.stations.operators import draw_operator
from industryasm.stations.script import write_script
from industryasm.vocabulary import (
    BACKGROUND,
    MAX_STEPS,
    UNEXPECTED,
    Step,
    Task,
    load_task,
    read_task,
    task_ids,
    write_task,
)
from models.deviations import CycleMonitor, Deviation

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"
Cycle = list[Segment]
Relations = set[tuple[str, str]]


def cycle(*steps: str, seconds: float = 2.0) -> Cycle:
    """The steps one after another, half a second apart."""
    length = seconds + 0.5
    return [Segment(i * length, i * length + seconds, step) for i, step in enumerate(steps)]


def cycles(*words: str, times: int = 1) -> list[Cycle]:
    """A cycle for each word, whose letters are the steps."""
    return [cycle(*word) for word in words * times]


def relations(procedure: Procedure) -> Relations:
    return {(a, s.id) for s in procedure.steps for a in procedure.predecessors(s.id)}


def draw_order(procedure: Procedure, rng: np.random.Generator) -> list[str]:
    """An order that the procedure allows: at each point any of the steps that are due."""
    variants = procedure.optional_groups
    alone = [{s.id} for s in procedure.steps if s.optional and not any(s.id in v for v in variants)]
    skipped = {step for group in (*variants, *alone) if rng.random() < 0.25 for step in group}
    left = [step.id for step in procedure.steps if step.id not in skipped]
    order: list[str] = []
    while left:
        due = [step for step in left if not procedure.predecessors(step) & set(left)]
        order.append(due[int(rng.integers(len(due)))])
        left.remove(order[-1])
    return order


def draw_procedure(rng: np.random.Generator, num_steps: int, density: float) -> Procedure:
    names = [f"s{index}" for index in range(num_steps)]
    after = [
        {names[earlier] for earlier in range(index) if rng.random() < density}
        for index in range(num_steps)
    ]
    optional = [index > 0 and rng.random() < 0.2 for index in range(num_steps)]
    return Procedure(
        tuple(
            ProcedureStep(name, frozenset(above), optional=is_optional)
            for name, above, is_optional in zip(names, after, optional, strict=True)
        )
    )


def faults(procedure: Procedure, normal: Cycle) -> list[str]:
    """What the sets of a procedure say against a cycle, without the rules of any monitor."""
    done: dict[str, Segment] = {}
    found: list[str] = []
    for segment in normal:
        step = procedure.step(segment.label)
        if procedure.missing_before(step.id, done):
            found.append(f"{step.id} too early")
        if procedure.successors(step.id) & done.keys() and step.id not in done:
            found.append(f"{step.id} too late")
        if step.id in done and not step.repeatable:
            found.append(f"{step.id} again")
        if segment.duration_s > step.limit_s:
            found.append(f"{step.id} too long")
        done.setdefault(step.id, segment)
    return found + sorted(procedure.required(done) - done.keys())


def deviations(procedure: Procedure, normal: Cycle) -> list[Deviation]:
    monitor = CycleMonitor(procedure)
    findings = [f for s in normal for f in monitor.observe(s, s.end_s)]
    findings += monitor.close(normal[-1].end_s)
    return [f for f in findings if isinstance(f, Deviation) and f.state != "withdrawn"]


WORDS = st.lists(st.text("abcdef", min_size=1, max_size=9), min_size=1, max_size=40)


@given(WORDS, st.floats(0.001, 3600))
def test_a_proposal_has_nothing_against_the_cycles_it_came_from(
    words: list[str], seconds: float
) -> None:
    seen = [cycle(*word, seconds=seconds) for word in words]
    procedure = propose(seen).procedure  # a Procedure refuses a cyclic order
    assert [faults(procedure, normal) for normal in seen] == [[]] * len(seen)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 60), st.floats(0, 0.6))
@settings(max_examples=60, deadline=None)
def test_the_monitor_finds_the_cycles_of_any_procedure_normal_by_what_is_proposed(
    seed: int, num_steps: int, num_cycles: int, density: float
) -> None:
    rng = np.random.default_rng(seed)
    truth = draw_procedure(rng, num_steps, density)
    seen = [cycle(*draw_order(truth, rng)) for _ in range(num_cycles)]
    proposal = propose(seen)
    for normal in seen:
        assert not faults(proposal.procedure, normal)
        assert not deviations(proposal.procedure, normal)


@given(WORDS)
def test_a_proposal_tells_what_it_rests_on(words: list[str]) -> None:
    proposal = propose(cycles(*words))
    firsts = ["".join(dict.fromkeys(word)) for word in words]
    for relation in (*proposal.order, *proposal.hints):
        pair = relation.before + relation.then
        both = [word for word in firsts if set(pair) <= set(word)]
        ahead = [word for word in both if word.index(pair[0]) < word.index(pair[1])]
        assert (relation.cycles, relation.against) == (len(ahead), 0) == (len(both), 0)
        assert relation.direct == sum(pair in word for word in both)
    for relation in proposal.order:
        assert relation.cycles >= LEAST_CYCLES
        assert relation.direct >= LEAST_DIRECT
    for step in proposal.steps:
        assert step.cycles == sum(step.step in word for word in words)
        assert step.repeated == sum(word.count(step.step) > 1 for word in words)
        assert step.times == "".join(words).count(step.step)


@given(WORDS, st.randoms())
def test_the_order_of_the_cycles_does_not_matter(words: list[str], random: Any) -> None:
    shuffled = list(words)
    random.shuffle(shuffled)
    assert propose(cycles(*words)) == propose(cycles(*shuffled))


@pytest.mark.parametrize("seed", range(20))
def test_many_cycles_give_the_true_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = draw_procedure(rng, num_steps=7, density=0.35)
    proposal = propose([cycle(*draw_order(truth, rng)) for _ in range(1500)])
    assert relations(proposal.procedure) == relations(truth)
    assert proposal.procedure.required() == truth.required()
    assert not proposal.hints


@pytest.mark.parametrize(
    ("words", "times", "order", "optional", "repeatable"),
    [
        (["abc"], 12, "ab bc", "", ""),
        (["abc"], 9, "", "abc", "abc"),  # too few to require anything
        (["abc", "acb"], 10, "ab ac", "", ""),
        (["abc"] * 12 + ["bac"], 1, "bc", "", ""),  # one normal exception refutes
        (["ab", "b"], 12, "ab", "a", ""),
        (["aba"], 12, "ab", "", "a"),  # the first time counts
        (["abc"] * 20 + ["abcd"], 1, "ab bc", "d", "d"),  # a step seen once: nothing is known
        (["a"], 12, "", "", ""),
        # b never before a, but next to it only three times: as well chance
        (["acdb", "adcb"] * 9 + ["abcd"] * 3, 1, "ac ad", "", ""),
        # a-b and b-c in cycles of their own; that c may come before a forbids to take both
        (["ab"] * 15 + ["bc"] * 14 + ["ca"], 1, "ab", "abc", ""),
    ],
)
def test_what_is_proposed_from(
    words: list[str], times: int, order: str, optional: str, repeatable: str
) -> None:
    proposal = propose(cycles(*words, times=times))
    steps = proposal.procedure.steps
    assert " ".join(sorted(r.before + r.then for r in proposal.order)) == order
    assert "".join(sorted(step.id for step in steps if step.optional)) == optional
    assert "".join(sorted(step.id for step in steps if step.repeatable)) == repeatable


def test_times_are_those_seen_with_room_above() -> None:
    seen = [cycle("a", "b", seconds=seconds) for seconds in (2.0, 3.0, 4.0, 5.0, 9.0)]
    step = propose(seen).procedure.step("a")
    assert (step.expected_s, step.limit_s) == (4.0, 31.5)  # 9 times 1.5 + 10 / 5
    assert propose(seen * 100).procedure.step("a").limit_s == 13.68


def test_the_least_time_has_as_much_room_below() -> None:
    def least_s(num_cycles: int, seconds: float = 4.0) -> float:
        seen = [cycle("a", "b", seconds=seconds) for _ in range(num_cycles)]
        return propose(seen).procedure.step("a").least_s

    assert least_s(9) == 0.0  # too few to say so
    assert least_s(10) == 1.6  # 4 divided by 1.5 + 10 / 10
    assert least_s(100) == 2.5


def test_a_slow_cycle_does_not_make_the_least_time_longer() -> None:
    usual = [cycle(*"abcde", seconds=4.0) for _ in range(20)]
    slow = [segment for segment in cycle(*"abcde", seconds=8.0) if segment.label != "e"]
    slow.append(Segment(slow[-1].end_s + 1, slow[-1].end_s + 5, "e"))  # half of its time here
    step = propose([*usual, slow]).procedure.step("e")
    assert step.least_s == math.floor(100 * 2.0 / (1.5 + 10 / 21)) / 100


def test_background_is_no_step() -> None:
    proposal = propose([[Segment(0, 1, BACKGROUND), *cycle("a", "b")]])
    assert [step.id for step in proposal.procedure.steps] == ["a", "b"]


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        ([], "no normal cycles"),
        ([cycle("a"), []], "cycle 2 holds no step"),
        ([[Segment(0, 1, BACKGROUND)]], "cycle 1 holds no step"),
        ([cycle("a", UNEXPECTED)], "cycle 1: unexpected work at 2.5 s"),
        ([[Segment(0, 3, "a"), Segment(2, 4, "b")]], "cycle 1: 'b' begins at 2 s, before 'a' ends"),
        ([cycle("a", seconds=3601)], "cycle 1: step 'a' at 0 s takes 3601 s"),
        ([cycle(*map(str, range(MAX_STEPS + 1)))], "401 different steps"),
    ],
)
def test_cycles_that_cannot_be_normal_are_refused(seen: list[Cycle], says: str) -> None:
    with pytest.raises(ProposalError, match=says):
        propose(seen)


def test_four_hundred_steps_in_a_row_are_ordered() -> None:
    names = [f"s{index:03}" for index in range(MAX_STEPS)]
    assert propose([cycle(*names)] * 12).num_relations == MAX_STEPS * (MAX_STEPS - 1) // 2


# --- as a file ---


def task_of(steps: Sequence[str], text: str = "Do it") -> Task:
    return Task(
        id="toy",
        name=text,
        product="Toy",
        family="toys",
        parts=(),
        steps=tuple(
            Step(id=step, text=text, primitive="other", expected_s=1 / 3, limit_s=70.125)
            for step in steps
        ),
    )


@given(WORDS, st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
@example(["a"], "0\x85")  # a line break of Unicode's
@example(["a"], "one\u2028two\nthree")
@settings(deadline=None)
def test_the_file_reads_back_as_the_proposal(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], text: str
) -> None:
    task = task_of("fedcba", text=f"# {text}: {text}")
    proposal = propose(cycles(*words))
    path = tmp_path_factory.mktemp("task") / "toy.yaml"
    path.write_text(proposal_yaml(task, proposal, operators=2), encoding="utf-8")
    read = read_task(path)
    assert read == proposed_task(task, proposal)
    assert read.vocabulary_hash() == task.vocabulary_hash()
    assert relations(read.procedure()) == relations(proposal.procedure)
    for step in proposal.procedure.steps:
        assert read.procedure().step(step.id) == step
    unseen = [s for s in read.procedure().steps if s.id not in proposal.procedure]
    assert all(s.optional and s.repeatable and not s.after for s in unseen)


@pytest.mark.parametrize("task_id", task_ids())
def test_every_shipped_vocabulary_can_be_proposed_again(tmp_path: Path, task_id: str) -> None:
    task, rng = load_task(task_id), np.random.default_rng(1)
    proposal = propose([cycle(*draw_order(task.procedure(), rng)) for _ in range(12)])
    path = tmp_path / f"{task_id}.yaml"
    path.write_text(proposal_yaml(task, proposal, operators=1), encoding="utf-8")
    assert read_task(path) == proposed_task(task, proposal)


def test_each_line_says_what_it_rests_on() -> None:
    proposal = propose(cycles("abc", "acb", times=10) + cycles("abca"))
    text = proposal_yaml(task_of("abcz"), proposal, operators=3)
    for line in (
        "# Proposed from normal cycles (21, operators: 3), for a person to edit and approve.",
        "      - a  # before it in 21 cycles, directly in 11; 0 against (<= 13%)",
        "    optional: false  # done in 21 of 21 cycles",
        "    repeatable: true  # more than once in 1 of 21",
        "    expected_s: 2.0  # median of 22",
        "    least_s: 1.01  # the shortest of 21 took 2.00 at the usual pace",
        "    # not done in any of 21 cycles: fill in, or take it out",
    ):
        assert f"{line}\n" in text


def test_a_hint_becomes_a_rule_when_its_mark_is_deleted(tmp_path: Path) -> None:
    proposal = propose(cycles("abc", times=4))
    text = proposal_yaml(task_of("abc"), proposal, operators=1)
    path = tmp_path / "toy.yaml"
    path.write_text(text.replace("    # after:", "    after:").replace("  # - ", "  - "))
    assert relations(read_task(path).procedure()) == {("a", "b"), ("a", "c"), ("b", "c")}


def test_a_step_that_the_task_has_not_is_refused() -> None:
    with pytest.raises(ProposalError, match="step 'b' was seen but is not in task 'toy'"):
        proposed_task(task_of("ac"), propose(cycles("ab")))


# --- from a data set ---

Annotation = dict[str, Any]


def annotation(name: str, words: Sequence[str], **changes: Any) -> Annotation:
    """A recording whose cycles are `words`, ten seconds each, a second a step."""
    segments = [
        {"label": letter, "start_s": 10 * number + at, "end_s": 10 * number + at + 0.9}
        for number, word in enumerate(words)
        for at, letter in enumerate(word)
    ]
    return {
        "id": name,
        "task": "toy",
        "task_revision": 1,
        "duration_s": 10 * len(words),
        "station": "s",
        "camera": "c",
        "operator": f"op-{name}",
        "annotator": "anna",
        "review": "reviewed",
        "cycles": [
            {"number": n + 1, "start_s": 10 * n, "end_s": 10 * n + 9} for n in range(len(words))
        ],
        "segments": segments,
        "deviations": [],
    } | changes


def missed(number: int, kind: str = "missed") -> list[Annotation]:
    start_s = 10 * number - 10
    return [{"kind": kind, "step": "c", "cycle": number, "start_s": start_s, "end_s": start_s + 9}]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write recordings as a data set of the task of `abc`."""

    def write(*recordings: Annotation) -> Path:
        write_task(task_of("abc"), tmp_path / "tasks" / "toy.yaml")
        (tmp_path / "recordings").mkdir()
        for recording in recordings:
            path = tmp_path / "recordings" / f"{recording['id']}.json"
            path.write_text(json.dumps(recording))
        half = len(recordings) // 2
        names = [recording["id"] for recording in recordings]
        splits = {"train": names[half:], "test": names[:half]}
        (tmp_path / "dataset.json").write_text(json.dumps({"name": "toys", "splits": splits}))
        return tmp_path

    return write


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(data, ["propose", *map(str, arguments)])
    if isinstance(result.exception, UserFault):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_the_command_leaves_out_what_is_not_normal_and_counts_it(
    folder: Callable[..., Path],
) -> None:
    stray = [{"label": "c", "start_s": 9.2, "end_s": 9.8}]
    base = folder(
        annotation("one", ["abc"] * 12 + ["ab"], deviations=missed(13)),
        annotation("two", ["abc", "abc", ""], task_revision=1),
        annotation("old", ["cab"], task_revision=2),
        annotation("work", ["abc"], cycles=[]),
        annotation("late", ["abc"], segments=annotation("x", ["abc"])["segments"] + stray),
    )
    facts = json.loads(run(base, "--task", "toy", "--json").stdout)
    assert facts["left_out"] == {
        "cycle with a known deviation": 1,
        "cycle without a step": 1,
        "recording of another revision": 1,
        "segment outside every cycle": 1,
    }
    assert (facts["cycles"], facts["operators"], facts["unmarked_recordings"]) == (16, 4, 1)
    assert facts["relations"] == 3
    assert [(r["before"], r["then"], r["cycles"]) for r in facts["order"]] == [
        ("a", "b", 16),
        ("b", "c", 16),
    ]


def test_the_command_writes_a_file_that_is_read_back(folder: Callable[..., Path]) -> None:
    base = folder(annotation("one", ["abc"] * 12), annotation("two", ["acb"] * 12))
    out = base / "toy.yaml"
    result = run(base, "--task", "toy", "--out", out)
    assert relations(read_task(out).procedure()) == {("a", "b"), ("a", "c")}
    assert result.stdout == ""
    assert "order: 2 relations, 2 with those that follow; 0 more" in result.stderr
    assert run(base, "--task", base / "tasks" / "toy.yaml").stdout == out.read_text()
    only = run(base, "--task", "toy", "--split", "test").stderr
    assert "12 normal cycles, operators: 1" in only
    assert "one operator only: a habit cannot be told from a rule" in only


def test_deviations_that_leave_the_order_normal_can_be_accepted(
    folder: Callable[..., Path],
) -> None:
    wrong = [missed(number, "wrong_execution")[0] for number in (1, 2)]
    base = folder(annotation("one", ["abc"] * 2, deviations=wrong))
    with pytest.raises(
        UserFault, match=r"no normal cycle of task 'toy' \(left out: 2 x cycle with"
    ):
        run(base, "--task", "toy")
    found = run(base, "--task", "toy", "--despite", "wrong_execution").stderr
    assert "2 normal cycles" in found
    assert "fewer than 10 cycles: nothing is required and nothing ordered" in found


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({}, ["--task", "gear-reducer"], "no recording of task 'gear-reducer' .* tasks are: toy"),
        ({}, ["--task", "nothing"], "unknown task 'nothing'"),
        ({}, ["--task", "toy", "--out", "new.yaml"], "must be named toy.yaml"),
        ({}, ["--task", "toy", "--out", "DIR/tasks/toy.yaml"], "is there already"),
        ({}, ["--task", "toy", "--out", "DIR/none/toy.yaml"], "cannot be written: No such file"),
        ({}, ["--task", "toy", "--split", "validation"], "no recording of task 'toy'"),
        (
            {"segments": [{"label": "zap", "start_s": 0, "end_s": 1}]},
            ["--task", "toy"],
            r"one.json: segments.0.label: 'zap' is no step of 'toy'",
        ),
        (
            {"deviations": [missed(1)[0] | {"cycle": 7}]},
            ["--task", "toy"],
            r"one.json: deviations.0.cycle: there is no cycle 7",
        ),
        (
            {"cycles": [{"number": n, "start_s": n, "end_s": 9} for n in (1, 2)]},
            ["--task", "toy"],
            "one.json: cycles: cycle 2 begins at 2.0 s, before cycle 1 ends",
        ),
        ({"duration_s": "NaN"}, ["--task", "toy"], "one.json: duration_s"),
    ],
)
def test_what_is_wrong_with_a_data_set_is_told_by_place(
    folder: Callable[..., Path], changes: Annotation, options: list[str], says: str
) -> None:
    base = folder(annotation("one", ["abc"], **changes))
    with pytest.raises(UserFault, match=says):
        run(base, *(option.replace("DIR", str(base)) for option in options))


@pytest.mark.skipif(not (SHARED / "ikea_asm").is_dir(), reason="../shared/data/ikea_asm is absent")
def test_real_furniture_is_assembled_in_the_proposed_order(tmp_path: Path) -> None:
    out = tmp_path / "ikea"
    imported = CliRunner().invoke(data, ["import", "ikea-asm", str(SHARED / "ikea_asm"), str(out)])
    assert imported.exit_code == 0, imported.output
    facts = json.loads(run(out, "--task", "ikea-furniture", "--json").stdout)
    assert (facts["cycles"], facts["left_out"]) == (78, {"cycle without a step": 1})
    order = {(relation["before"], relation["then"]) for relation in facts["order"]}
    assert ("pick-up-shelf", "attach-shelf-to-table") in order
    assert ("pick-up-back-panel", "attach-drawer-back-panel") in order


# --- how right the proposals are ---


def any_allowed_order(task: Task, number: int, rng: np.random.Generator) -> list[Cycle]:
    return [cycle(*draw_order(task.procedure(), rng)) for _ in range(number)]


def rendered_people(task: Task, number: int, rng: np.random.Generator, *, each: int) -> list[Cycle]:
    """Cycles as the renderer has them done, `each` by one worker, who has habits."""
    found: list[Cycle] = []
    while len(found) < number:
        worker = draw_operator("p", rng)
        scripts = write_script(task, worker, [None] * each, rng=rng)
        found += [cycle(*(a.label for a in s.actions if a.label != BACKGROUND)) for s in scripts]
    return found[:number]


def judge(task: Task, proposal: Proposal, fresh: Sequence[Cycle]) -> list[float]:
    """Relations both, proposed, true, found or hinted; required wrongly; false alarms in fresh."""
    truth, order = relations(task.procedure()), relations(proposal.procedure)
    hinted = order | {(hint.before, hint.then) for hint in proposal.hints}
    required = proposal.procedure.required() - task.procedure().required()
    known = [[s for s in normal if s.label in proposal.procedure] for normal in fresh]
    early = [
        any((b.label, a.label) in order for i, b in enumerate(normal) for a in normal[:i])
        for normal in known
    ]
    return [
        len(order & truth),
        len(order),
        len(truth),
        len(close(hinted) & truth),
        len(required),
        float(np.mean(early)),
    ]


def close(order: Relations) -> Relations:
    """What follows from `order`, with it."""
    while more := {(a, d) for a, b in order for c, d in order if b == c} - order:
        order = order | more
    return order


def print_table() -> None:
    sources: dict[str, Callable[[Task, int, np.random.Generator], list[Cycle]]] = {
        "any allowed order": any_allowed_order,
        "rendered, 3 cycles a worker": lambda t, n, r: rendered_people(t, n, r, each=3),
        "rendered, one worker": lambda t, n, r: rendered_people(t, n, r, each=n),
    }
    print("| cycles | from | precision | recall | with hints | wrongly required | false order |")
    for name, source in sources.items():
        for number in (5, 10, 20, 50, 100):
            rows = []
            for task in map(load_task, task_ids()):
                rng = np.random.default_rng([number, zlib.crc32(task.id.encode())])
                seen = source(task, number, rng)
                fresh = (
                    source(task, 40, rng)
                    if source is any_allowed_order
                    else rendered_people(task, 60, rng, each=3)
                )
                rows.append(judge(task, propose(seen), fresh))
            both, proposed, true, hinted, required, _ = np.sum(rows, axis=0)
            precision = f"{both / proposed:.3f}" if proposed else "-"
            print(
                f"| {number} | {name} | {precision} | {both / true:.2f} | {hinted / true:.2f} "
                f"| {required / len(rows):.2f} | {np.mean(rows, axis=0)[-1]:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    print_table()
