"""Turns the labels of a foreign file into those of a task, or into a new task's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from pydantic import ValidationError

from industryasm.formats.foreign import ForeignFileError, ForeignRow
from industryasm.repairs import Repairs
from industryasm.sets.identifier import identifier
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Task
from industryasm.yaml_file import YamlFile, YamlFileError

_MAX_LISTED = 20
_LONGEST_S = 3600.0  # vocabulary.Seconds


def read_label_file(path: Path, task: Task | None) -> dict[str, str | None]:
    """Read YAML that maps their labels to ours, null to background; ours must be in `task`."""
    file = YamlFile(path)
    if not isinstance(file.data, dict):
        raise YamlFileError([file.fault((), "must be `their label: ours` per line")])
    known = None if task is None else set(task.labels())
    mapping: dict[str, str | None] = {}
    for theirs, ours in file.data.items():
        if ours is not None and not isinstance(ours, str):
            raise YamlFileError([file.fault((theirs,), f"{ours!r} is no label; use quotes")])
        if known is not None and ours is not None and ours not in known:
            raise YamlFileError([file.fault((theirs,), f"{ours!r} is no step of the task")])
        mapping[theirs] = None if ours == BACKGROUND else ours
    return mapping


def clean_label(row: ForeignRow, repairs: Repairs) -> str:
    """Return a row's label without stray blanks, which are counted.

    >>> clean_label(ForeignRow(0, 1, " place  base", "a.csv:2"), Repairs())
    'place base'
    """
    label = " ".join(row.label.split())
    if label != row.label:
        repairs.add("stray blanks in a label", row.place)
    return label


def slug(label: str, place: str) -> str:
    """Return the step id that a label becomes; raise `ForeignFileError` where none can be made.

    >>> slug("Place Base_plate", "")
    'place-base-plate'
    """
    name = identifier(label)
    if not name:
        raise ForeignFileError(
            f"{place}: no step id can be made of {label[:80]!r}; give it one with --labels"
        )
    return name


@dataclass
class LabelBook:
    """Our label of each of theirs, for one import; `mapping` is what the user says of them."""

    task: Task | None
    mapping: Mapping[str, str | None]
    ours: dict[str, str | None] = field(default_factory=dict)
    """Filled by `learn`: their label -> ours, None for background."""
    texts: dict[str, str] = field(default_factory=dict)
    """The words behind the ids of a new task, in the order in which they came up."""

    def learn(self, rows: Iterable[ForeignRow], *, lenient: bool, repairs: Repairs) -> None:
        """Take up the labels of all rows; raise naming those that are not in the task.

        With `lenient` these become background, each of their rows counted.
        """
        places: dict[str, list[str]] = {}
        for row in rows:
            places.setdefault(row.label, []).append(row.place)
        self.ours = {label: self._our(label, found[0]) for label, found in places.items()}
        if self.task is None:
            return
        known = (None, *self.task.labels())
        unknown = {label: found for label, found in places.items() if self.ours[label] not in known}
        if unknown and not lenient:
            raise ForeignFileError(_unknown_labels(unknown, self.task.id))
        for label, found in unknown.items():
            self.ours[label] = None
            repairs.add(f"unknown label {label!r} made background", found[0], len(found))

    def _our(self, label: str, place: str) -> str | None:
        text = self.mapping.get(label, label)
        if text is None or text == BACKGROUND or self.task is not None:
            return None if text == BACKGROUND else text
        name = slug(text, place)
        other = BACKGROUND if name == BACKGROUND else self.texts.setdefault(name, text)
        if other != text:
            raise ForeignFileError(
                f"{place}: the labels {text!r} and {other!r} would both be {name!r}; tell them "
                "apart, or make them one, with --labels"
            )
        return name


def _unknown_labels(unknown: Mapping[str, list[str]], task_id: str) -> str:
    listed = "; ".join(
        f"{label[:60]!r} ({len(places)} x, first {places[0]})"
        for label, places in list(unknown.items())[:_MAX_LISTED]
    )
    more = f" and {len(unknown) - _MAX_LISTED} more" if len(unknown) > _MAX_LISTED else ""
    return (
        f"{len(unknown)} labels are no steps of task {task_id!r}: {listed}{more}. Map them with "
        "--labels FILE (YAML, one `their label: step-id` per line, null for background) or take "
        "them as background with --unknown-as-background"
    )


def new_task(
    task_id: str, texts: Mapping[str, str], recordings: Iterable[Iterable[ForeignRow]]
) -> Task:
    """Make the vocabulary of imported labels: primitive `other`, no order.

    Expected is the median duration, the limit 3 x the longest. Every step is optional and
    repeatable, for nothing is known to be required. Rows carry our labels and seconds.
    """
    durations: dict[str, list[float]] = {name: [] for name in texts if name != UNEXPECTED}
    for row in (row for rows in recordings for row in rows):
        if row.label in durations:
            durations[row.label].append(row.end - row.start)
    steps = [
        {
            "id": name,
            "text": texts[name],
            "primitive": "other",
            "optional": True,
            "repeatable": True,
            "expected_s": max(0.001, round(median(spans), 3)),
            "limit_s": min(_LONGEST_S, max(0.003, round(3 * max(spans), 3))),
        }
        for name, spans in durations.items()
        if spans
    ]
    words = {"id": task_id, "name": task_id, "product": task_id, "family": "imported"}
    try:
        return Task.model_validate({**words, "parts": [], "steps": steps})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = ": ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
        raise ForeignFileError(
            f"--new-task {task_id}: no vocabulary can be made of {len(texts)} labels: {said}"
        ) from error
