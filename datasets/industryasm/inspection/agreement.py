"""How far two annotations of the same recordings agree: frame by frame, and in their boundaries.

Frames are samples at a fixed rate, each taken at its middle. Cohen's kappa is agreement beyond what
two annotators with the same habits would reach by chance: (p_o - p_e) / (1 - p_e), J. Cohen, "A
coefficient of agreement for nominal scales", Educational and Psychological Measurement 20, 1960.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from industryasm.fault import UserFault
from industryasm.inspection.boundaries import (
    BoundaryAgreement,
    BoundaryMatches,
    boundary_agreement,
    match_boundaries,
)
from industryasm.recording import AnnotatedSegment, DataSet, Recording, read_recording
from industryasm.vocabulary import BACKGROUND

MAX_DIFFERENCE_S = 1.0  # of two durations that are said to be of one recording
MAX_FRAMES = 20_000_000  # of one recording: nine days at 25 Hz

Confusion = Mapping[tuple[str, str], int]
"""How many frames A and B label with each pair of labels."""


class AgreementError(UserFault, ValueError):
    """Two annotations cannot be compared."""


@dataclass(frozen=True)
class FrameAgreement:
    """Agreement over some frames; None, with the reason in `undefined`, where there is none."""

    num_frames: int
    percent: float | None
    kappa: float | None
    undefined: str = ""


@dataclass(frozen=True)
class StepAgreement:
    """How many frames A and B give to a step, and to how many both do.

    `percent` is specific agreement, 2 both / (A + B), after L. R. Dice, Ecology 26, 1945.
    """

    task: str
    label: str
    frames_a: int
    frames_b: int
    frames_both: int
    percent: float


@dataclass(frozen=True)
class LoneSegment:
    """A segment of one annotator, `a` or `b`, at which the other has none of the same label."""

    recording: str
    annotation: Literal["a", "b"]
    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Agreement:
    """Agreement over one recording or over all.

    `steps_of_either` leaves out the frames that both call background, `steps_of_both` those that
    one of them does: the first judges boundaries, the second only which step it is.
    """

    all_frames: FrameAgreement
    steps_of_either: FrameAgreement
    steps_of_both: FrameAgreement
    steps: tuple[StepAgreement, ...]
    boundaries: BoundaryAgreement
    lone_segments: tuple[LoneSegment, ...]


@dataclass(frozen=True)
class RecordingAgreement:
    """Agreement over one recording, and whose annotations they are."""

    recording: str
    task: str
    annotator_a: str
    annotator_b: str
    agreement: Agreement


@dataclass(frozen=True)
class Comparison:
    """Agreement over all recordings pooled and over each; and the recordings that only one has."""

    rate_hz: float
    pooled: Agreement
    recordings: tuple[RecordingAgreement, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


@dataclass(frozen=True)
class _Counts:
    """What is counted in one recording, and can be added up over several."""

    confusion: dict[tuple[str, str], int]
    boundaries: BoundaryMatches
    lone: tuple[LoneSegment, ...]


def compare_paths(a: Path, b: Path, *, rate_hz: float = 25.0) -> Comparison:
    """Compare two annotation files, or the recordings of the same name of two data sets.

    Raises `RecordingError` for what cannot be read, `AgreementError` for what cannot be compared.
    """
    for path in (a, b):
        if not path.exists():
            raise AgreementError(f"{path}: there is no such file or folder")
    if a.is_dir() != b.is_dir():
        raise AgreementError(f"{a} and {b}: give two data sets or two annotation files")
    if not a.is_dir():
        return compare([(read_recording(a), read_recording(b))], rate_hz=rate_hz)
    of_a, of_b = ({r.id: r for r in DataSet(folder).recordings()} for folder in (a, b))
    both = [(recording, of_b[name]) for name, recording in of_a.items() if name in of_b]
    if not both:
        raise AgreementError(f"{a} and {b}: no recording of one has its name in the other")
    only_a, only_b = (tuple(sorted(x.keys() - y.keys())) for x, y in ((of_a, of_b), (of_b, of_a)))
    return compare(both, rate_hz=rate_hz, only_a=only_a, only_b=only_b)


def compare(
    pairs: Sequence[tuple[Recording, Recording]],
    *,
    rate_hz: float = 25.0,
    only_a: tuple[str, ...] = (),
    only_b: tuple[str, ...] = (),
) -> Comparison:
    """Compare pairs of annotations of the same recording, `rate_hz` frames a second.

    Pooled figures count frames of all recordings alike; a label is told apart by its task. Raises
    `AgreementError` where the two of a pair are of different tasks or lengths.
    """
    counts: list[_Counts] = []
    rows: list[RecordingAgreement] = []
    for a, b in pairs:
        _check_pair(a, b, rate_hz)
        counts.append(_count(a, b, rate_hz))
        agreement = _agreement(counts[-1:])
        rows.append(RecordingAgreement(a.id, a.task, a.annotator, b.annotator, agreement))
    return Comparison(rate_hz, _agreement(counts), tuple(rows), only_a, only_b)


def frame_agreement(confusion: Confusion) -> FrameAgreement:
    """Return percentage and Cohen's kappa of counted pairs of labels, exact in integers.

    >>> frame_agreement({("a", "a"): 20, ("a", "b"): 5, ("b", "a"): 10, ("b", "b"): 15})
    FrameAgreement(num_frames=50, percent=70.0, kappa=0.4, undefined='')
    """
    total = sum(confusion.values())
    if total == 0:
        return FrameAgreement(0, None, None, "there is no such frame")
    agreed = sum(number for (a, b), number in confusion.items() if a == b)
    of_a: dict[str, int] = defaultdict(int)
    of_b: dict[str, int] = defaultdict(int)
    for (a, b), number in confusion.items():
        of_a[a] += number
        of_b[b] += number
    by_chance = sum(number * of_b[label] for label, number in of_a.items() if label in of_b)
    percent = 100 * agreed / total
    if by_chance == total * total:
        return FrameAgreement(total, percent, None, "kappa: both give every frame the same label")
    return FrameAgreement(
        total, percent, (total * agreed - by_chance) / (total * total - by_chance)
    )


def _check_pair(a: Recording, b: Recording, rate_hz: float) -> None:
    names = a.id if a.id == b.id else f"{a.id} and {b.id}"
    if a.task != b.task:
        raise AgreementError(f"{names}: one is of task {a.task!r}, the other of {b.task!r}")
    if not abs(a.duration_s - b.duration_s) <= MAX_DIFFERENCE_S:
        raise AgreementError(
            f"{names}: one is {a.duration_s} s long, the other {b.duration_s} s; they must be "
            f"annotations of the same recording"
        )
    if a.duration_s * rate_hz > MAX_FRAMES:
        raise AgreementError(f"{names}: {a.duration_s} s at {rate_hz} Hz are too many frames")


def _count(a: Recording, b: Recording, rate_hz: float) -> _Counts:
    duration_s = min(a.duration_s, b.duration_s)
    num_frames = max(round(duration_s * rate_hz), 1)
    middles_s = (np.arange(num_frames) + 0.5) / rate_hz
    labels = {BACKGROUND: BACKGROUND}
    for segment in (*a.segments, *b.segments):
        if segment.label != BACKGROUND:
            labels[segment.label] = f"{a.task}/{segment.label}"
    codes = {label: code for code, label in enumerate(labels)}
    pairs = _codes(a.segments, middles_s, codes) * len(codes) + _codes(b.segments, middles_s, codes)
    found, numbers = np.unique(pairs, return_counts=True)
    names = list(labels.values())
    return _Counts(
        confusion={
            (names[pair // len(codes)], names[pair % len(codes)]): number
            for pair, number in zip(found.tolist(), numbers.tolist(), strict=True)
        },
        boundaries=match_boundaries(a, b, shortest_gap_s=1 / rate_hz),
        lone=(*_lone(a, b, "a"), *_lone(b, a, "b")),
    )


def _codes(
    segments: Sequence[AnnotatedSegment], times_s: np.ndarray, codes: Mapping[str, int]
) -> np.ndarray:
    """Return the code of the label at each of `times_s` (T,), that of background in gaps."""
    if not segments:
        return np.full(len(times_s), codes[BACKGROUND])
    starts = np.array([segment.start_s for segment in segments])
    ends = np.array([segment.end_s for segment in segments])
    values = np.array([codes[segment.label] for segment in segments])
    last = np.searchsorted(starts, times_s, side="right") - 1
    inside = (last >= 0) & (times_s < ends[last])
    return np.where(inside, values[last], codes[BACKGROUND])


def _lone(own: Recording, other: Recording, annotation: Literal["a", "b"]) -> Iterator[LoneSegment]:
    by_label: dict[str, list[AnnotatedSegment]] = defaultdict(list)
    for segment in other.segments:
        by_label[segment.label].append(segment)
    for s in own.segments:
        if s.label != BACKGROUND and not any(
            s.start_s < o.end_s and s.end_s > o.start_s for o in by_label[s.label]
        ):
            yield LoneSegment(own.id, annotation, s.label, s.start_s, s.end_s)


def _agreement(counts: Sequence[_Counts]) -> Agreement:
    confusion: dict[tuple[str, str], int] = defaultdict(int)
    for count in counts:
        for pair, number in count.confusion.items():
            confusion[pair] += number
    either = {pair: n for pair, n in confusion.items() if pair != (BACKGROUND, BACKGROUND)}
    both = {pair: n for pair, n in confusion.items() if BACKGROUND not in pair}
    matches = [count.boundaries for count in counts]
    return Agreement(
        all_frames=frame_agreement(confusion),
        steps_of_either=frame_agreement(either),
        steps_of_both=frame_agreement(both),
        steps=tuple(_steps(confusion)),
        boundaries=boundary_agreement(matches),
        lone_segments=tuple(segment for count in counts for segment in count.lone),
    )


def _steps(confusion: Confusion) -> Iterator[StepAgreement]:
    for name in sorted({label for pair in confusion for label in pair} - {BACKGROUND}):
        of_a = sum(number for (a, _), number in confusion.items() if a == name)
        of_b = sum(number for (_, b), number in confusion.items() if b == name)
        both = confusion.get((name, name), 0)
        task, _, label = name.partition("/")
        yield StepAgreement(task, label, of_a, of_b, both, 200 * both / (of_a + of_b))
