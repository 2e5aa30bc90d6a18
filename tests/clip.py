"""Makes small H.264 clips for tests, whose frames tell their own number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

TIME_BASE = Fraction(1, 90_000)


def numbered(index: int, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) of eight black or white stripes that write `index` % 256."""
    width, height = size
    stripes = np.array([index >> bit & 1 for bit in range(8)], dtype=np.uint8)
    row = stripes[np.arange(width) * 8 // width] * 200 + 25
    return np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8)


def number_of(image: NDArray[np.uint8]) -> int:
    """Return the number that a `numbered` picture (H, W, 3) writes, at any scale."""
    width = image.shape[1]
    centres = [(2 * bit + 1) * width // 16 for bit in range(8)]
    return sum(int(image[:, x].mean() > 128) << bit for bit, x in enumerate(centres))


def write_clip(
    path: Path, times_s: Sequence[float], *, size: tuple[int, int] = (64, 48), noise: bool = False
) -> Path:
    """Write one numbered frame per time to `path` (its suffix says the format), no B-frames.

    With `noise` the frames are coloured noise, which makes key frames of many packets.
    """
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        stream.options = {"bf": "0", "g": "25", "crf": "10", "preset": "ultrafast"}
        for index, time_s in enumerate(times_s):
            image = (
                random.integers(0, 255, (size[1], size[0], 3), np.uint8)
                if noise
                else numbered(index, size)
            )
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time_s / TIME_BASE), TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
