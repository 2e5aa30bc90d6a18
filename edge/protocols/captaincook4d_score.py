"""Scores accusations against what is known: by step, by recording, within a budget, and how late.

A step is accused once in a recording, however often it is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.protocols.captaincook4d_detectors import Accusation
from edge.protocols.captaincook4d_truth import JudgedKind, JudgedRecording
from edge.protocols.oracle import Found
from edge.protocols.scored_alarms import ScoredAlarms

BUDGET_PER_HOUR = 1.0


@dataclass(frozen=True)
class KindScore:
    """What a detector found of one kind, by step and by recording.

    `recall_in_budget` is the percentage found at one threshold with `BUDGET_PER_HOUR` wrong
    accusations an hour of video, all recordings pooled; `wrong_per_hour` is at the detector's own
    threshold, as are `delays_s`: from when a deviation could be known until it was said, below 0
    for one that was said before.
    """

    steps: Found
    recordings: Found
    recall_in_budget: float
    wrong_per_hour: float
    delays_s: tuple[float, ...]

    def plain(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        return {
            "steps": self.steps.plain(),
            "recordings": self.recordings.plain(),
            "recall_at_1_false_alarm_per_hour": round(self.recall_in_budget, 1),
            "false_alarms_per_hour": round(self.wrong_per_hour, 2),
            "delay_median_s": self.delay_s(0.5),
            "delay_p95_s": self.delay_s(0.95),
            "said_too_soon": self.num_too_soon,
        }

    def delay_s(self, quantile: float) -> float | None:
        """Return a quantile of the delays, to the tenth; None where nothing was found."""
        return round(float(np.quantile(self.delays_s, quantile)), 1) if self.delays_s else None

    @property
    def num_too_soon(self) -> int:
        """How many were found before they could be known, which is luck."""
        return sum(delay < 0 for delay in self.delays_s)

    def row(self) -> str:
        """Word the score as the cells of a table: `HEAD` names them."""
        median, p95 = (self.delay_s(quantile) for quantile in (0.5, 0.95))
        delay = "-" if median is None else f"{median:.0f} / {p95:.0f} s"
        return (
            f"{_figures(self.steps)} {self.wrong_per_hour:6.1f} {self.recall_in_budget:7.1f}   "
            f"{_figures(self.recordings)} {delay:>14} {self.num_too_soon:9}"
        )


HEAD = "    P     R    F1 wrong/h R at 1/h   recordings: P, R, F1   delay, p95  too soon"


def score_kind(
    kind: JudgedKind,
    said: Sequence[tuple[JudgedRecording, Sequence[Accusation]]],
    *,
    threshold: float,
) -> KindScore:
    """Score what was said of each recording; accusations of other kinds are passed over."""
    steps, recordings = Found(), Found()
    scores: dict[bool, list[float]] = {True: [], False: []}
    delays_s: list[float] = []
    for recording, accusations in said:
        known = {step: at_s for (of, step), at_s in recording.known.items() if of == kind}
        own = [accusation for accusation in accusations if accusation.kind == kind]
        called = {a.step for a in own if a.score >= threshold}
        steps += _compared(called, set(known))
        recordings += _compared(
            {recording.id} if called else set(), {recording.id} if known else set()
        )
        for step in {a.step for a in own}:
            scores[step in known].append(max(a.score for a in own if a.step == step))
        for step in sorted(called & known.keys()):
            first_s = min(a.said_s for a in own if a.step == step and a.score >= threshold)
            delays_s.append(first_s - known[step])
    hours = sum(recording.duration_s for recording, _ in said) / 3600
    alarms = ScoredAlarms(scores[True], scores[False], steps.right + steps.missed, hours)
    return KindScore(
        steps,
        recordings,
        100 * alarms.recall_at(BUDGET_PER_HOUR),
        steps.wrong / hours,
        tuple(delays_s),
    )


def _compared(called: set[str], known: set[str]) -> Found:
    return Found(len(called & known), len(called - known), len(known - called))


def _figures(found: Found) -> str:
    return f"{found.precision:5.1f} {found.recall:5.1f} {found.f1:5.1f}"
