"""The published files of CaptainCook4D, read and brought together; nothing is judged here."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter

from industryasm.recording import RecordingId, SplitName
from industryasm.repairs import Repairs
from industryasm.sets.captaincook4d_errors import ErrorTag
from industryasm.sets.captaincook4d_recipe import (
    Recipe,
    read_recipe,
    recipe_id,
    recipe_without_graph,
)
from industryasm.sets.json_file import FiniteFloat, Published, read_json
from industryasm.sets.npz_file import NpzFile
from industryasm.sets.set_error import SetError
from industryasm.sets.splitting import split_by_group

_Description = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
_Number = Annotated[int, Field(ge=0, le=99_999)]
_StepKey = tuple[int, float, float]


class PublishedStep(Published):
    """A step in seconds; a missed one has the times -1."""

    step_id: int
    start_time: FiniteFloat
    end_time: FiniteFloat
    description: _Description
    has_errors: bool = False


class PublishedRecording(Published):
    """The steps of one recording in the order of the file."""

    recording_id: RecordingId
    activity_name: _Description
    person_id: _Number
    environment: _Number
    steps: Annotated[list[PublishedStep], Field(max_length=10_000)]


class _ErrorStep(Published):
    step_id: int
    start_time: FiniteFloat
    end_time: FiniteFloat
    errors: tuple[ErrorTag, ...] = ()


class _Errors(Published):
    recording_id: RecordingId
    step_annotations: list[_ErrorStep]


class _Split(Published):
    train: list[RecordingId]
    val: list[RecordingId]
    test: list[RecordingId]


class PublishedFiles:
    """What the folder holds; a file that is only an addition may be absent, which is counted."""

    def __init__(self, source: Path, repairs: Repairs) -> None:
        """Read the folder; raise `SetError` for a file that is damaged or of another shape."""
        self.source, self._repairs = source, repairs
        self.path = source / "step_annotations.json"
        by_id = read_json(self.path, TypeAdapter(dict[str, PublishedRecording]))
        for name, recording in by_id.items():
            if name != recording.recording_id:
                raise SetError(f"{self.path}: {name}: says it is {recording.recording_id!r}")
        self.recordings = list(by_id.values())
        self.recipes = self._read_recipes()
        self._errors = self._read_errors()
        texts = source / "step_idx_description.json"
        self.step_texts: dict[str, str] = (
            read_json(texts, TypeAdapter(dict[str, str])) if texts.is_file() else {}
        )

    def features(self) -> NpzFile | None:
        """Return the file of features, if there is one."""
        found = sorted(self.source.glob("features_1fps_*.npz"))
        if len(found) > 1:
            raise SetError(
                f"{self.source}: {len(found)} files features_1fps_*.npz: leave one there"
            )
        if not found:
            self._repairs.add("no features file: recordings without features", str(self.source))
        return NpzFile(found[0]) if found else None

    def tags(self, recording: PublishedRecording) -> list[tuple[ErrorTag, ...]]:
        """Return the error tags of every step of `recording`."""
        left = {key: list(tags) for key, tags in self._errors[recording.recording_id].items()}
        out: list[tuple[ErrorTag, ...]] = []
        for index, step in enumerate(recording.steps):
            of_key = left.get((step.step_id, step.start_time, step.end_time), [])
            tags = of_key.pop(0) if of_key else ()
            if step.has_errors and not tags:
                place = f"{recording.recording_id}.steps.{index}"
                self._repairs.add("step with errors that are not named: wrong_execution", place)
                tags = (ErrorTag(tag="Other", description="has_errors, without a tag"),)
            out.append(tags)
        if any(tags for of_key in left.values() for tags in of_key):
            what = "error tags of a step that is not in step_annotations.json: left out"
            self._repairs.add(what, recording.recording_id)
        return out

    def splits(self) -> dict[SplitName, list[PublishedRecording]]:
        """Return the recordings in the published split of persons."""
        path = self.source / "data_splits" / "person_data_split_combined.json"
        if not path.is_file():
            self._repairs.add("no published split: persons split by hash", str(path))
            return split_by_group(self.recordings, lambda recording: str(recording.person_id))
        split = read_json(path, TypeAdapter(_Split))
        lists: dict[SplitName, list[str]] = {
            "train": split.train,
            "validation": split.val,
            "test": split.test,
        }
        listed = {member: name for name, members in lists.items() for member in members}
        if len(listed) != sum(len(members) for members in lists.values()):
            raise SetError(f"{path}: a recording is in two splits or twice in one")
        persons: dict[int, SplitName] = {}
        for recording in self.recordings:
            if (name := listed.get(recording.recording_id)) is None:
                continue
            other = persons.setdefault(recording.person_id, name)
            if other != name:
                raise SetError(
                    f"{path}: person {recording.person_id} is in {other}, and in {name} with "
                    f"recording {recording.recording_id}"
                )
        out: dict[SplitName, list[PublishedRecording]] = {name: [] for name in lists}
        for recording in self.recordings:
            split_name = listed.get(recording.recording_id)
            if split_name is None:
                what = "recording in no published split: put with its person, else to train"
                self._repairs.add(what, recording.recording_id)
                split_name = persons.get(recording.person_id, "train")
            out[split_name].append(recording)
        return out

    def _read_recipes(self) -> dict[str, Recipe]:
        graphs = {_letters(p.stem): p for p in sorted((self.source / "task_graphs").glob("*.json"))}
        texts: dict[str, list[str]] = defaultdict(list)
        for recording in self.recordings:
            texts[recording.activity_name] += [step.description for step in recording.steps]
        recipes: dict[str, Recipe] = {}
        for name, of_name in texts.items():
            recipe_id(name, str(self.path))
            graph = graphs.get(_letters(name))
            if graph is None:
                self._repairs.add("recipe without a task graph: no order", name)
                recipes[name] = recipe_without_graph(name, of_name, self.path)
            else:
                recipes[name] = read_recipe(graph, name)
        return recipes

    def _read_errors(self) -> dict[str, dict[_StepKey, list[tuple[ErrorTag, ...]]]]:
        path = self.source / "error_annotations.json"
        out: dict[str, dict[_StepKey, list[tuple[ErrorTag, ...]]]] = defaultdict(dict)
        if not path.is_file():
            self._repairs.add("no error annotations: only missed steps are known", str(path))
            return out
        for recording in read_json(path, TypeAdapter(list[_Errors])):
            steps = out[recording.recording_id]
            for step in recording.step_annotations:
                key = (step.step_id, step.start_time, step.end_time)
                steps.setdefault(key, []).append(step.errors)
        return out


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
