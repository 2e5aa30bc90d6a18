"""A recipe of CaptainCook4D: its steps and their partial order, from the published task graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter

from industryasm.sets.identifier import identifier, unique
from industryasm.sets.json_file import Published, read_json
from industryasm.sets.set_error import SetError, refused_at
from industryasm.sets.step_times import StepTimes
from industryasm.vocabulary import MAX_STEPS, Step, Task

_Node = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}$")]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=400)]
_ENDS = ("START", "END")


class _Graph(Published):
    steps: dict[_Node, _Text]
    edges: list[tuple[int, int]]


@dataclass(frozen=True)
class RecipeStep:
    """One node of the graph; `after` are the ids of the steps that must come before it."""

    id: str
    text: str
    after: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """A recipe's steps in an order that its graph allows; `source` is the file it is from.

    Several nodes may have one text (three slices are cut with the same words); they are told
    apart by the order in which they are done.
    """

    id: str
    name: str
    steps: tuple[RecipeStep, ...]
    is_ordered: bool
    source: Path

    def ids_of(self, text: str) -> tuple[str, ...]:
        """Return the ids of the steps with this text, in their order; empty for an unknown one."""
        key = _key(text)
        return tuple(step.id for step in self.steps if _key(step.text) == key)

    def task(self, times: StepTimes) -> Task:
        """Return the vocabulary; raise `SetError` when the recipe makes none.

        Without a published order every step is optional and repeatable: nothing is known to be
        required.
        """
        with refused_at(self.source):
            return Task(
                id=self.id,
                name=self.name,
                product=self.name,
                family="cooking",
                parts=(),
                steps=tuple(self._step(step, times) for step in self.steps),
            )

    def _step(self, step: RecipeStep, times: StepTimes) -> Step:
        expected_s, limit_s = times.of(step.id)
        return Step(
            id=step.id,
            text=step.text,
            primitive="other",
            after=step.after,
            optional=not self.is_ordered,
            repeatable=not self.is_ordered,
            expected_s=expected_s,
            limit_s=limit_s,
        )


def recipe_id(name: str, place: str) -> str:
    """Return the task's id for an activity's name; raise `SetError` when it has no letters."""
    if not (found := identifier(name)):
        raise SetError(f"{place}: activity_name {name!r} has no letters")
    return found


def read_recipe(path: Path, name: str) -> Recipe:
    """Read a task graph; raise `SetError` for a cycle, an unknown node, another shape."""
    graph = read_json(path, TypeAdapter(_Graph))
    if len(graph.steps) > MAX_STEPS:
        raise SetError(f"{path}: {len(graph.steps)} steps; at most {MAX_STEPS} are taken")
    nodes = {int(node): " ".join(text.split()) for node, text in graph.steps.items()}
    for before, then in graph.edges:
        if not {before, then} <= nodes.keys():
            raise SetError(f"{path}: edge [{before}, {then}] names a step that is not there")
    real = {node for node, text in nodes.items() if text not in _ENDS}
    after: dict[int, set[int]] = defaultdict(set)
    for before, then in graph.edges:
        if {before, then} <= real:
            after[then].add(before)
    taken: set[str] = set()
    ids: dict[int, str] = {}
    for node in _in_order(real, after, path):
        ids[node] = unique(_id_of(nodes[node]), taken)
    steps = (
        RecipeStep(
            ids[node], _without_verb(nodes[node]), tuple(ids[n] for n in sorted(after[node]))
        )
        for node in ids
    )
    return Recipe(recipe_id(name, str(path)), name, tuple(steps), is_ordered=True, source=path)


def recipe_without_graph(name: str, texts: Iterable[str], source: Path) -> Recipe:
    """Make a recipe without an order from the texts of the steps that were annotated."""
    taken: set[str] = set()
    plain = dict.fromkeys(" ".join(text.split()) for text in texts)
    steps = (RecipeStep(unique(_id_of(text), taken), _without_verb(text), ()) for text in plain)
    return Recipe(recipe_id(name, str(source)), name, tuple(steps), is_ordered=False, source=source)


def _in_order(nodes: set[int], after: dict[int, set[int]], path: Path) -> list[int]:
    """Return the nodes so that each comes after its predecessors, else by number."""
    done: list[int] = []
    left = sorted(nodes)
    while left:
        ready = next((node for node in left if after[node] <= set(done)), None)
        if ready is None:
            raise SetError(f"{path}: the order of the steps {left} is a cycle")
        done.append(ready)
        left.remove(ready)
    return done


def _without_verb(text: str) -> str:
    """Return `Pour 1 egg` for `Pour-Pour 1 egg`; texts are published as `VERB-TEXT`."""
    verb, dash, rest = text.partition("-")
    if dash and rest.strip() and " " not in verb.strip():
        starts_alike = rest.strip().lower().startswith(verb.strip().lower())
        return rest.strip() if starts_alike else f"{verb.strip()}: {rest.strip()}"
    return text


def _id_of(text: str) -> str:
    return identifier(_without_verb(text))


def _key(text: str) -> str:
    return _without_verb(" ".join(text.split())).casefold()
