"""Puts one station of a deployment together and runs it: model, source, outbox, sender, loop."""

from __future__ import annotations

import logging
import signal
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from edge.deployment import SAMPLE, Deployment
from edge.deployment import Station as StationConfig
from edge.frame import Source, SourceError, SourceState
from edge.messages import StationStarted
from edge.outbox import Outbox
from edge.pipeline import load_pipeline
from edge.reporter import Reporter, task_info
from edge.sender import Sender
from edge.sources import open_source
from edge.station import Station
from industryasm.stations.sample import sample_recording
from industryasm.vocabulary import load_task

logger = logging.getLogger(__name__)

FLUSH_S = 30.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0


def run_station(deployment: Deployment, station_id: str, *, fast: bool = False) -> None:
    """Run one station until SIGTERM or SIGINT, or, when `fast`, until its recording has ended.

    `fast` plays recordings as fast as they can be watched. A network camera that is away is waited
    for, at the start too. Raises the faults of its parts:
    `SourceError`, `ModelError`, `OutboxError`, `SenderError`.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    config = deployment.station(station_id)
    task = load_task(config.task)
    pipeline = load_pipeline(task, config.model, runtime=config.runtime)
    boot = uuid.uuid4().hex[:12]
    outbox = Outbox(deployment.data / f"{station_id}.outbox", station=station_id, boot=boot)
    sender = Sender(outbox, deployment.hub.endpoint)
    introduction = StationStarted(
        site=deployment.site,
        line=deployment.line(config.line).name,
        name=config.name,
        camera=_camera_name(config.camera.source),
        task=task_info(task),
        model=str(config.model.name if config.model else f"{task.id} (shipped)"),
    )

    def open_camera(on_state: Callable[[SourceState, str], None]) -> Source:
        path, wait_s = _path(config), FIRST_WAIT_S
        while True:
            try:
                return open_source(
                    path,
                    rate_hz=pipeline.rate_hz,
                    size=pipeline.image_size,
                    roi=config.camera.roi,
                    live=not fast,
                    on_state=on_state,
                )
            except SourceError as error:
                # A camera may be off when the line is started; a file that is not there is a fault.
                if "://" not in path or stop.is_set():
                    raise
                on_state("reconnecting", str(error))
                logger.warning("%s; trying again in %.0f s", error, wait_s)
                stop.wait(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    try:
        station = Station(
            introduction, open_camera, pipeline, Reporter(task, boot=boot), outbox, sender
        )
        station.run(stop, leave_when_finished=fast)
        if fast and not sender.flush(FLUSH_S):
            logger.warning("%d events are not delivered yet; they are kept", len(outbox))
    finally:
        sender.close()
        outbox.close()


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
