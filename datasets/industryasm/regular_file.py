"""Files that others give us, looked at before they are read: a pipe would be waited for."""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def size_of_file(path: Path) -> int:
    """Return how many bytes a file has; raise `OSError` for none, and for a pipe or a folder."""
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return facts.st_size
