"""What watching a station's cycles brings to light; all times in seconds of the station's stream.

`detected_s` is the time of the newest frame when a thing was first said. It stays as it was when
a deviation is confirmed or withdrawn later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from industryasm.deviation import FoundKind

DeviationState = Literal["suspected", "confirmed", "withdrawn"]
CycleEnd = Literal["complete", "next_unit", "idle", "closed"]
"""Why a cycle ended: every required step was done; the next unit was begun; nothing was done for
long; the stream is over."""


@dataclass(frozen=True)
class CycleStarted:
    """The first step of a unit's assembly was seen."""

    cycle: int
    start_s: float
    detected_s: float


@dataclass(frozen=True)
class CycleEnded:
    """A unit's assembly is over; `complete` when every required step was done and none was left."""

    cycle: int
    start_s: float
    end_s: float
    detected_s: float
    complete: bool
    reason: CycleEnd


@dataclass(frozen=True)
class StepDone:
    """A step was done in [start_s, end_s), in this order and this cycle."""

    cycle: int
    step: str
    start_s: float
    end_s: float
    confidence: float
    detected_s: float


@dataclass(frozen=True)
class Deviation:
    """A departure from the procedure in the span [start_s, end_s) in which it can be looked at.

    The same `id` comes again when the state changes: suspected, then confirmed or withdrawn.
    Raises `ValueError` for a probability that is none.
    """

    id: str
    kind: FoundKind
    state: DeviationState
    step: str
    cycle: int
    start_s: float
    end_s: float
    detected_s: float
    detail: str
    probability: float | None = None
    """How likely it is, 0 to 1, by whoever judged it; None where nobody did."""

    def __post_init__(self) -> None:
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError(f"deviation {self.id!r}: probability {self.probability} is not 0 to 1")


Finding = CycleStarted | CycleEnded | StepDone | Deviation
