"""The 47 shipped vocabularies: what holds for each of them, and for all of them together."""

import json
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import get_args

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from industryasm.stations.operators import draw_operator
from industryasm.stations.script import PLANTABLE, write_script
from industryasm.vocabulary import TASKS_FOLDER, Primitive, Task, load_task, task_ids
from industryasm.yaml_file import YamlFile
from linewatch import app

SCHEMA_PATH = TASKS_FOLDER.parent / "task.schema.json"
MAX_TEXT = 90  # characters that fit one line of the station's page

every_task = pytest.mark.parametrize("task_id", task_ids())
task_of = cache(load_task)


@cache
def schema_validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@every_task
def test_a_cycle_opens_with_the_body_in_the_fixture(task_id: str) -> None:
    task = task_of(task_id)
    first = task.steps[0]
    assert first.primitive == "place"
    assert first.parts == (task.parts[0].id,)
    assert task.procedure().successors(first.id) == {step.id for step in task.steps[1:]}


@every_task
def test_a_cycle_ends_with_the_only_packing(task_id: str) -> None:
    task = task_of(task_id)
    last = task.steps[-1]
    assert [step.id for step in task.steps if step.primitive == "pack"] == [last.id]
    assert task.procedure().predecessors(last.id) == {step.id for step in task.steps[:-1]}
    assert not last.optional


@every_task
def test_a_station_has_a_bin_for_each_part_and_a_use_for_everything(task_id: str) -> None:
    task = task_of(task_id)
    assert len({part.bin for part in task.parts}) == len(task.parts), "no bin twice"
    assert {part for step in task.steps for part in step.parts} == {p.id for p in task.parts}
    assert {tool for step in task.steps for tool in step.tools} == {t.id for t in task.tools}
    assert 5 <= len(task.parts) <= 12
    assert 1 <= len(task.tools) <= 5, "five tools fit beside the fixture"


@every_task
def test_a_task_is_of_a_size_that_one_station_does(task_id: str) -> None:
    task = task_of(task_id)
    assert 6 <= len(task.steps) <= 20
    assert 30 <= sum(step.expected_s for step in task.steps) <= 110


@every_task
def test_a_limit_leaves_room_above_the_expectation(task_id: str) -> None:
    for step in task_of(task_id).steps:
        assert 2.4 <= step.expected_s <= 9, step.id
        assert 1.8 <= step.limit_s / step.expected_s <= 3.3, step.id


@every_task
def test_a_step_says_what_a_hand_does(task_id: str) -> None:
    for step in task_of(task_id).steps:
        assert step.primitive != "other", "`other` is for imported data sets"
        assert len(step.text) < MAX_TEXT, step.text
        assert step.text[0].isupper(), step.text
        assert step.text[-1] not in ".!", step.text
        assert "-" in step.id, "verb and noun"
        assert len(step.id) <= 32, step.id


@every_task
def test_the_order_of_the_file_can_be_followed(task_id: str) -> None:
    order = task_of(task_id).procedure()
    done: set[str] = set()
    for step in order.steps:
        assert order.missing_before(step.id, done) == ()
        done.add(step.id)


@every_task
def test_the_step_that_fetches_a_part_comes_after_no_other_use_of_it(task_id: str) -> None:
    task = task_of(task_id)
    for part in task.parts:
        fetching, *others = (step.id for step in task.steps if part.id in step.parts)
        assert not task.procedure().predecessors(fetching) & set(others), part.id


@every_task
def test_a_task_is_neither_a_list_nor_a_heap(task_id: str) -> None:
    task = task_of(task_id)
    order = task.procedure()
    inner = [step for step in order.steps if step.id not in (task.steps[0].id, task.steps[-1].id)]
    direct = sum(len(step.after & {s.id for s in inner}) for step in inner)
    assert direct >= 3, "three pairs that a worker may swap by mistake"
    free = [
        (a.id, b.id)
        for a, b in combinations(inner, 2)
        if a.id not in order.predecessors(b.id) and b.id not in order.predecessors(a.id)
    ]
    assert free, "somewhere the worker has a choice"


@every_task
def test_every_kind_of_departure_can_be_planted(task_id: str) -> None:
    task, rng = task_of(task_id), np.random.default_rng(1)
    for number in range(10):
        operator = draw_operator(f"operator-{number}", rng)
        for kind in PLANTABLE:
            [cycle] = write_script(task, operator, [kind], rng=rng)
            found = {action.deviation for action in cycle.actions} - {None}
            assert found == ({kind} - {"missed"}), (number, kind)
            assert bool(cycle.missed) == (kind == "missed")


@every_task
def test_a_vocabulary_fits_the_json_schema(task_id: str) -> None:
    data = YamlFile(TASKS_FOLDER / f"{task_id}.yaml").data
    assert [error.message for error in schema_validator().iter_errors(data)] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"familie": "toys"}, "'familie' was unexpected"),
        ({"revision": 0}, "less than the minimum"),
        ({"parts": [{"id": "a", "name": "A", "bin": "C1"}]}, "'C1' does not match"),
        ({"steps": [{"id": "a", "text": "A", "primitive": "juggle"}]}, "'juggle' is not one of"),
        ({"groups": [{"id": "g", "kind": "any-order", "steps": ["a"]}]}, "is too short"),
    ],
)
def test_the_json_schema_refuses_what_the_reader_refuses(
    change: dict[str, object], says: str
) -> None:
    data = YamlFile(TASKS_FOLDER / "toy-train.yaml").data | change
    assert any(says in error.message for error in schema_validator().iter_errors(data))


def test_the_json_schema_is_that_of_the_model() -> None:
    result = CliRunner().invoke(app, ["tasks", "--schema"])
    again = "run `linewatch tasks --schema > datasets/industryasm/task.schema.json`"
    assert result.exit_code == 0
    assert json.loads(result.stdout) == Task.model_json_schema()
    assert SCHEMA_PATH.read_text(encoding="utf-8") == result.stdout, again


def test_there_are_47_tasks_and_no_two_are_the_same() -> None:
    tasks = [task_of(task_id) for task_id in task_ids()]
    assert len(tasks) == 47
    for names in (
        [task.name for task in tasks],
        [task.product for task in tasks],
        [tuple(step.id for step in task.steps) for task in tasks],
        [tuple(step.primitive for step in task.steps) for task in tasks],
        [step.text for task in tasks for step in task.steps],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []


def test_the_tasks_span_families_primitives_and_sizes() -> None:
    tasks = [task_of(task_id) for task_id in task_ids()]
    assert len({task.family for task in tasks}) >= 12
    steps = [step for task in tasks for step in task.steps]
    assert {step.primitive for step in steps} == set(get_args(Primitive)) - {"other"}
    assert {step.critical for step in steps} == {None, "safety", "quality"}
    sizes = sorted(len(task.steps) for task in tasks)
    assert sizes[0] <= 7
    assert sizes[-1] >= 17
    assert 11 <= sum(sizes) / len(sizes) <= 14.5
    kinds = Counter(kind for task in tasks for kind in {group.kind for group in task.groups})
    assert kinds["any-order"] >= 15
    assert kinds["optional"] >= 8
    assert sum(any(step.repeatable for step in task.steps) for task in tasks) >= 10


COUNT_READS = """
import collections, json, sys
from pathlib import Path
reads = collections.Counter()
def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".yaml"):
        reads[Path(arguments[0]).stem] += 1
sys.addaudithook(watch)
from industryasm.vocabulary import load_task, task_ids
tasks = [load_task(task_id) for task_id in task_ids()]
print(json.dumps([len(tasks), reads]))
"""


def test_loading_all_tasks_reads_each_file_once() -> None:
    folder = Path(__file__).parent.parent / "datasets"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COUNT_READS],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [len(task_ids()), dict.fromkeys(task_ids(), 1)]
