"""What of the known deviations was found, not found or left unsure, as a table beside baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from industryasm.deviation import KNOWN_KINDS
from models.metrics import DeviationScore

SHIFT_HOURS = 8.0


@dataclass(frozen=True)
class DeviationEvaluation(DeviationScore):
    """The score of the alarms, and what else was said.

    `doubted` is of what low probability made `unsure`: its matches are among the missed here.
    `hours` are those of the recordings, `normal_hours` of the units without a known deviation.
    """

    doubted: DeviationScore
    hours: float
    normal_hours: float
    num_false_normal: int
    """Invented alarms in units without a known deviation."""
    baselines: Mapping[str, DeviationScore]

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
    lines = [f"{'':15} found  missed  thereof unsure  invented  unsure, untrue  median delay"]
    for kind, row in _rows(evaluation).items():
        delay = "-" if row["median_delay_s"] is None else f"{row['median_delay_s']:.1f} s"
        lines.append(
            f"{kind:15} {row['found']:5}  {row['missed']:6}  {row['missed_unsure']:14}  "
            f"{row['invented']:8}  {row['invented_unsure']:14}  {delay:>12}"
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
        f"{evaluation.hours:.2f} h of recordings. False alarms in units without a known deviation: "
        f"{num_false} in {hours:.2f} h ({rate_words})",
    ]
    return "\n".join(lines)


def _systems(evaluation: DeviationEvaluation) -> dict[str, DeviationScore]:
    return {
        **evaluation.baselines,
        "linewatch, every accusation an alarm": evaluation.without_calibration,
        "linewatch": evaluation,
    }


def _rows(evaluation: DeviationEvaluation) -> dict[str, dict[str, Any]]:
    doubted = evaluation.doubted
    pairs = [(kind, evaluation.of_kind(kind), doubted.of_kind(kind)) for kind in KNOWN_KINDS]
    return {
        name: {
            "found": len(part.matched),
            "missed": len(part.missed),
            "missed_unsure": len(unsure.matched),
            "invented": len(part.invented),
            "invented_unsure": len(unsure.invented),
            "median_delay_s": round(float(np.median(part.delays_s)), 1) if part.matched else None,
        }
        for name, part, unsure in [*pairs, ("all", evaluation, doubted)]
    }


def joined(scores: list[DeviationScore]) -> DeviationScore:
    """Return the scores of several recordings as one."""
    return DeviationScore(
        tuple(match for score in scores for match in score.matched),
        tuple(known for score in scores for known in score.missed),
        tuple(found for score in scores for found in score.invented),
    )
