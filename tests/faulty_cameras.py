"""Cameras for tests that run in a camera's own process, and go wrong there.

Each yields numbered pictures; its address is a file that counts the connections, so that a later
one can go well, or the number of pictures.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.cameras.frame import Shot, SourceError
from edge.cameras.view import Scaler, View
from tests.clip import numbered

INTERVAL_S = 0.04


def paced(view: View, begin: int = 0) -> Iterator[Shot]:
    """Yield numbered pictures as a camera of 25 Hz does, without end."""
    began_s = time.monotonic()
    for index in range(begin, 10**6):
        time.sleep(max(0.0, began_s + (index - begin) * INTERVAL_S - time.monotonic()))
        yield shot(index, view)


def shot(index: int, view: View, size: tuple[int, int] = (64, 48)) -> Shot:
    return Shot(
        index * INTERVAL_S,
        lambda: view.of_bgr(numbered(index, size), Scaler()),
        interval_s=INTERVAL_S,
    )


def good(address: str, view: View) -> Generator[Shot]:
    """Yield pictures without end."""
    yield from paced(view)


def hangs_in_c_once(address: str, view: View) -> Generator[Shot]:
    """Stop for ever behind the third picture, in C and with the interpreter held; later work."""
    counter = Path(address)
    is_first = not counter.exists()
    counter.touch()
    for index, picture in enumerate(paced(view)):
        if is_first and index == 3:
            hang()
        yield picture


def hangs_at_once(address: str, view: View) -> Generator[Shot]:
    """Stop for ever before the first picture."""
    hang()
    yield from paced(view)


def hang() -> None:
    ctypes.PyDLL(None).pause()  # PyDLL does not release the interpreter


class HangingCapture:
    """Stands where `cv2.VideoCapture` would; its driver gives three pictures and hangs."""

    def __init__(self, index: int) -> None:
        self._num_pictures = 0

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        return True

    def grab(self) -> bool:
        time.sleep(INTERVAL_S)
        if self._num_pictures == 3:
            hang()
        self._num_pictures += 1
        return True

    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
        return True, numbered(self._num_pictures)

    def release(self) -> None:
        pass


def usb_driver_hangs(address: str, view: View) -> Generator[Shot]:
    """Read a USB camera whose driver hangs."""
    import cv2

    from edge.cameras import usb_camera

    cv2.VideoCapture = HangingCapture  # type: ignore[assignment,misc]
    usb_camera.DEVICES = Path(address)
    yield from usb_camera.usb_camera_shots("0", view)


def burst(address: str, view: View) -> Generator[Shot]:
    """Yield as many pictures as the address says at once, then one more each second."""
    for index in range(int(address)):
        yield shot(index, view)
    while True:
        time.sleep(1.0)
        yield Shot(None, None, intact=False, interval_s=0.0)


def changes_size(address: str, view: View) -> Generator[Shot]:
    """Yield pictures whose size is another one each time."""
    for index in range(int(address)):
        time.sleep(INTERVAL_S)
        yield shot(index, view, (64 + 16 * (index % 3), 48))
    yield from paced(view, int(address))


def dies(address: str, view: View) -> Generator[Shot]:
    """End the process without a word."""
    os._exit(3)
    yield from paced(view)


def refuses(address: str, view: View) -> Generator[Shot]:
    """Fail with the address as the reason."""
    raise SourceError(address)
    yield from paced(view)
