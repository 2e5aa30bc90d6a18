"""A published JSON file, read as hostile input and checked against a pydantic type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from industryasm.sets.set_error import SetError

MAX_BYTES = 64_000_000  # the largest published one has 3 MB

Value = TypeVar("Value")
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


class Published(BaseModel):
    """An object of a published file; keys that we do not read are let pass."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def read_json(path: Path, shape: TypeAdapter[Value]) -> Value:
    """Return the file's content; raise `SetError` with its path and key unless it has `shape`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SetError(f"{path}: larger than {MAX_BYTES} bytes; this is no annotation file")
        return shape.validate_json(path.read_bytes())
    except OSError as error:
        raise SetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise SetError(f"{path}: {place}: {first['msg']}") from error
