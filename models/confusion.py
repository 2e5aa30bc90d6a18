"""Which labels a recogniser misses and which it takes for another, as labelled recordings showed.

Rows are the truth, columns what was said. With few frames of a label its row leans towards the
mean label's, so that no luck of ten frames becomes a certainty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from industryasm.fault import UserFault
from industryasm.segment import runs
from industryasm.vocabulary import BACKGROUND

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

PRIOR_FRAMES = 50.0
"""Frames of the mean label that each row is given on top of its own: some ten seconds."""

PRIOR_RUNS = 2.0
"""Runs of the mean label that each label's recall is given on top of its own."""

LOOK_ALIKE = 0.1
"""Two labels look alike if each is said with at least this probability where the other is true."""

TAKEN_FOR = 0.001
"""A label is taken for another if that was said of at least this share of its runs. What then looks
like two mistakes in one unit, one step too many and one too few, is far more likely none: each
alone happens in about 0.005 of the units (`edge.calibration.AlarmBudget`)."""

_LEAST_TAKEN = 2  # runs; once is no habit

CLOSE = 0.5
"""Two labels are close in a span where the evidence for one is at least this share of the other's:
odds of two to one are no ground to accuse anybody."""

_FLOOR = 1e-6  # the least likelihood believed, relative to all labels'
_SUM_TOLERANCE = 1e-2  # as the decoder takes a softmax in bfloat16
MAX_LABELS = 256  # so many fit into the file of a calibration

Label = Annotated[str, Field(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Frames = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class ConfusionError(UserFault, ValueError):
    """What was said and the truth do not fit each other."""


class Confusion(BaseModel):
    """Counts over labelled frames, and over their runs (a run is one time that a label was done).

    `said_frames[t][k]` is the sum of the probability of label k over the frames whose truth is t,
    so that a row sums to the number of those frames. `said_runs[t][k]` is the number of runs of t
    of which k has the highest mean probability. Raises `ValueError` for counts that cannot be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=MAX_LABELS)]
    said_frames: tuple[tuple[Frames, ...], ...]
    said_runs: tuple[tuple[Count, ...], ...]

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        size = len(self.labels)
        if len(set(self.labels)) < size:
            raise ValueError("labels: one is given twice")
        for name, rows in (("said_frames", self.said_frames), ("said_runs", self.said_runs)):
            if len(rows) != size or {len(row) for row in rows} != {size}:
                raise ValueError(f"{name}: must be {size} rows of {size}, one for each label")
        if not any(sum(row) for row in self.said_frames):
            raise ValueError("said_frames: holds no frame")
        return self

    def without(self, part: Confusion) -> Confusion:
        """Return what is left when `part`, which was counted in, is taken out.

        Raises `ValueError` where no frame is left.
        """
        frames = np.array(self.said_frames) - np.array(part.said_frames)
        said_runs = np.array(self.said_runs) - np.array(part.said_runs)
        return _confusion(self.labels, np.maximum(frames, 0.0), said_runs)

    def with_runs_of(self, part: Confusion) -> Confusion:
        """Return the same with the runs of `part` counted in, and not its frames."""
        said_runs = np.array(self.said_runs) + np.array(part.said_runs)
        return _confusion(self.labels, np.array(self.said_frames), said_runs)

    @property
    def num_runs(self) -> tuple[int, ...]:
        """Number of runs of each label."""
        return tuple(map(sum, self.said_runs))

    @property
    def num_seen(self) -> tuple[int, ...]:
        """Number of runs of each label that were said to be of it."""
        return tuple(row[label] for label, row in enumerate(self.said_runs))

    def shares(self) -> Floats:
        """Return C (K, K): the mean probability of label k where t is true; rows sum to 1."""
        said = np.array(self.said_frames)
        right = float(np.trace(said) / said.sum())
        size = len(said)
        others = (1 - right) / (size - 1) if size > 1 else 0.0
        mean = np.full((size, size), others)
        np.fill_diagonal(mean, right if size > 1 else 1.0)
        said = said + PRIOR_FRAMES * mean
        shares: Floats = said / said.sum(axis=1, keepdims=True)
        return shares

    def recall(self) -> Floats:
        """Return for each label (K,) the share of its runs that was seen."""
        done, seen = np.array(self.num_runs), np.array(self.num_seen)
        mean = (seen.sum() + 1) / (done.sum() + 2)
        recall: Floats = (seen + PRIOR_RUNS * mean) / (done + PRIOR_RUNS)
        return recall

    def likelihoods(self, said: Floats) -> Floats:
        """Return how well what was `said` (..., K) fits each label being true (..., K).

        `said` are probabilities, or sums of them over a span. Of label s it is the sum over k of
        C[s, k] said[k] / prior[k]; rows sum to 1. All are alike where nothing was said.
        """
        shares = self.shares()
        fits = (np.asarray(said, np.float64) / self._prior(shares)) @ shares.T
        total = fits.sum(axis=-1, keepdims=True)
        even = np.full_like(fits, 1 / len(self.labels))
        likelihoods: Floats = np.divide(fits, total, out=even, where=total > 0)
        return np.maximum(likelihoods, _FLOOR)

    def _prior(self, shares: Floats) -> Floats:
        """Return the mean probability of each label (K,) over all frames.

        Background counts as the mean label: how much there is of it is what a decoder's price of
        a change says, and by its own share every step would spread into the pauses around it
        (frames rightly labelled 92.0 instead of 93.7 % on gear-reducer, docs/log.md).
        """
        frames = np.array(self.said_frames).sum(axis=1) + 1
        prior: Floats = frames / frames.sum() @ shares
        is_pause = np.array([label == BACKGROUND for label in self.labels])
        if not is_pause.all():
            prior[is_pause] = prior[~is_pause].mean()
        return prior

    def look_alikes(self, bound: float = LOOK_ALIKE) -> dict[str, tuple[str, ...]]:
        """Return by label those that it is taken for, and that are taken for it, at `bound`.

        >>> same = Confusion(labels=("a", "b"), said_frames=((600, 400), (300, 700)),
        ...                  said_runs=((9, 1), (1, 9)))
        >>> same.look_alikes(), same.look_alikes(0.35)
        ({'a': ('b',), 'b': ('a',)}, {'a': (), 'b': ()})
        """
        shares = self.shares()
        alike = np.minimum(shares, shares.T) >= bound
        np.fill_diagonal(alike, val=False)
        return {
            label: tuple(self.labels[k] for k in np.flatnonzero(row))
            for label, row in zip(self.labels, alike, strict=True)
        }

    def taken_for(self, bound: float = TAKEN_FOR) -> dict[str, tuple[str, ...]]:
        """Return by label those that whole runs of it were said to be, at `bound` of its runs.

        >>> plug = Confusion(labels=("plug", "shaft"), said_frames=((900, 100), (0, 1000)),
        ...                  said_runs=((98, 2), (0, 100)))
        >>> plug.taken_for()
        {'plug': ('shaft',), 'shaft': ()}
        """
        said = np.array(self.said_runs)
        share = said / (said.sum(axis=1, keepdims=True) + PRIOR_RUNS)
        taken = (share >= bound) & (said >= _LEAST_TAKEN)
        np.fill_diagonal(taken, val=False)
        return {
            label: tuple(self.labels[k] for k in np.flatnonzero(row))
            for label, row in zip(self.labels, taken, strict=True)
        }

    def are_close(self, one: str, other: str, said: Floats, bound: float = CLOSE) -> bool:
        """Tell whether what was `said` (K,) over a span may as well have been either label."""
        fits = self.likelihoods(said)
        pair = fits[[self.labels.index(one), self.labels.index(other)]]
        return bool(pair.min() >= bound * pair.max())


def pooled(parts: Sequence[Confusion]) -> Confusion:
    """Return the counts of all `parts`, which are of the same labels, together."""
    if len({part.labels for part in parts}) != 1:
        raise ConfusionError("only counts of the same labels can be taken together")
    return _confusion(
        parts[0].labels,
        np.sum([part.said_frames for part in parts], axis=0),
        np.sum([part.said_runs for part in parts], axis=0),
    )


def fit_confusion(
    labels: Sequence[str], recordings: Iterable[tuple[Floats, Sequence[str]]]
) -> Confusion:
    """Count what was said of labelled frames: probabilities (T, K) and the truth (T,) of each.

    Raises `ConfusionError` for another shape, for rows that are no distribution, for a truth that
    is none of the labels, for more than `MAX_LABELS`, and where there is no frame.
    """
    if len(labels) > MAX_LABELS:
        raise ConfusionError(f"{len(labels)} labels: the file of a calibration takes {MAX_LABELS}")
    index = {label: number for number, label in enumerate(labels)}
    said_frames = np.zeros((len(labels), len(labels)))
    said_runs = np.zeros((len(labels), len(labels)), np.int64)
    for number, (rows, truth) in enumerate(recordings):
        rows = _checked(np.asarray(rows, np.float64), truth, labels, number)
        for label, start, end in runs(list(truth)):
            true, said = index[label], rows[start:end].sum(axis=0)
            said_frames[true] += said
            said_runs[true, int(said.argmax())] += 1
    if not said_frames.any():
        raise ConfusionError("there is no labelled frame to learn from")
    return _confusion(labels, said_frames, said_runs)


def _confusion(labels: Sequence[str], said_frames: Floats, said_runs: Integers) -> Confusion:
    return Confusion(
        labels=tuple(labels),
        said_frames=tuple(tuple(row) for row in said_frames.round(3).tolist()),
        said_runs=tuple(tuple(row) for row in said_runs.tolist()),
    )


def _checked(rows: Floats, truth: Sequence[str], labels: Sequence[str], number: int) -> Floats:
    place = f"recording {number}"
    if rows.shape != (len(truth), len(labels)):
        raise ConfusionError(
            f"{place}: probabilities have shape {rows.shape}, not {(len(truth), len(labels))}"
        )
    if unknown := sorted(set(truth) - set(labels)):
        raise ConfusionError(f"{place}: the truth {unknown[0]!r} is none of the labels")
    sums = rows.sum(axis=1)
    wrong = ~((rows >= 0).all(axis=1) & (np.abs(sums - 1) <= _SUM_TOLERANCE))  # NaN is wrong
    if wrong.any():
        raise ConfusionError(f"{place}: row {int(wrong.argmax())} is no distribution")
    normalised: Floats = rows / sums[:, np.newaxis]
    return normalised
