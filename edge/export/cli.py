"""`linewatch export`: a model's temporal part or the image encoder, for other runtimes.

Whatever is written is compared with what it was made from, and told so in the card beside it.
PyTorch, OpenVINO, NNCF and TensorRT are imported when the command needs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from industryasm.fault import UserFault

if TYPE_CHECKING:
    from models.runtimes.artefact import Artefact

Target = Literal["onnx", "openvino", "tensorrt", "tensorrt-rtx"]
PRECISIONS: dict[str, tuple[str, ...]] = {
    "onnx": ("f32",),
    "openvino": ("f32", "fp16", "bf16", "int8"),
    "tensorrt": ("fp16", "f32", "bf16"),
    "tensorrt-rtx": ("fp16", "f32", "bf16"),
}
"""What each format can be written in; the first is the default."""


def export(
    model: Annotated[
        Path, typer.Argument(help="Model folder, or efficientnet-lite0 for the image encoder.")
    ],
    to: Annotated[
        str, typer.Option(help="onnx, openvino, tensorrt (whichever is installed), tensorrt-rtx.")
    ] = "onnx",
    precision: Annotated[
        str | None,
        typer.Option(help="f32, fp16, bf16 or int8; default fp16 for TensorRT, else f32."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Data set to compare labels on, and to find the scales of int8."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder; default: the model's, for the encoder one in ~/.cache."),
    ] = None,
    with_model: Annotated[
        Path | None,
        typer.Option(help="Model folder whose labels are compared; default: the shipped one."),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(help="GPU architecture to build for, such as sm89; default: this machine's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Write a model for another runtime, compare it, and put a card beside it."""
    from edge.export.job import Job

    if to not in get_args(Target):
        raise UserFault(f"--to {to!r}: known are {', '.join(get_args(Target))}")
    precision = precision or PRECISIONS[to][0]
    if precision not in PRECISIONS[to]:
        known = ", ".join(PRECISIONS[to])
        raise UserFault(f"--precision {precision!r}: {to} can be written in {known}")
    job = Job(model, data=data, out=out, judge=with_model)
    if to == "onnx":
        file, artefact = job.to_onnx()
    elif to == "openvino":
        file, artefact = job.to_openvino(precision)
    else:
        file, artefact = job.to_tensorrt(to, precision, gpu)
    if as_json:
        typer.echo(artefact.model_dump_json(indent=2))
        return
    for line in sentences(file, artefact):
        typer.echo(line)


def sentences(file: Path, artefact: Artefact) -> list[str]:
    """Word an export for a person at a terminal."""
    lines = [f"{file} written: {artefact.format} {artefact.precision}, {artefact.made_with}"]
    for comparison in artefact.comparisons:
        allowed = "" if comparison.allowed is None else f" (allowed {comparison.allowed:.0e})"
        lines.append(
            f"  differs from {comparison.against} by {comparison.largest_difference:.1e} at most "
            f"on inputs: {comparison.inputs}{allowed}"
        )
    if artefact.not_compared:
        lines.append(f"  not compared: {artefact.not_compared}")
    if artefact.agreement:
        told = artefact.agreement
        lines.append(
            f"  {told.data}: {told.labels_agree:.2%} of {told.frames} frames have the label of "
            f"f32; right are {told.accuracy:.2%}, in f32 {told.accuracy_f32:.2%}"
        )
    elif artefact.precision != "f32" and not artefact.not_compared:
        lines.append("  what it costs in labels was not looked at: give --data DIR")
    return lines
