"""Random partial orders and the streams of one or two units that are, and are not, as they say.

A stream is plain where order and pauses leave one reading of where a unit begins; the rule is
written here from `models.deviations`' description of a cycle, not from its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment
from industryasm.vocabulary import UNEXPECTED

LIMIT_S, LEAST_S = 6.0, 2.5
_STEP_S, _LONG_S, _BETWEEN_S, _HANDOVER_S = 4.0, 10.0, 0.5, 5.0
_SHORT_S = (1.0, 2.0, 3.0)
_PACES = (1.0, 1.0, 1.25, 0.6)  # of a unit; at the last all steps are below their least time
_NAMES = "abcdefg"
_MAX_EDITS = 3


@dataclass(frozen=True)
class Case:
    """A procedure and the segments of each unit, which follow each other after a handover."""

    procedure: Procedure
    units: tuple[tuple[Segment, ...], ...]

    @property
    def stream(self) -> list[Segment]:
        """The segments of all units, in the order of time."""
        return [segment for unit in self.units for segment in unit]

    @property
    def is_plain(self) -> bool:
        """Whether there is one reading of the units.

        Each reads as one; and each is complete before the next begins, with a first step that
        cannot be the old unit's.
        """
        traces = [[segment.label for segment in unit] for unit in self.units]
        return all(_reads_as_one(self.procedure, trace) for trace in traces) and all(
            _is_handover(self.procedure, before, after) for before, after in pairwise(traces)
        )

    def drawn(self) -> str:
        """Write the case as `a b<a c*<ab {b c} : abc|acb`; `*` is optional, `+` repeatable.

        `-` is a step with a least time, and a segment that is shorter; upper case is too long.
        """
        steps = " ".join(
            f"{step.id}{'*' * step.optional}{'+' * step.repeatable}"
            f"{'-' * bool(step.least_s)}"
            f"{'<' * bool(step.after)}{''.join(sorted(step.after))}"
            for step in sorted(self.procedure.steps, key=lambda step: step.id)
        )
        groups = "".join(f" {{{' '.join(sorted(g))}}}" for g in self.procedure.optional_groups)
        return f"{steps}{groups} : {'|'.join(map(_letters, self.units))}"


def random_case(seed: int) -> Case:
    """Draw a procedure of 2 to 7 steps and one or two units, each with up to three edits.

    Edits are a step left out, two neighbours swapped, a step moved, done again, foreign work, a
    step undone and done again, foreign work in its place; one step in twenty takes too long, one in
    ten is short.
    """
    rng = np.random.default_rng(seed)
    procedure = _random_procedure(rng)
    num_units = 1 if rng.random() < 0.6 else 2
    start_s = 0.0
    units: list[tuple[Segment, ...]] = []
    for _ in range(num_units):
        trace = _edited(rng, _allowed_trace(rng, procedure))
        unit = _segments(rng, trace, start_s)
        start_s = (unit[-1].end_s if unit else start_s) + _HANDOVER_S
        units.append(unit)
    return Case(procedure, tuple(units))


def _random_procedure(rng: np.random.Generator) -> Procedure:
    num_steps = int(rng.integers(2, len(_NAMES) + 1))
    names = _NAMES[:num_steps]
    density = rng.uniform(0.2, 1.8) / max(2, num_steps - 1)
    optional = rng.random(num_steps) < rng.choice([0.0, 0.3])
    optional[0] &= not optional.all()
    repeatable = rng.random(num_steps) < rng.choice([0.0, 0.2])
    has_least = rng.random(num_steps) < rng.choice([0.0, 0.5])
    steps = [
        ProcedureStep(
            name,
            frozenset(before for before in names[:index] if rng.random() < density),
            optional=bool(optional[index]),
            repeatable=bool(repeatable[index]),
            limit_s=LIMIT_S,
            least_s=LEAST_S if has_least[index] else 0.0,
        )
        for index, name in enumerate(names)
    ]
    variant = frozenset([step.id for step in steps if step.optional][:2])
    has_group = len(variant) == 2 and rng.random() < 0.5
    listed = tuple(steps[index] for index in rng.permutation(num_steps))
    return Procedure(listed, (variant,) if has_group else ())


def _allowed_trace(rng: np.random.Generator, procedure: Procedure) -> list[str]:
    left = [step.id for step in procedure.steps]
    trace: list[str] = []
    while left:
        ready = [step for step in left if not procedure.predecessors(step) & set(left)]
        trace.append(ready[int(rng.integers(len(ready)))])
        left.remove(trace[-1])
    skipped: set[str] = set()
    for group in procedure.optional_groups:
        skipped |= group if rng.random() < 0.5 else set()
    grouped = set().union(*procedure.optional_groups)
    for name in trace:
        if procedure.step(name).optional and name not in grouped and rng.random() < 0.5:
            skipped.add(name)
    return [step for step in trace if step not in skipped]


def _edited(rng: np.random.Generator, trace: Sequence[str]) -> list[str]:
    out = list(trace)
    for _ in range(int(rng.integers(0, _MAX_EDITS + 1))):
        at, edit = int(rng.integers(max(1, len(out)))), int(rng.integers(7))
        to = int(rng.integers(len(out) + 1))
        if edit == 0 and len(out) > 1:
            out.pop(at)
        elif edit == 1 and len(out) > at + 1:
            out[at], out[at + 1] = out[at + 1], out[at]
        elif edit == 2 and len(out) > 1:
            out.insert(min(to, len(out) - 1), out.pop(at))
        elif edit == 3:
            out.insert(to, out[at])
        elif edit == 4:
            out.insert(to, UNEXPECTED)
        elif edit == 5:
            out[at + 1 : at + 1] = [UNEXPECTED, out[at]]
        elif edit == 6:
            out[at] = UNEXPECTED
    return out


def _segments(
    rng: np.random.Generator, trace: Sequence[str], start_s: float
) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    step_s = _STEP_S * float(rng.choice(_PACES))
    for label in trace:
        chance = rng.random()
        length_s = _LONG_S if chance < 0.05 else step_s
        if chance > 0.9:
            length_s = float(rng.choice(_SHORT_S))
        segments.append(Segment(start_s, start_s + length_s, label))
        start_s += length_s + _BETWEEN_S
    return tuple(segments)


def _reads_as_one(procedure: Procedure, trace: Sequence[str]) -> bool:
    """Tell whether no step can begin another unit, and none comes when the unit is over."""
    done: set[str] = set()
    for step in (label for label in trace if label in procedure):
        begins = _is_first(procedure, step) and not _fits(procedure, step, done)
        if done and (begins or _is_over(procedure, done)):
            return False
        done.add(step)
    return bool(done)


def _is_handover(procedure: Procedure, before: Sequence[str], after: Sequence[str]) -> bool:
    done = {step for step in before if step in procedure}
    return (
        before[-1] in procedure
        and after[0] in procedure
        and not procedure.required(done) - done
        and _is_first(procedure, after[0])
        and not _fits(procedure, after[0], done)
        and not is_left_over(procedure, before, after)
    )


def is_left_over(procedure: Procedure, before: Sequence[str], after: Sequence[str]) -> bool:
    """Tell whether the steps of `after` are all allowed behind those of `before`, in one unit."""
    done_before, done = ({step for step in t if step in procedure} for t in (before, after))
    required = procedure.required(done)
    return bool(done_before) and all(
        procedure.step(step).repeatable
        if step in done_before
        else step not in required and not procedure.successors(step) & done_before
        for step in done
    )


def _is_first(procedure: Procedure, step: str) -> bool:
    return not procedure.predecessors(step) & procedure.required()


def _fits(procedure: Procedure, step: str, done: set[str]) -> bool:
    return step not in done and not procedure.successors(step) & done


def _is_over(procedure: Procedure, done: set[str]) -> bool:
    left = (step.id for step in procedure.steps)
    return not procedure.required(done) - done and not any(
        _fits(procedure, step, done) for step in left
    )


def _letters(unit: Sequence[Segment]) -> str:
    return "".join(
        ("?" if s.label == UNEXPECTED else s.label.upper() if s.duration_s > LIMIT_S else s.label)
        + "-" * (s.duration_s < LEAST_S)
        for s in unit
    )
