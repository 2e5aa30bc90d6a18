"""A station's loop: one camera watched, findings written to the outbox, a heartbeat each second."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

from edge.cameras.frame import Frame, Source, SourceError, SourceState
from edge.cameras.picture_health import STILL_USEFUL, PictureHealth
from edge.kept_state import Keeping, KeptState
from edge.messages import Heartbeat, StationStarted, StationState
from edge.outbox import Outbox
from edge.pipeline import Pipeline
from edge.reporter import Reporter
from edge.sender import Sender
from models.deviations import CycleStarted, Deviation, Finding

logger = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
STOP_POLL_S = 1.0
RATE_FRAMES = 50
"""So many of the last frames tell how many come in a second."""
KEEP_S = 5.0
"""How often a station's state is kept while nothing is found."""
OpenSource = Callable[[Callable[[SourceState, str], None]], Source]


@dataclass
class _Status:
    """What the heartbeat tells; written by the loop, read by the heart."""

    state: StationState = "starting"
    detail: str = ""
    step: str | None = None
    cycle: str | None = None
    frames: int = 0
    dropped: int = 0


class Station:
    """Watches one camera until told to stop, or until its recording has ended."""

    def __init__(
        self,
        introduction: StationStarted,
        open_source: OpenSource,
        pipeline: Pipeline,
        reporter: Reporter,
        outbox: Outbox,
        sender: Sender,
        health: PictureHealth | None = None,
        *,
        keeping: Keeping | None = None,
    ) -> None:
        """`health` judges the pictures; without it they all count as good.

        With `keeping` the station goes on in mid-cycle where it was ended; else a cycle ends with
        its station.
        """
        self._introduction = introduction
        self._open_source = open_source
        self._pipeline, self._reporter = pipeline, reporter
        self._outbox, self._sender = outbox, sender
        self._health = health
        self._picture_detail = ""
        self._status = _Status()
        self._seen_s: deque[float] = deque(maxlen=RATE_FRAMES)
        self._keeping = keeping
        self._kept_s = -math.inf
        self._origin: datetime | None = None
        self._kept_cycle: int | None = None  # the unit that a run of before has begun
        self._offset_s = 0.0  # of this run's stream behind the one that it goes on with

    def run(self, stop: threading.Event, *, leave_when_finished: bool) -> None:
        """Watch until `stop`; a camera that is away is waited for.

        After a recording's end the station says that it has finished until it is stopped, unless
        it is to leave then; of a source that cannot be read it says that it has failed, or raises
        `SourceError`. Raises `OutboxError` when the disk does not take events: going on without
        would be a station that only looks alive.
        """
        self._outbox.append(self._introduction)
        beating = threading.Event()
        heart = threading.Thread(target=self._beat, args=(beating,), name="heart", daemon=True)
        heart.start()
        try:
            with self._open_source(self._note_source) as source:
                self._note("watching")
                # A camera that is away gives no frame at which the loop could see `stop`.
                over = threading.Event()
                threading.Thread(
                    target=_close_on, args=(stop, over, source), name="closer", daemon=True
                ).start()
                try:
                    self._watch(source, stop)
                finally:
                    over.set()
            if self._keeping and stop.is_set():
                self._report(self._pipeline.pause(), keep=True)
                return
            self._report(self._pipeline.close(interrupted=stop.is_set()))
            self._note("finished", "the recording has ended")
            if not leave_when_finished:
                stop.wait()
        except SourceError as error:
            if stop.is_set():
                return
            self._note("failed", str(error))
            if leave_when_finished:
                raise
            logger.error("%s", error)
            stop.wait()
        finally:
            beating.set()
            heart.join()
            self._sender.beat(self._heartbeat())

    def _watch(self, source: Source, stop: threading.Event) -> None:
        for frame in source:
            if stop.is_set():
                return
            self._outbox.check_boot()
            if self._origin is None and self._keeping and self._keeping.kept:
                self._go_on(self._keeping.kept, frame)
            self._origin = self._not_before_kept(
                _second_zero(frame) - timedelta(seconds=self._offset_s)
            )
            if self._shows_work(frame):
                frame = replace(frame, time_s=frame.time_s + self._offset_s)
                findings = self._pipeline.push(frame)
                self._report(findings, keep=self._is_due(frame.time_s))
                running = self._pipeline.running
                self._status.step = None if running is None else running.label
            self._status.frames += 1
            self._seen_s.append(monotonic())
            self._status.dropped = source.dropped

    def _shows_work(self, frame: Frame) -> bool:
        """Judge the picture; what a blind camera shows is not taken for a worker who does nothing.

        Until the camera is told blind its last pictures were looked at like all others.
        """
        if self._health is None:
            return True
        change = self._health.look(frame.image, frame.time_s, frame.source_size)
        if change is not None:
            logger.warning("pictures are %s: %s", change.state, change.detail)
            self._picture_detail = change.detail
            self._note_pictures()
            if self._health.state not in STILL_USEFUL:
                self._report(self._pipeline.pause())
                self._status.step = None
        return self._health.state in STILL_USEFUL

    def _go_on(self, kept: KeptState, first: Frame) -> None:
        """Let the stream of before go on; should the clock have been set back, at once."""
        offset_s = (_second_zero(first) - kept.origin).total_seconds()
        offset_s = max(offset_s, kept.judged_until_s - first.time_s)
        rate_hz = self._pipeline.rate_hz  # on its grid, so that no slot gets two frames
        self._offset_s = math.ceil(offset_s * rate_hz) / rate_hz
        if self._offset_s + first.time_s < kept.judged_until_s:  # by a rounding
            self._offset_s += 1 / rate_hz
        pause_s = self._offset_s + first.time_s - kept.judged_until_s
        logger.info("going on with what was seen until %.0f s ago", pause_s)
        self._kept_cycle = cycle = self._pipeline.cycle
        if cycle is not None:
            self._status.cycle = self._reporter.cycle(cycle)

    def _not_before_kept(self, origin: datetime) -> datetime:
        """Return `origin`, but not before the kept one while the unit goes on that was kept.

        A clock that was set back would end it before it began.
        """
        kept = self._keeping.kept if self._keeping else None
        if kept is None or self._pipeline.cycle is None or self._pipeline.cycle != self._kept_cycle:
            return origin
        return max(origin, kept.origin)

    def _is_due(self, time_s: float) -> bool:
        """Tell whether a running cycle's state is to be kept, though nothing was found."""
        if self._keeping is None or self._pipeline.cycle is None:
            return False
        return time_s - self._kept_s >= KEEP_S

    def _report(self, findings: list[Finding], *, keep: bool = False) -> None:
        if self._origin is None or not (findings or keep):
            return  # nothing was seen yet, so there is nothing to tell or to keep
        messages = [self._reporter.message(finding, self._origin) for finding in findings]
        state = None
        if self._keeping:
            self._kept_s = self._pipeline.now_s
            state = self._keeping.state(self._pipeline, self._reporter, self._origin)
        self._outbox.extend(messages, state=state)
        for finding in findings:
            if isinstance(finding, CycleStarted):
                self._status.cycle = self._reporter.cycle(finding.cycle)
            if isinstance(finding, Deviation):
                logger.info(
                    "%s %s: %s, cycle %d: %s",
                    finding.state,
                    finding.kind,
                    finding.step,
                    finding.cycle,
                    finding.detail,
                )

    def _note_source(self, state: SourceState, detail: str) -> None:
        if state == "connected":
            self._note_pictures()
        else:
            self._note("reconnecting", detail)

    def _note_pictures(self) -> None:
        pictures = "good" if self._health is None else self._health.state
        if pictures == "good":
            self._note("watching")
        else:
            state: StationState = "camera_moved" if pictures in STILL_USEFUL else "camera_blind"
            self._note(state, self._picture_detail)

    def _note(self, state: StationState, detail: str = "") -> None:
        self._status.state, self._status.detail = state, detail[:300]

    def _beat(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._sender.beat(self._heartbeat())
            stop.wait(HEARTBEAT_S)

    def _rate_hz(self) -> float:
        """Return how many frames come in a second, of late."""
        seen_s = list(self._seen_s)
        return len(seen_s) / max(monotonic() - seen_s[0], 1e-3) if len(seen_s) > 1 else 0.0

    def _heartbeat(self) -> Heartbeat:
        status = self._status
        return Heartbeat(
            state=status.state,
            detail=status.detail,
            step=status.step,
            cycle=status.cycle,
            frames=status.frames,
            dropped=status.dropped,
            set_aside=self._outbox.num_refused,
            rate_hz=self._rate_hz(),
            runtime=self._pipeline.runtime,
        )


def _close_on(stop: threading.Event, over: threading.Event, source: Source) -> None:
    """Close the source when told to stop, unless the watching is over by then."""
    while not stop.wait(STOP_POLL_S):
        if over.is_set():
            return
    source.close()


def _second_zero(frame: Frame) -> datetime:
    return frame.captured_at - timedelta(seconds=frame.time_s)
