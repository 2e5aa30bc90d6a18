"""Procedure step recognition scored as IndustReal does, and without the slips of its code.

Schoonbeek et al., "IndustReal", WACV 2024 (arXiv 2310.17323), section 3.2: the order of what was
recognised (POS), F1, and the mean delay. Their code is github.com/TimSchoonbeek/IndustReal,
PSR/psr_utils.py, `determine_performance`; `published_score` gives its numbers:

- a completion is paired with the nearest prediction of its step that is *strictly* later. Where
  there is none (it came early, or at the very frame) it is paired with the first entry of another
  step, whatever that is: mostly a false positive, by chance a right one with a foreign delay;
- a prediction that is wrong in this way is no false negative of its completion;
- where a step was done more often than predicted, a prediction is paired with a later completion,
  so that it is early by construction and never right;
- F1 has a millionth in its denominator: 0.9999995 is the best;
- no delay at all is a delay of 100 frames; a recording without a completion cannot be scored;
- what is called an average is one over recordings, not over steps.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from models.metrics import MetricError

MAX_STEP = 94  # the published code writes steps as ASCII characters from 33 to 127
_NO_DELAY_FRAMES = 100.0
_TAKEN = 1e9  # the published code's time of entries that are not to be paired


@dataclass(frozen=True, order=True)
class Completion:
    """A step that is done, by its number in the procedure, and the frame at which it is so."""

    frame: int
    step: int


@dataclass(frozen=True)
class PublishedScore:
    """One recording in the numbers of IndustReal's code; `delay_frames` is a mean over steps."""

    pos: float
    f1: float
    delay_frames: float
    true_positives: int
    false_positives: int
    false_negatives: int


@dataclass(frozen=True)
class CleanScore:
    """One recording: each completion is found once, at it or after it, or not at all.

    `delays_frames` are those of what was found.
    """

    pos: float
    delays_frames: tuple[int, ...]
    false_positives: int
    false_negatives: int


@dataclass(frozen=True)
class ProcedureScore:
    """Some recordings: POS and F1 from 0 to 1, the delay in frames, None if nothing was found."""

    pos: float
    f1: float
    delay_frames: float | None


def edit_distance(truth: Sequence[Hashable], predicted: Sequence[Hashable]) -> int:
    """Return the Damerau-Levenshtein distance, a substitution for 2 and every other edit for 1.

    Two neighbours that changed places cost 1, also with something between them, which costs extra.

    >>> edit_distance("abc", "acb"), edit_distance("abc", "axc"), edit_distance("ab", "bxa")
    (1, 2, 2)
    """
    far = len(truth) + len(predicted) + 1
    cost = [[far] * (len(predicted) + 2) for _ in range(len(truth) + 2)]  # shifted by one
    for i in range(len(truth) + 1):
        cost[i + 1][1] = i
    cost[1][1:] = range(len(predicted) + 1)
    last_row: dict[Hashable, int] = {}
    for i, known in enumerate(truth, start=1):
        last_column = 0
        for j, step in enumerate(predicted, start=1):
            k, m = last_row.get(step, 0), last_column
            swapped = cost[k][m] + (i - k - 1) + 1 + (j - m - 1)
            substituted = cost[i][j] + (0 if known == step else 2)
            last_column = j if known == step else last_column
            cost[i + 1][j + 1] = min(substituted, cost[i + 1][j] + 1, cost[i][j + 1] + 1, swapped)
        last_row[known] = i
    return cost[-1][-1]


def published_score(truth: Sequence[Completion], predicted: Sequence[Completion]) -> PublishedScore:
    """Score what was recognised in one recording; both in the order in which they were said.

    Raises `MetricError` for no truth, and for steps that are not from 0 to 94: the published code
    stops with an error there, or leaves out the rest of the sequence.
    """
    _check_published(truth, predicted)
    missed = wrong = 0
    delays: dict[int, int] = {}
    for step in sorted({entry.step for entry in (*truth, *predicted)}):
        of_truth = [i for i, entry in enumerate(truth) if entry.step == step]
        of_predicted = [i for i, entry in enumerate(predicted) if entry.step == step]
        missed += max(0, len(of_truth) - len(of_predicted))
        wrong += max(0, len(of_predicted) - len(of_truth))
        for true_index, index in _published_pairs(truth, of_truth, predicted, of_predicted):
            delay = predicted[index].frame - truth[true_index].frame
            if delay < 0:
                wrong += 1
            else:
                delays[true_index] = delay
    right = len(predicted) - wrong
    return PublishedScore(
        pos=_order_similarity(truth, predicted),
        f1=_published_f1(right, wrong, missed),
        delay_frames=statistics.fmean(delays.values()) if delays else _NO_DELAY_FRAMES,
        true_positives=right,
        false_positives=wrong,
        false_negatives=missed,
    )


def clean_score(truth: Sequence[Completion], predicted: Sequence[Completion]) -> CleanScore:
    """Score what was recognised in one recording; both in the order in which they were said.

    A completion is found by the first prediction of its step, at its frame or later, that has not
    found an earlier one; that finds as many as any pairing.
    """
    waiting: dict[int, list[int]] = defaultdict(list)
    for entry in sorted(predicted):
        waiting[entry.step].append(entry.frame)
    delays: list[int] = []
    for entry in sorted(truth):
        frames = waiting[entry.step]
        found = next((frame for frame in frames if frame >= entry.frame), None)
        if found is not None:
            frames.remove(found)
            delays.append(found - entry.frame)
    num_found = len(delays)
    pos = _order_similarity(truth, predicted) if truth else float(not predicted)
    return CleanScore(pos, tuple(delays), len(predicted) - num_found, len(truth) - num_found)


def published_mean(scores: Sequence[PublishedScore]) -> ProcedureScore:
    """Average recordings as the published code does; raise `MetricError` where there is none."""
    _check_some(scores)
    return ProcedureScore(
        pos=statistics.fmean(score.pos for score in scores),
        f1=statistics.fmean(score.f1 for score in scores),
        delay_frames=statistics.fmean(score.delay_frames for score in scores),
    )


def clean_mean(scores: Sequence[CleanScore]) -> ProcedureScore:
    """Sum up recordings: POS is their mean, F1 and delay are of all their steps together."""
    _check_some(scores)
    delays = [delay for score in scores for delay in score.delays_frames]
    wrong = sum(score.false_positives + score.false_negatives for score in scores)
    return ProcedureScore(
        pos=statistics.fmean(score.pos for score in scores),
        f1=2 * len(delays) / (2 * len(delays) + wrong) if delays or wrong else 1.0,
        delay_frames=statistics.fmean(delays) if delays else None,
    )


def _order_similarity(truth: Sequence[Completion], predicted: Sequence[Completion]) -> float:
    distance = edit_distance([e.step for e in truth], [e.step for e in predicted])
    return 1 - min(distance / len(truth), 1)


def _published_f1(right: int, wrong: int, missed: int) -> float:
    precision = right / (right + wrong) if right + wrong else 1e-6
    recall = right / (right + missed) if right + missed else 1e-6
    return 2 * (precision * recall) / (precision + recall + 1e-6)


def _published_pairs(
    truth: Sequence[Completion],
    of_truth: list[int],
    predicted: Sequence[Completion],
    of_predicted: list[int],
) -> list[tuple[int, int]]:
    """Return (index in the truth, index in the prediction), of the same step or, by a slip, not."""
    if not of_truth or not of_predicted:
        return []
    if len(of_truth) > len(of_predicted):
        later = _strictly_later(truth, of_truth, [predicted[i].frame for i in of_predicted])
        return list(zip(later, of_predicted, strict=True))
    later = _strictly_later(predicted, of_predicted, [truth[i].frame for i in of_truth])
    return list(zip(of_truth, later, strict=True))


def _strictly_later(
    entries: Sequence[Completion], of_step: list[int], frames: list[int]
) -> list[int]:
    """Return for each of `frames` the index of the entry that is taken for it (`match_indices`)."""
    times = [_TAKEN] * len(entries)
    for index in of_step:
        times[index] = entries[index].frame
    out: list[int] = []
    for frame in frames:
        waits = [time - frame if time > frame else float("inf") for time in times]
        out.append(waits.index(min(waits)))
        times[out[-1]] = _TAKEN
    return out


def _check_published(truth: Sequence[Completion], predicted: Sequence[Completion]) -> None:
    if not truth:
        raise MetricError("a recording without a completion has no order to be compared with")
    for entry in (*truth, *predicted):
        if not 0 <= entry.step <= MAX_STEP:
            raise MetricError(f"step {entry.step} must be from 0 to {MAX_STEP} for this score")


def _check_some(scores: Sequence[object]) -> None:
    if not scores:
        raise MetricError("there is no recording to score")
