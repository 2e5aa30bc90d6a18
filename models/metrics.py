"""Figures of merit: recognised segments against the truth, found deviations against known ones.

The segmentation figures are those of MS-TCN (github.com/yabufarha/ms-tcn, eval.py), after Lea et
al., "Temporal Convolutional Networks for Action Segmentation and Detection", CVPR 2017, section 4.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from industryasm.deviation import FoundKind, KnownDeviation, KnownKind
from industryasm.segment import runs
from industryasm.vocabulary import BACKGROUND
from models.findings import Deviation

OVERLAPS = (0.10, 0.25, 0.50)

LabelRun = tuple[str, int, int]
"""(label, start, end) in frames, end half-open."""


class MetricError(ValueError):
    """Prediction and truth cannot be compared."""


@dataclass(frozen=True)
class SegmentationScore:
    """How well frame-wise labels agree with the truth, in percent; 0 where there is no frame.

    `accuracy` is over all frames, background among them, as the papers report it;
    `step_accuracy` over the frames whose truth is a step. Where there is nothing to find (no
    segment in truth and prediction, no frame of a step) the figure is 100.
    """

    accuracy: float
    step_accuracy: float
    edit: float
    f1_10: float
    f1_25: float
    f1_50: float
    num_frames: int


def segmentation_score(
    *,
    predicted: Sequence[Sequence[str]],
    truth: Sequence[Sequence[str]],
    ignore: frozenset[str] = frozenset({BACKGROUND}),
) -> SegmentationScore:
    """Score the frame-wise labels of one or more recordings, given in the same order.

    Frames are counted over all recordings, the edit score is the mean of the recordings, F1 is
    of the summed hits. Labels in `ignore` make no segments. Recordings without frames count for
    nothing. Raises `MetricError` when the recordings or their lengths do not match.

    >>> score = segmentation_score(predicted=[["a", "a", "b"]], truth=[["a", "b", "b"]])
    >>> round(score.accuracy, 1), score.edit, score.f1_50
    (66.7, 100.0, 100.0)
    """
    _check_lengths(predicted, truth)
    pairs = [(list(p), list(t)) for p, t in zip(predicted, truth, strict=True) if len(t)]
    if not pairs:
        return SegmentationScore(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    hits = [(p == t, t) for labels, known in pairs for p, t in zip(labels, known, strict=True)]
    step_hits = [is_hit for is_hit, label in hits if label not in ignore]
    segments = [(_segments(p, ignore), _segments(t, ignore)) for p, t in pairs]
    edits = [_edit([run[0] for run in p], [run[0] for run in t]) for p, t in segments]
    f1_10, f1_25, f1_50 = (_f1(segments, overlap) for overlap in OVERLAPS)
    return SegmentationScore(
        accuracy=_percent(sum(is_hit for is_hit, _ in hits), len(hits)),
        step_accuracy=_percent(sum(step_hits), len(step_hits)),
        edit=statistics.fmean(edits),
        f1_10=f1_10,
        f1_25=f1_25,
        f1_50=f1_50,
        num_frames=len(hits),
    )


@dataclass(frozen=True)
class BackgroundRules:
    """The same frames scored by both rules that papers use, often without naming theirs.

    `ignored`: background makes no segment (Lea et al.; MS-TCN where a set has background).
    `counted`: background is a label as every other, in segments and in `step_accuracy`.
    """

    ignored: SegmentationScore
    counted: SegmentationScore


def background_rules(
    *,
    predicted: Sequence[Sequence[str]],
    truth: Sequence[Sequence[str]],
    background: str = BACKGROUND,
) -> BackgroundRules:
    """Score frame-wise labels with background left out of the segments and with it as one.

    As `segmentation_score`, twice; `accuracy` is the same in both.
    """
    return BackgroundRules(
        ignored=segmentation_score(
            predicted=predicted, truth=truth, ignore=frozenset({background})
        ),
        counted=segmentation_score(predicted=predicted, truth=truth, ignore=frozenset()),
    )


def class_accuracy(
    *, predicted: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Return for each label of the truth, in order, the percentage of its frames that are right.

    Over all recordings together, background among the labels; their mean tells a model that knows
    the frequent labels alone. Raises `MetricError` as `segmentation_score`.

    >>> class_accuracy(predicted=[["a", "a", "b"]], truth=[["a", "b", "b"]])
    {'a': 100.0, 'b': 50.0}
    """
    _check_lengths(predicted, truth)
    frames: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for labels, known in zip(predicted, truth, strict=True):
        frames.update(known)
        hits.update(t for p, t in zip(labels, known, strict=True) if p == t)
    return {label: _percent(hits[label], frames[label]) for label in sorted(frames)}


def _check_lengths(predicted: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> None:
    if len(predicted) != len(truth):
        raise MetricError(f"{len(predicted)} predicted recordings for {len(truth)} true ones")
    for index, (labels, known) in enumerate(zip(predicted, truth, strict=True)):
        if len(labels) != len(known):
            raise MetricError(
                f"recording {index}: {len(labels)} predicted labels for {len(known)} frames; "
                f"resample the prediction to the frames of the truth"
            )


def _percent(count: float, total: float) -> float:
    return 100.0 * count / total if total else 100.0


def _segments(labels: Sequence[str], ignore: frozenset[str]) -> list[LabelRun]:
    return [run for run in runs(labels) if run[0] not in ignore]


def _edit(predicted: Sequence[str], truth: Sequence[str]) -> float:
    """Return 100 less the Levenshtein distance in percent of the longer sequence."""
    row = list(range(len(truth) + 1))
    for i, label in enumerate(predicted, start=1):
        diagonal, row[0] = row[0], i
        for j, known in enumerate(truth, start=1):
            substituted = diagonal + (label != known)
            diagonal = row[j]
            row[j] = min(row[j] + 1, row[j - 1] + 1, substituted)
    longer = max(len(predicted), len(truth))
    return _percent(longer - row[-1], longer)


def _f1(segments: Iterable[tuple[list[LabelRun], list[LabelRun]]], overlap: float) -> float:
    hits = num_predicted = num_true = 0
    for predicted, truth in segments:
        hits += _num_hits(predicted, truth, overlap)
        num_predicted += len(predicted)
        num_true += len(truth)
    return _percent(2 * hits, num_predicted + num_true)


def _num_hits(predicted: Sequence[LabelRun], truth: Sequence[LabelRun], overlap: float) -> int:
    """Count the segments whose best match is free and overlaps enough.

    As published, a segment whose best match is taken is no hit, though another may be free.
    """
    taken: set[LabelRun] = set()
    by_label: dict[str, list[LabelRun]] = defaultdict(list)
    for run in truth:
        by_label[run[0]].append(run)
    for run in predicted:
        candidates = by_label[run[0]]
        if not candidates:
            continue
        best = max(candidates, key=lambda known: _iou(run, known))
        if _iou(run, best) >= overlap:
            taken.add(best)
    return len(taken)


def _iou(a: LabelRun, b: LabelRun) -> float:
    """Return intersection over union; the union of two apart is the span of both."""
    intersection = min(a[2], b[2]) - max(a[1], b[1])
    return intersection / (max(a[2], b[2]) - min(a[1], b[1]))


@dataclass(frozen=True)
class MatchedDeviation:
    """A known deviation and what was found of it."""

    known: KnownDeviation
    found: Deviation

    @property
    def delay_s(self) -> float:
        """Time from the end of the deviation's known span until it was first said.

        Below 0 where it was said before: a missed step, whose span is its cycle, at the step
        after it; a step that takes too long, while it goes on.
        """
        return self.found.detected_s - self.known.end_s


@dataclass(frozen=True)
class DeviationScore:
    """What was found of the known deviations, what was not, and what was invented."""

    matched: tuple[MatchedDeviation, ...]
    missed: tuple[KnownDeviation, ...]
    invented: tuple[Deviation, ...]

    @property
    def precision(self) -> float:
        """Percentage of the found ones that are known; 100 when none was found."""
        return _percent(len(self.matched), len(self.matched) + len(self.invented))

    @property
    def recall(self) -> float:
        """Percentage of the known ones that were found; 100 when there are none."""
        return _percent(len(self.matched), len(self.matched) + len(self.missed))

    @property
    def delays_s(self) -> tuple[float, ...]:
        """Delay of each match, in the order of the truth."""
        return tuple(match.delay_s for match in self.matched)

    def of_kind(self, kind: KnownKind) -> DeviationScore:
        """Return the part of the score that is of one kind."""
        return DeviationScore(
            tuple(match for match in self.matched if match.known.kind == kind),
            tuple(known for known in self.missed if known.kind == kind),
            tuple(found for found in self.invented if found.kind == kind),
        )


NEAR: tuple[frozenset[FoundKind], ...] = (
    frozenset({"missed", "wrong_part", "incomplete"}),
    frozenset({"repeated", "rework"}),
)
"""Kinds that say much the same of a step: that it was not done as it should, or done again."""


def is_near(known: KnownDeviation, found: Deviation) -> bool:
    """Tell whether an accusation is right but for its kind: it sends a person to the fault too."""
    return (known.step, known.cycle) == (found.step, found.cycle) and any(
        {known.kind, found.kind} <= kinds for kinds in NEAR
    )


def match_near(score: DeviationScore) -> DeviationScore:
    """Match what a score of one recording has missed with what it has invented by near kinds."""
    matched, missed, free = list(score.matched), [], list(score.invented)
    for known in score.missed:
        match = next((found for found in free if is_near(known, found)), None)
        if match is None:
            missed.append(known)
        else:
            free.remove(match)
            matched.append(MatchedDeviation(known, match))
    return DeviationScore(tuple(matched), tuple(missed), tuple(free))


def match_deviations(known: Sequence[KnownDeviation], found: Sequence[Deviation]) -> DeviationScore:
    """Match what was found with what is known by kind, step and cycle number, each once.

    Of a deviation given in several states the last one counts, and only if it is `confirmed`;
    `unsure` accuses nobody, and is neither a match nor invented.
    Equal ones are matched in the order of time.
    """
    newest = {deviation.id: deviation for deviation in found}
    free = sorted(
        (d for d in newest.values() if d.state == "confirmed" and d.kind != "unsure"),
        key=lambda deviation: (deviation.start_s, deviation.id),
    )
    matched, missed = [], []
    for truth in sorted(known, key=lambda truth: truth.start_s):
        match = next((deviation for deviation in free if _is_same(truth, deviation)), None)
        if match is None:
            missed.append(truth)
        else:
            free.remove(match)
            matched.append(MatchedDeviation(truth, match))
    return DeviationScore(tuple(matched), tuple(missed), tuple(free))


def _is_same(known: KnownDeviation, found: Deviation) -> bool:
    return (known.kind, known.step, known.cycle) == (found.kind, found.step, found.cycle)
