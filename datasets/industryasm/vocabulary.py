"""A task's vocabulary: its product, parts, tools and steps, as one YAML file in `tasks/`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from industryasm.fault import UserFault
from industryasm.procedure import Procedure, ProcedureError, ProcedureStep
from industryasm.yaml_file import PlacedError, YamlFile, YamlFileError

TASKS_FOLDER = Path(__file__).parent / "tasks"
MIN_STEPS, MAX_STEPS = 2, 40

BACKGROUND = "background"
"""Label of the time in which no step is done: waiting, fetching a carrier, talking."""
UNEXPECTED = "unexpected"
"""Label of work that is not in the task: a foreign part, a foreign tool, another operation."""

Identifier = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Primitive = Literal[
    "pick", "place", "insert", "screw", "press", "route", "connect", "inspect", "scan", "pack"
]


class UnknownTaskError(UserFault, LookupError):
    """No task of this name is in the vocabulary folder."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Frozen):
    """A part and the bin at the station that it is taken from."""

    id: Identifier
    name: Text
    bin: Annotated[str, StringConstraints(pattern=r"^[A-D][1-9]$")]


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

    @model_validator(mode="after")
    def _limit_is_above_expectation(self) -> Self:
        if self.limit_s <= self.expected_s:
            raise ValueError(f"limit_s {self.limit_s} must be above expected_s {self.expected_s}")
        if self.id in (BACKGROUND, UNEXPECTED):
            raise ValueError(f"step id {self.id!r} is a reserved label")
        return self


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

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        # Not by Field(min_length=...), which complains of the number too when one step has a fault.
        if not MIN_STEPS <= len(self.steps) <= MAX_STEPS:
            raise PlacedError(("steps",), f"a task has {MIN_STEPS} to {MAX_STEPS} steps")
        parts = _unique("parts", [part.id for part in self.parts])
        tools = _unique("tools", [tool.id for tool in self.tools])
        steps = _unique("steps", [step.id for step in self.steps])
        for index, step in enumerate(self.steps):
            _check_known(index, "parts", step.parts, parts)
            _check_known(index, "tools", step.tools, tools)
            _check_known(index, "after", step.after, steps - {step.id})
        try:
            self.procedure()
        except ProcedureError as error:
            raise PlacedError(("steps",), str(error)) from error
        return self

    def procedure(self) -> Procedure:
        """Return the order of this task's steps."""
        return Procedure(
            tuple(
                ProcedureStep(
                    id=step.id,
                    after=frozenset(step.after),
                    optional=step.optional,
                    repeatable=step.repeatable,
                    expected_s=step.expected_s,
                    limit_s=step.limit_s,
                )
                for step in self.steps
            )
        )

    def labels(self) -> tuple[str, ...]:
        """Return the classes of a frame-wise recogniser: background, the steps, unexpected."""
        return (BACKGROUND, *(step.id for step in self.steps), UNEXPECTED)

    def vocabulary_hash(self) -> str:
        """Return the SHA-256 of the labels, by which a model and a task are matched."""
        return hashlib.sha256(json.dumps([self.id, *self.labels()]).encode()).hexdigest()


def _unique(key: str, ids: list[str]) -> set[str]:
    for index, name in enumerate(ids):
        if name in ids[:index]:
            raise PlacedError((key, index, "id"), f"{name!r} is given twice")
    return set(ids)


def _check_known(index: int, key: str, names: tuple[str, ...], known: set[str]) -> None:
    for name in names:
        if name not in known:
            message = (
                f"{name!r} is none of the other steps" if key == "after" else f"unknown {name!r}"
            )
            raise PlacedError(("steps", index, key), message)


def read_task(path: Path) -> Task:
    """Read one vocabulary file; raise `YamlFileError` with file and line of every fault."""
    file = YamlFile(path)
    task = file.validate(Task)
    if task.id != path.stem:
        message = f"{task.id!r} must be the file's name, {path.stem!r}"
        raise YamlFileError([file.fault(("id",), message)])
    return task


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
