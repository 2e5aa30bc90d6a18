"""The pictures of a USB camera, by OpenCV; their time is the moment of their arrival."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.frame import Shot, SourceError
from edge.cameras.view import Scaler, View

DEVICES = Path("/dev")


def usb_camera_shots(index: str, view: View) -> Generator[Shot]:
    """Open USB camera `index` and yield its pictures until it fails, which is a `SourceError`."""
    if sys.platform == "linux":
        _check_device(DEVICES / f"video{int(index)}")
    capture = cv2.VideoCapture(int(index))
    try:
        if not capture.isOpened():
            raise SourceError(
                "cannot be opened; is another program using it, or is it the second device of a "
                "camera, which gives no pictures? Then name another index"
            )
        scaler = Scaler()
        while capture.grab():
            yield Shot(monotonic(), _image(capture, view, scaler))
        raise SourceError("gives no more pictures; check its cable")
    finally:
        capture.release()


def _check_device(device: Path) -> None:
    """Raise `SourceError` for what is no camera: OpenCV itself does not say why it opens none."""
    try:
        mode = device.stat().st_mode
    except OSError:
        raise SourceError(
            f"there is no {device}; plug the camera in or name another index"
        ) from None
    if not stat.S_ISCHR(mode):
        raise SourceError(f"{device} is not a camera; name another index")
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(f"{device} may not be read; add this user to its group, often `video`")


def _image(
    capture: cv2.VideoCapture, view: View, scaler: Scaler
) -> Callable[[], NDArray[np.uint8]]:
    """Return the conversion of the picture that was just grabbed; only samples pay for it."""

    def image() -> NDArray[np.uint8]:
        good, bgr = capture.retrieve()
        if not good:
            raise SourceError("gives a picture that cannot be decoded; check its cable")
        return view.of_bgr(np.asarray(bgr, dtype=np.uint8), scaler)

    return image
