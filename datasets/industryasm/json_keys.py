"""Keys that an object of a JSON text gives twice: a reader takes the last and says nothing."""

from __future__ import annotations

import json
from typing import Any


def keys_given_twice(content: bytes) -> list[str]:
    """Return each key that some object of a JSON text gives twice; none of what is no JSON.

    >>> keys_given_twice(b'{"a": {"b": 1, "b": 2}, "b": 3}')
    ['b']
    """
    found: dict[str, None] = {}

    def look(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found[key] = None
            seen.add(key)

    try:
        json.loads(content, object_pairs_hook=look)
    except (ValueError, RecursionError):
        return []
    return list(found)
