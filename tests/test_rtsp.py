"""RTSP: what the tests' server sends is what is read, and a camera that fails is got back."""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge.cameras.frame import Source, SourceError
from edge.cameras.live_source import QUEUE_FRAMES
from edge.cameras.network_camera import masked, network_camera_shots
from edge.cameras.sources import open_source
from edge.cameras.view import Scaler, View
from tests.clip import number_of, numbered, write_clip
from tests.rtsp_server import RtspServer


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 4 s of numbered frames at 25 Hz, a key frame each second."""
    return write_clip(
        tmp_path_factory.mktemp("clip") / "numbered.mp4", [i / 25 for i in range(100)]
    )


@pytest.mark.parametrize("pace", [math.inf, 8.0])
@pytest.mark.parametrize("rate_hz", [10, 25])
def test_the_pictures_and_times_over_rtsp_are_those_of_the_file(
    tmp_path: Path, pace: float, rate_hz: int
) -> None:
    times = [i / rate_hz for i in range(12 * rate_hz)]  # the RTP time stamps wrap after 9 s
    path = write_clip(tmp_path / "noise.mp4", times, size=(320, 240), noise=True)
    with av.open(str(path)) as file:
        expected = [(f.time, View().of(f, Scaler())) for f in file.decode(video=0)]
    with RtspServer(path, pace=pace) as server:
        received = []
        for shot in network_camera_shots(server.url, View()):
            assert shot.image is not None
            assert shot.intact
            received.append((shot.pts_s, shot.image()))
    assert len(received) == len(expected) == len(times)
    for (got_s, got), (expected_s, image) in zip(received, expected, strict=True):
        assert got_s == pytest.approx(expected_s, abs=1e-3)
        np.testing.assert_array_equal(got, image)


def test_minutes_of_video_pass_faster_than_real_time(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", [i / 10 for i in range(3000)])
    with RtspServer(path, pace=math.inf) as server:
        shots = list(network_camera_shots(server.url, View()))
    assert len(shots) == 3000
    assert shots[-1].pts_s == pytest.approx(299.9, abs=1e-3)


def test_a_looping_server_goes_on_behind_the_end(clip: Path) -> None:
    with RtspServer(clip, pace=math.inf, loops=True) as server:
        shots = network_camera_shots(server.url, View())
        times = [shot.pts_s for _, shot in zip(range(250), shots, strict=False)]
        shots.close()
    assert times == pytest.approx([i / 25 for i in range(250)], abs=1e-3)


def test_a_live_source_samples_by_time_stamps(clip: Path) -> None:
    with RtspServer(clip, pace=4) as server, opened(server.url, rate_hz=5) as source:
        frames = [next(source) for _ in range(20)]
    assert [number_of(frame.image) for frame in frames] == list(range(0, 100, 5))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 5 for i in range(20)], abs=1e-3)
    assert frames[0].image.shape == (48, 64, 3)
    elapsed = (frames[-1].captured_at - frames[0].captured_at).total_seconds()
    assert elapsed == pytest.approx(3.8, abs=1e-3)


def test_a_camera_that_hangs_up_is_got_back_and_time_goes_on(clip: Path) -> None:
    states: list[tuple[str, str]] = []
    with (
        RtspServer(clip, pace=4, continues=True) as server,
        open_source(
            server.url, rate_hz=5, size=None, on_state=lambda *s: states.append(s)
        ) as source,
    ):
        before = [next(source) for _ in range(8)]
        server.disconnect()
        after = [next(source) for _ in range(8)]
    times = [frame.time_s for frame in before + after]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert [state for state, _ in states[:3]] == ["connected", "reconnecting", "connected"]
    assert "trying again in" in states[1][1]
    assert server.num_connections >= 2


def test_a_camera_that_stalls_is_left_and_opened_anew(clip: Path) -> None:
    states: list[tuple[str, str]] = []
    with (
        RtspServer(clip, loops=True) as server,
        open_source(
            server.url, rate_hz=5, size=None, on_state=lambda *s: states.append(s)
        ) as source,
    ):
        last = next(source)
        server.stall()
        wait_for(lambda: len(states) == 2)
        server.resume()
        wait_for(lambda: len(states) == 3)
        behind = next(frame for frame in source if frame.time_s > last.time_s + 1.5)
    assert [state for state, _ in states] == ["connected", "reconnecting", "connected"]
    assert "2 s without data" in states[1][1]
    assert behind.time_s > last.time_s + 1.9  # the gap of the stall is in the times


def test_a_camera_that_refuses_for_a_while_is_tried_until_it_is_there(clip: Path) -> None:
    states: list[str] = []
    with (
        RtspServer(clip, loops=True) as server,
        open_source(
            server.url, rate_hz=5, size=None, on_state=lambda s, _: states.append(s)
        ) as source,
    ):
        next(source)
        server.refusing = True
        server.disconnect()
        wait_for(lambda: states.count("reconnecting") >= 2)
        server.refusing = False
        wait_for(lambda: states.count("connected") == 2)
        assert next(source).time_s > 0


def test_a_late_consumer_gets_the_newest_frames_and_the_others_are_counted(clip: Path) -> None:
    with RtspServer(clip, pace=math.inf) as server, opened(server.url, rate_hz=25) as source:
        wait_for(lambda: source.dropped == 100 - QUEUE_FRAMES)
        frames = [next(source) for _ in range(QUEUE_FRAMES)]
    assert [number_of(f.image) for f in frames] == list(range(100 - QUEUE_FRAMES, 100))


def test_closing_ends_the_iteration_in_another_thread(clip: Path) -> None:
    with RtspServer(clip, loops=True) as server:
        source = opened(server.url, rate_hz=5)
        consumer = threading.Thread(target=lambda: list(source))
        consumer.start()
        source.close()
        consumer.join(10)
        assert not consumer.is_alive()


def test_an_address_where_nobody_answers_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SourceError, match=f"rtsp://127.0.0.1:{port}/x: cannot be read .*check"):
        opened(f"rtsp://127.0.0.1:{port}/x", rate_hz=5)


def test_an_address_that_accepts_and_says_nothing_is_an_error_within_the_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(SourceError, match=r"does not answer .*3 s to open"):
            opened(url, rate_hz=5)


def test_a_password_is_in_no_message_and_no_log(
    clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    states: list[str] = []
    with RtspServer(clip, loops=True) as server:
        secret = server.url.replace("rtsp://", "rtsp://admin:hunter2@") + "?token=hunter3"
        with open_source(
            secret, rate_hz=5, size=None, on_state=lambda *s: states.append(str(s))
        ) as source:
            next(source)
            server.refusing = True
            server.disconnect()
            wait_for(lambda: len(states) >= 3)
            assert "***" in source.name
    with pytest.raises(SourceError) as error:
        opened(secret, rate_hz=5)
    told = "".join([caplog.text, *states, repr(error.value), source.name])
    assert error.value.__suppress_context__ or error.value.__context__ is None
    assert "hunter" not in told
    assert "admin" not in told


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.7/live", "rtsp://10.0.0.7/live"),
        ("rtsp://u:p@10.0.0.7:554/live", "rtsp://***@10.0.0.7:554/live"),
        (
            "rtsp://u:p@q/r@10.0.0.7/live",
            "rtsp://***@10.0.0.7/live",
        ),  # an unescaped slash in the password
        ("http://10.0.0.7/mjpg?user=u&pwd=p", "http://10.0.0.7/mjpg?***"),
        ("rtsp://u:p@[fe80::1/live", "rtsp://***@[fe80::1/live"),  # not an address at all
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.fixture
def mjpeg_url() -> Iterator[str]:
    """Serve ten numbered pictures, one each 100 ms, the way a camera serves MJPEG."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for index in range(10):
                jpeg = cv2.imencode(".jpg", numbered(index * 5))[1].tobytes()
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                self.wfile.write(b"Content-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg))
                time.sleep(0.1)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Camera) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/stream"
        server.shutdown()
        thread.join()


def test_mjpeg_over_http_takes_its_time_from_the_arrival(mjpeg_url: str) -> None:
    shots = network_camera_shots(mjpeg_url, View())
    times = [next(shots).pts_s or 0.0 for _ in range(9)]
    shots.close()
    assert times[-1] - times[0] > 0.5  # ffmpeg's own 25 Hz would say 0.36


def opened(url: str, *, rate_hz: float) -> Source:
    return open_source(url, rate_hz=rate_hz, size=None)


def wait_for(condition: object, limit_s: float = 30.0) -> None:
    assert callable(condition)
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.02)


def test_a_camera_that_is_skipped_too_long_is_connected_to_anew(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too late, and far from its next key picture; packets that make no picture are the same."""
    monkeypatch.setattr("edge.cameras.network_camera.PICTURE_S", 0.2)
    monkeypatch.setattr("edge.cameras.network_camera.Backlog.skips", lambda *_, **__: True)
    with RtspServer(clip, pace=1.0) as server:
        shots = network_camera_shots(server.url, View())
        assert next(shots).image is None
        with pytest.raises(SourceError, match=r"gives no picture for 0.2 s"):
            list(shots)
