"""The card of an exported file: what it is, from what it was made, how near it comes to that.

It lies beside the file under the same name with `.json` behind it: `encoder.int8.xml.json`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.card import ModelError, Sha256
from models.runtimes.graph import Shape
from models.whole_files import read_regular, write_whole

Format = Literal["onnx", "openvino", "tensorrt", "tensorrt-rtx"]
Precision = Literal["f32", "fp16", "bf16", "int8"]
Share = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(_Frozen):
    """How far the exported graph's outputs lie from those it was made from, on the same inputs."""

    against: str
    inputs: str = Field(description="`random`, or where real ones were taken from")
    batches: tuple[int, ...] = Field(description="at which batch sizes")
    largest_difference: float
    allowed: float | None = Field(description="null: told, and judged by the labels instead")


class Agreement(_Frozen):
    """What it does to the labels: frame by frame, on a data set's validation recordings."""

    data: str
    frames: Annotated[int, Field(gt=0)]
    labels_agree: Share = Field(description="share of frames with the same best label as in f32")
    accuracy_f32: Share
    accuracy: Share


class Artefact(_Frozen):
    """What an exported file is."""

    version: Literal[1] = 1
    graph: Literal["encoder", "temporal"]
    name: str
    format: Format
    precision: Precision
    source_sha256: Sha256 = Field(description="of the weights or the ONNX file it was made from")
    files: dict[str, Sha256]
    made_with: str
    made_for: str | None = Field(default=None, description="the GPU an engine is for")
    opset: int | None = None
    batches: tuple[int, int, int] | None = Field(
        default=None, description="an engine's smallest, best and largest batch"
    )
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    comparisons: tuple[Comparison, ...] = ()
    not_compared: str | None = Field(default=None, description="why it could not be run here")
    agreement: Agreement | None = None

    def write(self, file: Path) -> None:
        """Write the card of `file` beside it; raise `WriteError`."""
        write_whole(card_file(file), self.model_dump_json(indent=2) + "\n")


def card_file(file: Path) -> Path:
    """Return where the card of an exported file lies.

    >>> card_file(Path("x/encoder.int8.xml")).as_posix()
    'x/encoder.int8.xml.json'
    """
    return file.with_name(file.name + ".json")


def read_artefact(file: Path) -> tuple[Artefact, dict[str, bytes]]:
    """Return the card of an exported file, and the contents of the files that it names, by name.

    Raises `ModelError` when the card is absent or damaged, or a file is not the one on the card.
    """
    path = card_file(file)
    try:
        artefact = Artefact.model_validate_json(read_regular(path))
    except OSError as error:
        raise ModelError(f"model file {path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"model file {path}: {place}: {first['msg']}") from error
    if file.name not in artefact.files:
        raise ModelError(f"model file {path}: files: does not name {file.name}")
    return artefact, {name: _content(file, name, sha) for name, sha in artefact.files.items()}


def _content(file: Path, name: str, sha256: str) -> bytes:
    if Path(name).name != name:
        raise ModelError(f"model file {card_file(file)}: files: {name!r} lies outside its folder")
    path = file.with_name(name)
    try:
        content = read_regular(path)
    except OSError as error:
        raise ModelError(f"model file {path} cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"model file {path} is not the one its card describes (SHA-256)")
    return content
