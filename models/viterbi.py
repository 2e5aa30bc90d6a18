"""The most probable path through K classes, decided online; knows frames, but no times and labels.

A path pays its frames' evidence and one penalty per change of class. Every class keeps the best
path that ends in it (its survivor); what all survivors share is decided for good:

    a a a b b          frame 0 and 1 are the same in all three rows: committed
    a a c c c
    a a a a a
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def best_path(evidence: Floats, *, switch_penalty: float) -> NDArray[np.int16]:
    """Return the most probable classes (T,) of a whole recording's log evidence (T, K).

    >>> evidence = np.log([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]])
    >>> best_path(evidence, switch_penalty=0.0), best_path(evidence, switch_penalty=2.0)
    (array([0, 1, 0], dtype=int16), array([0, 0, 0], dtype=int16))
    """
    viterbi = OnlineViterbi(evidence.shape[1], switch_penalty=switch_penalty)
    decided = [index for row in evidence for index in viterbi.push(row)]
    return np.array([*decided, *viterbi.best_path()], np.int16)


class OnlineViterbi:
    """Viterbi decoding with a uniform switch penalty, in memory of the undecided frames alone."""

    def __init__(self, num_classes: int, *, switch_penalty: float) -> None:
        """Start before the first frame; `switch_penalty` in nats, 0 or more."""
        self._penalty = switch_penalty
        self._classes = np.arange(num_classes, dtype=np.int16)  # (K,)
        self._scores = np.zeros(num_classes)  # (K,) of each survivor, the best one is 0
        self._paths = np.empty((0, num_classes), np.int16)  # (T, K) undecided frames of each
        self._has_begun = False

    @property
    def num_undecided(self) -> int:
        """Number of frames that were pushed and not committed."""
        return len(self._paths)

    def push(self, evidence: Floats) -> list[int]:
        """Take one frame's log evidence (K,), finite; return the classes this commits, in order."""
        if self._has_begun:
            best = int(self._scores.argmax())
            switched = self._scores[best] - self._penalty
            origin = np.where(switched > self._scores, best, self._classes)  # (K,) stay on a tie
            self._scores = np.maximum(self._scores, switched)
            self._paths = self._paths[:, origin]
        self._has_begun = True
        self._scores = self._scores + evidence
        self._scores -= self._scores.max()
        self._paths = np.vstack([self._paths, self._classes[np.newaxis]])
        agreed = (self._paths == self._paths[:, :1]).all(axis=1)
        return self._commit(len(agreed) if agreed.all() else int(agreed.argmin()))

    def force(self, num_frames: int) -> list[int]:
        """Commit the oldest `num_frames` by the best path; survivors that disagree end here."""
        chosen = self.best_path()[:num_frames]
        disagree = (self._paths[:num_frames] != chosen[:, np.newaxis]).any(axis=0)
        self._scores[disagree] = -np.inf
        return self._commit(num_frames)

    def best_path(self) -> NDArray[np.int16]:
        """Return the undecided frames' classes (T,) on the path that is best so far."""
        return self._paths[:, int(self._scores.argmax())]

    def _commit(self, num_frames: int) -> list[int]:
        committed = [int(index) for index in self.best_path()[:num_frames]]
        self._paths = self._paths[num_frames:]
        return committed
