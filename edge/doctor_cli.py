"""`linewatch doctor`: what this machine has, what its stations run on, what would be faster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge.doctor import Diagnosis
    from edge.machine import Machine

DEPLOYMENT = Path("deploy.yaml")


def doctor(
    file: Annotated[
        Path | None, typer.Argument(help="Deployment file; default: deploy.yaml, if there is one.")
    ] = None,
    measure: Annotated[
        bool, typer.Option(help="Time the image encoder on each runtime; a few seconds.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what this machine has, which runtime each station will use, and what would be faster."""
    from edge.deployment import load_deployment
    from edge.doctor import diagnose
    from edge.machine import this_machine

    if file is None and DEPLOYMENT.is_file():
        file = DEPLOYMENT
    deployment = None if file is None else load_deployment(file)
    machine = this_machine()
    diagnosis = diagnose(deployment, measure=measure)
    if as_json:
        told = {"file": str(file) if file else None, "machine": asdict(machine)}
        typer.echo(json.dumps(told | asdict(diagnosis), indent=2))
    else:
        for line in (*machine_lines(machine), *diagnosis_lines(diagnosis, file)):
            typer.echo(line)
    if any(plan.really is None for plan in diagnosis.plans):
        raise typer.Exit(1)


def machine_lines(machine: Machine) -> Iterator[str]:
    """Word what the machine is."""
    yield "This machine"
    cores = f"{machine.usable_cores} of {machine.cores} cores"
    yield f"  processor    {machine.processor}, {cores}"
    yield f"  instructions {', '.join(machine.instructions) or 'none that help networks'}"
    yield f"  memory       {machine.memory_gib or '?'} GiB"
    if machine.gpu:
        gpu = machine.gpu
        memory = "memory not told" if gpu.memory_mib is None else f"{gpu.memory_mib} MiB"
        yield f"  GPU          {gpu.name}, {gpu.target}, {memory}, driver {gpu.driver}"
    else:
        yield f"  GPU          {machine.no_gpu}"
    versions = [f"{name} {number}" for name, number in machine.packages.items() if number]
    yield f"  installed    Python {machine.python}, {', '.join(versions)}"
    yield f"  FFmpeg       {machine.ffmpeg} (inside PyAV)"
    yield f"  ONNX Runtime runs on {', '.join(machine.onnxruntime_providers)}"


def diagnosis_lines(diagnosis: Diagnosis, file: Path | None) -> Iterator[str]:
    """Word what the stations will do and how fast the runtimes are."""
    if file is not None:
        yield f"Stations of {file}"
    for plan in diagnosis.plans:
        really = plan.really or "CANNOT START"
        yield f"  {plan.station} ({plan.source}), runtime {plan.asked}: {really}; {plan.why}"
    if diagnosis.speeds:
        yield "Pictures a second through the image encoder, all cores, at batch 1 and 8"
    for speed in diagnosis.speeds:
        one, eight = speed.per_s.values()
        ratios = " and ".join(f"{ratio:.2f}" for ratio in speed.over_onnxruntime.values())
        yield f"  {speed.runtime:14} {one:8.0f} {eight:8.0f}   {ratios} of onnxruntime"
    for name, reason in diagnosis.missing.items():
        yield f"  {name:14} not here: {reason}"
    yield "Advice"
    nothing = "nothing here is clearly faster" if diagnosis.speeds else "nothing was measured"
    for line in diagnosis.advice or (nothing,):
        yield f"  {line}"
