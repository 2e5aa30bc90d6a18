"""A published JSON file, read as hostile input and checked against a pydantic type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from industryasm.json_keys import keys_given_twice
from industryasm.regular_file import size_of_file
from industryasm.sets.set_error import SetError, refused_at

MAX_BYTES = 64_000_000  # the largest published one has 3 MB

Value = TypeVar("Value")
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


class Published(BaseModel):
    """An object of a published file; keys that we do not read are let pass."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def read_json(path: Path, shape: TypeAdapter[Value]) -> Value:
    """Return the file's content; raise `SetError` with its path and key unless it has `shape`."""
    try:
        if size_of_file(path) > MAX_BYTES:
            raise SetError(f"{path}: larger than {MAX_BYTES} bytes; this is no annotation file")
        content = path.read_bytes()
    except OSError as error:
        raise SetError(f"{path}: cannot be read: {error.strerror or error}") from error
    with refused_at(path, whole="the whole file"):
        value = shape.validate_json(content, strict=True)  # "2" and true are no numbers
    if twice := keys_given_twice(content):
        raise SetError(f"{path}: {twice[0]!r} is given twice in one object")
    return value
