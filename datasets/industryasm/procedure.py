"""The order in which a task's steps may be done: a partial order, not a fixed list."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import astuple, dataclass, field


class ProcedureError(ValueError):
    """The steps and their predecessors do not form a partial order; `steps` are those at fault."""

    def __init__(self, message: str, steps: tuple[str, ...] = ()) -> None:
        self.steps = steps
        super().__init__(message)


@dataclass(frozen=True)
class ProcedureStep:
    """What the order has to know of one step; durations in seconds."""

    id: str
    after: frozenset[str] = frozenset()
    optional: bool = False
    repeatable: bool = False
    expected_s: float = 4.0
    limit_s: float = 12.0
    least_s: float = 0.0
    """A step done in less was not done whole; 0 where nobody said so."""


@dataclass(frozen=True)
class Procedure:
    """One revision of a task's standard work as a partial order over its steps.

    Raises `ProcedureError` for no steps, a duplicate id, an unknown or own predecessor, a cycle,
    and times that are none.

    >>> order = Procedure((ProcedureStep("a"), ProcedureStep("b", frozenset({"a"})),
    ...                    ProcedureStep("c", frozenset({"b"}))))
    >>> sorted(order.predecessors("c")), order.final_steps()
    (['a', 'b'], ('c',))
    """

    steps: tuple[ProcedureStep, ...]
    optional_groups: tuple[frozenset[str], ...] = ()
    """Steps that are done all or none: once one is done, the rest of its group is required."""
    _ancestors: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = [step.id for step in self.steps]
        if not ids:
            raise ProcedureError("a procedure needs at least one step")
        for step_id in ids:
            if ids.count(step_id) > 1:
                raise ProcedureError(f"step {step_id!r} is given twice")
        for step in self.steps:
            if not (step.expected_s > 0 and step.limit_s > 0 and step.least_s >= 0):
                raise ProcedureError(
                    f"step {step.id!r}: expected {step.expected_s} s and limit {step.limit_s} s "
                    f"must be above 0, least {step.least_s} s not below"
                )
            for name in step.after:
                if name == step.id:
                    raise ProcedureError(f"step {step.id!r} cannot come after itself")
                if name not in ids:
                    raise ProcedureError(f"step {step.id!r} comes after unknown step {name!r}")
        for name in set().union(*self.optional_groups) - set(ids):
            raise ProcedureError(f"an optional group holds the unknown step {name!r}")
        object.__setattr__(self, "_ancestors", self._close())

    def _close(self) -> dict[str, frozenset[str]]:
        direct = {step.id: step.after for step in self.steps}
        closed: dict[str, frozenset[str]] = {}
        while len(closed) < len(direct):
            ready = [s for s, after in direct.items() if s not in closed and after <= set(closed)]
            if not ready:
                cyclic = tuple(sorted(set(direct) - set(closed)))
                message = f"the order of these steps is a cycle: {', '.join(cyclic)}"
                raise ProcedureError(message, cyclic)
            for step_id in ready:
                above = (closed[name] for name in direct[step_id])
                closed[step_id] = direct[step_id].union(*above)
        return closed

    def __contains__(self, step_id: object) -> bool:
        return step_id in self._ancestors

    def sha256(self) -> str:
        """Return the SHA-256 of the steps, their times and their order."""
        plain = [
            [sorted(value) if isinstance(value, frozenset) else value for value in astuple(step)]
            for step in self.steps
        ]
        groups = sorted(sorted(group) for group in self.optional_groups)
        return hashlib.sha256(json.dumps([plain, groups]).encode()).hexdigest()

    def step(self, step_id: str) -> ProcedureStep:
        """Return the step named `step_id`; raise `KeyError` when there is none."""
        return next(s for s in self.steps if s.id == self._known(step_id))

    def predecessors(self, step_id: str) -> frozenset[str]:
        """Return every step that must be done before `step_id`, directly or not."""
        return self._ancestors[step_id]

    def successors(self, step_id: str) -> frozenset[str]:
        """Return every step that may only be done after `step_id`."""
        self._known(step_id)
        return frozenset(s for s, above in self._ancestors.items() if step_id in above)

    def required(self, done: Collection[str] = ()) -> frozenset[str]:
        """Return the steps without which a cycle in which `done` was done is not complete."""
        begun = (group for group in self.optional_groups if not group.isdisjoint(done))
        return frozenset(step.id for step in self.steps if not step.optional).union(*begun)

    def final_steps(self) -> tuple[str, ...]:
        """Return the steps that nothing comes after, in the order of the file."""
        inner: set[str] = set().union(*self._ancestors.values())
        return tuple(step.id for step in self.steps if step.id not in inner)

    def missing_before(self, step_id: str, done: Collection[str]) -> tuple[str, ...]:
        """Return the required predecessors of `step_id` not in `done`, in the order of the file."""
        required = self.required({step_id, *done})
        open_steps = (self.predecessors(step_id) & required) - set(done)
        return tuple(step.id for step in self.steps if step.id in open_steps)

    def _known(self, step_id: str) -> str:
        if step_id not in self._ancestors:
            raise KeyError(step_id)
        return step_id
