"""Decided frames become segments: short runs are dropped, a pause inside a step is bridged."""

from __future__ import annotations

from dataclasses import dataclass, replace

from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND


@dataclass(frozen=True)
class _Run:
    """Frames of one label, seen from `start_s` to `end_s`, with the sum of their probabilities."""

    label: str
    start_s: float
    end_s: float
    probability: float
    num_frames: int

    def segment(self) -> Segment:
        confidence = min(1.0, self.probability / self.num_frames)
        return Segment(self.start_s, self.end_s, self.label, confidence)

    def join(self, later: _Run) -> _Run:
        return replace(
            self,
            end_s=later.end_s,
            probability=self.probability + later.probability,
            num_frames=self.num_frames + later.num_frames,
        )


class SegmentJoiner:
    """Turns (time, label, probability) of one frame after the other into segments.

    A run shorter than `min_dwell_s` counts as background. Two runs of one label with background
    shorter than `merge_gap_s` between them are one segment, so a finished run is held back until
    that much background has passed, or at once until another step has begun.
    """

    def __init__(self, *, min_dwell_s: float, merge_gap_s: float) -> None:
        self._min_dwell_s = min_dwell_s
        self._merge_gap_s = merge_gap_s
        self._run: _Run | None = None  # goes on at the newest frame, background included
        self._held: _Run | None = None  # is over, but may be continued

    def push(self, time_s: float, label: str, probability: float) -> list[Segment]:
        """Take the frame at `time_s`; return the segments that can no longer change."""
        frame = _Run(label, time_s, time_s, probability, 1)
        if self._run is not None and self._run.label == label:
            self._run = self._run.join(frame)
            return self._release(time_s)
        segments = self._close_run(time_s)
        self._run = frame
        return segments + self._release(time_s)

    def close(self, end_s: float) -> list[Segment]:
        """End what goes on at `end_s` and return everything held back; then begin anew."""
        segments = self._close_run(end_s)
        if self._held is not None:
            segments.append(self._held.segment())
        self._held = None
        return segments

    def running(self, end_s: float) -> Segment | None:
        """Return the step that goes on at the newest frame, as if it were seen until `end_s`."""
        run = self._step_until(end_s)
        return None if run is None else self._continued(run).segment()

    @property
    def kept_since_s(self) -> float | None:
        """When the earliest step began that was not returned yet; None if nothing is kept."""
        kept = [run for run in (self._held, self._run) if run and run.label != BACKGROUND]
        return min((run.start_s for run in kept), default=None)

    def copy(self) -> SegmentJoiner:
        """Return a joiner that goes on from here on its own."""
        twin = SegmentJoiner(min_dwell_s=self._min_dwell_s, merge_gap_s=self._merge_gap_s)
        twin._run, twin._held = self._run, self._held
        return twin

    def _step_until(self, end_s: float) -> _Run | None:
        run = self._run
        if run is None or run.label == BACKGROUND or end_s - run.start_s < self._min_dwell_s:
            return None
        return replace(run, end_s=end_s)

    def _is_pause(self, held: _Run, run: _Run) -> bool:
        return held.label == run.label and run.start_s - held.end_s < self._merge_gap_s

    def _continued(self, run: _Run) -> _Run:
        held = self._held
        return held.join(run) if held is not None and self._is_pause(held, run) else run

    def _close_run(self, end_s: float) -> list[Segment]:
        run, held = self._step_until(end_s), self._held
        self._run = None
        if run is None:
            return []
        self._held = self._continued(run)
        return [held.segment()] if held is not None and self._held is run else []

    def _release(self, time_s: float) -> list[Segment]:
        held, run = self._held, self._run
        if held is None or run is None or self._is_pause(held, run):
            return []
        is_step = run.label != BACKGROUND and time_s - run.start_s >= self._min_dwell_s
        if not is_step and time_s - held.end_s < self._merge_gap_s:
            return []
        self._held = None
        return [held.segment()]
