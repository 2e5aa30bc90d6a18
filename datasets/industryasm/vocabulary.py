"""A task's vocabulary: its product, parts, tools and steps, as one YAML file in `tasks/`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from industryasm.fault import UserFault
from industryasm.procedure import Procedure, ProcedureError, ProcedureStep
from industryasm.yaml_file import Location, PlacedError, YamlFile, YamlFileError

TASKS_FOLDER = Path(__file__).parent / "tasks"
MIN_STEPS, MAX_STEPS = 2, 400  # imported data sets have hundreds of labels; ours 6 to 20

BACKGROUND = "background"
"""Label of the time in which no step is done: waiting, fetching a carrier, talking."""
UNEXPECTED = "unexpected"
"""Label of work that is not in the task: a foreign part, a foreign tool, another operation."""

Identifier = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=400, strip_whitespace=True)]
Bin = Annotated[str, StringConstraints(pattern=r"^[AB][1-8]$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Primitive = Literal[
    "pick",
    "place",
    "insert",
    "screw",
    "press",
    "route",
    "connect",
    "inspect",
    "scan",
    "pack",
    "other",
]
"""What a hand does in a step; `other` is for imported data sets, which do not say."""


class UnknownTaskError(UserFault, LookupError):
    """No task of this name is in the vocabulary folder."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Frozen):
    """A part and the bin that it is taken from: upper shelf A or lower shelf B, from the left."""

    id: Identifier
    name: Text
    bin: Bin


class Tool(_Frozen):
    """A hand tool that lies at the station."""

    id: Identifier
    name: Text


class Step(_Frozen):
    """One step of standard work: what is done, with what, after what, and how long it may take."""

    id: Identifier
    text: Text
    primitive: Primitive
    parts: tuple[Identifier, ...] = ()
    tools: tuple[Identifier, ...] = ()
    after: tuple[Identifier, ...] = ()
    optional: bool = False
    repeatable: bool = False
    critical: Literal["safety", "quality"] | None = None
    expected_s: Seconds
    limit_s: Seconds
    least_s: Seconds | None = None

    @model_validator(mode="after")
    def _times_are_in_order(self) -> Self:
        if self.limit_s <= self.expected_s:
            raise ValueError(f"limit_s {self.limit_s} must be above expected_s {self.expected_s}")
        if self.least_s is not None and self.least_s >= self.expected_s:
            raise ValueError(f"least_s {self.least_s} must be below expected_s {self.expected_s}")
        if self.id in (BACKGROUND, UNEXPECTED):
            raise ValueError(f"step id {self.id!r} is a reserved label")
        return self


class Group(_Frozen):
    """Steps that belong together; `after` may name the group for all of them.

    `any-order`: none of them comes before another. `optional`: a variant, done whole or not at all.
    """

    id: Identifier
    kind: Literal["any-order", "optional"]
    steps: Annotated[tuple[Identifier, ...], Field(min_length=2)]
    after: tuple[Identifier, ...] = ()


class Task(_Frozen):
    """An assembly task: the vocabulary that a recogniser of this task speaks."""

    id: Identifier
    name: Text
    product: Text
    family: Text
    revision: Annotated[int, Field(ge=1)] = 1
    parts: tuple[Part, ...]
    tools: tuple[Tool, ...] = ()
    steps: tuple[Step, ...]
    groups: tuple[Group, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        # Not by Field(min_length=...), which complains of the number too when one step has a fault.
        if not MIN_STEPS <= len(self.steps) <= MAX_STEPS:
            raise PlacedError(("steps",), f"a task has {MIN_STEPS} to {MAX_STEPS} steps")
        parts = _unique("parts", [part.id for part in self.parts])
        tools = _unique("tools", [tool.id for tool in self.tools])
        steps = _unique("steps", [step.id for step in self.steps])
        names = steps | _unique("groups", [group.id for group in self.groups], taken=steps)
        for index, step in enumerate(self.steps):
            _check_known(("steps", index, "parts"), step.parts, parts)
            _check_known(("steps", index, "tools"), step.tools, tools)
            _check_known(("steps", index, "after"), step.after, names - {step.id})
        for index, group in enumerate(self.groups):
            _check_known(("groups", index, "steps"), group.steps, steps)
            _check_known(("groups", index, "after"), group.after, names - {group.id})
        try:
            procedure = self.procedure()
        except ProcedureError as error:
            at = [i for i, step in enumerate(self.steps) if step.id in error.steps]
            raise PlacedError(("steps", *at[:1]), str(error)) from error
        for index, group in enumerate(self.groups):
            if group.kind == "any-order":
                _check_unordered(("groups", index, "steps"), group, procedure)
        return self

    def procedure(self) -> Procedure:
        """Return the order of this task's steps, with the groups written out."""
        members = {group.id: frozenset(group.steps) for group in self.groups}
        variants = [frozenset(g.steps) for g in self.groups if g.kind == "optional"]
        return Procedure(
            tuple(
                ProcedureStep(
                    id=step.id,
                    after=frozenset().union(
                        *(members.get(name, {name}) for name in self._named_after(step))
                    ),
                    optional=step.optional or any(step.id in group for group in variants),
                    repeatable=step.repeatable,
                    expected_s=step.expected_s,
                    limit_s=step.limit_s,
                    least_s=step.least_s or 0.0,
                )
                for step in self.steps
            ),
            tuple(
                frozenset(s.id for s in self.steps if s.id in group and not s.optional)
                for group in variants
            ),
        )

    def _named_after(self, step: Step) -> list[str]:
        return [*step.after, *(n for g in self.groups if step.id in g.steps for n in g.after)]

    def labels(self) -> tuple[str, ...]:
        """Return the classes of a frame-wise recogniser: background, the steps, unexpected."""
        return (BACKGROUND, *(step.id for step in self.steps), UNEXPECTED)

    def vocabulary_hash(self) -> str:
        """Return the SHA-256 of the labels, by which a model and a task are matched."""
        return hashlib.sha256(json.dumps([self.id, *self.labels()]).encode()).hexdigest()


def _unique(key: str, ids: list[str], taken: Collection[str] = ()) -> set[str]:
    for index, name in enumerate(ids):
        if name in ids[:index] or name in taken:
            raise PlacedError((key, index, "id"), f"{name!r} is given twice")
    return set(ids)


def _check_known(at: Location, names: tuple[str, ...], known: set[str]) -> None:
    for name in names:
        if name not in known:
            what = "is none of the other steps" if at[-1] == "after" else "is unknown"
            raise PlacedError(at, f"{name!r} {what}")


def _check_unordered(at: Location, group: Group, procedure: Procedure) -> None:
    for step in group.steps:
        for before in procedure.predecessors(step) & set(group.steps):
            raise PlacedError(at, f"{step!r} comes after {before!r}, so they have an order")


def read_task(path: Path) -> Task:
    """Read one vocabulary file; raise `YamlFileError` with file and line of every fault."""
    file = YamlFile(path)
    task = file.validate(Task)
    if task.id != path.stem:
        message = f"{task.id!r} must be the file's name, {path.stem!r}"
        raise YamlFileError([file.fault(("id",), message)])
    return task


def write_task(task: Task, path: Path) -> None:
    """Write a vocabulary as YAML, without the values that are defaults."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = task.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")


def task_ids(folder: Path = TASKS_FOLDER) -> tuple[str, ...]:
    """Return the names of all tasks in `folder`, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def load_task(task_id: str, folder: Path = TASKS_FOLDER) -> Task:
    """Load a task by name; raise `UnknownTaskError` naming those there are."""
    known = task_ids(folder)
    if task_id not in known:
        raise UnknownTaskError(
            f"unknown task {task_id!r}: known are {', '.join(known)} (see `linewatch tasks`)"
        )
    return read_task(folder / f"{task_id}.yaml")


def find_task(name: str) -> Task:
    """Load a task by name, or from a file of one's own where `name` ends in .yaml or .yml."""
    return read_task(Path(name)) if name.endswith((".yaml", ".yml")) else load_task(name)
