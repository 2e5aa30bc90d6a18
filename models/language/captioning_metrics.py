"""How well a recording is told in captions with their times: SODA_c, CIDEr and F1.

Of each recording, then the mean of the recordings, as Vid2Seq and TimeChat report them (TimeChat,
metrics/dvc/eval_dvc.py, which follows densevid_eval and fujiso/SODA).

The published SODA_c compares captions by full METEOR, which needs Java, WordNet and a paraphrase
table. Here it is `soda_c_exact_stem`, by METEOR without synonyms and paraphrases
(models/language/meteor.py): a little lower, by the answers of TimeChat on YouCook2 0.80 and not
0.84. Compare it only with itself, never with a table's SODA_c. CIDEr and F1 are the published ones.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.language.answers import CaptionedSpan
from models.language.caption_words import caption_words
from models.language.cider import Words, cider
from models.language.grounding_metrics import overlap
from models.language.meteor import meteor_exact_stem

OVERLAPS = (0.3, 0.5, 0.7, 0.9)

Similarity = Callable[[Words, Words], float]
"""How much a caption's words (first) say what a reference's (second) say, from 0 to 1."""


@dataclass(frozen=True)
class CaptioningScore:
    """How well captions agree with the truth, in percent; 0 where there is no recording.

    CIDEr goes from 0 to 10 and so to 1000 percent, as the papers print it. It knows nothing of a
    recording with one caption: there it is 0 even for equal captions (models/language/cider.py).
    Precision is of the captions given, recall of those known, each the mean over the overlaps 0.3,
    0.5, 0.7 and 0.9.
    """

    soda_c_exact_stem: float
    cider: float
    precision: float
    recall: float
    f1: float
    num_recordings: int


def captioning_score(
    *, predicted: Sequence[Sequence[CaptionedSpan]], truth: Sequence[Sequence[CaptionedSpan]]
) -> CaptioningScore:
    """Score the captions of recordings, given in the same order; captions in any order.

    A recording for which nothing is known counts for nothing; one for which nothing was said
    scores 0. Raises `ValueError` where the numbers of recordings differ.
    """
    if len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} predicted recordings for {len(truth)} true ones")
    scores = [
        _recording_score(sorted(p), sorted(t)) for p, t in zip(predicted, truth, strict=True) if t
    ]
    if not scores:
        return CaptioningScore(0.0, 0.0, 0.0, 0.0, 0.0, 0)
    soda, matched_cider, precision, recall, f1 = (
        100.0 * statistics.fmean(column) for column in zip(*scores, strict=True)
    )
    return CaptioningScore(soda, matched_cider, precision, recall, f1, len(scores))


def _recording_score(
    predicted: Sequence[CaptionedSpan], truth: Sequence[CaptionedSpan]
) -> tuple[float, float, float, float, float]:
    """Return SODA_c, CIDEr, precision, recall and F1 of one recording in parts of 1."""
    if not predicted:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    overlaps = np.array([[overlap(p.span, t.span) for t in truth] for p in predicted])
    # An overlap that is just the threshold is none, as in densevid_eval, whose unions are 1e-8
    # longer than they are.
    matched = [overlaps * (1.0 - 1e-9) > least for least in OVERLAPS]
    precision = statistics.fmean(float(match.any(axis=1).mean()) for match in matched)
    recall = statistics.fmean(float(match.any(axis=0).mean()) for match in matched)
    said = [caption_words(caption.caption) for caption in predicted]
    known = [caption_words(caption.caption) for caption in truth]
    return (
        soda_c(overlaps, said, known, meteor_exact_stem),
        statistics.fmean(_matched_cider(match, said, known) for match in matched),
        precision,
        recall,
        _f1(precision, recall),
    )


def soda_c(
    overlaps: NDArray[np.float64],
    predicted: Sequence[Words],
    truth: Sequence[Words],
    similarity: Similarity,
) -> float:
    """Return SODA_c of one recording from 0 to 1: the F1 of the best matching in order of time.

    Fujita et al., "SODA: Story Oriented Dense Video Captioning Evaluation Framework", ECCV 2020,
    section 3: captions are matched one to one and in order, so that the sum of overlap times
    similarity is largest. `overlaps` is (P, T), predictions and truth each in order of time.

    The published programs take the true caption for the candidate and the predicted one for the
    reference (fujiso/SODA, soda.py, calc_score_matrix; TimeChat, sodac), which matters, as METEOR
    is not symmetric. So does this.
    """
    gains = np.zeros_like(overlaps)
    for p, t in np.argwhere(overlaps > 0):
        gains[p, t] = overlaps[p, t] * similarity(truth[t], predicted[p])
    best = _best_sum_in_order(gains)
    return _f1(best / len(predicted), best / len(truth))


def _best_sum_in_order(gains: NDArray[np.float64]) -> float:
    """Return the largest sum of gains (P, T) of pairs that go up in both rows and columns."""
    best = np.zeros(gains.shape[1] + 1)  # of the rows so far and the columns before this
    for row in gains:
        paired = best[:-1] + row
        best[1:] = np.maximum(best[1:], paired)
        best = np.maximum.accumulate(best)
    return float(best[-1])


def _matched_cider(
    matched: NDArray[np.bool_], predicted: Sequence[Words], truth: Sequence[Words]
) -> float:
    """Return the mean CIDEr of all pairs of matched captions (P, T), from 0 to 10.

    A prediction without a match is a pair with no reference: published evaluators give it a
    reference of random letters.
    """
    said: list[Words] = []
    known: list[list[Words]] = []
    for words, matches in zip(predicted, matched, strict=True):
        references = [[truth[int(t)]] for t in np.flatnonzero(matches)] or [[]]
        said += [words] * len(references)
        known += references
    return statistics.fmean(cider(said, known))


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
