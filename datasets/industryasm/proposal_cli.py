"""`linewatch data propose`: a procedure from normal recordings, for a person to approve."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from industryasm.deviation import KNOWN_KINDS
from industryasm.fault import UserFault

if TYPE_CHECKING:
    from industryasm.normal_cycles import NormalCycles
    from industryasm.proposal import Proposal
    from industryasm.vocabulary import Task


class SplitChoice(StrEnum):
    """The splits of a data set, as a choice on the command line."""

    train = "train"
    validation = "validation"
    test = "test"


class KnownKindChoice(StrEnum):
    """The kinds of departure that people tell apart, as a choice on the command line."""

    missed = "missed"
    out_of_order = "out_of_order"
    repeated = "repeated"
    unexpected = "unexpected"
    too_short = "too_short"
    too_long = "too_long"
    wrong_part = "wrong_part"
    incomplete = "incomplete"
    rework = "rework"
    wrong_execution = "wrong_execution"


def propose(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the data set.")],
    task: Annotated[
        str, typer.Option(help="Task whose steps these are: a name, or a YAML file of one's own.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="New file TASK.yaml to write; else standard output.")
    ] = None,
    split: Annotated[
        list[SplitChoice] | None, typer.Option(help="Only this split; may be repeated.")
    ] = None,
    despite: Annotated[
        list[KnownKindChoice] | None,
        typer.Option(help="Deviation that leaves the order normal; may be repeated."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as JSON instead of the file.")
    ] = False,
) -> None:
    """Propose a task's order, optional steps and times from its recordings without deviations.

    What is written is a vocabulary with the counts that each line rests on, to edit and approve.
    """
    from industryasm.normal_cycles import normal_cycles
    from industryasm.proposal import propose as propose_procedure
    from industryasm.proposal_yaml import proposal_yaml
    from industryasm.recording import DataSet
    from industryasm.vocabulary import read_task

    data = DataSet(folder)
    vocabulary = read_task(Path(task)) if task.endswith((".yaml", ".yml")) else data.task(task)
    if out is not None:
        _check_file(out, vocabulary)
    kinds = [kind for kind in KNOWN_KINDS if kind in (despite or ())]
    found = normal_cycles(data, vocabulary, splits=split or None, despite=kinds)
    if not found.cycles:
        why = "; ".join(_left_out(found))
        raise UserFault(f"{folder}: no normal cycle of task {vocabulary.id!r} ({why})")
    proposal = propose_procedure(found.cycles)
    text = proposal_yaml(vocabulary, proposal, operators=found.operators)
    if out is not None:
        _write(out, text)
    elif not as_json:
        typer.echo(text, nl=False)
    if as_json:
        typer.echo(json.dumps(_facts(found, proposal), indent=1))
    else:
        for line in _summary(found, proposal, vocabulary):
            typer.echo(line, err=True)  # standard output is the file's


def _check_file(out: Path, task: Task) -> None:
    if out.name != f"{task.id}.yaml":
        raise UserFault(f"{out}: a vocabulary of {task.id!r} must be named {task.id}.yaml")
    if out.exists():
        raise UserFault(f"{out}: is there already; name a new file, so that no work is lost")


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserFault(f"{out}: cannot be written: {error.strerror or error}") from error


def _facts(found: NormalCycles, proposal: Proposal) -> dict[str, object]:
    return {
        "cycles": proposal.num_cycles,
        "operators": found.operators,
        "unmarked_recordings": found.unmarked,
        "left_out": dict(found.left_out),
        "relations": proposal.num_relations,
        "optional": [step.id for step in proposal.procedure.steps if step.optional],
        "repeatable": [step.id for step in proposal.procedure.steps if step.repeatable],
        "steps": [asdict(step) for step in proposal.steps],
        "order": [asdict(relation) for relation in proposal.order],
        "hints": [asdict(relation) for relation in proposal.hints],
    }


def _summary(found: NormalCycles, proposal: Proposal, task: Task) -> list[str]:
    """Word what was found, and what it cannot tell, for a terminal."""
    from industryasm.proposal_order import LEAST_CYCLES

    steps = proposal.procedure.steps
    optional, repeatable = sum(s.optional for s in steps), sum(s.repeatable for s in steps)
    direct, hints = len(proposal.order), len(proposal.hints)
    lines = [f"{proposal.num_cycles} normal cycles, operators: {found.operators}"]
    lines += _left_out(found)
    if found.unmarked:
        lines.append(f"{found.unmarked} recordings mark no cycles; each was taken as one")
    lines += [
        f"steps: {len(steps)} of {len(task.steps)} seen, {optional} optional, "
        f"{repeatable} repeatable",
        f"order: {direct} relations, {proposal.num_relations} with those that follow; "
        f"{hints} more for a person to decide",
    ]
    if proposal.num_cycles < LEAST_CYCLES:
        lines.append(f"fewer than {LEAST_CYCLES} cycles: nothing is required and nothing ordered")
    if found.operators == 1:
        lines.append("one operator only: a habit cannot be told from a rule")
    return lines


def _left_out(found: NormalCycles) -> list[str]:
    return [f"left out: {number} x {why}" for why, number in found.left_out.items()]
