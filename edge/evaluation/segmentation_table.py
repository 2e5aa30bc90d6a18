"""Words scores of step segments as tables for a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from edge.evaluation.streamed import Evaluation
from models.metrics import SegmentationScore


def score_table(evaluation: Evaluation) -> str:
    """Word an evaluation as a table for a terminal."""
    delay = evaluation.delay
    told = f"a step is given out {delay.median_s:.1f} s after its end (p95 {delay.p95_s:.1f} s)"
    return "\n".join(
        [
            *score_rows(evaluation.scores, "background is no segment"),
            told,
            "",
            *score_rows(evaluation.background_counted, "background is a label as any other"),
            "",
            *class_rows(evaluation.by_class),
        ]
    )


def score_rows(scores: Mapping[str, SegmentationScore], title: str = "") -> list[str]:
    """Word scores by system as the rows of a table for a terminal."""
    return [f"{title:36} accuracy   edit  F1@10  F1@25  F1@50"] + [
        f"{name:36} {s.accuracy:8.1f} {s.edit:6.1f} {s.f1_10:6.1f} {s.f1_25:6.1f} {s.f1_50:6.1f}"
        for name, s in scores.items()
    ]


def class_rows(by_class: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Word each label's frame accuracy as the rows of a table; columns are systems, numbered."""
    names = [f"({number}) {name}" for number, name in enumerate(by_class, 1)]
    numbers = "".join(f" {name.split()[0]:>6}" for name in names)
    means = {name: statistics.fmean(one.values()) for name, one in by_class.items()}
    labels = list(next(iter(by_class.values())))
    return [
        f"of a class's frames right, %: {', '.join(names)}",
        f"{'':36}{numbers}",
        *(_row(label, [one[label] for one in by_class.values()]) for label in labels),
        _row("mean of the classes", means.values()),
    ]


def _row(title: str, values: Iterable[float]) -> str:
    return f"{title:36}" + "".join(f" {value:6.1f}" for value in values)
