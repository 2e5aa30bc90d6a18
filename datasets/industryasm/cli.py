"""`linewatch tasks` and `linewatch data`: vocabularies and recordings."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from industryasm.inspect_cli import agree, show, split, stats, validate
from industryasm.proposal_cli import propose
from industryasm.transfer_cli import export_annotations, import_annotations

if TYPE_CHECKING:
    from industryasm.recording import Recording

data = typer.Typer(help="Make and look at recordings.", no_args_is_help=True)
data.command("import")(import_annotations)
data.command("export")(export_annotations)
data.command()(validate)
data.command()(stats)
data.command()(split)
data.command()(show)
data.command()(agree)
data.command()(propose)


class KindChoice(StrEnum):
    """The kinds of departure that can be planted, as a choice on the command line."""

    missed = "missed"
    out_of_order = "out_of_order"
    repeated = "repeated"
    unexpected = "unexpected"
    too_long = "too_long"
    wrong_part = "wrong_part"
    incomplete = "incomplete"
    rework = "rework"


def tasks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a vocabulary file instead.")
    ] = False,
) -> None:
    """List the assembly tasks whose vocabulary comes with Linewatch."""
    from industryasm.vocabulary import Task, load_task, task_ids

    if schema:  # `linewatch tasks --schema > datasets/industryasm/task.schema.json`
        typer.echo(json.dumps(Task.model_json_schema(), indent=2))
        return
    rows = [load_task(task_id) for task_id in task_ids()]
    if as_json:
        typer.echo(json.dumps([task.model_dump(mode="json") for task in rows], indent=1))
        return
    for task in rows:
        typer.echo(f"{task.id:20} {len(task.steps):3} steps  {task.name} ({task.family})")


@data.command()
def render(
    task: Annotated[str, typer.Option(help="Task, see `linewatch tasks`.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the data set; made if need be [var/rendered/TASK-SEED]."),
    ] = None,
    recordings: Annotated[int, typer.Option(min=1, max=100_000, help="Videos to render.")] = 10,
    cycles: Annotated[int, typer.Option(min=1, max=1000, help="Units in each video.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same videos.")] = 0,
    good: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the units built without a departure.")
    ] = 0.5,
    plant: Annotated[
        list[KindChoice] | None, typer.Option(help="Departure to plant; may be repeated [all].")
    ] = None,
) -> None:
    """Render recordings of a station, with departures planted in some of the units."""
    from industryasm.stations.rendering import render_data_set
    from industryasm.stations.script import PLANTABLE
    from industryasm.vocabulary import load_task

    vocabulary = load_task(task)
    folder = out or Path("var/rendered") / f"{task}-{seed}"
    kinds = tuple(kind for kind in PLANTABLE if plant is None or kind in plant)
    for recording in render_data_set(
        vocabulary,
        folder,
        num_recordings=recordings,
        cycles=cycles,
        seed=seed,
        good=good,
        kinds=kinds,
    ):
        _tell(recording)
    typer.echo(f"{folder}: {recordings} recordings")


@data.command("rendered-47")
def rendered_47(
    out: Annotated[Path, typer.Option(help="Folder of the data set; made if need be.")],
    task: Annotated[list[str] | None, typer.Option(help="Only this task; may be repeated.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes to render with [one a core].")
    ] = None,
) -> None:
    """Render the fixed benchmark of all tasks and compare it with the published digest."""
    from industryasm.fault import UserFault
    from industryasm.recording import INDEX_FILE
    from industryasm.stations.rendered_47 import digest, known_digest, render_benchmark

    if (out / INDEX_FILE).exists():
        raise UserFault(f"{out}: there is a data set already")
    for recording in render_benchmark(out, tasks=task, workers=workers):
        _tell(recording)
    if task:
        typer.echo(f"{out}: only {', '.join(task)}; nothing to compare with")
        return
    found, known = digest(out), known_digest()
    if found != known:
        raise UserFault(
            f"{out}: digest {found}, published is {known}: these are other files (other versions "
            f"of the renderer, PyAV, OpenCV or NumPy), so figures on them are not comparable"
        )
    typer.echo(f"{out}: digest {found}, as published")


def _tell(recording: Recording) -> None:
    kinds = ", ".join(d.kind for d in recording.deviations) or "no deviation"
    typer.echo(f"{recording.id}: {recording.duration_s:.1f} s, {kinds}")
