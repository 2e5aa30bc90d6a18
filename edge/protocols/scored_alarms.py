"""How many true deviations are found when false alarms are budgeted by the hour of video.

Knows scores only: an alarm is raised where its score reaches a threshold, one for all recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ScoredAlarmsError(ValueError):
    """Alarms or their time cannot be judged."""


@dataclass(frozen=True, eq=False)
class ScoredAlarms:
    """Scores (N,) of the alarms that are right and (M,) of those that are not, higher for surer.

    `num_true` is how many could have been found, in `hours` of video. Raises `ScoredAlarmsError`
    for a score that is no number, for more right alarms than true ones, for no time.

    >>> alarms = ScoredAlarms([0.9, 0.6, 0.2], [0.8, 0.5, 0.4], num_true=4, hours=2.0)
    >>> alarms.recall_at(1.0), alarms.threshold_at(1.0)  # two false alarms are allowed
    (0.5, 0.5)
    """

    right: ArrayLike
    wrong: ArrayLike
    num_true: int
    hours: float

    def __post_init__(self) -> None:
        right, wrong = (np.asarray(scores, np.float64) for scores in (self.right, self.wrong))
        if np.isnan(right).any() or np.isnan(wrong).any():
            raise ScoredAlarmsError("a score is no number")
        if right.ndim != 1 or wrong.ndim != 1 or len(right) > self.num_true:
            raise ScoredAlarmsError(
                f"right {right.shape} and wrong {wrong.shape} must be lists, and no more right "
                f"than there are true ones, {self.num_true}"
            )
        if not (np.isfinite(self.hours) and self.hours > 0):
            raise ScoredAlarmsError(f"{self.hours} hours of video must be above 0 and finite")
        object.__setattr__(self, "right", right)
        object.__setattr__(self, "wrong", wrong)

    def threshold_at(self, per_hour: float) -> float:
        """Return the lowest score of an alarm with at most `per_hour` false ones an hour from it.

        Alarms of one score are raised together or not at all; infinite where none may be.
        """
        allowed = int(np.floor(per_hour * self.hours + 1e-9))  # 1 an hour of 3 * 20 minutes is 1
        scores = np.unique(np.concatenate([self._right, self._wrong]))
        kept = [score for score in scores if np.count_nonzero(self._wrong >= score) <= allowed]
        return float(min(kept, default=np.inf))

    def recall_at(self, per_hour: float) -> float:
        """Return the share, 0 to 1, that is found from `threshold_at` on; 0 where none is true."""
        num_found = np.count_nonzero(self._right >= self.threshold_at(per_hour))
        return float(num_found) / self.num_true if self.num_true else 0.0

    @property
    def _right(self) -> NDArray[np.float64]:
        return np.asarray(self.right)

    @property
    def _wrong(self) -> NDArray[np.float64]:
        return np.asarray(self.wrong)
