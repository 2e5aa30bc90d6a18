"""A station on a network camera, with a real hub and database behind it."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from dashboard.hub import Hub
from dashboard.status import StationDetail
from dashboard.store import Store
from edge.cameras.frame import Source, SourceState
from edge.cameras.sources import open_source
from edge.messages import StationStarted
from edge.outbox import Outbox
from edge.pipeline import load_pipeline
from edge.reporter import Reporter, task_info
from edge.sender import Sender
from edge.station import Station
from industryasm.stations.rendering import named_looks, render_recording
from industryasm.vocabulary import load_task
from tests.rtsp_server import RtspServer

TASK = load_task("gear-reducer")
DAY_ONE = datetime(1970, 1, 1, tzinfo=UTC)


def read(store: Store) -> StationDetail | None:
    return store.station("a", now=datetime.now(UTC), today_from=DAY_ONE, num_cycles=100)


def wait_for(store: Store, holds: Callable[[StationDetail], bool]) -> StationDetail:
    deadline = time.monotonic() + 120
    while True:
        detail = read(store)
        if detail and holds(detail):
            return detail
        assert time.monotonic() < deadline, detail
        time.sleep(0.1)


def test_a_unit_seen_over_rtsp_is_in_the_database_and_a_lost_camera_is_shown(
    tmp_path: Path,
) -> None:
    recording = render_recording(
        TASK,
        tmp_path,
        recording_id="one",
        **named_looks("o", "s", 5),
        planted=[None],
        seed=5,
    )
    stop, hub_stop = threading.Event(), threading.Event()
    store = Store.open(f"sqlite:///{tmp_path / 'x.sqlite'}")
    hub = Hub("tcp://127.0.0.1:*", store)
    serving = threading.Thread(target=hub.serve, args=(hub_stop,))
    serving.start()
    outbox = Outbox(tmp_path / "a.outbox", station="a", boot="b1")
    sender = Sender(outbox, hub.endpoint)
    pipeline = load_pipeline(TASK, None)
    introduction = StationStarted(
        site="s", line="l", name="A", camera="rtsp camera", task=task_info(TASK), model="shipped"
    )
    # Four times as fast as a real camera: slow enough for a busy machine to keep up with.
    with RtspServer(tmp_path / recording.video, pace=4) as server:

        def open_camera(on_state: Callable[[SourceState, str], None]) -> Source:
            return open_source(
                server.url,
                rate_hz=pipeline.rate_hz,
                size=pipeline.image_size,
                on_state=on_state,
            )

        station = Station(
            introduction, open_camera, pipeline, Reporter(TASK, boot="b1"), outbox, sender
        )
        watching = threading.Thread(
            target=station.run, args=(stop,), kwargs={"leave_when_finished": False}
        )
        watching.start()
        wait_for(store, lambda detail: bool(detail.cycles and detail.cycles[0].segments))
        server.refusing = True
        detail = wait_for(store, lambda detail: detail.status.health == "reconnecting")
        stop.set()
        watching.join(30)
        assert not watching.is_alive(), "a station whose camera is away stops when told"
    assert sender.flush(30)
    sender.close()
    outbox.close()
    detail = read(store)
    hub_stop.set()
    serving.join()
    hub.close()
    store.close()
    assert detail is not None
    seen = [segment.step for cycle in detail.cycles for segment in cycle.segments]
    truth = {segment.label for segment in recording.segments}
    assert len(truth & set(seen)) >= len(truth) - 2, seen
    assert all(cycle.ended_at for cycle in detail.cycles), "what was begun is ended"
