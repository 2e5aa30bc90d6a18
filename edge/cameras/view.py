"""Which part of a camera's picture is looked at, upright, and at which size.

A phone that films upright stores the picture lying, with a display matrix that says how to turn
it. It is followed where it turns by quarters or mirrors; any other angle has no picture without
corners, and is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from edge.cameras.frame import SourceError

DISPLAY_MATRIX = "DISPLAYMATRIX"  # AV_FRAME_DATA_DISPLAYMATRIX in libavutil/frame.h


@dataclass(frozen=True)
class View:
    """A region `roi` (x, y, width, height in fractions of the picture) scaled to `size`.

    `size` is (width, height) in pixels; None keeps the camera's own.
    """

    size: tuple[int, int] | None = None
    roi: tuple[float, float, float, float] | None = None

    def of(self, picture: av.VideoFrame, scaler: Scaler) -> NDArray[np.uint8]:
        """Return the view of `picture` as uint8 (H, W, 3) RGB; raise `SourceError` if it cannot.

        Scaling and colour are one pass of the stream's `scaler`. With a region, the whole picture
        is scaled so far that the region has the asked size, and is then cut.
        """
        x, y, width, height = self.roi or (0.0, 0.0, 1.0, 1.0)
        upright = Upright.of(picture)
        full = upright.turned((picture.width, picture.height))
        cut = (max(1, round(full[0] * width)), max(1, round(full[1] * height)))
        if self.size:
            cut, full = self.size, (round(self.size[0] / width), round(self.size[1] / height))
        left, top = (
            min(round(x * full[0]), full[0] - cut[0]),
            min(round(y * full[1]), full[1] - cut[1]),
        )
        rgb = upright.apply(scaler.rgb(picture, upright.turned(full)))
        return np.ascontiguousarray(rgb[top : top + cut[1], left : left + cut[0]])

    def of_bgr(self, picture: NDArray[np.uint8], scaler: Scaler) -> NDArray[np.uint8]:
        """Return the view of OpenCV's kind of picture, uint8 (H, W, 3) BGR."""
        return self.of(av.VideoFrame.from_ndarray(picture, format="bgr24"), scaler)


@dataclass(frozen=True)
class Upright:
    """How a stored picture becomes upright: sides swapped first, then mirrored."""

    swaps: bool = False
    mirrors_x: bool = False
    mirrors_y: bool = False

    @classmethod
    def of(cls, picture: av.VideoFrame) -> Upright:
        """Read the display matrix: x' = a x + c y, y' = b x + d y (libavutil/display.h)."""
        try:
            # not picture.side_data: picture and container would hold each other, and megabytes each
            # would wait for the garbage collector
            matrix = bytes(SideDataContainer(picture)[DISPLAY_MATRIX])  # type: ignore[call-arg]
        except KeyError:
            return cls()
        a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
        if a and d and not (b or c):
            return cls(False, a < 0, d < 0)
        if b and c and not (a or d):
            return cls(True, c < 0, b < 0)
        return cls()

    def turned(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (width, height) of the upright picture from the stored one's, or the reverse."""
        return (size[1], size[0]) if self.swaps else size

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the view of `image` (H, W, 3) that is upright."""
        image = image.transpose(1, 0, 2) if self.swaps else image
        return image[:: -1 if self.mirrors_y else 1, :: -1 if self.mirrors_x else 1]


class Scaler:
    """FFmpeg's scaler for the pictures of one stream; they may change their size on the way.

    Its tables are made once, and it works in the calling thread: left to itself, it would start as
    many threads as there are cores for each picture, for which a picture of 720p takes twice the
    CPU. Only one thread at a time may use it.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def rgb(self, picture: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return `picture` as uint8 (H, W, 3) RGB of `size` (width, height).

        Raises `SourceError` where it cannot be scaled.
        """
        try:
            # bilinear in swscale widens with the factor, so that shrinking does not alias
            scaled = self._reformatter.reformat(
                picture, *size, "rgb24", interpolation="BILINEAR", threads=1
            )
            return np.asarray(scaled.to_ndarray(), dtype=np.uint8)
        except (av.FFmpegError, ValueError, MemoryError) as error:
            have = f"{picture.width}x{picture.height} {picture.format.name}"
            raise SourceError(f"a picture of {have} cannot be scaled to {size}: {error}") from error
