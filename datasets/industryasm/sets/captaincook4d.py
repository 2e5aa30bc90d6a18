"""CaptainCook4D (MIT): cooking procedures with steps, errors and a partial order of each recipe.

Read: `step_annotations.json` (steps in seconds), `error_annotations.json` (tags, see
`captaincook4d_errors`), `task_graphs/RECIPE.json`, `data_splits/person_data_split_combined.json`
and `features_1fps_*.npz` (one image feature a second).

- A recipe is a task, a recording one cycle of it, a person an operator, an environment a station.
- Where there are features, only recordings with features are taken; the others are counted. Without
  the features file every annotated recording is taken, which gives labels without an input.
- `start_time` -1 is a missed step: a deviation over the whole cycle, and no segment.
- Steps overlap (a pan is stirred while water boils): our layer of steps is cut, see
  `layer.cut_overlaps`, and the steps as published lie uncut on tracks. Deviations keep their spans.
- The published split by person is taken, so that no person is in two splits (environments are).
- Expected times and limits are measured on the training recordings' steps without an error tag,
  those of recordings without features too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from industryasm.deviation import KnownKind
from industryasm.recording import (
    MAX_NOTE,
    AnnotatedCycle,
    AnnotatedDeviation,
    Recording,
    SplitName,
    write_data_set,
)
from industryasm.repairs import Repairs
from industryasm.sets.captaincook4d_errors import MISSING, ErrorTag, kind_of
from industryasm.sets.captaincook4d_files import PublishedFiles, PublishedRecording, PublishedStep
from industryasm.sets.captaincook4d_recipe import Recipe
from industryasm.sets.feature_file import write_features
from industryasm.sets.layer import PublishedSegment, cut_overlaps, uncut_tracks
from industryasm.sets.npz_file import NpzFile
from industryasm.sets.set_error import SetError, refused_at
from industryasm.sets.step_times import StepTimes

FEATURE_RATE_HZ = 1.0


@dataclass(frozen=True)
class _Done:
    """A step of a recording by its id; `segment` is None where it was missed."""

    step: str
    text: str
    place: str
    segment: PublishedSegment | None
    tags: tuple[ErrorTag, ...]


def import_set(source: Path, target: Path, repairs: Repairs) -> None:
    """Write the recordings of the folder `source` as a data set at `target`.

    Raises `SetError` for a file that is absent, damaged, of another shape, or that names an unknown
    step or tag.
    """
    files = PublishedFiles(source, repairs)
    features = files.features()
    taken = _taken(files, features, repairs)
    times: dict[str, StepTimes] = defaultdict(StepTimes)
    splits: dict[SplitName, list[Recording]] = {}
    for split, members in files.splits().items():
        splits[split] = []
        for published in members:
            recipe = files.recipes[published.activity_name]
            is_taken = published.recording_id in taken
            done = _done(files, published, repairs if is_taken else Repairs())
            if split == "train":
                _measure(done, times[recipe.id])
            if is_taken:
                recording = _recording(
                    files.path, published, recipe, done, features, target, repairs
                )
                splits[split].append(recording)
    used = {recording.task for recordings in splits.values() for recording in recordings}
    recipes = {recipe.id: recipe for recipe in files.recipes.values() if recipe.id in used}
    write_data_set(
        target,
        name="captaincook4d",
        splits=splits,
        tasks=[recipe.task(times[name]) for name, recipe in sorted(recipes.items())],
    )


def _taken(files: PublishedFiles, features: NpzFile | None, repairs: Repairs) -> set[str]:
    annotated = {recording.recording_id for recording in files.recordings}
    if features is None:
        return annotated
    for name in sorted(set(features.names) - annotated):
        repairs.add("features without annotation: left out", f"{features.path.name}: {name}")
    for name in sorted(annotated - set(features.names)):
        repairs.add("annotated recording without features: left out", name)
    if not annotated & set(features.names):
        raise SetError(f"{features.path}: has features of no recording that is in {files.path}")
    return annotated & set(features.names)


def _done(files: PublishedFiles, published: PublishedRecording, repairs: Repairs) -> list[_Done]:
    """Return the steps of a recording; those that have no length are left out."""
    recipe = files.recipes[published.activity_name]
    counts: dict[str, int] = defaultdict(int)
    out: list[_Done] = []
    tags = files.tags(published)
    for index in _in_time(published.steps):
        step = published.steps[index]
        place = f"{published.recording_id}.steps.{index}"
        text, ids = _known_text(files, recipe, step, place, repairs)
        step_id = ids[min(counts[text], len(ids) - 1)]
        counts[text] += 1
        segment = _segment(files, step, step_id, place)
        if segment is None and step.start_time >= 0:
            repairs.add("step that ends before it begins: left out", place)
            continue
        out.append(_Done(step_id, text, place, segment, tags[index]))
    return out


def _in_time(steps: list[PublishedStep]) -> list[int]:
    """Return the indices in the order of time, missed steps last.

    By it the steps of one text are told apart: the first done is the first of the graph.
    """
    return sorted(
        range(len(steps)), key=lambda i: (steps[i].start_time < 0, steps[i].start_time, i)
    )


def _known_text(
    files: PublishedFiles, recipe: Recipe, step: PublishedStep, place: str, repairs: Repairs
) -> tuple[str, tuple[str, ...]]:
    if ids := recipe.ids_of(step.description):
        return ids[0], ids
    text = files.step_texts.get(str(step.step_id), "")
    if ids := recipe.ids_of(text):
        repairs.add("step text that is not in the task graph: taken by its step_id", place)
        return ids[0], ids
    raise SetError(
        f"{files.path}: {place}: {step.description!r} is no step of recipe {recipe.name!r}"
    )


def _segment(
    files: PublishedFiles, step: PublishedStep, step_id: str, place: str
) -> PublishedSegment | None:
    if (step.start_time < 0) != (step.end_time < 0):
        span = f"[{step.start_time}, {step.end_time})"
        raise SetError(f"{files.path}: {place}: {span} begins or ends before 0 s")
    if not 0 <= step.start_time < step.end_time:
        return None
    return PublishedSegment(step.start_time, step.end_time, step_id, place)


def _measure(done: list[_Done], times: StepTimes) -> None:
    for step in done:
        if step.segment is not None and not step.tags:
            times.add(step.step, step.segment.end_s - step.segment.start_s)


def _recording(
    path: Path,
    published: PublishedRecording,
    recipe: Recipe,
    done: list[_Done],
    features: NpzFile | None,
    target: Path,
    repairs: Repairs,
) -> Recording:
    name, file = published.recording_id, None
    duration_s = max((step.segment.end_s for step in done if step.segment), default=1.0)
    if features is not None:
        rows = features.numbers(name, dims=2)
        if not len(rows):
            raise SetError(f"{features.path}: {name}: has no row")
        duration_s = len(rows) / FEATURE_RATE_HZ
        file = write_features(target, name, rows, FEATURE_RATE_HZ)
    inside = _inside(done, duration_s, repairs)
    segments = [step.segment for step in inside if step.segment]
    with refused_at(f"{path}: {name}"):
        return Recording(
            id=name,
            task=recipe.id,
            task_revision=1,
            features=file,
            duration_s=duration_s,
            station=f"environment-{published.environment}",
            camera="head",
            operator=f"person-{published.person_id}",
            annotator="captaincook4d",
            review="reviewed",
            cycles=(AnnotatedCycle(number=1, start_s=0.0, end_s=duration_s),),
            segments=cut_overlaps(segments, repairs),
            deviations=tuple(d for step in inside for d in _deviations(step, duration_s, repairs)),
            tracks=uncut_tracks(segments),
        )


def _inside(done: list[_Done], duration_s: float, repairs: Repairs) -> list[_Done]:
    """Cut what was annotated beyond the end of the features."""
    out: list[_Done] = []
    for step in done:
        segment = step.segment
        if segment is not None and segment.end_s > duration_s:
            place = f"{step.place} by {segment.end_s - duration_s:.1f} s"
            if segment.start_s >= duration_s:
                repairs.add("step after the end of the features: left out", place)
                continue
            repairs.add("step longer than the features: cut", place)
            segment = PublishedSegment(segment.start_s, duration_s, segment.label, segment.place)
        out.append(_Done(step.step, step.text, step.place, segment, step.tags))
    return out


def _deviations(step: _Done, duration_s: float, repairs: Repairs) -> list[AnnotatedDeviation]:
    """Return one deviation for each kind that the tags of a step are, with the tags in its note."""
    start_s, end_s = 0.0, duration_s
    if step.segment is not None:
        start_s, end_s = step.segment.start_s, step.segment.end_s
    notes: dict[KnownKind, list[str]] = {} if step.segment else {"missed": []}
    for tag in step.tags:
        kind = _kind(step, tag, repairs)
        notes.setdefault(kind, []).append(tag.note())
    return [
        AnnotatedDeviation(
            kind=kind,
            step=step.step,
            cycle=1,
            start_s=start_s,
            end_s=end_s,
            note="; ".join(parts)[:MAX_NOTE],
        )
        for kind, parts in notes.items()
    ]


def _kind(step: _Done, tag: ErrorTag, repairs: Repairs) -> KnownKind:
    if step.segment is None:
        return "missed"
    if tag.tag == MISSING:
        repairs.add("step tagged as missing that has a time: wrong_execution", step.place)
        return "wrong_execution"
    return kind_of(tag, step.text)
