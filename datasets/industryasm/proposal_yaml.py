"""A proposal as a vocabulary file, with a comment beside each line that says what it rests on.

The steps keep the order and the names of the vocabulary that they are from, so that a recogniser
trained on it still fits. Groups are left out: their order is written out, and that the steps of a
variant are done all or none is not proposed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from textwrap import fill, indent
from typing import Any

import yaml

from industryasm.procedure import ProcedureStep
from industryasm.proposal import OrderSupport, Proposal, ProposalError, StepSupport
from industryasm.proposal_order import LEAST_CYCLES, LEAST_DIRECT
from industryasm.vocabulary import Step, Task

_WORDS = {"id", "text", "primitive", "parts", "tools", "critical"}
_HEADER = """\
# Proposed from normal cycles ({cycles}, operators: {operators}), for a person to edit and approve.
# `after` holds what was never done in the other order, in {least} cycles or more, and directly one
# after the other in {direct} or more. A line `# - step` may be a rule too, or chance: it does not
# count.
"""


def proposed_task(task: Task, proposal: Proposal) -> Task:
    """Return `task` with the order, the options and the times of the proposal.

    A step that was not seen becomes optional and repeatable, and comes after nothing. Raises
    `ProposalError` for a step of the proposal that the task does not have.
    """
    known = {step.id for step in task.steps}
    proposed = {step.id: step for step in proposal.procedure.steps}
    for step_id in proposed:
        if step_id not in known:
            raise ProposalError(f"step {step_id!r} was seen but is not in task {task.id!r}")
    steps = (_merged(step, proposed.get(step.id), proposal) for step in task.steps)
    return Task.model_validate(dict(task) | {"steps": tuple(steps), "groups": ()})


def proposal_yaml(task: Task, proposal: Proposal, *, operators: int) -> str:
    """Return the proposal for `task` as YAML that `read_task` reads as `proposed_task`."""
    numbers = {"cycles": proposal.num_cycles, "operators": operators}
    header = _HEADER.format(least=LEAST_CYCLES, direct=LEAST_DIRECT, **numbers)
    usual = "Usual order: " + ", ".join(step.step for step in proposal.steps)
    header += indent(fill(usual, 98, break_on_hyphens=False), "# ") + "\n"
    new = proposed_task(task, proposal)
    about = new.model_dump(mode="json", exclude={"steps", "groups"})
    lines = (line for step in new.steps for line in _step_lines(step, proposal))
    return header + _dump(about) + "steps:\n" + "".join(f"{line}\n" for line in lines)


def _merged(step: Step, proposed: ProcedureStep | None, proposal: Proposal) -> Step:
    values: dict[str, Any] = {"after": (), "optional": True, "repeatable": True, "least_s": None}
    if proposed is not None:
        values = {
            "after": tuple(r.before for r in proposal.order if r.then == step.id),
            "optional": proposed.optional,
            "repeatable": proposed.repeatable,
            "expected_s": proposed.expected_s,
            "limit_s": proposed.limit_s,
            "least_s": proposed.least_s or None,
        }
    return Step.model_validate(dict(step) | values)


def _step_lines(step: Step, proposal: Proposal) -> Iterator[str]:
    support = next((s for s in proposal.steps if s.step == step.id), None)
    words = step.model_dump(mode="json", include=_WORDS, exclude_defaults=True)
    yield "  - " + indent(_dump(words), "    ").strip()
    if support is None:
        yield f"    # not done in any of {proposal.num_cycles} cycles: fill in, or take it out"
    else:
        yield from _after_lines(step.id, proposal)
    seen, again, median, longest, shortest = _reasons(support, proposal.num_cycles)
    yield f"    optional: {_scalar(step.optional)}{seen}"
    yield f"    repeatable: {_scalar(step.repeatable)}{again}"
    yield f"    expected_s: {_scalar(step.expected_s)}{median}"
    yield f"    limit_s: {_scalar(step.limit_s)}{longest}"
    if step.least_s is not None:
        yield f"    least_s: {_scalar(step.least_s)}{shortest}"


def _after_lines(step_id: str, proposal: Proposal) -> Iterator[str]:
    relations = [relation for relation in proposal.order if relation.then == step_id]
    if relations:
        yield "    after:"
    for relation in relations:
        yield f"      - {relation.before}  # {_counts(relation)}"
    hints = [relation for relation in proposal.hints if relation.then == step_id]
    if hints and not relations:
        yield "    # after:"
    for relation in hints:
        yield f"      # - {relation.before}  # {_counts(relation)}"


def _counts(relation: OrderSupport) -> str:
    """Word it as `before it in 20 cycles, directly in 9; 0 against (<= 14%)`."""
    seen = f"before it in {relation.cycles} cycles, directly in {relation.direct}"
    return f"{seen}; {relation.against} against (<= {relation.most_against:.0%})"


def _reasons(support: StepSupport | None, num_cycles: int) -> tuple[str, str, str, str, str]:
    """Word the comments of optional, repeatable, expected_s, limit_s and least_s."""
    if support is None:
        return "", "", "", "", ""
    return (
        f"  # done in {support.cycles} of {num_cycles} cycles",
        f"  # more than once in {support.repeated} of {support.cycles}",
        f"  # median of {support.times}",
        f"  # the longest took {support.longest_s:.2f}",
        f"  # the shortest of {support.cycles} took {support.shortest_s:.2f} at the usual pace",
    )


def _dump(values: dict[str, Any]) -> str:
    # One line for each text however long: a comment may only follow what is whole.
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=sys.maxsize)
    if len(text.splitlines()) == text.count("\n"):
        return text
    # Unicode's other line breaks would be indented with the lines: they are escaped.
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=False, width=sys.maxsize)


def _scalar(value: float | bool) -> str:
    return yaml.safe_dump(value).partition("\n")[0]
