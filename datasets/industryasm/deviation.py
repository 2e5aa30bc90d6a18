"""The kinds of departure from standard work, and one that is known to be in a recording.

Those of `DeviationKind` follow from which work was done, when and for how long. People tell more
apart: how a step was done is in the picture, not in the order and the length of the steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

DeviationKind = Literal[
    "missed",
    "out_of_order",
    "repeated",
    "rework",
    "incomplete",
    "too_short",
    "too_long",
    "unexpected",
    "wrong_part",
]
"""`missed`: a required step of a finished cycle was not done, nor anything else in its place.
`out_of_order`: the step was done before one that must precede it (the step names the early one).
One for each step that comes late: the earliest that overtook it and is not named already.
`repeated`: a step that may be done once was done again.
`rework`: it was done again directly after unexpected work, which was the undoing of it.
`incomplete`: the step was left sooner than its least time allows at the pace of its cycle, and not
taken up again before a step that comes after it, or the end of the cycle.
`too_short`: as `incomplete`, but only by the clock: all of the cycle is done as fast.
`too_long`: the step went on beyond its limit.
`unexpected`: work that is not in the task, and neither undoing nor in a step's place; its step is
`"unexpected"`.
`wrong_part`: unexpected work in the place of a required step that was not done. It lasted for half
of the step's usual time or more, when the step was due: all that must precede it was done, and what
follows directly is a step that comes after it, or the end of the cycle. Of several such steps, the
first in the order of the file.

Unexpected work is one stretch as long as no step is between.
A person who says `wrong_part` may also mean the step itself, done with another part than its own.
"""

DEVIATION_KINDS: tuple[DeviationKind, ...] = get_args(DeviationKind)

FoundKind = Literal[DeviationKind, "unsure"]
"""The above, and `unsure`: would be a missed step, had nothing been hidden from the camera; or a
required step that was recognised with less than 50 %, and may not have been done
(`models.conformance`); or one of the above, were it more probable (`models.alarm_judge`)."""

KnownKind = Literal[DeviationKind, "wrong_execution"]
"""The above, and what only a person tells: `wrong_execution`, the step was done wrongly in another
way (position, amount, technique)."""

KNOWN_KINDS: tuple[KnownKind, ...] = (*DEVIATION_KINDS, "wrong_execution")


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
