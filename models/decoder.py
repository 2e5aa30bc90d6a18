"""Frame-wise step probabilities become step segments, while they stream in.

Knows labels and times, no networks. The way of a frame:

    probabilities -> tempered log evidence -> best path -> decided label -> segment

The path is one through the order of a procedure where one is given (`models.procedure_path`), and
else one that pays the same for each change of label (`models.viterbi`), the simple baseline.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from industryasm.procedure import Procedure
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND
from models.confusion import Confusion
from models.procedure_path import ProcedurePath
from models.segment_joiner import SegmentJoiner
from models.viterbi import OnlineViterbi

Floats = NDArray[np.floating[Any]]

_FLOOR = 1e-6  # the least probability believed, so that one frame can never forbid a step
_SUM_TOLERANCE = 1e-2  # a softmax in bfloat16 (AMX machines) sums to 1 within this


class DecoderError(ValueError):
    """A setting is out of bounds, or what was pushed is not a stream of class probabilities."""


@dataclass(frozen=True)
class DecoderConfig:
    """How frames are joined to segments; raises `DecoderError` for a value out of bounds."""

    temper: float = 0.3
    """Factor of the log probabilities, (0, 1]: neighbouring frames say much the same thing, so
    each counts for less than a frame of its own."""
    switch_penalty: float = 2.0
    """What a path without a procedure pays for each change of label, in nats, 0 or more."""
    min_dwell_s: float = 0.0
    """A run shorter than this counts as background."""
    merge_gap_s: float = 1.0
    """Two runs of one step with less background than this between them are one segment."""
    max_lag_s: float = 4.0
    """A frame is decided at the latest when one this much younger has come."""
    max_gap_s: float = 2.0
    """A longer time without a frame ends the running segment at the last frame seen."""
    period_s: float = 0.2
    """Time between two frames: how long the last frame of a stream lasts."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise DecoderError(f"{field.name} {value} must be a finite number, 0 or more")
        if not 0 < self.temper <= 1:
            raise DecoderError(f"temper {self.temper} must be above 0 and at most 1")
        if not 0 < self.period_s <= self.max_gap_s:
            raise DecoderError(
                f"period_s {self.period_s} must be above 0 and at most max_gap_s {self.max_gap_s}"
            )


class StreamDecoder:
    """Decodes one endless stream; the segments are the same however the stream is cut into pushes.

    A segment is returned once its end is decided and it can no longer be continued: at once when
    another step has begun, otherwise after `merge_gap_s` of background.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        config: DecoderConfig | None = None,
        procedure: Procedure | None = None,
        confusion: Confusion | None = None,
    ) -> None:
        """Decode probabilities of `labels` (K), in this order; they must differ.

        With a `procedure`, its steps and background must be among them. With a `confusion`, which
        must be of the same labels, the evidence is weighed by what the recogniser mixes up, and a
        step that it often does not see costs less to pass over.
        """
        if not labels or len(set(labels)) != len(labels):
            raise DecoderError(f"labels {list(labels)} must be one or more and differ")
        if confusion is not None and confusion.labels != tuple(labels):
            raise DecoderError(
                f"the confusion is of labels {list(confusion.labels)}, not {list(labels)}: "
                f"calibrate the model again"
            )
        self.labels = tuple(labels)
        self.config = config or DecoderConfig()
        self._confusion = confusion
        self._last_time_s: float | None = None
        self._path: OnlineViterbi | ProcedurePath = self._plain_path()
        if procedure is not None:
            _check_names(procedure, self.labels)
            recall = None if confusion is None else confusion.recall()
            period_s = self.config.period_s
            self._path = ProcedurePath(labels, procedure, period_s=period_s, recall=recall)
        self._begin_chain()

    def push(self, probabilities: Floats, times_s: Floats) -> list[Segment]:
        """Take probabilities (T, K), rows summing to 1, at ascending times (T,) of 0 or more.

        Returns the steps decided by them, background left out. Raises `DecoderError` for another
        shape, for rows that are no distribution, for time that does not go on; then none of the
        frames was taken.
        """
        rows = self._check_rows(np.asarray(probabilities, np.float64))
        times = self._check_times(np.asarray(times_s, np.float64), len(rows))
        evidence = self.config.temper * np.log(np.maximum(self._likelihoods(rows), _FLOOR))
        segments: list[Segment] = []
        for time_s, row, row_evidence in zip(times.tolist(), rows, evidence, strict=True):
            if self._is_gap(time_s):
                segments += self.close()
            segments += self._push_frame(time_s, row, row_evidence)
        return segments

    def close(self) -> list[Segment]:
        """Decide what is left and return it; a later push begins a new chain."""
        segments = self._take(self._path.force(self._path.num_undecided))
        segments += self._joiner.close(self.seen_until_s)
        self._begin_chain()
        return segments

    @property
    def running(self) -> Segment | None:
        """The step going on at the newest frame by the best path so far; None for background.

        Its end is the newest frame's; it may still turn out to be another step.
        """
        joiner = self._joiner.copy()
        for index, (time_s, row) in zip(self._path.best_path(), self._frames, strict=True):
            joiner.push(time_s, self.labels[index], float(row[index]))
        return joiner.running(self.seen_until_s)

    @property
    def judged_until_s(self) -> float:
        """Until when every step that was seen has been returned, by the best path so far."""
        undecided = zip(self._path.best_path(), self._frames, strict=True)
        steps_s = [time_s for index, (time_s, _) in undecided if self.labels[index] != BACKGROUND]
        kept_s = self._joiner.kept_since_s
        starts_s = steps_s[:1] if kept_s is None else [kept_s, *steps_s[:1]]
        return min(starts_s, default=self.seen_until_s)

    def resume(self, done: Collection[str]) -> None:
        """Go on in a unit in which `done` was done, where a procedure is known; frames are lost."""
        if isinstance(self._path, ProcedurePath):
            self._path.restart(done)
            self._begin_chain()

    @property
    def seen_until_s(self) -> float:
        """End of the newest frame; 0 before the first."""
        last = self._last_time_s
        return 0.0 if last is None else last + self.config.period_s

    def _begin_chain(self) -> None:
        config = self.config
        if isinstance(self._path, ProcedurePath):
            self._path.restart(self._path.done, self._path.passed)  # the unit goes on behind a gap
        else:
            self._path = self._plain_path()
        self._joiner = SegmentJoiner(min_dwell_s=config.min_dwell_s, merge_gap_s=config.merge_gap_s)
        self._frames: deque[tuple[float, Floats]] = deque()  # those not yet decided

    def _likelihoods(self, rows: Floats) -> Floats:
        return rows if self._confusion is None else self._confusion.likelihoods(rows)

    def _plain_path(self) -> OnlineViterbi:
        return OnlineViterbi(len(self.labels), switch_penalty=self.config.switch_penalty)

    def _is_gap(self, time_s: float) -> bool:
        last = self._last_time_s
        return last is not None and time_s - last > self.config.max_gap_s

    def _push_frame(self, time_s: float, row: Floats, evidence: Floats) -> list[Segment]:
        self._last_time_s = time_s
        self._frames.append((time_s, row))
        segments = self._take(self._path.push(evidence))
        overdue_s = time_s - self.config.max_lag_s
        while self._frames and self._frames[0][0] <= overdue_s:
            segments += self._take(self._path.force(1))
        return segments

    def _take(self, decided: Sequence[int]) -> list[Segment]:
        segments: list[Segment] = []
        for index in decided:
            time_s, row = self._frames.popleft()
            segments += self._joiner.push(time_s, self.labels[index], float(row[index]))
        return segments

    def _check_rows(self, rows: Floats) -> Floats:
        if rows.ndim != 2 or rows.shape[1] != len(self.labels):
            raise DecoderError(
                f"probabilities have shape {rows.shape}, not (T, {len(self.labels)}): "
                f"one column for each label"
            )
        inside = (rows >= 0) & (rows <= 1 + _SUM_TOLERANCE)  # NaN is not
        sums = rows.sum(axis=1, where=inside)  # (T,)
        wrong = ~inside.all(axis=1) | (np.abs(sums - 1) > _SUM_TOLERANCE)
        if wrong.any():
            index = int(wrong.argmax())
            raise DecoderError(
                f"row {index} is no distribution ({rows[index].tolist()}): "
                f"push softmax outputs, not scores"
            )
        normalised: Floats = rows / sums[:, np.newaxis]
        return normalised

    def _check_times(self, times: Floats, num_rows: int) -> Floats:
        if times.shape != (num_rows,):
            raise DecoderError(f"times have shape {times.shape}, not ({num_rows},)")
        if not np.isfinite(times).all() or (times < 0).any():
            raise DecoderError("times must be finite seconds, 0 or more")
        last = -1.0 if self._last_time_s is None else self._last_time_s
        backwards = times <= np.concatenate(([last], times[:-1]))
        if backwards.any():
            index = int(backwards.argmax())
            raise DecoderError(
                f"time does not go on at row {index} ({float(times[index])} s): push frames "
                f"once and in order of capture"
            )
        return times


def _check_names(procedure: Procedure, labels: Sequence[str]) -> None:
    needed = [BACKGROUND, *(step.id for step in procedure.steps)]
    if absent := [name for name in needed if name not in labels]:
        raise DecoderError(
            f"labels {list(labels)} lack {absent[0]!r}, which the procedure needs: give a "
            f"recogniser of this task"
        )
