"""Splits of a set that publishes none: deterministic, and nobody is in two."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from industryasm.recording import SplitName

SHARES: dict[SplitName, float] = {"train": 0.6, "test": 0.2, "validation": 0.2}

Item = TypeVar("Item")


def split_by_group(
    items: Sequence[Item], group_of: Callable[[Item], str]
) -> dict[SplitName, list[Item]]:
    """Split into about 60 % train, 20 % validation and 20 % test, groups left whole.

    The groups come in the order of the SHA-256 of their names, each to the split that lacks most:
    the same items are always split alike, and from three groups on no split is empty.
    """
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[group_of(item)].append(item)
    splits: dict[SplitName, list[Item]] = {"train": [], "validation": [], "test": []}
    for name in sorted(groups, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        lacking = {s: share - len(splits[s]) / len(items) for s, share in SHARES.items()}
        empty = [s for s in SHARES if not splits[s]]
        splits[max(empty or SHARES, key=lambda s: lacking[s])] += groups[name]
    return splits
