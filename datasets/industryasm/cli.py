"""`linewatch tasks` and `linewatch data`: vocabularies and recordings."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(help="Make and look at recordings.", no_args_is_help=True)


class KindChoice(StrEnum):
    """The kinds of departure, as a choice on the command line."""

    missed = "missed"
    out_of_order = "out_of_order"
    repeated = "repeated"
    unexpected = "unexpected"
    too_long = "too_long"


def tasks(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the assembly tasks whose vocabulary comes with Linewatch."""
    from industryasm.vocabulary import load_task, task_ids

    rows = [load_task(task_id) for task_id in task_ids()]
    if as_json:
        typer.echo(json.dumps([task.model_dump(mode="json") for task in rows], indent=1))
        return
    for task in rows:
        typer.echo(f"{task.id:20} {len(task.steps):3} steps  {task.name} ({task.family})")


@data.command()
def render(
    task: Annotated[str, typer.Option(help="Task, see `linewatch tasks`.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; made if need be.")],
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
    from industryasm.deviation import DEVIATION_KINDS
    from industryasm.rendering import render_data_set
    from industryasm.vocabulary import load_task

    vocabulary = load_task(task)
    kinds = tuple(kind for kind in DEVIATION_KINDS if plant is None or kind in plant)
    for recording in render_data_set(
        vocabulary, out, num_recordings=recordings, cycles=cycles, seed=seed, good=good, kinds=kinds
    ):
        planted = len(recording.deviations)
        typer.echo(f"{recording.id}: {recording.duration_s:.1f} s, {planted} deviations")
