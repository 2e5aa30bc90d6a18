"""A USB camera's pictures and faults; OpenCV really decodes here, from a file in its place."""

from __future__ import annotations

import os
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras import usb_camera
from edge.cameras.frame import SourceError
from edge.cameras.link import Camera
from edge.cameras.live_source import LiveSource
from edge.cameras.usb_camera import usb_camera_shots
from edge.cameras.view import View
from tests.clip import number_of, write_clip

pytestmark = pytest.mark.timeout(55)
open_capture = cv2.VideoCapture


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in the place of /dev, whose `video0` is a character device."""
    (tmp_path / "video0").symlink_to("/dev/null")
    monkeypatch.setattr(usb_camera, "DEVICES", tmp_path)
    return tmp_path


@pytest.fixture
def plugged_in(devices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(devices / "c.mp4", [index / 25 for index in range(12)])
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: open_capture(str(clip)))


@pytest.mark.usefixtures("plugged_in")
def test_pictures_come_in_order_scaled_until_the_cable_is_pulled() -> None:
    shots, numbers, times = usb_camera_shots("0", View((32, 24))), [], []
    for shot in islice(shots, 12):
        assert shot.image is not None
        picture = shot.image()
        assert picture.shape == (24, 32, 3)
        numbers.append(number_of(picture))
        times.append(shot.pts_s or 0.0)
    with pytest.raises(SourceError, match=r"^gives no more pictures; check its cable$"):
        next(shots)
    assert numbers == list(range(12))
    assert all(earlier < later for earlier, later in pairwise(times))  # of arrival


def test_the_colours_are_those_in_front_of_the_camera(
    devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = np.full((48, 64, 3), (30, 30, 200), np.uint8)  # BGR, as OpenCV writes
    cv2.imwrite(str(devices / "red_000.png"), red)
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: open_capture(str(devices / "red_%03d.png")))
    shots = usb_camera_shots("0", View())
    shot = next(shots)
    assert shot.image is not None
    np.testing.assert_allclose(shot.image()[0, 0], (200, 30, 30), atol=2)


def test_a_camera_that_is_not_plugged_in_is_named(devices: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no .*video7; plug the camera in"):
        next(usb_camera_shots("7", View()))


def test_what_is_no_device_is_told_apart(devices: Path) -> None:
    (devices / "video1").write_bytes(b"no camera")
    os.mkfifo(devices / "video2")
    (devices / "video3").mkdir()
    for index in "123":
        with pytest.raises(SourceError, match=rf"video{index} is not a camera; name another"):
            next(usb_camera_shots(index, View()))


def test_a_device_that_may_not_be_read_says_what_to_do(
    devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    with pytest.raises(SourceError, match=r"video0 may not be read; add this user to its group"):
        next(usb_camera_shots("0", View()))


def test_a_device_that_is_no_camera_is_not_waited_for(
    devices: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (devices / "video987").symlink_to("/dev/null")
    with pytest.raises(SourceError, match=r"^cannot be opened; is another program using it"):
        next(usb_camera_shots("987", View()))
    capfd.readouterr()  # OpenCV warns in words of its own


def test_a_driver_that_never_answers_is_killed_with_its_process(devices: Path) -> None:
    camera = Camera("tests.faulty_cameras:usb_driver_hangs", str(devices), View())
    with LiveSource("bench", camera, rate_hz=25.0, silence_s=1.5) as source:
        first = source.process_id
        frames = list(islice(source, 6))  # three of each process
        assert source.process_id != first
        assert source.num_killed == 1
    assert all(earlier.time_s < later.time_s for earlier, later in pairwise(frames))
