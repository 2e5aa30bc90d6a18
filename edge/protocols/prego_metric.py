"""How PREGO's protocol counts alarms, as published and as one would rather read it.

A detector says of every reported step whether it is a mistake. The publishers count the last
reported step of a video as its mistake and all before it as correct, whatever the recogniser took
them for: `aleflabo/PREGO`, `step_anticipation/src/models/llama_meta.py`, `get_metrics`, and
`fpv-iplab/Differentiable-Task-Graph-Learning`, `check_precondition_DO.py` (`gt = [0] * (n-1) +
[1]`). On true steps that is exact; on reported ones it is all that the files let one say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class AlarmScore:
    """In percent; precision 0 where there is no alarm, F1 0 where nothing is found."""

    precision: float
    recall: float
    f1: float
    false_alarm_rate: float


@dataclass(frozen=True)
class VideoCounts:
    """Of the videos: the first alarm at the mistake, an alarm before it, or no alarm at all."""

    found: int
    alarmed_early: int
    missed: int


@dataclass(frozen=True)
class AlarmCounts:
    """Alarms on the mistakes and on the correct steps of some videos."""

    hits: int
    mistakes: int
    false_alarms: int
    correct_steps: int

    def __post_init__(self) -> None:
        if not (0 <= self.hits <= self.mistakes and 0 <= self.false_alarms <= self.correct_steps):
            raise ValueError(f"more alarms than steps, or fewer than none: {self}")

    def balanced(self) -> AlarmScore:
        """Score as TI-PREGO's table does (arXiv 2411.02570, section 4.2).

        False alarms weigh as if there were as many correct steps as mistakes, so precision is
        recall / (recall + false alarm rate), 50 when every step is alarmed.

        >>> counts = AlarmCounts(hits=177, mistakes=182, false_alarms=422, correct_steps=461)
        >>> round(counts.balanced().f1, 1)
        67.4
        """
        rate = _share(self.false_alarms, self.correct_steps)
        recall = _share(self.hits, self.mistakes)
        return _score(_share(recall, recall + rate), recall, rate)

    def clean(self) -> AlarmScore:
        """Score plainly: precision is the share of the alarms that are at a mistake."""
        rate = _share(self.false_alarms, self.correct_steps)
        recall = _share(self.hits, self.mistakes)
        return _score(_share(self.hits, self.hits + self.false_alarms), recall, rate)

    def as_coded(self) -> AlarmScore:
        """Score as TGML-DO's code does: `precision_score(preds, gts)` takes the truth first.

        So what it prints as precision is the recall of `clean`, and the other way round; F1 and
        the false alarm rate are the same.
        """
        plain = self.clean()
        return AlarmScore(plain.recall, plain.precision, plain.f1, plain.false_alarm_rate)


def count_alarms(videos: Sequence[Sequence[bool]]) -> AlarmCounts:
    """Count the alarms of videos, one flag per reported step; the last step is the mistake.

    Raises `ValueError` where a video has no step.
    """
    _check_steps(videos)
    return AlarmCounts(
        hits=sum(bool(alarms[-1]) for alarms in videos),
        mistakes=len(videos),
        false_alarms=sum(bool(alarm) for alarms in videos for alarm in alarms[:-1]),
        correct_steps=sum(len(alarms) - 1 for alarms in videos),
    )


def count_videos(videos: Sequence[Sequence[bool]]) -> VideoCounts:
    """Count videos by what their first alarm was; the last step is the mistake."""
    _check_steps(videos)
    early = sum(any(alarms[:-1]) for alarms in videos)
    found = sum(bool(alarms[-1]) and not any(alarms[:-1]) for alarms in videos)
    return VideoCounts(found, early, len(videos) - early - found)


def _check_steps(videos: Sequence[Sequence[bool]]) -> None:
    for index, alarms in enumerate(videos):
        if len(alarms) == 0:
            raise ValueError(f"video {index} has no step")


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _score(precision: float, recall: float, rate: float) -> AlarmScore:
    f1 = _share(2 * precision * recall, precision + recall)
    return AlarmScore(100 * precision, 100 * recall, 100 * f1, 100 * rate)
