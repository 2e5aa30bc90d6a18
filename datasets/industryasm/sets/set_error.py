"""What is wrong in a published folder that cannot be mended without guessing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from industryasm.fault import UserFault


class SetError(UserFault, ValueError):
    """A file of a published set is absent, damaged, or of another shape; names file and place."""


@contextmanager
def refused_at(place: object, *, whole: str = "") -> Iterator[None]:
    """Turn what a model refuses in the block into a `SetError`: `place`, the key, what is wrong.

    `whole` stands for the key where it is the whole value that is refused.
    """
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or whole
        message = first["msg"].removeprefix("Value error, ")
        raise SetError(": ".join(part for part in (str(place), key, message) if part)) from error
