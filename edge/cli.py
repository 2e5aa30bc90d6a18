"""`linewatch monitor` and `check`: one source, one deployment file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    from models.deviations import Finding


def monitor(
    source: Annotated[
        str, typer.Argument(help="Video file, folder of images (or FOLDER@FPS), USB index or URL.")
    ],
    task: Annotated[str, typer.Option(help="Task: see `linewatch tasks`, or a YAML file.")],
    model: Annotated[
        Path | None, typer.Option(help="Model folder; without it, the one that is shipped.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="Write one JSON line per finding; - for standard output.")
    ] = None,
) -> None:
    """Watch one source and print cycles, steps and deviations as they are found.

    Work is not looked for in pictures that are dark, frozen or covered; that is told on the way.
    """
    from edge.cameras.picture_health import STILL_USEFUL, PictureHealth
    from edge.cameras.sources import open_source
    from edge.pipeline import load_pipeline
    from industryasm.vocabulary import find_task

    vocabulary = find_task(task)
    pipeline = load_pipeline(vocabulary, model)
    health = PictureHealth(pipeline.rate_hz)
    with ExitStack() as stack:
        tell = _teller(stack, jsonl)
        frames = stack.enter_context(
            open_source(source, rate_hz=pipeline.rate_hz, size=pipeline.image_size)
        )
        for frame in frames:
            findings: list[Finding] = []
            if change := health.look(frame.image, frame.time_s, frame.source_size):
                told = f"pictures are {change.state}: {change.detail}"
                typer.echo(f"{frame.time_s:8.1f} s  {told}", err=True)
                if change.state not in STILL_USEFUL:
                    findings = pipeline.pause()
            if health.state in STILL_USEFUL:
                findings += pipeline.push(frame)
            for finding in findings:
                tell(finding)
        for finding in pipeline.close():
            tell(finding)


def _teller(stack: ExitStack, jsonl: Path | None) -> Callable[[Finding], None]:
    if jsonl is None:
        return lambda finding: typer.echo(sentence(finding))
    if str(jsonl) == "-":
        return lambda finding: _write_line(sys.stdout, finding)
    from models.whole_files import WriteError, open_for_lines

    file = stack.enter_context(open_for_lines(jsonl))

    def tell(finding: Finding) -> None:
        try:
            _write_line(file, finding)
        except OSError as error:  # a full disk; a pipe whose reader has left
            with suppress(OSError):  # what could not be written is written again in closing
                file.close()
            raise WriteError(f"{jsonl}: cannot be written: {error.strerror}") from error
        typer.echo(sentence(finding))

    return tell


def _write_line(file: TextIO, finding: Finding) -> None:
    file.write(json.dumps({"finding": type(finding).__name__, **asdict(finding)}) + "\n")
    file.flush()


def sentence(finding: Finding) -> str:
    """Word a finding for a person at a terminal."""
    from models.deviations import CycleEnded, CycleStarted, StepDone

    match finding:
        case CycleStarted():
            return f"{finding.start_s:8.1f} s  unit {finding.cycle} begun"
        case CycleEnded():
            state = "complete" if finding.complete else "NOT COMPLETE"
            return f"{finding.end_s:8.1f} s  unit {finding.cycle} ended, {state}"
        case StepDone():
            return (
                f"{finding.start_s:8.1f} s  {finding.step}, {finding.end_s - finding.start_s:.1f} s"
            )
    kind = finding.kind.replace("_", " ")
    return (
        f"{finding.detected_s:8.1f} s  {finding.state.upper()} {kind}: {finding.step} "
        f"(unit {finding.cycle}) {finding.detail}"
    )


def check(
    file: Annotated[Path, typer.Argument(help="Deployment file.")] = Path("deploy.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Validate a deployment file and its models; say what is wrong, by file, line and key."""
    from edge.deployment import load_deployment
    from edge.station_model import load_station_model

    deployment = load_deployment(file)
    for station in deployment.stations:
        load_station_model(station)
    rows = {station.id: station.task for station in deployment.stations}
    if as_json:
        typer.echo(json.dumps({"file": str(file), "stations": rows}))
        return
    typer.echo(f"{file}: good, {len(rows)} stations: " + ", ".join(rows))
