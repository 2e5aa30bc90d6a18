"""How well the moments that a question asks for are ranked: mAP and HIT@1 over clips.

As the evaluator of QVHighlights has it (Lei, Berg and Bansal, NeurIPS 2021; jayleicn/moment_detr,
standalone_eval/eval.py, compute_hl_ap and compute_hl_hit1): the numbers published with its sample
predictions come out to the last digit. TimeChat took the evaluator over unchanged
(metrics/vhd/eval_vhd.py). The numbers that lie beside TimeChat's example predictions are not of
them: its evaluator, retyped, does not give them either (tests/test_highlight_metrics.py).
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.language.answers import Highlight

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HighlightScore:
    """How well clips were ranked, in percent; 0 where there is no question.

    An answer that could not be read is a miss and counted in `num_unread`.
    """

    mean_average_precision: float
    hit_at_1: float
    num_questions: int
    num_unread: int


def highlight_score(
    *, predicted: Sequence[Floats | None], truth: Sequence[Floats], least: float
) -> HighlightScore:
    """Score one answer a question against what one or more people thought of each clip.

    An answer has a score for each clip (C,), higher for a better one; missing clips have 0 and
    further ones count for HIT@1 alone. None is an answer that could not be read. The truth is
    (C, A) for A people; a clip is a highlight for whoever gave it at least `least`. mAP is the mean
    over people and questions, and 0 for a person who found no highlight; the best clip is a hit if
    it is a highlight for anyone, the first of several that are equally good. So an answer of equal
    scores hits where the first clip is a highlight. Raises `ValueError` for other shapes, scores
    that are not finite, or a question without a clip.
    """
    if len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} answers for {len(truth)} questions")
    results = [
        _ranked(scores, known, least, f"question {index}")
        for index, (scores, known) in enumerate(zip(predicted, truth, strict=True))
    ]
    if not results:
        return HighlightScore(0.0, 0.0, 0, 0)
    return HighlightScore(
        mean_average_precision=100.0 * statistics.fmean(precision for precision, _ in results),
        hit_at_1=100.0 * statistics.fmean(is_hit for _, is_hit in results),
        num_questions=len(results),
        num_unread=sum(scores is None for scores in predicted),
    )


def _ranked(scores: Floats | None, truth: Floats, least: float, place: str) -> tuple[float, bool]:
    """Return the average precision of one answer, and whether its best clip is a highlight."""
    if truth.ndim != 2 or not truth.size or not np.isfinite(truth).all():
        raise ValueError(f"{place}: truth of shape {truth.shape} must be finite (C, A)")
    if scores is None:
        return 0.0, False
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(f"{place}: scores of shape {scores.shape} must be finite (C,)")
    relevant = truth >= least
    fitted = np.zeros(len(truth))
    fitted[: len(scores)] = scores[: len(truth)]
    best = int(scores.argmax())
    is_hit = best < len(truth) and bool(relevant[best].any())
    return statistics.fmean(average_precision(column, fitted) for column in relevant.T), is_hit


def average_precision(relevant: NDArray[np.bool_], scores: Floats) -> float:
    """Return the average precision from 0 to 1 of clips (C,) ranked by their scores (C,).

    Clips of equal score are taken together, and the mean is over the scores at which a highlight
    is found, each with the best precision at it or any lower one (interpolated). 0 where there is
    no highlight.

    >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.5, 0.1]))
    0.8333333333333333
    """
    if not relevant.any():
        return 0.0
    values, group = np.unique(-scores, return_inverse=True)  # groups of falling score
    found = np.bincount(group, weights=relevant, minlength=len(values))
    precision = found.cumsum() / np.bincount(group).cumsum()
    interpolated = np.maximum.accumulate(precision[::-1])[::-1]
    return float(interpolated[found > 0].mean())


def clip_scores(highlights: Sequence[Highlight], *, num_clips: int, clip_s: float = 2.0) -> Floats:
    """Return the score of each clip (C,) of `clip_s` seconds: the mean of its highlights, or 0.

    Highlights behind the last clip are left out. TimeChat (utils/format_vhd.py) puts the time t
    into clip (t - 1) // 2, this into t // 2, the clip that begins at t or before.

    >>> clip_scores([Highlight(2.0, 4.0), Highlight(3.5, 2.0)], num_clips=3)
    array([0., 3., 0.])
    """
    by_clip: dict[int, list[float]] = defaultdict(list)
    for highlight in highlights:
        by_clip[int(highlight.time_s // clip_s)].append(highlight.score)
    return np.array([statistics.fmean(by_clip.get(clip, [0.0])) for clip in range(num_clips)])
