"""How well the time that a question asks for is found: R@1 at overlaps, and the mean overlap.

As in Charades-STA (Gao et al., "TALL", ICCV 2017; TimeChat, metrics/tvg/eval_tvg.py) and
QVHighlights (moment_detr, standalone_eval/eval.py, compute_mr_r1).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from models.language.answers import TimeSpan

OVERLAPS = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class GroundingScore:
    """How many questions were answered with the right time, in percent; 0 where there is none.

    `recall_30` counts the answers whose intersection over union with the truth is at least 0.3,
    `mean_overlap` is the mean of it (mIoU). An answer that could not be read is a miss in all of
    them and counted in `num_unread`.
    """

    recall_30: float
    recall_50: float
    recall_70: float
    mean_overlap: float
    num_questions: int
    num_unread: int


def grounding_score(
    *, predicted: Sequence[TimeSpan | None], truth: Sequence[Sequence[TimeSpan]]
) -> GroundingScore:
    """Score one answer a question against the spans in which what is asked for happens.

    Of several true spans the one that the answer overlaps most counts, as in QVHighlights. None is
    an answer that could not be read. Raises `ValueError` where a question has no true span, or the
    numbers of answers and questions differ.

    >>> score = grounding_score(predicted=[TimeSpan(2, 6), None], truth=[[TimeSpan(0, 6)]] * 2)
    >>> score.recall_50, score.recall_70, round(score.mean_overlap, 1), score.num_unread
    (50.0, 0.0, 33.3, 1)
    """
    overlaps = best_overlaps(predicted, truth)
    if not overlaps:
        return GroundingScore(0.0, 0.0, 0.0, 0.0, 0, 0)
    recall_30, recall_50, recall_70 = (recall_at(overlaps, overlap) for overlap in OVERLAPS)
    return GroundingScore(
        recall_30=recall_30,
        recall_50=recall_50,
        recall_70=recall_70,
        mean_overlap=100.0 * statistics.fmean(overlaps),
        num_questions=len(overlaps),
        num_unread=sum(span is None for span in predicted),
    )


def best_overlaps(
    predicted: Sequence[TimeSpan | None], truth: Sequence[Sequence[TimeSpan]]
) -> list[float]:
    """Return each answer's overlap with the true span nearest to it; 0 where there is no answer."""
    if len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} answers for {len(truth)} questions")
    for index, spans in enumerate(truth):
        if not spans:
            raise ValueError(f"question {index} has no true span; leave it out")
    return [
        max(overlap(span, known) for known in spans) if span else 0.0
        for span, spans in zip(predicted, truth, strict=True)
    ]


def recall_at(overlaps: Sequence[float], least: float) -> float:
    """Return the percentage of the overlaps that are at least so large."""
    return 100.0 * sum(overlap >= least for overlap in overlaps) / len(overlaps)


def overlap(a: TimeSpan, b: TimeSpan) -> float:
    """Return intersection over union, from 0 to 1.

    >>> overlap(TimeSpan(0, 4), TimeSpan(2, 6)), overlap(TimeSpan(0, 2), TimeSpan(2, 6))
    (0.3333333333333333, 0.0)
    """
    intersection = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    # where they overlap, their union is the span of both
    return max(0.0, intersection) / (max(a.end_s, b.end_s) - min(a.start_s, b.start_s))
