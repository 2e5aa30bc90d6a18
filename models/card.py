"""A model folder: `card.json` says what the files beside it are, and is checked before use.

```
MODEL/card.json             this module
MODEL/temporal.onnx         views of features and LSTM state -> logits, one chunk at a time
MODEL/temporal.safetensors  the same weights for further training; not needed to run
```
The image encoder is shared by all models and lies in `models/shipped/ENCODER/encoder.onnx`. A model
that was trained on published features has none: it is for evaluation, and no station can run it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from industryasm.fault import UserFault
from industryasm.vocabulary import Identifier, Task
from models.chunks import ChunkShape
from models.whole_files import holds, read_regular, write_whole

SHIPPED = Path(__file__).parent / "shipped"
ENCODER = "efficientnet-lite0"
"""The image encoder that comes with Linewatch."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ModelError(UserFault, ValueError):
    """A model folder is absent, damaged, or does not fit its task."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelCard(_Frozen):
    """What a model is: its task, its input, its shape, where it came from and how good it is."""

    version: Literal[1] = 1
    task: Identifier
    vocabulary_hash: Sha256
    labels: Annotated[tuple[str, ...], Field(min_length=2, max_length=500)]
    encoder: Identifier | None
    encoder_sha256: Sha256 | None
    temporal_sha256: Sha256
    feature_dim: Annotated[int, Field(gt=0, le=65536)]
    rate_hz: Annotated[float, Field(gt=0, le=60)]
    window: Annotated[int, Field(gt=0, le=1024)]
    overlap: Annotated[int, Field(gt=0, le=512)]
    chunk: Annotated[int, Field(gt=0, le=512)]
    lookahead: Annotated[int, Field(ge=0, le=512)]
    dim: Annotated[int, Field(gt=0, le=4096)]
    heads: Annotated[int, Field(gt=0, le=64)]
    hidden: Annotated[int, Field(gt=0, le=4096)]
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    trained_on: str
    trained_with: str
    metrics: dict[str, float] = {}
    weights_sha256: Sha256 | None = None
    """Of `temporal.safetensors`; None in a card of before 2026-11-24."""
    fields_sha256: Sha256 | None = None
    """Of all other fields, written with the card: the graph is made for what they say."""

    @model_validator(mode="after")
    def _is_as_it_was_written(self) -> Self:
        if self.fields_sha256 not in (None, self._digest()):
            raise ValueError("a field was changed after the card was written: train or export anew")
        return self

    @model_validator(mode="after")
    def _encoder_has_its_hash(self) -> Self:
        if (self.encoder is None) != (self.encoder_sha256 is None):
            raise ValueError("encoder and encoder_sha256 are given together, or both are null")
        return self

    def chunk_shape(self) -> ChunkShape:
        """Return how the stream is cut for this model."""
        return ChunkShape(self.window, self.overlap, self.chunk, self.lookahead)

    def write(self, folder: Path) -> ModelCard:
        """Write `card.json` into `folder`, and return it as it is there; raise `WriteError`."""
        card = self.model_copy(update={"fields_sha256": self._digest()})
        write_whole(folder / "card.json", card.model_dump_json(indent=2) + "\n")
        return card

    def _digest(self) -> str:
        fields = self.model_dump(mode="json", exclude={"fields_sha256"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def shipped_model(task_id: str) -> Path:
    """Return the folder of the model that comes with Linewatch for a task.

    Raises `ModelError` when none does.
    """
    folder = SHIPPED / task_id
    if not holds(Path.is_file, folder / "card.json"):
        raise ModelError(
            f"no model for task {task_id!r} comes with Linewatch: train one with `linewatch train` "
            "and name its folder"
        )
    return folder


def read_card(folder: Path) -> ModelCard:
    """Read the card of a model folder and check the files it speaks of.

    Raises `ModelError` when the folder holds no model, or a file is not the one on the card.
    """
    card = read_card_alone(folder)
    check_graph(card, folder)
    return card


def check_graph(card: ModelCard, folder: Path) -> None:
    """Raise `ModelError` where the graphs that a model runs are not those on its card."""
    _check_file(folder / "temporal.onnx", card.temporal_sha256)
    if card.encoder is not None and card.encoder_sha256 is not None:
        _check_file(encoder_file(card.encoder), card.encoder_sha256)


def read_card_alone(folder: Path) -> ModelCard:
    """Read the card of a model folder; raise `ModelError` where there is none, or it is damaged."""
    path = folder / "card.json"
    try:
        card = ModelCard.model_validate_json(read_regular(path))
        card.chunk_shape()
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"model {folder}: card.json cannot be read: {reason}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"model {folder}: card.json: {place}: {first['msg']}") from error
    except ValueError as error:
        raise ModelError(f"model {folder}: card.json: {error}") from error
    return card


def check_fits(card: ModelCard, task: Task, folder: Path) -> None:
    """Raise `ModelError` unless the model speaks the vocabulary of `task`."""
    if card.task != task.id:
        raise ModelError(
            f"model {folder} is for task {card.task!r}, not for {task.id!r}: "
            "name another model, or train one with `linewatch train`"
        )
    if card.vocabulary_hash != task.vocabulary_hash() or card.labels != task.labels():
        raise ModelError(
            f"model {folder} was trained on other steps of task {task.id!r} than it has now: "
            "train it again with `linewatch train`"
        )


def watching_encoder(card: ModelCard) -> str:
    """Return the model's image encoder; raise `ModelError` for a model of published features."""
    if card.encoder is None:
        raise ModelError(
            f"a model for {card.task!r} was trained on published features, not on pictures: it can "
            f"be judged with `linewatch evaluate`, but watches no source; train one on videos"
        )
    return card.encoder


def encoder_file(name: str) -> Path:
    """Return the ONNX file of a shipped image encoder."""
    return SHIPPED / name / "encoder.onnx"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise ModelError(f"model file {path} is missing")
    if file_sha256(path) != sha256:
        raise ModelError(f"model file {path} is not the one its card.json describes (SHA-256)")
