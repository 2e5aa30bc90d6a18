"""From accusations whose truth is known to probabilities, a threshold, and what they are worth.

**Weights.** Recordings made for testing hold far more deviations than a line does. What was said of
a unit with a deviation, true or false, is weighted as if a step were done wrongly at the assumed
miss rate; what was said of normal units counts in full. And one false accusation more than was seen
is counted in, as the conformal count does: what few hours did not show may still happen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from industryasm.deviation import FoundKind
from models.calibration import AS_SCORED, AlarmScale, ReliabilityBin, logit

Floats = NDArray[np.float64]

_RIDGE = np.array([1e-3, 1.0])
"""Penalties of the squared intercept and slope: what few accusations do not show is not claimed."""
_KIND_RIDGE = 1.0
"""The same for what a kind of deviation has of its own: a kind seen seldom is as the others."""
_MAX_ITERATIONS = 100


@dataclass(frozen=True)
class Accusation:
    """A confirmed deviation of the monitor, with its score and what it was.

    One that the judge could not score has None: it is an alarm, whatever the threshold.
    """

    recording: str
    kind: FoundKind
    score: float | None
    is_real: bool
    is_normal: bool
    """Whether it is of a unit without a known deviation."""


@dataclass(frozen=True)
class Interval:
    """A share with the interval that holds 95 % of what it may be."""

    mean: float
    low: float
    high: float


def deviating_weight(*, num_deviations: int, num_steps: int, miss_rate: float) -> float:
    """Return what counts for one in a unit with a deviation, where normal units count in full.

    It is the odds of a deviation at a step that is assumed, by the odds that the recordings have.

    >>> deviating_weight(num_deviations=10, num_steps=110, miss_rate=0.01 / 1.01)
    0.1
    """
    planted = num_deviations / max(num_steps - num_deviations, 1)
    return round(miss_rate / (1.0 - miss_rate) / planted, 12) if planted else 1.0


def counted(accusations: Sequence[Accusation], *, weight: float) -> tuple[Floats, Floats]:
    """Return what each accusation counts for (N,), and the share of that which is real (N,).

    `weight` is of those in units with a deviation. The one false accusation more is spread evenly
    over the false ones, or over all where there are none.
    """
    real = np.array([one.is_real for one in accusations])
    seen = np.array([1.0 if one.is_normal else weight for one in accusations])
    like = seen * (real.all() | ~real)
    weights: Floats = seen + like / like.sum()
    return weights, real * seen / weights


def fit_scale(accusations: Sequence[Accusation], *, weight: float) -> AlarmScale:
    """Fit a scale without a threshold by logistic regression; `weight` as in `counted`.

    Ridge, Newton's steps, halved where they overshoot; no randomness. A slope below 0 is 0: that
    a better score means less is chance. Without a real one nothing is known of what is real: the
    score is then the probability. Accusations without a score are left out.
    """
    accusations = [one for one in accusations if one.score is not None]
    if not any(one.is_real for one in accusations):
        return AS_SCORED
    scores = np.array([logit(one.score) for one in accusations if one.score is not None])
    weights, real = counted(accusations, weight=weight)
    weights *= len(accusations) / weights.sum()
    kinds = sorted({one.kind for one in accusations})
    of_kind = np.array([[float(one.kind == kind) for kind in kinds] for one in accusations])
    design = np.column_stack([np.ones(len(scores)), scores, of_kind])  # (N, 2 + kinds)
    ridge = np.array([*_RIDGE, *[_KIND_RIDGE] * len(kinds)])
    intercept, slope, *offsets = _newton(design, real, weights, ridge).tolist()
    if slope < 0:
        flat = np.arange(len(ridge)) != 1
        intercept, *offsets = _newton(design[:, flat], real, weights, ridge[flat]).tolist()
    own = dict(zip(kinds, offsets, strict=True))
    return AlarmScale(intercept=intercept, slope=max(slope, 0.0), offsets=own, threshold=0.0)


def _newton(design: Floats, target: Floats, weights: Floats, ridge: Floats) -> Floats:
    found = np.zeros(design.shape[1])
    loss = _loss(design, target, weights, found, ridge)
    for _ in range(_MAX_ITERATIONS):
        shares = 0.5 * (1.0 + np.tanh(0.5 * design @ found))
        slope = design.T @ (weights * (shares - target)) + ridge * found
        curve = (design.T * (weights * shares * (1.0 - shares))) @ design + np.diag(ridge)
        step = np.linalg.solve(curve, slope)
        while (new := _loss(design, target, weights, found - step, ridge)) > loss and np.abs(
            step
        ).max():
            step = step / 2
        found, loss = found - step, min(loss, new)
        if np.abs(step).max() < 1e-10:
            break
    return found


def _loss(design: Floats, target: Floats, weights: Floats, found: Floats, ridge: Floats) -> float:
    nats = design @ found
    likelihood = weights @ (np.logaddexp(0.0, nats) - target * nats)
    return float(likelihood + 0.5 * ridge @ found**2)


def conformal_threshold(
    false_probabilities: Sequence[float],
    *,
    hours: float,
    budget: float,
    shift_hours: float,
    num_always: int = 0,
) -> tuple[float, bool]:
    """Return the smallest threshold within the budget, and whether the hours show that it is.

    `false_probabilities` are those of the false accusations in `hours` of normal units, and
    `num_always` more reach any threshold. Within it is (how many reach the threshold, plus 1) /
    hours <= budget / shift_hours, where the probabilities are by scales that did not learn from
    them. Where the hours are too few for that, it is just above the highest of them: 0 where there
    are none.

    >>> conformal_threshold([0.2, 0.6], hours=16.0, budget=1.0, shift_hours=8.0)
    (0.20000000000000004, True)
    >>> conformal_threshold([0.25], hours=1.0, budget=1.0, shift_hours=8.0)
    (0.25000000000000006, False)
    """
    allowed = math.floor(hours * budget / shift_hours + 1e-9) - 1 - num_always
    ordered = sorted(false_probabilities, reverse=True)
    too_many = ordered[max(allowed, 0) :]
    threshold = math.nextafter(too_many[0], 1.0) if too_many else 0.0
    return threshold, allowed >= 0


@dataclass(frozen=True)
class HeldOut:
    """An accusation's probability, and whether it is an alarm, as other recordings teach it."""

    probability: float | None
    is_alarm: bool


def hold_out(
    accusations: Sequence[Accusation],
    *,
    weight: float,
    hours: Mapping[str, float],
    budget: float,
    shift_hours: float,
) -> list[HeldOut]:
    """Judge each of the accusations by what those of the other recordings teach, in their order.

    `hours` are of normal units, by recording.
    """
    scales: dict[str, AlarmScale] = {}
    for recording in {one.recording for one in accusations}:
        others = [one for one in accusations if one.recording != recording]
        left = sum(there for name, there in hours.items() if name != recording)
        scales[recording], _ = scale_of(
            others, weight=weight, hours=left, budget=budget, shift_hours=shift_hours
        )
    return [judged(one, scales[one.recording]) for one in accusations]


def judged(one: Accusation, scale: AlarmScale) -> HeldOut:
    """Judge an accusation by a scale."""
    if one.score is None:
        return HeldOut(None, is_alarm=True)
    probability = scale.probability(one.score, one.kind)
    return HeldOut(probability, probability >= scale.threshold)


def scale_of(
    accusations: Sequence[Accusation],
    *,
    weight: float,
    hours: float,
    budget: float,
    shift_hours: float,
) -> tuple[AlarmScale, bool]:
    """Return the scale that the accusations ask for, and whether the hours show the budget.

    The threshold is that of their probabilities by the scales of the other recordings: its own
    scale has learned that the false ones are false, so that one more, of a new recording, is not
    as they are.
    """
    scale = fit_scale(accusations, weight=weight)
    false = [one for one in accusations if one.is_normal and not one.is_real]
    scored = [one for one in false if one.score is not None]
    others = {
        name: fit_scale([one for one in accusations if one.recording != name], weight=weight)
        for name in {one.recording for one in scored}
    }
    threshold, is_shown = conformal_threshold(
        [p for one in scored if (p := judged(one, others[one.recording]).probability) is not None],
        hours=hours,
        budget=budget,
        shift_hours=shift_hours,
        num_always=len(false) - len(scored),
    )
    return scale.model_copy(update={"threshold": threshold}), is_shown


def reliability(
    probabilities: ArrayLike, real: ArrayLike, weights: ArrayLike, *, num_bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Return what accusations of like probability came to, in bins of equal width; empty left out.

    Each (N,); `real` is the share of an accusation's weight that is real, 0 for a false one.

    >>> [b.observed for b in reliability([0.9, 0.9], [1.0, 0.0], [1.0, 1.0])]
    [0.5]
    """
    given, shares = np.asarray(probabilities, np.float64), np.asarray(real, np.float64)
    weight = np.asarray(weights, np.float64)
    places = np.minimum((given * num_bins).astype(int), num_bins - 1)
    bins: list[ReliabilityBin] = []
    for place in np.unique(places).tolist():
        inside = places == place
        bins.append(
            ReliabilityBin(
                lower=place / num_bins,
                upper=(place + 1) / num_bins,
                predicted=_mean(given[inside], weight[inside]),
                observed=_mean(shares[inside], weight[inside]),
                num_real=int((shares[inside] > 0).sum()),
                num_false=int((shares[inside] == 0).sum()),
            )
        )
    return tuple(bins)


def separation(probabilities: Sequence[float], real: Sequence[bool]) -> float | None:
    """Return how often a real one is above a false one, ties as half; None without both.

    >>> separation([0.9, 0.5, 0.5], [True, True, False])
    0.75
    """
    given, is_real = np.asarray(probabilities, np.float64), np.asarray(real, bool)
    pairs = given[is_real][:, None] - given[~is_real]  # (real, false)
    return float(((pairs > 0) + 0.5 * (pairs == 0)).mean()) if pairs.size else None


def jeffreys(num_hits: int, num_trials: int) -> Interval:
    """Return a share by Jeffreys' prior: Beta(hits + 1/2, misses + 1/2), its mean and 95 %.

    Brown, Cai and DasGupta, "Interval Estimation for a Binomial Proportion", Statistical Science
    16 (2001), section 3.1.2; here always equal-tailed.

    >>> jeffreys(0, 0).mean, round(jeffreys(10, 10).low, 3)
    (0.5, 0.783)
    """
    misses = num_trials - num_hits
    # With x = sin^2 the density of Beta(h + 1/2, m + 1/2) is sin^2h cos^2m: finite at both ends.
    angle = np.linspace(0.0, math.pi / 2, 20_001)
    with np.errstate(divide="ignore"):
        logs = 2 * (
            (num_hits * np.log(np.sin(angle)) if num_hits else 0.0)
            + (misses * np.log(np.cos(angle)) if misses else np.zeros(len(angle)))
        )
    density = np.exp(logs - logs.max())
    below = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    low, high = np.sin(np.interp([0.025, 0.975], below / below[-1], angle)) ** 2
    return Interval((num_hits + 0.5) / (num_trials + 1), float(low), float(high))


def most_expected(count: int, *, certainty: float = 0.95) -> float:
    """Return what a Poisson count's expectation is not above with `certainty`, `count` seen.

    It is the m of which `count` or fewer come with a chance of 1 - certainty: the exact upper limit
    of Garwood, "Fiducial Limits for the Poisson Distribution", Biometrika 28 (1936).

    >>> round(most_expected(0), 3), round(most_expected(2), 3)
    (2.996, 6.296)
    """
    low, high = float(count), count + 10.0 * math.sqrt(count + 1.0)
    while high - low > 1e-12 * high:
        middle = 0.5 * (low + high)
        if _poisson_share(count, middle) > 1.0 - certainty:
            low = middle
        else:
            high = middle
    return high


def _poisson_share(count: int, expected: float) -> float:
    """Return how often a Poisson count of this expectation, above 0, is `count` or fewer."""
    return math.fsum(
        math.exp(i * math.log(expected) - expected - math.lgamma(i + 1)) for i in range(count + 1)
    )


def expected_precision(recall: float, miss_rate: float) -> float:
    """Return how often a step that was not recognised was missed: pi / (pi + (1 - pi)(1 - r)).

    >>> round(expected_precision(0.99, 0.005), 3)
    0.334
    """
    return miss_rate / (miss_rate + (1.0 - miss_rate) * (1.0 - recall))


def _mean(values: Floats, weights: Floats) -> float:
    return min(1.0, float((values * weights).sum() / weights.sum()))
