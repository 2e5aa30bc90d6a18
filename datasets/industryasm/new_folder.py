"""A folder that comes into being whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from industryasm.fault import UserFault


def check_new(target: Path) -> None:
    """Raise `UserFault` when `target` is there and not an empty folder, or cannot be looked at."""
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UserFault(f"{target}: is not empty; name a new or an empty folder")
    except OSError as error:
        raise _cannot_be_made(target, error) from error


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a scratch folder of the same name, which becomes `target` when the block ends well.

    An empty folder on which something is mounted cannot be replaced: it gets the entries, one after
    the other, the files that end in .json last. Raises `UserFault` when `target` is there and not
    empty, or cannot be made.
    """
    check_new(target)
    try:
        place = target.resolve()
        is_mounted = place.is_mount()
        parent = place if is_mounted else place.parent
        parent.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(dir=parent, prefix=".linewatch-")
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise _cannot_be_made(target, error) from error
    with scratch:
        folder = Path(scratch.name) / place.name
        folder.mkdir()
        yield folder
        try:
            if is_mounted:
                _move_entries(folder, place)
            else:
                folder.replace(place)
        except OSError as error:
            raise _cannot_be_made(target, error) from error


def _move_entries(folder: Path, place: Path) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.suffix == ".json"):
        entry.rename(place / entry.name)


def _cannot_be_made(target: Path, error: Exception) -> UserFault:
    reason = error.strerror if isinstance(error, OSError) else None
    return UserFault(f"{target}: cannot be made: {reason or error}")
