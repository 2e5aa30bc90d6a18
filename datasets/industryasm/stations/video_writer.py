"""Streams pictures into an H.264 file, one at a time: no video is ever held in memory."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


class VideoWriter:
    """Writes uint8 RGB pictures as H.264 by one thread, so that equal pictures give equal files.

    The file is there whole or not at all.
    """

    def __init__(self, path: Path, *, width: int, height: int, rate_hz: int, crf: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.num_frames = 0
        self._tick = Fraction(1, rate_hz)
        self._path, self._part = path, path.with_suffix(f".part{path.suffix}")
        self._container = av.open(str(self._part), "w")
        self._stream = self._container.add_stream("libx264", rate=rate_hz)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._tick
        self._stream.options = {
            "preset": "superfast",
            "crf": str(crf),
            "threads": "1",
            "bf": "0",
            "g": "50",
        }

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            for packet in self._stream.encode(None):
                self._container.mux(packet)
        self._container.close()
        if error is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)

    def write(self, picture: np.ndarray) -> None:
        """Append one (height, width, 3) uint8 RGB picture."""
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self.num_frames, self._tick
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self.num_frames += 1
