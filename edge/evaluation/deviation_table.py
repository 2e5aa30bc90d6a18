"""What of the known deviations was found, not found or left unsure, as a table beside baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from industryasm.deviation import KNOWN_KINDS
from models.calibration_fit import separation
from models.metrics import DeviationScore

SHIFT_HOURS = 8.0
_DECODERS = {"order": "by the order of the steps", "plain": "without their order"}


@dataclass(frozen=True)
class DeviationEvaluation(DeviationScore):
    """The score of the alarms, and what else was said.

    `doubted` is of what low probability made `unsure`: its matches are among the missed here.
    `by_near_kind` takes an alarm of the right step of the right unit for right that says missed
    where it was done with a wrong part or not to its end, or repeated for rework, and so on.
    `hours` are those of the recordings, `normal_hours` of the units without a known deviation.
    """

    decoder: Literal["order", "plain"]
    num_recordings: int
    doubted: DeviationScore
    by_near_kind: DeviationScore
    hours: float
    normal_hours: float
    num_false_normal: int
    """Invented alarms in units without a known deviation."""
    baselines: Mapping[str, DeviationScore]

    @property
    def separation(self) -> float | None:
        """How often a real accusation, alarm or `unsure`, is held more probable than a false one.

        The area under the curve of their probabilities, or of their scores where the model has no
        calibration; 0.5 is chance. None where there are not both.
        """
        said = self.without_calibration
        pairs = [(match.found, True) for match in said.matched]
        pairs += [(found, False) for found in said.invented]
        # What is not judged passes always, as if it were certain.
        given = [1.0 if one.probability is None else one.probability for one, _ in pairs]
        return separation(given, [is_real for _, is_real in pairs])

    @property
    def without_calibration(self) -> DeviationScore:
        """The score as it were if nothing had been made `unsure` by its probability."""
        return DeviationScore(
            self.matched + self.doubted.matched,
            self.doubted.missed,
            self.invented + self.doubted.invented,
        )


def per_shift(num_alarms: int, hours: float) -> float | None:
    """Return how many alarms that is in 8 hours; None for no hours."""
    return round(num_alarms * SHIFT_HOURS / hours, 1) if hours else None


def plain(evaluation: DeviationEvaluation) -> dict[str, Any]:
    """Return the evaluation as values for JSON."""
    normal = per_shift(evaluation.num_false_normal, evaluation.normal_hours)
    return {
        "precision": evaluation.precision,
        "recall": evaluation.recall,
        "separation": evaluation.separation,
        "decoder": evaluation.decoder,
        "recordings": evaluation.num_recordings,
        "kinds": _rows(evaluation),
        "hours": evaluation.hours,
        "normal_hours": evaluation.normal_hours,
        "false_alarms_per_8h": per_shift(len(evaluation.invented), evaluation.hours),
        "false_alarms_per_8h_in_normal_units": normal,
        "systems": {
            name: {
                "found": len(score.matched),
                "missed": len(score.missed),
                "invented": len(score.invented),
                "precision": score.precision,
                "recall": score.recall,
                "false_alarms_per_8h": per_shift(len(score.invented), evaluation.hours),
            }
            for name, score in _systems(evaluation).items()
        },
    }


def table(evaluation: DeviationEvaluation) -> str:
    """Word the evaluation for a terminal."""
    head = (
        f"{'':15} found  missed  thereof unsure  as another kind  invented  unsure, untrue  "
        "delay: median     p95"
    )
    lines = [head]
    for kind, row in _rows(evaluation).items():
        median, p95 = _seconds(row["median_delay_s"]), _seconds(row["p95_delay_s"])
        lines.append(
            f"{kind:15} {row['found']:5}  {row['missed']:6}  {row['missed_unsure']:14}  "
            f"{row['missed_as_another_kind']:15}  {row['invented']:8}  "
            f"{row['invented_unsure']:14}  {median:>13}  {p95:>6}"
        )
    lines += ["", f"{'':36} found  missed  invented  precision  recall  false alarms in 8 h"]
    for name, score in _systems(evaluation).items():
        rate = per_shift(len(score.invented), evaluation.hours)
        lines.append(
            f"{name:36} {len(score.matched):5}  {len(score.missed):6}  {len(score.invented):8}  "
            f"{score.precision:7.1f} %  {score.recall:4.0f} %  {'-' if rate is None else rate:>19}"
        )
    normal = per_shift(evaluation.num_false_normal, evaluation.normal_hours)
    rate_words = "no such unit" if normal is None else f"{normal} in 8 h"
    hours, num_false = evaluation.normal_hours, evaluation.num_false_normal
    lines += [
        "",
        _separation_words(evaluation.separation),
        f"{evaluation.num_recordings} recordings, {evaluation.hours:.2f} h, decoded "
        f"{_DECODERS[evaluation.decoder]}. False alarms in units without a known deviation: "
        f"{num_false} in {hours:.2f} h ({rate_words})",
    ]
    return "\n".join(lines)


def _separation_words(share: float | None) -> str:
    if share is None:
        return "True and false accusations cannot be compared: there are not both."
    return (
        "A true accusation is held more probable than a false one in "
        f"{100 * share:.0f} % of pairs (chance: 50 %)."
    )


def _seconds(delay_s: float | None) -> str:
    return "-" if delay_s is None else f"{delay_s:.1f} s"


def _quantile(score: DeviationScore, share: float) -> float | None:
    return round(float(np.quantile(score.delays_s, share)), 1) if score.matched else None


def _systems(evaluation: DeviationEvaluation) -> dict[str, DeviationScore]:
    return {
        **evaluation.baselines,
        "linewatch, every accusation an alarm": evaluation.without_calibration,
        "linewatch": evaluation,
        "linewatch, near kinds count as right": evaluation.by_near_kind,
    }


def _rows(evaluation: DeviationEvaluation) -> dict[str, dict[str, Any]]:
    doubted, by_near = evaluation.doubted, evaluation.by_near_kind
    parts = [
        (kind, evaluation.of_kind(kind), doubted.of_kind(kind), by_near.of_kind(kind))
        for kind in KNOWN_KINDS
    ]
    return {
        name: {
            "found": len(part.matched),
            "missed": len(part.missed),
            "missed_unsure": len(unsure.matched),
            "missed_as_another_kind": len(near.matched) - len(part.matched),
            "invented": len(part.invented),
            "invented_unsure": len(unsure.invented),
            "median_delay_s": _quantile(part, 0.5),
            "p95_delay_s": _quantile(part, 0.95),
        }
        for name, part, unsure, near in [*parts, ("all", evaluation, doubted, by_near)]
    }


def joined(scores: list[DeviationScore]) -> DeviationScore:
    """Return the scores of several recordings as one."""
    return DeviationScore(
        tuple(match for score in scores for match in score.matched),
        tuple(known for score in scores for known in score.missed),
        tuple(found for score in scores for found in score.invented),
    )
