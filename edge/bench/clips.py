"""The clips that are measured on: a rendered station as a camera of 720p25 would send it.

The sample recording of a task (320x240, 10 a second) is enlarged, blended to 25 a second and given
a sensor's noise, without which a still bench would cost a decoder nothing. Coded as cameras do it:
H.264 at a usual bit rate, no B-pictures, a key picture every 2 s.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.video_file import video_file_shots
from edge.cameras.view import View

FPS = 25
SIZE, SUB_SIZE = (1280, 720), (640, 360)
BITS_PER_S = {SIZE: 3_000_000, SUB_SIZE: 750_000}  # what such cameras are set to
NOISE_LEVELS = 4.0  # standard deviation in grey levels, of a small sensor indoors
NUM_NOISES = 8
VERSION = 4  # of what is written here; kept clips of another version are not used


@dataclass(frozen=True)
class Clips:
    """The camera's main stream, its sub-stream, and the recording that they show."""

    main: Path
    sub: Path
    recording: Path


def bench_clips(recording: Path, seconds: float, folder: Path | None = None) -> Clips:
    """Return both clips of the first `seconds` of `recording`, made in `folder` if not there yet.

    Without `folder` they are kept in the system's temporary folder for the next run.
    """
    place = folder or Path(tempfile.gettempdir()) / "linewatch-bench"
    place.mkdir(parents=True, exist_ok=True)
    paths = []
    for size in (SIZE, SUB_SIZE):
        name = f"{recording.stem}-{size[0]}x{size[1]}-{seconds:g}s-v{VERSION}.mp4"
        if not (place / name).is_file():
            with tempfile.TemporaryDirectory(dir=place) as scratch:
                fresh = Path(scratch) / name
                _write(fresh, recording, size, seconds)
                fresh.replace(place / name)  # whole or not at all
        paths.append(place / name)
    return Clips(paths[0], paths[1], recording)


def _write(path: Path, recording: Path, size: tuple[int, int], seconds: float) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = BITS_PER_S[size]
        stream.options = {"bf": "0", "g": str(2 * FPS), "preset": "veryfast"}
        for index, picture in enumerate(_pictures(recording, size, seconds)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _pictures(
    recording: Path, size: tuple[int, int], seconds: float
) -> Iterator[NDArray[np.uint8]]:
    """Yield uint8 (H, W, 3) RGB at `FPS`, each between the two of the recording around it."""
    random = np.random.default_rng(0)
    noises = [
        random.normal(0, NOISE_LEVELS, (size[1], size[0], 3)).astype(np.int16)
        for _ in range(NUM_NOISES)
    ]
    before: tuple[float, NDArray[np.uint8]] | None = None
    index = 0
    for shot in video_file_shots(recording, View(size), rate_hz=1000.0):
        if shot.image is None or shot.pts_s is None:
            continue
        after = (shot.pts_s, shot.image())
        while before is not None and index / FPS < min(after[0], seconds):
            share = (index / FPS - before[0]) / max(after[0] - before[0], 1e-6)
            between = cv2.addWeighted(before[1], 1 - share, after[1], share, 0)
            noise = noises[random.integers(NUM_NOISES)]
            yield np.asarray(cv2.add(between, noise, dtype=cv2.CV_8U), np.uint8)  # saturates
            index += 1
        if index / FPS >= seconds:
            return
        before = after
