"""Vocabularies: the shipped ones hold, and what is wrong in one is named by file, line and key."""

from pathlib import Path

import pytest

from industryasm.procedure import Procedure, ProcedureError, ProcedureStep
from industryasm.vocabulary import (
    BACKGROUND,
    UNEXPECTED,
    UnknownTaskError,
    find_task,
    load_task,
    read_task,
    task_ids,
    write_task,
)
from industryasm.yaml_file import YamlFileError

GOOD = """\
id: toy
name: Toy
product: Toy car
family: toys
parts:
  - {id: wheel, name: Wheel, bin: A1}
steps:
  - id: place-wheel
    text: Place the wheel
    primitive: place
    parts: [wheel]
    expected_s: 2
    limit_s: 5
  - id: pack-toy
    text: Pack the toy
    primitive: pack
    after: [place-wheel]
    expected_s: 2
    limit_s: 5
"""


@pytest.mark.parametrize("task_id", task_ids())
def test_every_shipped_vocabulary_holds_together(task_id: str) -> None:
    task = load_task(task_id)
    assert task.labels()[0] == BACKGROUND
    assert task.labels()[-1] == UNEXPECTED
    assert len(task.procedure().final_steps()) >= 1
    used = {part for step in task.steps for part in step.parts}
    assert used == {part.id for part in task.parts}, "every part is used by a step"


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("after: [place-wheel]", "after: [place-weel]"), 17, "'place-weel' is none of"),
        (("after: [place-wheel]", "after: [pack-toy]"), 17, "'pack-toy' is none of the other"),
        (("id: pack-toy", "id: place-wheel"), 14, "given twice"),
        (("parts: [wheel]", "parts: [weel]"), 11, "'weel' is unknown"),
        (("limit_s: 5", "limit_s: -1"), 13, "greater than 0"),
        (("limit_s: 5", "limit_s: 1"), 8, "must be above expected_s"),
        (("limit_s: 5", "limit_s: 5\n    least_s: 2"), 8, "must be below expected_s"),
        (("limit_s: 5", "limit_s: 5\n    least_s: 0"), 14, "greater than 0"),
        (("primitive: place", "primitive: juggle"), 10, "pick"),
        (("product: Toy car", "produkt: Toy car"), 3, "unknown key"),
        (("bin: A1", "bin: Z9"), 6, "pattern"),
        (("name: Toy\n", "name: &toy Toy\n"), 2, "anchors"),
        (("name: Toy\n", "name: !!python/object:os.system Toy\n"), 2, "tags"),
        (("name: Toy\n", "name: Toy\nname: Car\n"), 3, "given twice"),
        (("parts:\n", "parts: [\n"), 6, "expected"),
    ],
)
def test_a_fault_in_a_vocabulary_is_named_by_line(
    tmp_path: Path, change: tuple[str, str], line: int, says: str
) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(GOOD.replace(change[0], change[1], 1))
    with pytest.raises(YamlFileError) as raised:
        read_task(path)
    faults = [fault for fault in raised.value.faults if says in fault.message]
    assert [fault.line for fault in faults] == [line], raised.value.faults
    assert str(path) in str(raised.value)


def test_a_vocabulary_that_is_right_is_read(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(GOOD)
    assert [step.id for step in read_task(path).steps] == ["place-wheel", "pack-toy"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"- [" * 3000, b"a: 1\n" * 400_000])
def test_a_hostile_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "toy.yaml"
    path.write_bytes(content)
    with pytest.raises(YamlFileError) as raised:
        read_task(path)
    assert len(raised.value.faults) == 1


def test_an_unknown_task_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownTaskError, match="gear-reducer"):
        load_task("gear")


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ((), "at least one"),
        ((ProcedureStep("a", frozenset("b")), ProcedureStep("b", frozenset("a"))), "cycle: a, b"),
        ((ProcedureStep("a"), ProcedureStep("a")), "twice"),
        ((ProcedureStep("a", frozenset("x")),), "unknown step 'x'"),
    ],
)
def test_what_is_no_partial_order_is_refused(steps: tuple[ProcedureStep, ...], says: str) -> None:
    with pytest.raises(ProcedureError, match=says):
        Procedure(steps)


def test_the_order_is_closed_over_steps_between() -> None:
    a, b, c = (
        ProcedureStep(n, frozenset(after)) for n, after in (("a", ""), ("b", "a"), ("c", "b"))
    )
    order = Procedure((c, a, b))
    assert order.predecessors("c") == {"a", "b"}
    assert order.successors("a") == {"b", "c"}
    assert order.missing_before("c", {"b"}) == ("a",)
    with pytest.raises(KeyError):
        order.successors("x")


GROUPED = (
    GOOD
    + """\
  - id: hinge-left
    text: Fit the left hinge
    primitive: insert
    expected_s: 2
    limit_s: 5
  - id: hinge-right
    text: Fit the right hinge
    primitive: insert
    expected_s: 2
    limit_s: 5
  - id: close-lid
    text: Close the lid
    primitive: press
    after: [hinges]
    expected_s: 2
    limit_s: 5
groups:
  - {id: hinges, kind: any-order, steps: [hinge-left, hinge-right], after: [place-wheel]}
  - {id: lid-kit, kind: optional, steps: [hinge-left, hinge-right, close-lid]}
"""
)


def test_groups_are_written_out_as_order_and_as_variants(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(GROUPED)
    order = read_task(path).procedure()
    assert order.predecessors("close-lid") == {"place-wheel", "hinge-left", "hinge-right"}
    assert order.predecessors("hinge-left") == {"place-wheel"}
    assert order.required() == {"place-wheel", "pack-toy"}
    assert order.required({"hinge-left"}) - order.required() == {
        "hinge-left",
        "hinge-right",
        "close-lid",
    }
    assert order.missing_before("close-lid", {"place-wheel", "hinge-left"}) == ("hinge-right",)


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("id: hinges", "id: place-wheel"), 37, "given twice"),
        (("steps: [hinge-left, hinge-right],", "steps: [hinge-left, hinge],"), 37, "'hinge' is"),
        (("after: [hinges]", "after: [hinge]"), 33, "'hinge' is none of"),
        (("after: [place-wheel]}", "after: [close-lid]}"), 20, "cycle"),
        (("hinge-right], after", "close-lid], after"), 37, "have an order"),
    ],
)
def test_a_fault_in_a_group_is_named_by_line(
    tmp_path: Path, change: tuple[str, str], line: int, says: str
) -> None:
    path = tmp_path / "toy.yaml"
    text = GROUPED.replace(change[0], change[1], 1)
    if says == "have an order":
        text = text.replace("after: [hinges]", "after: [hinge-left]")
    path.write_text(text)
    with pytest.raises(YamlFileError, match=says) as raised:
        read_task(path)
    assert raised.value.faults[0].line == line, raised.value.faults


def test_a_vocabulary_that_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(GROUPED)
    task = read_task(tmp_path / "toy.yaml")
    write_task(task, tmp_path / "again" / "toy.yaml")
    assert read_task(tmp_path / "again" / "toy.yaml") == task


def test_a_task_of_ones_own_is_found_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(GOOD)
    assert find_task(str(tmp_path / "toy.yaml")).id == "toy"
    assert find_task("gear-reducer") == load_task("gear-reducer")
    with pytest.raises(YamlFileError, match="cannot be read"):
        find_task(str(tmp_path / "none.yaml"))
