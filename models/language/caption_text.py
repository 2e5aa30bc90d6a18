r"""A caption on one line: backslash and line feed are written as `\\` and `\n`, else as it is."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_MEANING = {"\\": "\\", "n": "\n"}


def is_caption(text: str) -> bool:
    """Tell whether a text can be a caption: not empty, no blank at its ends."""
    return bool(text) and text == text.strip()


def write_caption(caption: str) -> str:
    r"""Write a caption as one line; raise `ValueError` when it is none (`is_caption`).

    >>> print(write_caption("Take 2 screws,\nM4"))
    Take 2 screws,\nM4
    """
    if not is_caption(caption):
        raise ValueError(f"caption {caption[:40]!r} is empty or has blanks at its ends")
    return caption.replace("\\", "\\\\").replace("\n", "\\n")


def read_caption(line: str) -> tuple[str, bool]:
    r"""Return a line's caption, empty where there is none, and whether `write_caption` wrote it.

    A backslash before any other character stays as it is, and is what `write_caption` never writes.

    >>> read_caption(r"Take 2 screws,\nM4"), read_caption(r"C:\tmp")
    (('Take 2 screws,\nM4', True), ('C:\\tmp', False))
    """
    caption = _ESCAPE.sub(lambda found: _MEANING.get(found[1], found[0]), line).strip()
    return caption, bool(caption) and write_caption(caption) == line
