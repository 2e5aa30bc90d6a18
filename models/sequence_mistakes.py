"""Which step of a recognised sequence is a mistake: a posterior at each step, from those before it.

Two things may be behind a label that does not fit: the worker's mistake or the recogniser's. So
the label `o` reported after `p` is weighed by how likely either is,

    log  sum_t P(t | mistake) C(o | t)  -  log  sum_t P(t | correct, p) C(o | t),

where `P(t | correct, p)` are the transitions in correct transcripts, backed off to how common the
steps are; `P(t | mistake)` is what past mistakes were, less what would have been in order; and `C`
is the recogniser's confusion, rows backed off to its recall of all steps and how often it says each
label. That and eight plain facts about the sequence so far make a logistic regression. Confusion,
mistakes and weights are fitted on judged runs: what the regression and the threshold are fitted on
was left out of the confusion each time (inner folds), or they would trust it too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.transcripts import START, Transcript, Transcripts

FOLDS = 5
MAX_FALSE_ALARM_RATE = 0.42
"""Of correct steps. A sampling error (2.3 points at 460 steps) and more under half of TI-PREGO's 91
percent."""
PENALTY = 10.0  # of squared weights; 1 to 30 made less difference than another draw of folds
BACK_OFF = 3.0  # steps' worth of how common a step is, beside the transitions that were seen
RARE = 0.05  # occurrences granted to a step that no transcript of the procedure has
CONFUSION_BACK_OFF = 4.0  # reports' worth, per true step, of what is usual for all steps
RARE_MISTAKE = 0.2  # mistakes granted to a step that was none yet


@dataclass(frozen=True, eq=False)
class Procedures:
    """The correct transcripts of each procedure, and of all of them together."""

    by_name: Mapping[str, Transcripts]
    all: Transcripts

    @classmethod
    def learned(cls, runs: Mapping[str, Iterable[Transcript]]) -> Procedures:
        """Count the transcripts of each procedure; raises `ValueError` where one has none."""
        by_name = {name: Transcripts(one) for name, one in runs.items()}
        return cls(by_name, Transcripts(run for one in by_name.values() for run in one.runs))


@dataclass(frozen=True)
class JudgedRun:
    """A run whose mistakes are known, of which `reported` is what a recogniser made.

    `is_mistake` tells of each reported step whether an alarm there is right; `true` and
    `true_is_mistake` are what was really done.
    """

    procedure: str
    reported: tuple[str, ...]
    is_mistake: tuple[bool, ...]
    true: tuple[str, ...]
    true_is_mistake: tuple[bool, ...]

    def __post_init__(self) -> None:
        if len(self.reported) != len(self.is_mistake) or not self.reported:
            raise ValueError("one flag for each reported step, and at least one step")
        if len(self.true) != len(self.true_is_mistake):
            raise ValueError("one flag for each true step")


@dataclass(frozen=True, eq=False)
class Recogniser:
    """How a recogniser confuses steps, and which steps mistakes are.

    Labels are those known when it was fitted and, last, every other one. `confusion` (K, K) is the
    probability of a report (column) at a true step (row), `mistakes` (K,) of a step at a mistake.
    """

    index: Mapping[str, int]
    confusion: np.ndarray
    mistakes: np.ndarray

    def numbers(self, labels: Sequence[str]) -> list[int]:
        """Return the labels' places (T,)."""
        return [self.index.get(label, len(self.index)) for label in labels]


@dataclass(frozen=True, eq=False)
class MistakeDetector:
    """Gives the probability that each step of a sequence is a mistake, and alarms above one."""

    procedures: Procedures
    recogniser: Recogniser
    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    threshold: float

    def probabilities(self, procedure: str, reported: Sequence[str]) -> np.ndarray:
        """Return the probability (T,) of a mistake at each reported step, given those up to it.

        Raises `KeyError` for a procedure without transcripts.
        """
        evidence = _evidence(self.procedures, procedure, self.recogniser, reported)
        return _probabilities((evidence - self.mean) / self.scale, self.weight)

    def alarms(self, procedure: str, reported: Sequence[str]) -> list[bool]:
        """Tell at which steps the probability reaches the threshold."""
        return [bool(p >= self.threshold) for p in self.probabilities(procedure, reported)]


def fit_detector(
    runs: Sequence[JudgedRun],
    procedures: Procedures,
    *,
    max_false_alarm_rate: float = MAX_FALSE_ALARM_RATE,
) -> MistakeDetector:
    """Fit to judged runs; run i of them is in inner fold i mod `FOLDS`.

    The threshold is where, on runs that were left out, the balanced F1 is greatest among those
    that alarm at no more than `max_false_alarm_rate` of the correct steps. Raises `ValueError`
    where there are fewer runs than folds, or not mistakes and correct steps in each of them.
    """
    if len(runs) < FOLDS:
        raise ValueError(f"{len(runs)} runs are too few for {FOLDS} inner folds")
    fold = np.concatenate([np.full(len(run.reported), i % FOLDS) for i, run in enumerate(runs)])
    truth = np.array([flag for run in runs for flag in run.is_mistake])
    left_out = np.empty((len(truth), _NUM_FACTS))
    for held in range(FOLDS):
        known = fit_recogniser([run for i, run in enumerate(runs) if i % FOLDS != held], procedures)
        rows = [
            _evidence(procedures, run.procedure, known, run.reported) for run in runs[held::FOLDS]
        ]
        left_out[fold == held] = np.concatenate(rows)
    scores = np.empty(len(truth))
    for held in range(FOLDS):
        mean, scale, weight = _fit(left_out[fold != held], truth[fold != held])
        scores[fold == held] = _probabilities((left_out[fold == held] - mean) / scale, weight)
    mean, scale, weight = _fit(left_out, truth)
    threshold = best_threshold(scores, truth, max_false_alarm_rate=max_false_alarm_rate)
    recogniser = fit_recogniser(runs, procedures)
    return MistakeDetector(procedures, recogniser, mean, scale, weight, threshold)


def fit_recogniser(runs: Sequence[JudgedRun], procedures: Procedures) -> Recogniser:
    """Count what was reported at each true step, the two sequences aligned, and what mistakes are.

    >>> toy = Procedures.learned({"toy": [("base", "wheel")]})
    >>> run = JudgedRun("toy", ("base", "arm"), (False, True), ("base", "wheel"), (False, True))
    >>> known = fit_recogniser([run] * 20, toy)
    >>> known.confusion[known.index["wheel"], known.index["arm"]].round(1)
    np.float64(0.9)
    """
    labels = set(procedures.all.num_steps)
    labels.update(label for run in runs for label in (*run.reported, *run.true))
    index = {label: place for place, label in enumerate(sorted(labels))}
    counts = np.zeros((len(index) + 1, len(index) + 1))
    said, mistakes = np.ones(len(index) + 1), np.full(len(index) + 1, RARE_MISTAKE)
    for run in runs:
        for label, flag in zip(run.true, run.true_is_mistake, strict=True):
            mistakes[index[label]] += flag
        for report, place in zip(run.reported, align(run.reported, run.true), strict=True):
            said[index[report]] += 1
            if place is not None:
                counts[index[run.true[place]], index[report]] += 1
    recall = (np.trace(counts) + 1) / (counts.sum() + 2)
    usual = recall * np.eye(len(counts)) + (1 - recall) * said / said.sum()
    smoothed = counts + CONFUSION_BACK_OFF * usual
    confusion = smoothed / smoothed.sum(axis=1, keepdims=True)
    return Recogniser(index, confusion, mistakes / mistakes.sum())


def align(reported: Sequence[str], true: Sequence[str]) -> list[int | None]:
    """Return the place in `true` of each reported step, None where it was put in.

    The alignment of fewest edits; among equals, that which pairs most steps from the end on.

    >>> align(["a", "x", "b"], ["a", "b"])
    [0, None, 1]
    """
    edits = np.zeros((len(reported) + 1, len(true) + 1), dtype=np.int64)
    edits[:, 0], edits[0] = range(len(reported) + 1), range(len(true) + 1)
    for i, report in enumerate(reported):
        for j, step in enumerate(true):
            paired = edits[i, j] + (report != step)
            edits[i + 1, j + 1] = min(paired, edits[i, j + 1] + 1, edits[i + 1, j] + 1)
    i, j = len(reported), len(true)
    places: list[int | None] = [None] * i
    while i and j:
        if edits[i, j] == edits[i - 1, j - 1] + (reported[i - 1] != true[j - 1]):
            i, j = i - 1, j - 1
            places[i] = j
        elif edits[i, j] == edits[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return places


def best_threshold(scores: np.ndarray, truth: np.ndarray, *, max_false_alarm_rate: float) -> float:
    """Return the threshold of the greatest balanced F1 within a false alarm rate.

    Scores and truth are (N,); a score at the threshold alarms. Infinite where every threshold
    alarms too often. Balanced F1 is 2 r / (1 + r + f) of recall r and false alarm rate f.
    """
    thresholds = np.unique(scores)
    recall = (scores[truth] >= thresholds[:, None]).mean(axis=1)
    rate = (scores[~truth] >= thresholds[:, None]).mean(axis=1)
    f1 = np.where(rate <= max_false_alarm_rate, 2 * recall / (1 + recall + rate), -1.0)
    return float(thresholds[f1.argmax()]) if f1.max() >= 0 else float("inf")


_NUM_FACTS = 9


def _evidence(
    procedures: Procedures, procedure: str, recogniser: Recogniser, reported: Sequence[str]
) -> np.ndarray:
    """Return the facts (T, 9) known of each step when it is reported."""
    own, every = procedures.by_name[procedure], procedures.all
    ratios = _log_likelihood_ratios(own, recogniser, reported)
    rows = []
    done: set[str] = set()
    for place, (before, label) in enumerate(pairwise((START, *reported))):
        row = (
            ratios[place],
            np.log1p(place),
            place == 0,
            (place + 1) / own.mean_length,
            label in done,
            _log_share(own, label),
            _log_share(every, label),
            np.log(every.transitions[before, label] + 0.5),
            own.num_awaited(label, done),
        )
        rows.append(row)
        done.add(label)
    return np.array(rows, dtype=np.float64).reshape(-1, _NUM_FACTS)


def _log_share(known: Transcripts, label: str) -> float:
    """Return the logarithm of the share of the runs that have the step, half a run added."""
    return float(np.log((known.num_runs[label] + 0.5) / (len(known.runs) + 1)))


def _log_likelihood_ratios(
    known: Transcripts, recogniser: Recogniser, reported: Sequence[str]
) -> np.ndarray:
    """Return the log likelihood (T,) of each report at a mistake less that at a correct step."""
    common = np.full(len(recogniser.mistakes), RARE)
    for label, num in known.num_steps.items():
        common[recogniser.index[label]] += num
    following = {label: common * BACK_OFF / common.sum() for label in (START, *reported)}
    for (before, label), num in known.transitions.items():
        if before in following:
            following[before] = following[before].copy()
            following[before][recogniser.index[label]] += num
    correct = np.array([following[before] for before in (START, *reported)[:-1]])
    correct = correct.reshape(-1, len(common))  # (T, K), also of no step
    correct /= correct.sum(axis=1, keepdims=True)
    mistaken = recogniser.mistakes * (1 - correct)
    mistaken /= mistaken.sum(axis=1, keepdims=True)
    said = recogniser.confusion[:, recogniser.numbers(reported)].T  # (T, K)
    return np.asarray(np.log((mistaken * said).sum(axis=1)) - np.log((correct * said).sum(axis=1)))


def _fit(facts: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean (F,), scale (F,) and weights (1 + F,), intercept first: ridge, by Newton."""
    if truth.all() or not truth.any():
        raise ValueError("mistakes and correct steps are needed to tell them apart")
    mean, scale = facts.mean(axis=0), facts.std(axis=0) + 1e-6
    inputs = np.column_stack([np.ones(len(facts)), (facts - mean) / scale])
    penalty = np.diag([0.0] + [PENALTY] * facts.shape[1])
    weight = np.zeros(inputs.shape[1])
    for _ in range(50):
        chance = _logistic(inputs @ weight)
        slope = inputs.T @ (chance - truth) + penalty @ weight
        bend = (inputs.T * (chance * (1 - chance))) @ inputs + penalty
        step = np.linalg.solve(bend, slope)
        weight -= step
        if np.abs(step).max() < 1e-9:
            break
    return mean, scale, weight


def _probabilities(inputs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return _logistic(weight[0] + inputs @ weight[1:])


def _logistic(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)))
