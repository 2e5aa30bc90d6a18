"""Splits a data set so that no operator and no station is in two splits.

Recordings that share an operator or a station, directly or over others, form a group, which goes
whole into one split. Groups are dealt out greedily: each goes where it brings the time of its tasks
nearest to the shares wanted. That is done in several orders drawn from the seed, and the order
that came out nearest is kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from industryasm.fault import UserFault
from industryasm.recording import (
    INDEX_FILE,
    DataSet,
    DataSetIndex,
    Recording,
    SplitName,
    write_index,
)

Trait = Literal["operator", "station"]
Tie = tuple[Trait, str]
"""What recordings have in common: whose hands, or which station."""

NUM_ORDERS = 20
MAX_TIES = 100  # looked at to say which one holds a group together


class SplitError(UserFault, ValueError):
    """The recordings cannot be split as asked."""


@dataclass(frozen=True)
class Split:
    """The recordings of one split, in the data set's order, and how much of the time they are."""

    name: SplitName
    recordings: tuple[str, ...]
    hours: float
    wanted_share: float
    share: float
    operators: int
    stations: int
    groups: int


def split_recordings(
    recordings: Sequence[Recording],
    *,
    by: Sequence[Trait],
    shares: Mapping[SplitName, float],
    seed: int,
) -> tuple[Split, ...]:
    """Deal `recordings` out to the splits whose share is above 0; the same seed deals the same.

    Raises `SplitError` for shares that do not sum to 1, and for fewer groups than splits, naming
    the operator or station that ties the most recordings together.
    """
    wanted = _check_shares(shares)
    if not by:
        raise SplitError("say by what to split: operator, station or both")
    ties = [_ties(recording, by) for recording in recordings]
    groups = _groups(ties)
    if len(groups) < len(wanted):
        raise SplitError(_too_few(ties, by, len(wanted)))
    times = _times(recordings, groups)
    rng = np.random.default_rng(seed)
    targets = np.array(list(wanted.values()))
    deals = [_deal(times, targets, rng.permutation(len(groups))) for _ in range(NUM_ORDERS)]
    _, best = min(deals, key=lambda deal: deal[0])
    return _splits(recordings, wanted, groups, best)


def write_splits(data: DataSet, splits: Sequence[Split]) -> None:
    """Replace the index of a data set by one with `splits`, at once or not at all."""
    members: dict[SplitName, tuple[str, ...]] = {split.name: split.recordings for split in splits}
    try:
        with TemporaryDirectory(dir=data.folder, prefix=".split-") as scratch:
            write_index(Path(scratch), DataSetIndex(name=data.index.name, splits=members))
            (Path(scratch) / INDEX_FILE).replace(data.folder / INDEX_FILE)
    except OSError as error:
        message = f"{data.folder}: dataset.json cannot be written: {error.strerror or error}"
        raise SplitError(message) from error


def _check_shares(shares: Mapping[SplitName, float]) -> dict[SplitName, float]:
    given = ", ".join(f"{name} {share:g}" for name, share in shares.items())
    if any(not 0 <= share <= 1 for share in shares.values()):
        raise SplitError(f"shares {given}: each must be from 0 to 1")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise SplitError(f"shares {given}: their sum is {sum(shares.values()):g}, it must be 1")
    return {name: share for name, share in shares.items() if share > 0}


def _ties(recording: Recording, by: Sequence[Trait]) -> set[Tie]:
    return {(trait, getattr(recording, trait)) for trait in by}


def _groups(ties: Sequence[set[Tie]]) -> list[list[int]]:
    """Return the connected groups of recordings by their ties, as ascending indices."""
    parent = list(range(len(ties)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[Tie, int] = {}
    for index, own in enumerate(ties):
        for tie in own:
            parent[root(index)] = root(first.setdefault(tie, index))
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(ties)):
        groups[root(index)].append(index)
    return list(groups.values())


def _times(recordings: Sequence[Recording], groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Return each group's share of the time of each task and of all, float64 (G, K + 1)."""
    tasks = {name: column for column, name in enumerate(sorted({r.task for r in recordings}))}
    times = np.zeros((len(groups), len(tasks) + 1))
    for row, group in enumerate(groups):
        for index in group:
            times[row, tasks[recordings[index].task]] += recordings[index].duration_s
    times[:, -1] = times.sum(axis=1)
    shares: np.ndarray = times / times.sum(axis=0)
    return shares


def _deal(
    times: np.ndarray, targets: np.ndarray, order: np.ndarray
) -> tuple[float, list[list[int]]]:
    """Deal groups (G, K + 1) to S splits; return the squared error left and each split's groups."""
    dealt = np.zeros((len(targets), times.shape[1]))  # (S, K + 1)
    members: list[list[int]] = [[] for _ in targets]
    for number, group in enumerate(order):
        open_splits = [s for s, of in enumerate(members) if not of]
        left = len(order) - number
        # The last groups go to splits that would else stay empty.
        choice = open_splits if left <= len(open_splits) else range(len(targets))
        # Adding t to split s changes the sum of squares by t^2 + 2 t (dealt - target).
        change = (times[group] ** 2 + 2 * times[group] * (dealt - targets[:, None])).sum(axis=1)
        best = min(choice, key=lambda split: float(change[split]))
        dealt[best] += times[group]
        members[best].append(int(group))
    return float(((dealt - targets[:, None]) ** 2).sum()), members


def _splits(
    recordings: Sequence[Recording],
    wanted: Mapping[SplitName, float],
    groups: Sequence[Sequence[int]],
    members: Sequence[Sequence[int]],
) -> tuple[Split, ...]:
    total_s = sum(recording.duration_s for recording in recordings)
    splits = []
    for (name, share), own in zip(wanted.items(), members, strict=True):
        chosen = [recordings[index] for index in sorted(i for group in own for i in groups[group])]
        duration_s = sum(recording.duration_s for recording in chosen)
        splits.append(
            Split(
                name=name,
                recordings=tuple(recording.id for recording in chosen),
                hours=duration_s / 3600,
                wanted_share=share,
                share=duration_s / total_s,
                operators=len({recording.operator for recording in chosen}),
                stations=len({recording.station for recording in chosen}),
                groups=len(own),
            )
        )
    return tuple(splits)


def _too_few(ties: Sequence[set[Tie]], by: Sequence[Trait], num_splits: int) -> str:
    groups = _groups(ties)
    message = (
        f"{len(ties)} recordings make {len(groups)} group(s) that share no {' or '.join(by)}, "
        f"too few for {num_splits} splits"
    )
    largest = [ties[index] for index in max(groups, key=len, default=[])]
    counts = Counter(tie for own in largest for tie in own)
    if not counts or max(counts.values()) == 1:
        return f"{message}; record more, or split into fewer"

    def freed(tie: Tie) -> tuple[int, int]:
        return len(_groups([own - {tie} for own in largest])), counts[tie]

    trait, value = max(sorted(tie for tie, _ in counts.most_common(MAX_TIES)), key=freed)
    others = [other for other in by if other != trait]
    advice = f"split by {' and '.join(others)} alone" if others else "record others"
    return (
        f"{message}: {trait} {value!r} ties {counts[trait, value]} recordings together; {advice}, "
        f"or split into fewer"
    )
