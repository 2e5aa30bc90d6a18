"""Goes once through a data set and tells everything that is wrong in it; mends nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from industryasm.inspection.annotation_check import check_annotation, read_annotation
from industryasm.inspection.gap import gaps
from industryasm.inspection.media_check import check_features, check_video, is_there
from industryasm.inspection.problem import Problem
from industryasm.json_keys import keys_given_twice
from industryasm.recording import INDEX_FILE, DataSetIndex, Recording, RecordingError, SplitName
from industryasm.regular_file import size_of_file
from industryasm.vocabulary import TASKS_FOLDER, Task, read_task
from industryasm.yaml_file import YamlFileError


@dataclass(frozen=True)
class LongestGap:
    """The longest time of a data set in which no step was annotated."""

    recording: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Validation:
    """What was gone through, how much of it is background, and the problems found."""

    folder: str
    num_recordings: int
    num_videos: int
    num_features: int
    num_segments: int
    duration_s: float
    background_s: float
    longest_gap: LongestGap | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that make results wrong or a file unusable."""
        return tuple(problem for problem in self.problems if problem.level == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that a person should look at."""
        return tuple(problem for problem in self.problems if problem.level == "warning")


def validate_data_set(folder: Path, *, videos: bool = True) -> Validation:
    """Check the data set in `folder`; without `videos`, only that they are there.

    Raises `RecordingError` when there is neither an index nor a folder of recordings.
    """
    if not (folder / INDEX_FILE).is_file() and not (folder / "recordings").is_dir():
        raise RecordingError(f"{folder}: holds neither {INDEX_FILE} nor recordings/")
    index, problems = _read_index(folder)
    paths = sorted((folder / "recordings").glob("*.json"))
    recordings: list[Recording] = []
    vocabularies = _Vocabularies(folder)
    for path in paths:
        file = f"recordings/{path.name}"
        recording, found = read_annotation(path, file)
        problems += found
        if recording is None:
            continue
        recordings.append(recording)
        task = vocabularies.task(recording.task)
        if task is None:
            problems.append(_unknown_task(recording, file, vocabularies))
        else:
            problems += check_annotation(recording, file, task)
        if videos:
            problems += check_video(folder, recording, file)
            problems += check_features(folder, recording, file)
        else:
            problems += _missing_files(folder, recording, file)
    problems += vocabularies.problems
    if index is not None:
        problems += _check_index(index, {path.stem for path in paths})
        by_id = {recording.id: recording for recording in recordings}
        problems += _check_splits(index, by_id, folder)
    problems += _stray_files(folder, recordings, all_known=len(recordings) == len(paths))
    return _summary(folder, recordings, problems)


def _read_index(folder: Path) -> tuple[DataSetIndex | None, list[Problem]]:
    try:
        size_of_file(folder / INDEX_FILE)  # a pipe would be waited for
        content = (folder / INDEX_FILE).read_bytes()
        keys = [(key, "is given twice in one object") for key in keys_given_twice(content)]
        index = DataSetIndex.model_validate_json(content, strict=True)
        return index, [Problem("error", "index", INDEX_FILE, *problem) for problem in keys]
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        return None, [Problem("error", "index", INDEX_FILE, "", message)]
    except ValidationError as error:
        twice = [("splits", message) for message in _given_twice(content)]
        shape = [
            (".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, "))
            for item in error.errors(include_url=False)
        ]
        return None, [
            Problem("error", "index", INDEX_FILE, *problem) for problem in [*shape, *twice, *keys]
        ]


def _given_twice(content: bytes) -> Iterator[str]:
    """Name the recordings that an index gives twice; the model says only that there are some."""
    try:
        splits = json.loads(content)["splits"]
        names = Counter(name for split in splits.values() for name in split)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return  # its shape is wrong, which the model has said
    for name, number in names.items():
        if number > 1:
            yield f"recording {name!r} is given {number} times"


class _Vocabularies:
    """The tasks of a data set, its own before those that come with Linewatch, each read once."""

    def __init__(self, folder: Path) -> None:
        self.problems: list[Problem] = []
        self.broken: set[str] = set()
        self._tasks: dict[str, Task | None] = {}
        for path in sorted((folder / "tasks").glob("*.yaml")):
            self._tasks[path.stem] = self._read(path, f"tasks/{path.name}")

    def task(self, task_id: str) -> Task | None:
        if task_id not in self._tasks:
            shipped = TASKS_FOLDER / f"{task_id}.yaml"
            self._tasks[task_id] = read_task(shipped) if shipped.is_file() else None
        return self._tasks[task_id]

    def _read(self, path: Path, file: str) -> Task | None:
        try:
            return read_task(path)
        except YamlFileError as error:
            self.broken.add(path.stem)
            self.problems += [
                Problem("error", "task", f"{file}:{fault.line}", fault.key, fault.message)
                for fault in error.faults
            ]
            return None


def _unknown_task(recording: Recording, file: str, vocabularies: _Vocabularies) -> Problem:
    message = f"{recording.task!r} is neither in tasks/ nor comes with Linewatch"
    if recording.task in vocabularies.broken:
        message = f"tasks/{recording.task}.yaml has faults, so its labels are not checked"
    return Problem("error", "task", file, "task", message)


def _missing_files(folder: Path, recording: Recording, file: str) -> Iterator[Problem]:
    if recording.video is not None and not is_there(folder / recording.video):
        yield Problem("error", "video", file, "video", f"{recording.video}: there is no such file")
    if recording.features is not None and not is_there(folder / recording.features):
        message = f"{recording.features}: there is no such file"
        yield Problem("error", "features", file, "features", message)


def _check_index(index: DataSetIndex, present: set[str]) -> Iterator[Problem]:
    listed = {name: split for split, names in index.splits.items() for name in names}
    for name, split in listed.items():
        if name not in present:
            message = f"{name!r}: there is no recordings/{name}.json"
            yield Problem("error", "index", INDEX_FILE, f"splits.{split}", message)
    for name in sorted(present - listed.keys()):
        message = f"is in no split of {INDEX_FILE}"
        yield Problem("error", "index", f"recordings/{name}.json", "", message)


@dataclass
class _Shared:
    """What recordings may have in common: how the first of them calls it, and their splits."""

    name: str
    splits: set[SplitName] = field(default_factory=set)


def _check_splits(
    index: DataSetIndex, recordings: dict[str, Recording], folder: Path
) -> Iterator[Problem]:
    traits: dict[str, Callable[[Recording], str | None]] = {
        "operator": lambda recording: recording.operator,
        "station": lambda recording: recording.station,
        "video": lambda recording: recording.video,
        "features": lambda recording: recording.features,
    }
    for what, value_of in traits.items():
        found: dict[Hashable, _Shared] = {}
        for split, names in index.splits.items():
            for name in names:
                value = value_of(recordings[name]) if name in recordings else None
                if value is None:
                    continue
                same = _file_identity(folder / value) if what in ("video", "features") else value
                found.setdefault(same, _Shared(value)).splits.add(split)
        for shared in sorted(found.values(), key=lambda shared: shared.name):
            if len(shared.splits) > 1:
                ordered = [split for split in index.splits if split in shared.splits]
                yield _leak(what, shared.name, ordered, is_only_one=len(found) == 1)


def _file_identity(path: Path) -> Hashable:
    """Return what is the same for two names of one file: imports link videos."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return path
    return facts.st_dev, facts.st_ino


def _leak(what: str, value: str, splits: Sequence[str], *, is_only_one: bool) -> Problem:
    where = f"{what} {value!r} is in {', '.join(splits)}"
    if what == "station" or (what == "operator" and is_only_one):
        # Published splits share stations, and one operator cannot be held apart from itself.
        message = f"{where}: results will not tell how another {what} would do"
        return Problem("warning", "split-leak", INDEX_FILE, "splits", message)
    message = f"{where}: what is learnt from it is tested on it (see `linewatch data split`)"
    return Problem("error", "split-leak", INDEX_FILE, "splits", message)


def _stray_files(
    folder: Path, recordings: Sequence[Recording], *, all_known: bool
) -> Iterator[Problem]:
    for path in _files(folder / "recordings"):
        if path.suffix != ".json":
            yield _stray(folder, path, "is no annotation, which ends in .json")
    if not all_known:
        return  # an annotation that cannot be read may be the one that names a file
    named = {folder / file for r in recordings for file in (r.video, r.features) if file}
    for path in [*_files(folder / "videos"), *_files(folder / "features")]:
        if path not in named:
            yield _stray(folder, path, "belongs to no recording")


def _stray(folder: Path, path: Path, message: str) -> Problem:
    file = path.relative_to(folder).as_posix()
    return Problem("warning", "stray-file", file, "", message)


def _files(folder: Path) -> list[Path]:
    # Not the folders in it: features that Linewatch computed itself are kept in some.
    return sorted(path for path in folder.glob("*") if path.is_file())


def _summary(
    folder: Path, recordings: Sequence[Recording], problems: Sequence[Problem]
) -> Validation:
    longest: LongestGap | None = None
    background_s = 0.0
    for recording in recordings:
        for start_s, end_s in gaps(recording):
            background_s += end_s - start_s
            if longest is None or end_s - start_s > longest.end_s - longest.start_s:
                longest = LongestGap(recording.id, start_s, end_s)
    return Validation(
        folder=str(folder),
        num_recordings=len(recordings),
        num_videos=sum(recording.video is not None for recording in recordings),
        num_features=sum(recording.features is not None for recording in recordings),
        num_segments=sum(len(recording.segments) for recording in recordings),
        duration_s=sum(recording.duration_s for recording in recordings),
        background_s=background_s,
        longest_gap=longest,
        problems=tuple(problems),
    )
