"""The most probable path through a task's labels, decided online, that knows what may come next.

What `models.viterbi` is without a procedure. A path is over states (steps done in this unit, label
that goes on); the sets of steps done are the downsets of the partial order and, at a price, others:

    match      a step that may come now                      free
    skip       a step before which others are still missing  `skip` for each of them
    late       a step that was overtaken                     `late`
    repeat     a step done before                            `repeat`; `undo` if it was built upon
    insert     work that is not in the task                  `insert`
    next unit  a step of a new unit                          `next_unit`, `skip` for each left out

A step that the recogniser often does not see, as its recall says, costs -ln(1 - recall) instead of
`skip` where that is less, and is passed over: believed done though not seen, and paid for once.
So weak evidence is read as the order has it, and strong evidence against it still wins.
There may be 2^K sets, so only the best states are followed (a beam), the best path to each of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from industryasm.procedure import Procedure
from industryasm.vocabulary import BACKGROUND

Floats = NDArray[np.floating[Any]]

_MAX_KEPT_ROWS = 4096


@dataclass(frozen=True)
class ProcedureCosts:
    """What a path pays, in nats; raises `ValueError` for a value that is negative or not finite.

    Chosen on the validation recordings of two rendered stations (docs/log.md).
    """

    switch: float = 2.0
    skip: float = 3.0
    late: float = 1.0
    repeat: float = 3.0
    undo: float = 6.0
    insert: float = 1.0
    next_unit: float = 0.5
    abandon: float = 9.0
    """The most that the steps left out of the unit before cost where the next one is begun."""
    haste: float = 1.0
    """Weight of the duration: a step that ends after d of its usual e seconds pays
    `haste` / 2 (ln(d / e) / `spread`)^2, and nothing from e on."""
    spread: float = 0.35

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{field.name} {value} must be a finite number, 0 or more")
        if not self.spread:
            raise ValueError("spread 0 must be above 0")


class _Place(NamedTuple):
    """Where a path stands: steps seen and passed over in its unit (bits), the newest, its label."""

    done: int
    passed: int
    newest: int
    label: int


class ProcedurePath:
    """Decodes frames online by the order of a procedure; the interface is `OnlineViterbi`'s.

    Memory is that of the undecided frames and of the beam.
    """

    def __init__(
        self,
        labels: Sequence[str],
        procedure: Procedure,
        *,
        period_s: float,
        costs: ProcedureCosts | None = None,
        recall: Floats | None = None,
        width: int = 16,
        certain: float = 5.0,
    ) -> None:
        """Decode `labels` (K), background among them; `period_s` lies between two frames.

        `recall` (K,) is how often each label is seen at all where it was done; None is always.
        `width` paths are followed; a frame is decided when all that are at most `certain` nats
        behind the best one agree on it.
        """
        self._costs = costs or ProcedureCosts()
        self._order = _Order(labels, procedure, self._costs, recall)
        self._usual = np.maximum(self._order.expected_s / period_s, 1.0)  # (K,) frames
        self._width, self._certain = width, certain
        self._background = list(labels).index(BACKGROUND)
        self._rows: dict[tuple[int, int, int], int] = {}  # where in the tables a place's costs are
        self._costs_table = np.zeros((_MAX_KEPT_ROWS, len(labels)))
        self._next_table = np.zeros((_MAX_KEPT_ROWS, len(labels)), np.bool_)
        self.restart(())

    def restart(self, done: Collection[str], passed: Collection[str] = ()) -> None:
        """Begin anew in a unit in which `done` was done; undecided frames are forgotten."""
        begun = self._order.bits(done), self._order.bits(passed)
        self._places = [_Place(*begun, -1, self._background)]
        self._labels = [self._background]
        self._scores = np.zeros(1)  # (B,) of each path, the best one is 0 and the first
        self._lengths = np.ones(1)  # (B,) frames that its label has gone on for
        self._paths = np.empty((0, 1), np.int16)  # (T, B) undecided frames of each
        self._cost_rows()

    @property
    def num_undecided(self) -> int:
        """Number of frames that were pushed and not committed."""
        return len(self._paths)

    @property
    def done(self) -> frozenset[str]:
        """The steps done in its unit on the best path."""
        return self._order.steps(self._places[0].done)

    @property
    def passed(self) -> frozenset[str]:
        """The steps believed done in its unit on the best path, though they were not seen."""
        return self._order.steps(self._places[0].passed)

    def push(self, evidence: Floats) -> list[int]:
        """Take one frame's log evidence (K,), finite; return the classes this commits, in order."""
        scores = (self._scores - self._leaving())[:, np.newaxis] - self._entering + evidence
        labels = self._labels
        staying = (np.arange(len(labels)), labels)
        scores[staying] = self._scores + evidence[labels]
        kept: dict[_Place, tuple[int, float, float]] = {}  # its origin, score and length
        num_labels = len(evidence)
        for index in np.argsort(-scores, axis=None, kind="stable").tolist():
            origin, label = divmod(index, num_labels)
            is_same = label == labels[origin]
            place = self._places[origin] if is_same else self._step(origin, label)
            if place not in kept:
                length = self._lengths[origin] + 1 if is_same else 1.0
                kept[place] = origin, float(scores[origin, label]), length
                if len(kept) == self._width:
                    break
        self._follow(kept)
        return self._commit(self._num_agreed())

    def force(self, num_frames: int) -> list[int]:
        """Commit the oldest `num_frames` by the best path; the others go on all the same."""
        return self._commit(num_frames)

    def best_path(self) -> NDArray[np.int16]:
        """Return the undecided frames' classes (T,) on the path that is best so far."""
        return self._paths[:, 0]

    def _leaving(self) -> Floats:
        """Return what each path pays (B,) when its label ends here."""
        usual = self._usual[self._labels]
        shortness = np.log(np.minimum(self._lengths / usual, 1.0)) / self._costs.spread
        cost: Floats = self._costs.switch + self._costs.haste / 2 * shortness**2
        return cost

    def _step(self, origin: int, label: int) -> _Place:
        place, step = self._places[origin], self._order.step_of[label]
        if step < 0:
            return _Place(place.done, place.passed, place.newest, label)
        is_next = self._is_next_unit[origin, label]
        done, passed = (0, 0) if is_next else (place.done, place.passed)
        passed |= self._order.passed_over(step, done | passed)
        return _Place(done | 1 << step, passed & ~(1 << step), step, label)

    def _follow(self, kept: dict[_Place, tuple[int, float, float]]) -> None:
        origins, scores, lengths = zip(*kept.values(), strict=True)
        self._places = list(kept)
        self._labels = [place.label for place in self._places]
        self._scores = np.array(scores) - scores[0]
        self._lengths = np.array(lengths)
        labels = np.array([self._labels], np.int16)
        self._paths = np.vstack([self._paths[:, list(origins)], labels])
        self._cost_rows()

    def _cost_rows(self) -> None:
        """Look up what each path would pay to begin each label (B, K), and in which unit."""
        if len(self._rows) > _MAX_KEPT_ROWS - self._width:
            self._rows.clear()
        rows = [self._row_of(place.done, place.passed, place.newest) for place in self._places]
        self._entering = self._costs_table[rows]
        self._is_next_unit = self._next_table[rows]

    def _row_of(self, done: int, passed: int, newest: int) -> int:
        row = self._rows.get((done, passed, newest))
        if row is None:
            row = self._rows[done, passed, newest] = len(self._rows)
            costs, is_next = self._order.costs_after(done, passed, newest)
            self._costs_table[row], self._next_table[row] = costs, is_next
        return row

    def _num_agreed(self) -> int:
        close = self._paths[:, self._scores >= -self._certain]
        agreed = (close == self._paths[:, :1]).all(axis=1)
        return len(agreed) if agreed.all() else int(agreed.argmin())

    def _commit(self, num_frames: int) -> list[int]:
        committed = [int(index) for index in self._paths[:num_frames, 0]]
        self._paths = self._paths[num_frames:]
        return committed


class _Order:
    """A procedure as bits, and what it costs to begin a label where some steps are done."""

    def __init__(
        self,
        labels: Sequence[str],
        procedure: Procedure,
        costs: ProcedureCosts,
        recall: Floats | None,
    ) -> None:
        self._procedure, self._costs = procedure, costs
        self._names = [step.id for step in procedure.steps]
        required = procedure.required()
        self._required = self.bits(required)
        self._before = [self.bits(procedure.predecessors(s) & required) for s in self._names]
        self._after = [self.bits(procedure.successors(s)) for s in self._names]
        self._background = list(labels).index(BACKGROUND)
        self.step_of = [
            self._names.index(label) if label in procedure else -1 for label in labels
        ]  # (K,) number of the label's step, -1 for none
        expected_s = {step.id: step.expected_s for step in procedure.steps}
        self.expected_s = np.array([expected_s.get(label, 0.0) for label in labels])  # (K,)
        unseen = {} if recall is None else _prices_unseen(labels, recall)
        self._unseen = [unseen.get(name, math.inf) for name in self._names]
        cheap = [name for name in self._names if unseen.get(name, math.inf) < costs.skip]
        self._passable = self.bits(cheap)

    def bits(self, steps: Collection[str]) -> int:
        return sum(1 << number for number, name in enumerate(self._names) if name in steps)

    def steps(self, bits: int) -> frozenset[str]:
        return frozenset(name for number, name in enumerate(self._names) if bits >> number & 1)

    def passed_over(self, step: int, believed: int) -> int:
        """Return the steps that `step` needs and that are believed done once it is seen."""
        return self._before[step] & ~believed & self._passable

    def costs_after(self, done: int, passed: int, newest: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Return what each label costs (K,) here, and whether it begins the next unit."""
        costs = np.zeros(len(self.step_of))
        is_next = np.zeros(len(costs), np.bool_)
        leaving = self._leaving_unit(done, passed)
        for label, step in enumerate(self.step_of):
            if step >= 0:
                here = self._here(step, done, passed, newest)
                there = leaving + self._skipped(self._before[step])
                costs[label], is_next[label] = min(here, there), there < here
            elif label != self._background:
                costs[label] = self._costs.insert
        return costs, is_next

    def _here(self, step: int, done: int, passed: int, newest: int) -> float:
        """Return the price of a step in the unit that goes on."""
        costs = self._costs
        overtaken = bool(self._after[step] & done)
        if not done >> step & 1:
            missing = self._before[step] & ~(done | passed)
            return self._skipped(missing) + costs.late * overtaken
        if step == newest or self._procedure.steps[step].repeatable:
            return 0.0
        return costs.repeat + costs.undo * overtaken

    def _leaving_unit(self, done: int, passed: int) -> float:
        """Return the price of beginning the next unit, whatever its first step is."""
        if not done:
            return math.inf
        left_out = self._skipped(self._required & ~(done | passed))
        return self._costs.next_unit + min(left_out, self._costs.abandon)

    def _skipped(self, steps: int) -> float:
        """Return the price of `steps` that were not seen though they come before what was."""
        unseen = steps & self._passable
        price = self._costs.skip * (steps & ~unseen).bit_count()
        while unseen:
            lowest = unseen & -unseen
            price += self._unseen[lowest.bit_length() - 1]
            unseen ^= lowest
        return price


def _prices_unseen(labels: Sequence[str], recall: Floats) -> dict[str, float]:
    """Return by label what it costs that it was done and not seen, in nats."""
    return {
        label: -math.log(max(1 - share, 1e-9))
        for label, share in zip(labels, recall.tolist(), strict=True)
    }
