"""How far apart two annotators set the boundaries between the same two labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from industryasm.recording import Recording
from industryasm.vocabulary import BACKGROUND

MAX_DISTANCE_S = 5.0  # further apart, two equal transitions are of two different moments


@dataclass(frozen=True)
class BoundaryMatches:
    """Distances in seconds of matched boundaries of A and B, and how many of each match none."""

    distances_s: tuple[float, ...]
    unmatched_a: int
    unmatched_b: int


@dataclass(frozen=True)
class BoundaryAgreement:
    """How far apart equal transitions (from one label to another) are, in seconds.

    A transition of A and an equal one of B match where each is the other's nearest and they are at
    most `MAX_DISTANCE_S` apart; median and 95th percentile are None where none match.
    """

    matched: int
    unmatched_a: int
    unmatched_b: int
    median_s: float | None
    p95_s: float | None


def match_boundaries(a: Recording, b: Recording, *, shortest_gap_s: float) -> BoundaryMatches:
    """Match the transitions of two annotations; gaps below `shortest_gap_s` are none."""
    of_a, of_b = (_transitions(recording, shortest_gap_s) for recording in (a, b))
    distances: list[float] = []
    for change in of_a.keys() & of_b.keys():
        distances += _mutual_nearest(np.array(of_a[change]), np.array(of_b[change]))
    left_a, left_b = (sum(map(len, of.values())) - len(distances) for of in (of_a, of_b))
    return BoundaryMatches(tuple(distances), left_a, left_b)


def boundary_agreement(matches: Sequence[BoundaryMatches]) -> BoundaryAgreement:
    """Return the agreement over the matches of one or more recordings."""
    distances = [distance for match in matches for distance in match.distances_s]
    return BoundaryAgreement(
        matched=len(distances),
        unmatched_a=sum(match.unmatched_a for match in matches),
        unmatched_b=sum(match.unmatched_b for match in matches),
        median_s=float(np.median(distances)) if distances else None,
        p95_s=float(np.percentile(distances, 95)) if distances else None,
    )


def _transitions(recording: Recording, shortest_gap_s: float) -> dict[tuple[str, str], list[float]]:
    """Return when each change of label is; a gap below one frame is none, its middle the change."""
    runs: list[tuple[str, float, float]] = []
    covered_s = 0.0
    for segment in recording.segments:
        if segment.start_s - covered_s >= shortest_gap_s:
            runs.append((BACKGROUND, covered_s, segment.start_s))
        runs.append((segment.label, segment.start_s, segment.end_s))
        covered_s = segment.end_s
    if recording.duration_s - covered_s >= shortest_gap_s:
        runs.append((BACKGROUND, covered_s, recording.duration_s))
    changes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (before, _, end_s), (after, start_s, _) in pairwise(runs):
        if before != after:
            changes[before, after].append((end_s + start_s) / 2)
    return changes


def _mutual_nearest(a: np.ndarray, b: np.ndarray) -> list[float]:
    apart = np.abs(a[:, None] - b[None, :])  # (A, B)
    nearest_b, nearest_a = apart.argmin(axis=1), apart.argmin(axis=0)
    return [
        float(apart[i, j])
        for i, j in enumerate(nearest_b)
        if nearest_a[j] == i and apart[i, j] <= MAX_DISTANCE_S
    ]
