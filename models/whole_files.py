"""Files that are there whole or not at all, after a power cut too, and whoever writes beside.

And reading what is there without waiting for what is no file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from industryasm.fault import UserFault


class WriteError(UserFault, OSError):
    """A file or folder cannot be written; the message names it."""


def put_in_place(part: Path, path: Path) -> None:
    """Make the finished file `part` be `path`, so that a power cut leaves this or the one before.

    The folder is synchronised too: the new name is in the folder, not in the file.
    """
    _synchronise(part)
    part.replace(path)
    _synchronise(path.parent)


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path`, in place of what is there; raise `WriteError`."""
    with replacing_in(path.parent) as scratch:
        (scratch / path.name).write_text(text, encoding="utf-8")


def open_for_lines(path: Path) -> TextIO:
    """Open `path` for text that is written as it comes; raise `WriteError`.

    A pipe that nobody reads is refused: it would be waited for.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        reason = "nobody reads this pipe" if error.errno == errno.ENXIO else error.strerror
        raise WriteError(f"{path}: cannot be written: {reason}") from error
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "w", encoding="utf-8")


def read_regular(path: Path, limit: int = -1) -> bytes:
    """Return what is in a file, `limit` bytes at most.

    Raises `OSError` for no file, and for a pipe or device, which would be waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)


def holds(test: Callable[[Path], bool], name: str | Path) -> bool:
    """Tell whether `Path.is_dir`, `is_file` or `exists` holds of a name that anybody may give.

    It does not where the name is too long, or what it names may not be looked at.
    """
    try:
        return test(Path(name))
    except OSError:
        return False


@contextmanager
def replacing_in(folder: Path) -> Iterator[Path]:
    """Give an empty folder whose files, in the end, take their places in `folder`.

    Of two who do this at once, the files of the last one are there, all of them. Cards (.json) come
    last, as they vouch for the others. Where the block raises, nothing is changed. Raises
    `WriteError` where something cannot be written, in the block too.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".new-") as name:
            yield (scratch := Path(name))
            with _one_at_a_time(folder):
                for part in sorted(scratch.iterdir(), key=lambda part: part.suffix == ".json"):
                    put_in_place(part, folder / part.name)
    except WriteError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise WriteError(f"{error.filename or folder}: cannot be written: {reason}") from error


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # the end of a process lets go of it too
        yield
    finally:
        os.close(descriptor)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
