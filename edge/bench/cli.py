"""`linewatch bench`: how fast this machine runs Linewatch, as ratios against yardsticks."""

from __future__ import annotations

import json
from typing import Annotated

import typer

bench = typer.Typer(help="Measure this machine against yardsticks.", no_args_is_help=True)


@bench.callback()
def _parts() -> None:
    """Measure this machine against yardsticks."""


@bench.command()
def edge(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few and short rounds: about two minutes.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=10_000, help="Watch memory for so long (default 30; 5 s with --quick)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what runs beside the camera; missed goals are told, and are no error.

    Each row is ours against a yardstick of the same run, in turns. The first time, a station is
    rendered and two clips are made of it, which takes half a minute more.
    """
    from dataclasses import replace
    from datetime import UTC, datetime
    from pathlib import Path

    from edge.bench.measurement import Row
    from edge.bench.report import Report, commit_of
    from edge.bench.run import FULL, QUICK, measure_edge
    from edge.bench.subject import Subject
    from edge.machine import this_machine
    from industryasm.stations.sample import sample_recording
    from industryasm.vocabulary import load_task

    effort = QUICK if quick else FULL
    if minutes is not None:
        effort = replace(effort, memory_s=60 * minutes)
    task = load_task("gear-reducer")
    _, recording = sample_recording(task)
    measured = measure_edge(
        Subject.of(task, recording), effort, lambda what: typer.echo(f"  {what}", err=True)
    )
    rows: list[Row] = []
    commit = commit_of(Path(__file__).parent)
    try:
        rows.extend(measured)
    finally:  # a part that does not run takes nothing away from those that did
        report = Report(tuple(rows), this_machine(), datetime.now(UTC).date(), commit, quick)
        typer.echo(json.dumps(report.as_json(), indent=1) if as_json else report.markdown())
