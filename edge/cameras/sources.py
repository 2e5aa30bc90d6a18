"""Opens whatever a person names as the source of pictures: file, folder, USB camera or URL."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from edge.cameras.frame import NETWORK_SCHEMES, Source, SourceError, StateCallback
from edge.cameras.image_folder import image_folder_shots
from edge.cameras.link import Camera
from edge.cameras.live_source import LiveSource
from edge.cameras.network_camera import masked
from edge.cameras.read_ahead import ReadAhead
from edge.cameras.recording_source import RecordingSource
from edge.cameras.video_file import video_file_shots
from edge.cameras.view import View
from models.whole_files import holds

# named, because they are called in the camera's own process
NETWORK_CAMERA = "edge.cameras.network_camera:network_camera_shots"
USB_CAMERA = "edge.cameras.usb_camera:usb_camera_shots"
MAX_DECODE_THREADS = 4


def open_source(
    spec: str,
    *,
    rate_hz: float,
    size: tuple[int, int] | None,
    live: bool = False,
    roi: tuple[float, float, float, float] | None = None,
    on_state: StateCallback | None = None,
) -> Source:
    """Open `spec` and return its frames, sampled at `rate_hz` and scaled to `size` (width, height).

    `spec` is a video file, a folder of images, one for each sampling instant or with a rate of
    their own (`pictures@10`), the index of a USB camera (`0`), or a URL of a network camera (rtsp,
    rtsps, http, https). `live` paces a file or folder in real time; else it is decoded ahead in a
    thread. `roi` is the region looked at, (x, y, width, height) in fractions of the picture.
    `on_state` is told, from another thread, when a camera is lost and got back.
    Raises `SourceError`, one line, when it cannot be opened or gives no picture.
    """
    view = View(size, roi)
    scheme, separator, _ = spec.partition("://")
    if separator:
        if scheme.lower() not in NETWORK_SCHEMES:
            known = ", ".join(NETWORK_SCHEMES)
            raise SourceError(
                f"{masked(spec)}: unknown kind of address {scheme!r}; known are {known}"
            )
        camera = Camera(NETWORK_CAMERA, spec, view)
        return LiveSource(masked(spec), camera, rate_hz=rate_hz, on_state=on_state)
    if spec.isascii() and spec.isdigit():
        camera = Camera(USB_CAMERA, spec, view)
        return LiveSource(f"USB camera {spec}", camera, rate_hz=rate_hz, on_state=on_state)
    if not spec.strip():
        raise SourceError("the source is empty: name a file, a folder, a USB index or a URL")
    folder, fps = _folder_and_rate(spec, rate_hz)
    if fps is None:
        num_threads = 1 if live else decode_threads()
        shots = video_file_shots(Path(spec), view, rate_hz, num_threads=num_threads)
    else:
        shots = image_folder_shots(folder, fps, view)
    recording = RecordingSource(spec, shots, rate_hz=rate_hz, live=live)
    return recording if live else ReadAhead(recording)


def decode_threads() -> int:
    """Return how many threads decode a file that nobody waits for: one more than cores, as FFmpeg.

    At most four, because each holds pictures and the encoder wants the cores too.
    """
    num_cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(num_cores + 1, MAX_DECODE_THREADS) if num_cores > 1 else 1


def _folder_and_rate(spec: str, rate_hz: float) -> tuple[Path, float | None]:
    """Split `pictures@10` where that names a folder; the rate is None for what is no folder."""
    if holds(Path.is_dir, spec):
        return Path(spec), rate_hz
    name, _, rate = spec.rpartition("@")
    if not name or not holds(Path.is_dir, name):
        return Path(spec), None
    try:
        fps = float(rate)
    except ValueError:
        fps = math.nan
    if not 0 < fps <= 1000:
        raise SourceError(f"{spec}: {rate!r} images a second; give a number from above 0 to 1000")
    return Path(name), fps
