"""Which part of a camera's picture is looked at, and at which size."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from edge.frame import SourceError


@dataclass(frozen=True)
class View:
    """A region `roi` (x, y, width, height in fractions of the picture) scaled to `size`.

    `size` is (width, height) in pixels; None keeps the camera's own.
    """

    size: tuple[int, int] | None = None
    roi: tuple[float, float, float, float] | None = None

    def of(self, picture: av.VideoFrame) -> NDArray[np.uint8]:
        """Return the view of `picture` as uint8 (H, W, 3) RGB; raise `SourceError` if it cannot.

        Scaling and colour are one pass of the decoder's scaler. With a region, the whole picture
        is scaled so far that the region has the asked size, and is then cut.
        """
        x, y, width, height = self.roi or (0.0, 0.0, 1.0, 1.0)
        full = (picture.width, picture.height)
        cut = (max(1, round(full[0] * width)), max(1, round(full[1] * height)))
        if self.size:
            cut, full = self.size, (round(self.size[0] / width), round(self.size[1] / height))
        left, top = (
            min(round(x * full[0]), full[0] - cut[0]),
            min(round(y * full[1]), full[1] - cut[1]),
        )
        rgb = _rgb(picture, full)
        return np.ascontiguousarray(rgb[top : top + cut[1], left : left + cut[0]])

    def of_bgr(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the view of OpenCV's kind of picture, uint8 (H, W, 3) BGR."""
        return self.of(av.VideoFrame.from_ndarray(picture, format="bgr24"))


def _rgb(picture: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    try:
        # bilinear in swscale widens with the factor, so that shrinking does not alias
        scaled = picture.reformat(
            width=size[0], height=size[1], format="rgb24", interpolation="BILINEAR"
        )
        return np.asarray(scaled.to_ndarray(), dtype=np.uint8)
    except (av.FFmpegError, ValueError, MemoryError) as error:
        have = f"{picture.width}x{picture.height} {picture.format.name}"
        raise SourceError(f"a picture of {have} cannot be scaled to {size}: {error}") from error
