"""How fast the steps of one cycle are done, beside their usual times."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from industryasm.procedure import Procedure
from industryasm.segment import Segment

LEAST_PACED = 4
"""Steps of the cycle that must be done before they tell a pace."""


def pace(procedure: Procedure, done: Mapping[str, Segment]) -> float:
    """Return the time that steps take as a share of their usual one: the median of those `done`.

    It is 1 for fewer than `LEAST_PACED` steps.
    """
    if len(done) < LEAST_PACED:
        return 1.0
    return median(
        segment.duration_s / procedure.step(step).expected_s for step, segment in done.items()
    )
