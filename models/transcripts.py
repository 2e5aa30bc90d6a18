"""What correct transcripts of a procedure tell of its order, and the two plainest alarms from it.

A transcript is the labels of the steps of one correct run, in order. Nothing here looks at a step
before its time: an alarm at a step depends on it and on the steps before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from itertools import combinations, pairwise
from math import fsum

Transcript = Sequence[str]
START = ""  # what stands before the first step; no label is empty


class Transcripts:
    """Counts over the correct runs of one procedure."""

    def __init__(self, transcripts: Iterable[Transcript]) -> None:
        self.runs = tuple(tuple(transcript) for transcript in transcripts)
        if not self.runs or not all(self.runs):
            raise ValueError("a procedure is learned from at least one transcript, none empty")
        if any(label == START for run in self.runs for label in run):
            raise ValueError("a label is empty")

    @cached_property
    def num_steps(self) -> Counter[str]:
        """How often each label occurs."""
        return Counter(label for run in self.runs for label in run)

    @cached_property
    def num_runs(self) -> Counter[str]:
        """In how many runs each label occurs: the support of what is said of it."""
        return Counter(label for run in self.runs for label in set(run))

    @cached_property
    def transitions(self) -> Counter[tuple[str, str]]:
        """How often each label follows another, or `START`, directly."""
        return Counter(pair for run in self.runs for pair in pairwise((START, *run)))

    @cached_property
    def mean_length(self) -> float:
        """Steps of a run."""
        return fsum(len(run) for run in self.runs) / len(self.runs)

    @cached_property
    def num_before(self) -> Counter[tuple[str, str]]:
        """In how many runs the first occurrence of one label is before that of another."""
        firsts = [tuple(dict.fromkeys(run)) for run in self.runs]
        return Counter(pair for first in firsts for pair in combinations(first, 2))

    @cached_property
    def _earlier(self) -> dict[str, dict[str, int]]:
        """Label -> earlier label -> in how many runs it was earlier."""
        earlier: dict[str, dict[str, int]] = {}
        for (first, later), num in self.num_before.items():
            earlier.setdefault(later, {})[first] = num
        return earlier

    def predecessors(self, label: str, *, support: int = 2) -> frozenset[str]:
        """Return the labels that came first in every run with `label`, if `support` runs say so."""
        runs = self.num_runs[label]
        if runs < support:
            return frozenset()
        earlier = self._earlier.get(label, {})
        return frozenset(first for first, num in earlier.items() if num == runs)

    def num_awaited(self, label: str, done: Collection[str]) -> float:
        """Return how many steps one would expect before `label` that are not among the done.

        Each counts as the share of the runs with `label` in which it came before, one run added.
        """
        earlier = self._earlier.get(label, {})
        num = sum(num for first, num in earlier.items() if first not in done)
        return num / (self.num_runs[label] + 1)


def unseen_transitions(transcripts: Transcripts, steps: Sequence[str]) -> list[bool]:
    """Alarm at a step that never followed the one before it: PREGO's one-step memory."""
    return [pair not in transcripts.transitions for pair in pairwise((START, *steps))]


def set_difference(transcripts: Transcripts, steps: Sequence[str]) -> list[bool]:
    """Alarm at a step that the procedure does not have, or whose predecessors are not all done."""
    done: set[str] = set()
    alarms = []
    for label in steps:
        alarms.append(
            not transcripts.num_runs[label] or not transcripts.predecessors(label) <= done
        )
        done.add(label)
    return alarms
