"""A recording with its annotation, and a folder of recordings with its splits.

```
DIR/dataset.json            name, and which recordings belong to which split
DIR/recordings/ID.json      one `Recording`
DIR/videos/ID.mp4           its video, if there is one, named inside the JSON relative to DIR
DIR/features/ID.npz         where features were published instead: `features` (T, D), `times_s` (T,)
DIR/tasks/TASK.yaml         the vocabulary, where it is not one that comes with Linewatch
```
Times are seconds from the first frame, by PTS; spans are half-open; what no segment covers is
background.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from industryasm.deviation import KnownDeviation, KnownKind
from industryasm.fault import UserFault
from industryasm.json_keys import keys_given_twice
from industryasm.regular_file import size_of_file
from industryasm.segment import Segment
from industryasm.vocabulary import (
    UNEXPECTED,
    Identifier,
    Task,
    load_task,
    read_task,
    write_task,
)

INDEX_FILE = "dataset.json"

MAX_NOTE = 1000  # characters
MAX_DURATION_S = 10_000_000  # 116 days: more is a slip, or is to fill the memory

ModelT = TypeVar("ModelT", bound=BaseModel)
SplitName = Literal["train", "validation", "test"]
RecordingId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Time = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RecordingError(UserFault, ValueError):
    """A recording or data set file cannot be read or does not hold together."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Span(_Frozen):
    start_s: Time
    end_s: Time

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.end_s <= self.start_s:
            raise ValueError(f"[{self.start_s}, {self.end_s}) must end after it starts")
        return self


class AnnotatedSegment(_Span):
    """What was done in [start_s, end_s): a step of the task, or `unexpected`."""

    label: Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Track(_Frozen):
    """A second layer of segments in words of its own: one hand's actions, an anomaly's phases."""

    name: Identifier
    segments: tuple[AnnotatedSegment, ...]

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        _check_order(self.segments)
        return self


class AnnotatedDeviation(_Span):
    """A known departure from the procedure in [start_s, end_s) of cycle `cycle` (from 1)."""

    kind: KnownKind
    step: str
    cycle: Annotated[int, Field(ge=1)]
    note: Annotated[str, StringConstraints(max_length=MAX_NOTE)] = ""
    """What the annotator wrote, or what the set that it was imported from calls it."""


class AnnotatedCycle(_Span):
    """The assembly of one unit."""

    number: Annotated[int, Field(ge=1)]


class Recording(_Frozen):
    """One recording of a station and what people (or the renderer) know of it.

    `operator` is a pseudonym. `rate_hz`, `width`, `height` are the camera's, as far as known.
    """

    version: Literal[1] = 1
    id: RecordingId
    task: Identifier
    task_revision: Annotated[int, Field(ge=1)]
    video: str | None = None
    features: str | None = None
    duration_s: Annotated[float, Field(gt=0, le=MAX_DURATION_S, allow_inf_nan=False)]
    rate_hz: Annotated[float, Field(gt=0, le=240)] | None = None
    width: Annotated[int, Field(gt=0)] | None = None
    height: Annotated[int, Field(gt=0)] | None = None
    station: RecordingId
    camera: RecordingId
    operator: RecordingId
    annotator: str
    review: Literal["generated", "draft", "reviewed"]
    cycles: tuple[AnnotatedCycle, ...]
    segments: tuple[AnnotatedSegment, ...]
    deviations: tuple[AnnotatedDeviation, ...]
    tracks: tuple[Track, ...] = ()

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for file in (self.video, self.features):
            if file is not None and (Path(file).is_absolute() or ".." in Path(file).parts):
                raise ValueError(f"file {file!r} must lie inside the data set's folder")
        _check_order(self.segments)
        spans = [*self.segments, *self.deviations, *(s for t in self.tracks for s in t.segments)]
        last = max((span.end_s for span in spans), default=0.0)
        if last > self.duration_s + 1e-6:
            raise ValueError(f"a span ends at {last} s, the recording at {self.duration_s} s")
        return self

    def spans(self) -> list[Segment]:
        """Return the segments as values of `industryasm.segment`."""
        return [Segment(s.start_s, s.end_s, s.label) for s in self.segments]

    def visible_work(self) -> list[Segment]:
        """Return `spans()` as a recogniser should see them: a step with a wrong part is none.

        It is unexpected work instead, from which `wrong_part` follows (`industryasm.deviation`).
        """
        wrong = [deviation for deviation in self.deviations if deviation.kind == "wrong_part"]
        return [
            replace(span, label=UNEXPECTED) if any(_is_of(span, d) for d in wrong) else span
            for span in self.spans()
        ]

    def known_deviations(self) -> list[KnownDeviation]:
        """Return the deviations as values of `industryasm.deviation`."""
        return [
            KnownDeviation(d.kind, d.step, d.cycle, d.start_s, d.end_s) for d in self.deviations
        ]

    def write(self, folder: Path) -> None:
        """Write the annotation into the data set at `folder`; it is there whole or not at all."""
        _write_whole(annotation_path(folder, self.id), self._text())

    def lies_in(self, folder: Path) -> bool:
        """Tell whether the data set at `folder` has this annotation, word for word."""
        path = annotation_path(folder, self.id)
        return path.is_file() and path.read_bytes() == self._text().encode()

    def _text(self) -> str:
        return self.model_dump_json(indent=1) + "\n"


def _is_of(span: Segment, deviation: AnnotatedDeviation) -> bool:
    """Tell whether `deviation` is of the work in `span`: of its step, and at its middle."""
    middle_s = (span.start_s + span.end_s) / 2
    return span.label == deviation.step and deviation.start_s <= middle_s < deviation.end_s


def _check_order(segments: Sequence[AnnotatedSegment]) -> None:
    previous = 0.0
    for segment in segments:
        if segment.start_s < previous:
            raise ValueError(
                f"segment {segment.label!r} at {segment.start_s} s begins before the one before it "
                f"ends, at {previous} s"
            )
        previous = segment.end_s


class DataSetIndex(_Frozen):
    """`dataset.json`: the name, and the recordings of each split; no recording is in two."""

    version: Literal[1] = 1
    name: str
    splits: dict[SplitName, tuple[RecordingId, ...]]

    @model_validator(mode="after")
    def _is_disjoint(self) -> Self:
        names = [name for split in self.splits.values() for name in split]
        if len(names) != len(set(names)):
            raise ValueError("a recording is in two splits or twice in one")
        return self


class DataSet:
    """A folder of recordings."""

    def __init__(self, folder: Path) -> None:
        """Read the index; raise `RecordingError` when `folder` holds no data set."""
        self.folder = folder
        self.index = _read_json(folder / INDEX_FILE, DataSetIndex)

    def split(self, name: SplitName) -> Iterator[Recording]:
        """Yield the recordings of one split in the index's order."""
        for recording_id in self.index.splits.get(name, ()):
            yield self.recording(recording_id)

    def recordings(self) -> Iterator[Recording]:
        """Yield the recordings of all splits."""
        for name in self.index.splits:
            yield from self.split(name)

    def recording(self, recording_id: str) -> Recording:
        """Read one annotation; raise `RecordingError` when it is absent or does not hold."""
        recording = _read_json(annotation_path(self.folder, recording_id), Recording)
        if recording.id != recording_id:
            raise RecordingError(f"{recording_id}.json says it is {recording.id!r}")
        return recording

    def video(self, recording: Recording) -> Path:
        """Return the path of a recording's video; raise `RecordingError` when it has none."""
        if recording.video is None:
            raise RecordingError(f"{self.folder}: recording {recording.id!r} has no video")
        return self.folder / recording.video

    def task(self, task_id: str) -> Task:
        """Return the data set's own vocabulary of this name, else the one with Linewatch."""
        own = self.folder / "tasks" / f"{task_id}.yaml"
        return read_task(own) if own.is_file() else load_task(task_id)


def annotation_path(folder: Path, recording_id: str) -> Path:
    """Return where the data set at `folder` has the annotation of a recording."""
    return folder / "recordings" / f"{recording_id}.json"


def read_recording(path: Path) -> Recording:
    """Read one annotation file; raise `RecordingError` when it is absent or does not hold."""
    return _read_json(path, Recording)


def write_data_set(
    folder: Path,
    *,
    name: str,
    splits: Mapping[SplitName, Sequence[Recording]],
    tasks: Iterable[Task] = (),
) -> None:
    """Write annotations, `tasks` that do not come with Linewatch, and the index, which is last."""
    for task in tasks:
        write_task(task, folder / "tasks" / f"{task.id}.yaml")
    for recordings in splits.values():
        for recording in recordings:
            recording.write(folder)
    ids = {split: tuple(r.id for r in recordings) for split, recordings in splits.items()}
    write_index(folder, DataSetIndex(name=name, splits=ids))


def write_index(folder: Path, index: DataSetIndex) -> None:
    """Write `dataset.json` into `folder`; it is there whole or not at all."""
    text = json.dumps(index.model_dump(mode="json"), indent=1)
    _write_whole(folder / INDEX_FILE, text + "\n")


def _write_whole(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _read_json(path: Path, model: type[ModelT]) -> ModelT:
    try:
        size_of_file(path)  # a pipe would be waited for
        content = path.read_bytes()
        found = model.model_validate_json(content, strict=True)  # "2" and true are no numbers
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecordingError(f"{path}: {place}: {first['msg']}") from error
    if twice := keys_given_twice(content):
        raise RecordingError(f"{path}: {twice[0]!r} is given twice in one object")
    return found
