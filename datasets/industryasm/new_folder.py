"""A folder that comes into being whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from industryasm.fault import UserFault


def check_new(target: Path) -> None:
    """Raise `UserFault` when `target` is there and not an empty folder."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserFault(f"{target}: is not empty; name a new or an empty folder")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a scratch folder of the same name, which becomes `target` when the block ends well.

    Raises `UserFault` when `target` is there and not empty, or cannot be made.
    """
    check_new(target)
    try:
        target.resolve().parent.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(dir=target.resolve().parent, prefix=".linewatch-")
    except OSError as error:
        raise UserFault(f"{target}: cannot be made: {error.strerror or error}") from error
    with scratch:
        folder = Path(scratch.name) / target.resolve().name
        folder.mkdir()
        yield folder
        folder.replace(target.resolve())
