"""IKEA ASM evidence (MIT): what eight published networks made of real furniture assembly, at 5 fps.

Read: `evidence_RATEfps.npz` with `xN` (T, models * labels) probabilities, `yN` (T,) the true label,
`cases[N]`, `labels`, `models`.

- One task holds the labels of all furniture, as they were published. Their order was not: every
  step is optional and repeatable (four legs are spun on), so nothing is ever called missed.
- Departures were not annotated, so there are none.
- The evidence is piecewise constant: frames in which a network's best label stayed the same were
  merged by the publisher. Segments of the truth come from every frame and are exact to 1/RATE s.
- The label `NA` is background. `other` is a step: work that the annotators saw and did not name.
- A case is `ITEM/SUBJECT_COLOUR_SURFACE_PLACE_DATE`, one with the name of a person behind, which is
  left out. Subjects are operators and are kept apart by our split: the networks were trained on
  other recordings, and all of these are the published test part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from industryasm.frame_times import FrameTimes
from industryasm.recording import (
    AnnotatedCycle,
    AnnotatedSegment,
    Recording,
    SplitName,
    write_data_set,
)
from industryasm.repairs import Repairs
from industryasm.segment import runs
from industryasm.sets.feature_file import write_features
from industryasm.sets.identifier import identifier, unique
from industryasm.sets.npz_file import NpzFile
from industryasm.sets.set_error import SetError, refused_at
from industryasm.sets.splitting import split_by_group
from industryasm.sets.step_times import StepTimes
from industryasm.sets.unordered_task import unordered_task
from industryasm.vocabulary import BACKGROUND, UNEXPECTED

TASK = "ikea-furniture"
_FILE = re.compile(r"evidence_(\d+(?:\.\d+)?)fps\.npz", re.ASCII)
_CASE = re.compile(
    r"(?P<item>[A-Za-z0-9_]{1,40})/(?P<subject>\d{1,8})_(?P<colour>[a-z]{1,20})_"
    r"(?P<surface>[a-z]{1,20})_(?P<place>\d\d_\d\d)_(?P<date>\d{4}(?:_\d\d){4})(?P<rest>.*)",
    re.ASCII,
)
_BACKGROUND_LABELS = ("na", "n/a", "null", "none", "background")


@dataclass(frozen=True)
class _Case:
    id: str
    subject: str
    place: str


def import_set(source: Path, target: Path, repairs: Repairs) -> None:
    """Write the recordings of the folder `source` as a data set at `target`.

    Raises `SetError` for a file that is absent, damaged, of another shape, or names an unknown
    label.
    """
    file, rate_hz = _evidence(source)
    labels = file.texts("labels")
    steps = _step_ids(labels, file.path)
    width = len(file.texts("models")) * len(labels)
    recordings = [
        _recording(file, index, case, steps, width, rate_hz, target, repairs)
        for index, case in sorted(_cases(file, repairs).items())
    ]
    splits = split_by_group(recordings, lambda recording: recording.operator)
    task = unordered_task(
        TASK,
        "IKEA furniture",
        "Lack tables and bench, Kallax drawer",
        "furniture",
        texts={i: text for i, text in zip(steps, labels, strict=True) if i != BACKGROUND},
        times=_times(splits),
        place=f"{file.path}: labels",
    )
    write_data_set(target, name="ikea-asm", splits=splits, tasks=[task])


def _evidence(source: Path) -> tuple[NpzFile, float]:
    found = {p: match for p in source.glob("*.npz") if (match := _FILE.fullmatch(p.name))}
    if len(found) != 1:
        raise SetError(f"{source}: holds {len(found)} files evidence_RATEfps.npz, expected one")
    path, match = found.popitem()
    rate_hz = float(match[1])
    if not 0 < rate_hz <= 60:
        raise SetError(f"{path}: {rate_hz:g} frames a second, expected up to 60")
    return NpzFile(path), rate_hz


def _step_ids(labels: list[str], path: Path) -> list[str]:
    taken = {BACKGROUND, UNEXPECTED}
    ids = [
        BACKGROUND if label.lower() in _BACKGROUND_LABELS else unique(identifier(label), taken)
        for label in labels
    ]
    if ids.count(BACKGROUND) != 1:
        raise SetError(f"{path}: labels: {ids.count(BACKGROUND)} of {labels} are background")
    return ids


def _cases(file: NpzFile, repairs: Repairs) -> dict[int, _Case]:
    """Return the cases of which features and truth are there, by their number."""
    names = file.texts("cases")
    indices = {int(name[1:]) for name in file.names if re.fullmatch(r"[xy]\d{1,6}", name)}
    if beyond := sorted(index for index in indices if index >= len(names)):
        raise SetError(f"{file.path}: x{beyond[0]} has no name: there are {len(names)} cases")
    taken: set[str] = set()
    out: dict[int, _Case] = {}
    for index, name in enumerate(names):
        place = f"{file.path.name}: cases[{index}]"
        if f"x{index}" not in file or f"y{index}" not in file:
            repairs.add("case without features or truth: left out", place)
            continue
        case = _case(name, index, place, repairs)
        out[index] = _Case(unique(case.id, taken), case.subject, case.place)
    if not out:
        raise SetError(f"{file.path}: holds no case with features xN and truth yN")
    return out


def _case(name: str, index: int, place: str, repairs: Repairs) -> _Case:
    match = _CASE.fullmatch(name)
    if match is None:
        repairs.add("case name of another form: a subject and a place of its own", place)
        return _Case(f"case-{index}", f"case-{index}", f"case-{index}")
    if match["rest"]:
        repairs.add("words behind a case's date, such as a person's name: left out", place)
    shown = "-".join(match[part] for part in ("item", "subject", "colour", "surface", "place"))
    return _Case(
        f"{shown}-{match['date']}",
        f"subject-{match['subject']}",
        f"{match['surface']}-{match['place']}",
    )


def _recording(
    file: NpzFile,
    index: int,
    case: _Case,
    steps: list[str],
    width: int,
    rate_hz: float,
    target: Path,
    repairs: Repairs,
) -> Recording:
    features, truth = file.numbers(f"x{index}", dims=2), file.numbers(f"y{index}", dims=1)
    place = f"{file.path}: y{index}"
    if features.shape[1] != width or not len(features):
        shape = features.shape
        raise SetError(f"{file.path}: x{index}: is {shape}, expected 1 or more rows of {width}")
    if (
        truth.dtype.kind not in "iu"
        or truth.min(initial=0) < 0
        or truth.max(initial=0) >= len(steps)
    ):
        raise SetError(
            f"{place}: {truth.dtype} has a value that is none of the {len(steps)} labels"
        )
    if len(truth) > len(features):
        beyond = f"{place} by {len(truth) - len(features)} frames"
        repairs.add("annotation longer than its features: cut", beyond)
    elif len(truth) < len(features):
        beyond = f"{place} by {len(features) - len(truth)} frames"
        repairs.add("annotation shorter than its features: background behind it", beyond)
    frames = FrameTimes.regular(num_frames=len(features), rate_hz=rate_hz)
    names = [steps[label] for label in truth[: len(features)].tolist()]
    with refused_at(f"{file.path}: cases[{index}]"):
        return Recording(
            id=case.id,
            task=TASK,
            task_revision=1,
            features=write_features(target, case.id, features, rate_hz),
            duration_s=frames.end_s,
            station=case.place,
            camera="camera",
            operator=case.subject,
            annotator="ikea-asm",
            review="reviewed",
            cycles=(AnnotatedCycle(number=1, start_s=0.0, end_s=frames.end_s),),
            segments=tuple(
                AnnotatedSegment(
                    start_s=frames.start_of(start), end_s=frames.start_of(end), label=name
                )
                for name, start, end in runs(names)
                if name != BACKGROUND
            ),
            deviations=(),
        )


def _times(splits: dict[SplitName, list[Recording]]) -> StepTimes:
    times = StepTimes()
    for recording in splits["train"]:
        for segment in recording.segments:
            times.add(segment.label, segment.end_s - segment.start_s)
    return times
