"""How far what a recogniser reported of PREGO's videos lets mistakes be told from correct steps.

Three figures, none of which a threshold can change:

- In how many videos the mistaken step was reported at all. Of the others nothing is left but what
  came before, and what wrong label the recogniser gives.
- How well mistakes are ranked above correct steps by probabilities of a detector that was not
  fitted on them (area under the ROC curve), with its sampling error; the same of steps at the same
  place of two videos, so that the place alone says nothing; and the ranking that the goal needs.
- F1 at best: the reported mistakes are granted, without a false alarm, and the others are cut where
  F1 is greatest, with the answers known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

GOAL_F1 = 0.674
MAX_FALSE_ALARM_RATE = 0.45  # of correct steps: half of TI-PREGO's
RESAMPLES = 500


@dataclass(frozen=True)
class Bound:
    """In percent: of the mistakes, of pairs of a mistake and a correct step (50 is chance), F1."""

    mistakes_reported: float
    ranked: float
    ranked_low: float
    ranked_high: float
    ranked_at_place: float
    ranked_needed: float
    f1: float


def find_bound(
    probabilities: Sequence[np.ndarray],
    alarms: Sequence[Sequence[bool]],
    reported: Sequence[bool],
) -> Bound:
    """Find the figures of videos, each with probabilities (T,) and alarms; its last is the mistake.

    `reported` tells whether a video's last report names the step that the mistake was. The range
    of the ranking is that of 95 % of resamples of videos. Raises `ValueError` without a mistake or
    without a correct step.
    """
    mistakes = np.array([one[-1] for one in probabilities])
    correct = np.array([p for one in probabilities for p in one[:-1]])
    if not len(mistakes) or not len(correct):
        raise ValueError("a bound needs mistakes and correct steps")
    low, high = _range_ranked(probabilities)
    return Bound(
        mistakes_reported=100 * sum(reported) / len(reported),
        ranked=_percent_ranked([(mistakes, correct)]),
        ranked_low=low,
        ranked_high=high,
        ranked_at_place=_percent_ranked(_by_place(probabilities)),
        ranked_needed=100 * needed_area(GOAL_F1, MAX_FALSE_ALARM_RATE),
        f1=100 * _best_f1(mistakes, correct, alarms, np.array(reported, dtype=bool)),
    )


def needed_area(f1: float, false_alarm_rate: float) -> float:
    """Return the area of the ROC curve, of two normals of equal width, through a balanced F1.

    F1 = 2 r / (1 + r + f) gives the recall r; the area is Phi((z(r) - z(f)) / sqrt 2).

    >>> round(needed_area(0.674, 0.45), 3)
    0.704
    """
    recall = f1 * (1 + false_alarm_rate) / (2 - f1)
    normal = NormalDist()
    apart = normal.inv_cdf(recall) - normal.inv_cdf(false_alarm_rate)
    return normal.cdf(apart / 2**0.5)


def _best_f1(
    mistakes: np.ndarray,
    correct: np.ndarray,
    alarms: Sequence[Sequence[bool]],
    granted: np.ndarray,
) -> float:
    """Return the best balanced F1 of one threshold for all, or of the alarms as they were."""
    found = [(mistakes >= cut, float((correct >= cut).mean())) for cut in np.unique(correct)]
    found.append((np.zeros(len(mistakes), dtype=bool), 0.0))
    false_alarms = np.array([alarm for one in alarms for alarm in one[:-1]])
    found.append((np.array([one[-1] for one in alarms]), float(false_alarms.mean())))
    scores = []
    for hits, rate in found:
        recall = float((granted | hits).mean())
        scores.append(2 * recall / (1 + recall + rate) if rate <= MAX_FALSE_ALARM_RATE else 0.0)
    return max(scores)


def _range_ranked(probabilities: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the range of 95 % of the rankings of videos drawn again with replacement."""
    draws = np.random.default_rng(0).integers(
        len(probabilities), size=(RESAMPLES, len(probabilities))
    )
    ranked = []
    for draw in draws:
        drawn = [probabilities[i] for i in draw]
        mistakes = np.array([one[-1] for one in drawn])
        ranked.append(_percent_ranked([(mistakes, np.concatenate([one[:-1] for one in drawn]))]))
    low, high = np.quantile(ranked, (0.025, 0.975))
    return float(low), float(high)


def _by_place(probabilities: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return mistakes and correct steps of each place."""
    mistakes: dict[int, list[float]] = defaultdict(list)
    correct: dict[int, list[float]] = defaultdict(list)
    for one in probabilities:
        mistakes[len(one) - 1].append(float(one[-1]))
        for place, probability in enumerate(one[:-1].tolist()):
            correct[place].append(probability)
    return [(np.array(mistakes[place]), np.array(correct[place])) for place in sorted(mistakes)]


def _percent_ranked(groups: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the share of pairs within the groups in their right order, equal ones as half."""
    right, pairs = 0.0, 0
    for mistakes, correct in groups:
        above = mistakes[:, None] > correct
        right += float(above.sum() + 0.5 * (mistakes[:, None] == correct).sum())
        pairs += above.size
    return 100 * right / pairs if pairs else 50.0
