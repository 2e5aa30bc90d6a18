"""What `linewatch up` runs for stations: each in a thread, one image encoder for all of them.

A station that fails is begun again, or stays failed and says so; the others go on.
"""

from __future__ import annotations

import logging
import random
import signal
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from edge.cameras.frame import Source, SourceError, SourceState
from edge.cameras.picture_health import PictureHealth
from edge.cameras.sources import open_source
from edge.deployment import SAMPLE, Deployment
from edge.deployment import Station as StationConfig
from edge.kept_state import Keeping, KeptState, read_kept
from edge.messages import StationStarted, utc_now
from edge.outbox import Outbox, kept_state
from edge.pipeline import Pipeline
from edge.reporter import Reporter, alarm_trust, task_info
from edge.sender import Sender
from edge.shared_encoders import SharedEncoders
from edge.station import Station
from edge.station_model import load_station_model
from industryasm.fault import UserFault
from industryasm.stations.sample import sample_recording
from industryasm.vocabulary import Task, load_task
from models.calibration import Calibration
from models.deviations import MonitorConfig, MonitorError
from models.judge_state import JudgeStateError

logger = logging.getLogger(__name__)

FLUSH_S = 30.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
STEADY_S = 60.0  # a station that ran so long begins again with the shortest wait
POLL_S = 0.2
GO_ON_WITHIN_S = 15 * 60.0
"""After a longer time it is another unit's turn: the kept cycle is ended, not gone on with."""


def run_stations(deployment: Deployment, station_ids: Sequence[str], *, fast: bool = False) -> None:
    """Run stations until SIGTERM or SIGINT, otherwise as `watch_stations`."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    watch_stations(deployment, station_ids, stop, fast=fast)


def watch_stations(
    deployment: Deployment, station_ids: Sequence[str], stop: threading.Event, *, fast: bool
) -> None:
    """Watch stations until `stop`, or, when `fast`, until their recordings have ended.

    `fast` plays recordings as fast as they can be watched. A camera that is away is waited for, at
    the start too. Raises `ModelError` and other faults of the configuration before anything is
    watched, and with `fast` the first fault of a station once all have ended.
    """
    with SharedEncoders(num_clients=len(station_ids)) as encoders:
        watches = [_Watch(deployment, name, encoders, stop, fast=fast) for name in station_ids]
        for watch in watches:
            watch.thread.start()
        for watch in watches:
            while watch.thread.is_alive():
                watch.thread.join(POLL_S)  # a short wait, in which signals are handled
    failures = [watch.failure for watch in watches if watch.failure]
    if failures:
        raise failures[0]


class _Watch:
    """One station's thread; `failure` is what ended a station that was to end by itself."""

    def __init__(
        self,
        deployment: Deployment,
        station_id: str,
        encoders: SharedEncoders,
        stop: threading.Event,
        *,
        fast: bool,
    ) -> None:
        self.failure: Exception | None = None
        self.thread = threading.Thread(target=self._run, name=f"station {station_id}")
        self._deployment, self._config = deployment, deployment.station(station_id)
        self._encoders, self._stop, self._fast = encoders, stop, fast
        self._task = load_task(self._config.task)
        self._calibration: Calibration | None = None
        self._pipeline()  # a model that cannot be used is said before anything is watched

    def _pipeline(self) -> Pipeline:
        config, model = self._config, load_station_model(self._config)
        encoder = self._encoders.of(model.temporal.card, config)
        self._calibration = model.calibration
        monitor = MonitorConfig.of(
            self._task.procedure(), idle_end_s=config.idle_end_s, handover_s=config.handover_s
        )
        return Pipeline(
            self._task, model.temporal, encoder, monitor=monitor, calibration=model.calibration
        )

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            began_s = monotonic()
            try:
                self._watch()
            except Exception as error:  # the other stations go on
                wait_s = FIRST_WAIT_S if monotonic() - began_s >= STEADY_S else wait_s
                if self._fast:
                    self.failure = error
                    return
                name = self._config.id
                if isinstance(error, UserFault):
                    logger.error("%s: %s; beginning again in %.0f s", name, error, wait_s)
                else:
                    logger.exception("%s: failed; beginning again in %.0f s", name, wait_s)
                if not self._stop.wait(wait_s):
                    wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                    continue
            return

    def _watch(self) -> None:
        deployment, config = self._deployment, self._config
        pipeline = self._pipeline()
        keeping = self._keeping(pipeline)
        boot = keeping.boot if keeping else _new_boot()
        num_segments = keeping.kept.num_segments if keeping and keeping.kept else 0
        outbox = Outbox(self._outbox_file, station=config.id, boot=boot)
        try:
            sender = Sender(outbox, deployment.hub.endpoint)
            try:
                Station(
                    _introduction(deployment, config, self._task, self._calibration),
                    lambda on_state: self._open_camera(pipeline, on_state),
                    pipeline,
                    Reporter(self._task, boot=boot, num_segments=num_segments),
                    outbox,
                    sender,
                    PictureHealth(pipeline.rate_hz, frozen_after_s=config.camera.frozen_after_s),
                    keeping=keeping,
                ).run(self._stop, leave_when_finished=self._fast)
                if self._fast and not sender.flush(FLUSH_S):
                    logger.warning("%d events are not delivered yet; they are kept", len(outbox))
            finally:
                sender.close()
        finally:
            outbox.close()

    @property
    def _outbox_file(self) -> Path:
        return self._deployment.data / f"{self._config.id}.outbox"

    def _keeping(self, pipeline: Pipeline) -> Keeping | None:
        """Return how the state is kept, with that of before in the pipeline if it is to go on.

        A recording begins at its beginning again, so nothing of it is kept.
        """
        if not _is_camera(self._config.camera.source):
            return None
        vocabulary = self._task.vocabulary_hash()
        afresh = Keeping(_new_boot(), vocabulary)
        kept = read_kept(kept_state(self._outbox_file), vocabulary_hash=vocabulary)
        if kept is None:
            return afresh
        try:
            if kept.age_s(utc_now()) <= GO_ON_WITHIN_S:
                pipeline.resume(kept.monitor, kept.judged_until_s, kept.alarms)
                return Keeping(kept.boot, vocabulary, kept)
            self._end_cycle_of(kept)
        except (MonitorError, JudgeStateError) as error:
            logger.warning("%s: %s; starting afresh", self._config.id, error)
        return afresh

    def _end_cycle_of(self, kept: KeptState) -> None:
        """End the kept cycle as of then: its station was away for too long to go on with it."""
        pipeline = self._pipeline()
        pipeline.resume(kept.monitor, kept.judged_until_s, kept.alarms)
        reporter = Reporter(self._task, boot=kept.boot, num_segments=kept.num_segments)
        ended = [reporter.message(f, kept.origin) for f in pipeline.close(interrupted=True)]
        state = Keeping(kept.boot, kept.vocabulary_hash).state(pipeline, reporter, kept.origin)
        outbox = Outbox(self._outbox_file, station=self._config.id, boot=kept.boot)
        try:
            outbox.extend(ended, state=state)
        finally:
            outbox.close()

    def _open_camera(
        self, pipeline: Pipeline, on_state: Callable[[SourceState, str], None]
    ) -> Source:
        path, wait_s = _path(self._config), FIRST_WAIT_S
        while True:
            try:
                return open_source(
                    path,
                    rate_hz=pipeline.rate_hz,
                    size=pipeline.image_size,
                    roi=self._config.camera.roi,
                    live=not self._fast,
                    on_state=on_state,
                )
            except SourceError as error:
                # A camera may be off when the line is started; a file that is not there is a fault.
                if not _is_camera(path) or self._stop.is_set():
                    raise
                on_state("reconnecting", str(error))
                logger.warning("%s; trying again in about %.0f s", error, wait_s)
                # After a power cut all stations come back at once; they are not to try in step.
                self._stop.wait(wait_s * random.uniform(0.5, 1.5))
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _new_boot() -> str:
    return uuid.uuid4().hex[:12]


def _introduction(
    deployment: Deployment, config: StationConfig, task: Task, calibration: Calibration | None
) -> StationStarted:
    return StationStarted(
        site=deployment.site,
        line=deployment.line(config.line).name,
        name=config.name,
        camera=_camera_name(config.camera.source),
        task=task_info(task),
        model=str(config.model.name if config.model else f"{task.id} (shipped)"),
        alarm_trust=alarm_trust(calibration) if calibration else None,
    )


def _is_camera(path: str) -> bool:
    return "://" in path or path.isdigit()


def _path(config: StationConfig) -> str:
    source = config.camera.source
    if not source.startswith(SAMPLE):
        return source
    logger.info("rendering the sample recording of %s, if this is the first time", config.task)
    _, video = sample_recording(load_task(source.removeprefix(SAMPLE)))
    return str(video)


def _camera_name(source: str) -> str:
    # The page shows this to everybody, so no address and no password.
    if source.startswith(SAMPLE):
        return "sample recording"
    scheme, separator, _ = source.partition("://")
    if separator:
        return f"{scheme} camera"
    return f"USB camera {source}" if source.isdigit() else Path(source).name[:100]
