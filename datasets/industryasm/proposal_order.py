"""Which step must come before which, judged from cycles that are known to be normal.

Steps are numbers from 0 here. What is decided, and why so:

- A normal cycle is allowed by definition, so a single one in which `b` came before `a` refutes
  that `a` must come before `b`. No share of exceptions is forgiven: it would be the share of good
  cycles with a false alarm. Only the first time that a step is done counts, which is what a
  `Procedure` is judged by.
- Never seen in n cycles is not never: with 95 % confidence it happens in up to 1 - 0.05^(1/n) of
  them (the exact form of the rule of three, 3/n; Hanley and Lippman-Hand, JAMA 249, 1983). A
  relation needs `LEAST_CYCLES` with both steps.
- That alone proposes too much: a step that may be done at any time, in one of 16 places say,
  comes after the first one in 15 cycles of 16. But where two steps that directly follow each other
  have no order, they may be swapped, so both orders are as likely, and to see the same one m times
  has a chance of 2^-m. A relation that does not follow from two others needs `LEAST_DIRECT` cycles
  in which nothing came between its steps (2^-5 is below 5 %).
- A relation is taken only if everything that follows from it together with those taken before is
  itself supported: what nobody saw is not concluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Relations = NDArray[np.bool_]
"""(K, K): whether the row's step must come before the column's."""

CONFIDENCE = 0.95
LEAST_CYCLES = 10
"""Cycles without an exception that a decision needs: leaves exceptions in up to 26 %."""
LEAST_DIRECT = 5
"""Cycles in which the steps of a relation directly followed each other: chance below 5 %."""
LEAST_HINT = 3
"""Cycles from which a relation that is not proposed is shown to a person all the same."""


@dataclass(frozen=True, eq=False)
class OrderEvidence:
    """In how many cycles the row's step came before the column's: int (K, K) each.

    `before` counts all of them, `direct` those in which nothing was done for the first time
    between the two.
    """

    before: NDArray[np.int64]
    direct: NDArray[np.int64]


def count_order(orders: Sequence[Sequence[int]], num_steps: int) -> OrderEvidence:
    """Count who came before whom in `orders`, each the steps of one cycle, none twice."""
    before = np.zeros((num_steps, num_steps), dtype=np.int64)
    direct = np.zeros_like(before)
    for order in orders:
        steps = np.asarray(order, dtype=np.intp)
        # rows earlier in the cycle than columns: the upper triangle of steps against steps
        before[np.ix_(steps, steps)] += np.triu(np.ones((len(steps),) * 2, np.int64), k=1)
        direct[steps[:-1], steps[1:]] += 1
    return OrderEvidence(before, direct)


def proposed_order(evidence: OrderEvidence) -> Relations:
    """Return the relations to propose, with all that follow from them, acyclic."""
    return _drop_chance(_take_consistent(evidence), evidence)


def hinted_order(evidence: OrderEvidence, order: Relations) -> Relations:
    """Return what was never contradicted and is not in `order`, less what others imply."""
    possible = (evidence.before >= LEAST_HINT) & (evidence.before.T == 0)
    return reduce_order(possible | order) & ~order


def reduce_order(order: Relations) -> Relations:
    """Return the relations that do not follow from two others.

    >>> reduce_order(np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)).astype(int).tolist()
    [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    """
    steps = order.astype(np.float32)  # bool would be multiplied without BLAS
    direct: Relations = order & (steps @ steps == 0)
    return direct


def most_exceptions(num_cycles: int) -> float:
    """Return the share of exceptions that `num_cycles` without one still allow, 0 to 1.

    >>> [round(most_exceptions(n), 2) for n in (0, 5, 10, 20, 100)]
    [1.0, 0.45, 0.26, 0.14, 0.03]
    """
    return float(1 - (1 - CONFIDENCE) ** (1 / num_cycles)) if num_cycles else 1.0


def _take_consistent(evidence: OrderEvidence) -> Relations:
    """Return the supported relations, strongest first, that imply nothing unsupported."""
    supported: Relations = (evidence.before >= LEAST_CYCLES) & (evidence.before.T == 0)
    taken: Relations = np.zeros_like(supported)
    strongest = np.lexsort((-evidence.direct[supported], -evidence.before[supported]))
    for first, then in np.argwhere(supported)[strongest]:
        if taken[first, then]:
            continue
        above, below = taken[:, first].copy(), taken[then].copy()
        above[first] = below[then] = True
        if supported[np.ix_(above, below)].all():
            taken[np.ix_(above, below)] = True
    return taken


def _drop_chance(order: Relations, evidence: OrderEvidence) -> Relations:
    """Return `order` without the relations that may as well be chance.

    What follows from nothing else can be left out of a partial order, and the rest is one.
    """
    kept: Relations = order.copy()
    while (chance := reduce_order(kept) & (evidence.direct < LEAST_DIRECT)).any():
        kept &= ~chance
    return kept
