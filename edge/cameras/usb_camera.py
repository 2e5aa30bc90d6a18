"""The pictures of a USB camera, by OpenCV; their time is the moment of their arrival."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.frame import Shot, SourceError
from edge.cameras.view import View


def usb_camera_shots(index: str, view: View) -> Generator[Shot]:
    """Open USB camera `index` and yield its pictures until it fails, which is a `SourceError`."""
    device = Path(f"/dev/video{int(index)}")
    # asked first, because OpenCV writes warnings of its own for a camera that is not there
    if sys.platform == "linux" and not device.exists():
        raise SourceError(f"there is no {device}; plug the camera in or name another index")
    capture = cv2.VideoCapture(int(index))
    try:
        if not capture.isOpened():
            raise SourceError("cannot be opened; is another program using it?")
        while capture.grab():
            yield Shot(monotonic(), _image(capture, view))
        raise SourceError("gives no more pictures; check its cable")
    finally:
        capture.release()


def _image(capture: cv2.VideoCapture, view: View) -> Callable[[], NDArray[np.uint8]]:
    """Return the conversion of the picture that was just grabbed; only samples pay for it."""

    def image() -> NDArray[np.uint8]:
        good, bgr = capture.retrieve()
        if not good:
            raise SourceError("gives a picture that cannot be decoded; check its cable")
        return view.of_bgr(np.asarray(bgr, dtype=np.uint8))

    return image
