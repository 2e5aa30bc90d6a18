"""The pictures of a folder of images, sorted by name, at a stated rate."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.frame import Shot, SourceError
from edge.cameras.view import Scaler, View

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def image_folder_shots(folder: Path, rate_hz: float, view: View) -> Iterator[Shot]:
    """Yield the images of `folder`, the first at 0 s and each 1 / `rate_hz` after the last.

    An image that cannot be decoded is found out only when it is sampled; it raises `SourceError`,
    because in a folder that somebody put together it is a mistake. So does a folder without images.
    """
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read ({error.strerror})") from error
    if not paths:
        kinds = ", ".join(sorted(SUFFIXES))
        raise SourceError(f"{folder}: holds no images; name a folder of {kinds} files")
    scaler = Scaler()
    for index, path in enumerate(paths):
        yield Shot(index / rate_hz, partial(_read, path, view, scaler), interval_s=1 / rate_hz)


def _read(path: Path, view: View, scaler: Scaler) -> NDArray[np.uint8]:
    try:  # not cv2.imread, which cannot say why it failed
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:  # a header that claims more than OpenCV's 2^30 pixels
        bgr = None
    if bgr is None:
        raise SourceError(f"{path}: cannot be read as an image; take it out of the folder")
    return view.of_bgr(np.asarray(bgr, dtype=np.uint8), scaler)
