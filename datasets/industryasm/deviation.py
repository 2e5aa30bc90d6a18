"""The kinds of departure from standard work, and one that is known to be in a recording.

People tell more kinds apart than a procedure can: that a part was the wrong one is in the picture,
not in the order of the steps. Those are annotated and not yet judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DeviationKind = Literal["missed", "out_of_order", "repeated", "unexpected", "too_long"]
"""`missed`: a required step of a finished cycle was not done.
`out_of_order`: the step was done before one that must precede it (the step names the early one).
One for each step that comes late: the earliest that overtook it and is not named already.
`repeated`: a step that may be done once was done again.
`unexpected`: work that is not in the task; its step is `"unexpected"`.
`too_long`: the step went on beyond its limit."""

DEVIATION_KINDS: tuple[DeviationKind, ...] = (
    "missed",
    "out_of_order",
    "repeated",
    "unexpected",
    "too_long",
)

FoundKind = Literal[DeviationKind, "unsure"]
"""The above, and `unsure`: would be a missed step, had nothing been hidden from the camera."""

KnownKind = Literal[DeviationKind, "wrong_part", "incomplete", "rework", "wrong_execution"]
"""The above, judged from the steps, and what only a person (or the renderer) tells apart:
`wrong_part`: the step was done with another part than its own.
`incomplete`: the step was started and left.
`rework`: something was taken off or undone, and the step done again.
`wrong_execution`: the step was done wrongly in another way (position, amount, technique)."""

KNOWN_KINDS: tuple[KnownKind, ...] = (
    *DEVIATION_KINDS,
    "wrong_part",
    "incomplete",
    "rework",
    "wrong_execution",
)


@dataclass(frozen=True)
class KnownDeviation:
    """A departure that a person or the renderer knows to be in a recording.

    [start_s, end_s) is where it can be seen; for a missed step, the cycle in which it is missing.
    """

    kind: KnownKind
    step: str
    cycle: int
    start_s: float
    end_s: float
