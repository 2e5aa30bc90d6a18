"""What a measurement gives: ours, a yardstick from the same run, their ratio and its goal.

The two are measured in turns, A B B A A B ..., so that what else the machine does meets both. The
ratio is the median of the turns' own ratios; the least and the greatest say how calm it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal


@dataclass(frozen=True)
class Goal:
    """What a ratio should be, at least or at most."""

    sense: Literal["at least", "at most"]
    bound: float

    def is_met_by(self, ratio: float) -> bool:
        """Return whether `ratio` is on the right side; NaN never is."""
        return ratio >= self.bound if self.sense == "at least" else ratio <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.sense == 'at least' else '<='} {self.bound:.3g}"


@dataclass(frozen=True)
class Measurement:
    """One row: `ours` and `yardstick` in `unit`, one number a turn; `key` names the ratio.

    `goal` None is a figure that is only stated. `note` says what a reader must know to judge it.
    """

    key: str
    what: str
    unit: str
    ours: tuple[float, ...]
    yardstick: tuple[float, ...]
    goal: Goal | None = None
    note: str = ""
    ratios: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not self.ours or len(self.ours) != len(self.yardstick):
            raise ValueError(f"{self.key}: {len(self.ours)} against {len(self.yardstick)} turns")
        if not all(math.isfinite(number) for number in (*self.ours, *self.yardstick)):
            raise ValueError(f"{self.key}: {self.ours} against {self.yardstick}: not finite")
        if 0 in self.yardstick:
            raise ValueError(f"{self.key}: the yardstick is 0 {self.unit}")
        pairs = zip(self.ours, self.yardstick, strict=True)
        object.__setattr__(self, "ratios", tuple(a / b for a, b in pairs))

    @property
    def ratio(self) -> float:
        """The median of the turns' ratios."""
        return median(self.ratios)

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        return None if self.goal is None else self.goal.is_met_by(self.ratio)


@dataclass(frozen=True)
class NotMeasured:
    """A row that could not be measured on this machine, and why."""

    key: str
    what: str
    reason: str


Row = Measurement | NotMeasured


def in_turns(
    ours: Callable[[], float], yardstick: Callable[[], float], num_rounds: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure both `num_rounds` times in turns, once more before to warm up; the first is not kept.

    >>> order = []
    >>> in_turns(lambda: order.append("A") or 1.0, lambda: order.append("B") or 2.0, 2)
    ((1.0, 1.0), (2.0, 2.0))
    >>> "".join(order)
    'ABBAAB'
    """
    numbers: tuple[list[float], list[float]] = ([], [])
    for index in range(num_rounds + 1):
        turn = [(numbers[0], ours), (numbers[1], yardstick)]
        for kept, measure in turn if index % 2 == 0 else reversed(turn):
            kept.append(measure())
    return tuple(numbers[0][1:]), tuple(numbers[1][1:])


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile, the value that 1 in 100 exceeds.

    >>> p99([float(i) for i in range(1, 201)])
    198.0
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(0.99 * len(ordered)) - 1)]
