"""Words of a published set as identifiers of ours."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 64


def identifier(text: str) -> str:
    """Return `text` in lower case with dashes, cut at a word's end; empty when nothing is left.

    >>> identifier("Pour 1/4 cup of Öl!"), identifier("INSTALL_ROTOR"), identifier("1 egg")
    ('pour-1-4-cup-of-ol', 'install-rotor', 'step-1-egg')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain.lower())
    if words and not words[0][0].isalpha():
        words.insert(0, "step")
    out = ""
    for word in words:
        longer = f"{out}-{word}" if out else word[:MAX_LENGTH]
        if len(longer) > MAX_LENGTH:
            break
        out = longer
    return out


def unique(name: str, taken: set[str]) -> str:
    """Return `name`, or `name-2`, `name-3` ... where it is taken, and add it to `taken`."""
    stem = name or "step"
    out, number = stem, 1
    while out in taken:
        number += 1
        suffix = f"-{number}"
        out = stem[: MAX_LENGTH - len(suffix)].rstrip("-") + suffix
    taken.add(out)
    return out
