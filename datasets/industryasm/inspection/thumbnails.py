"""Pictures of a video at given times, by PTS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from industryasm.frame_times import read_frame_times
from industryasm.recording import RecordingError

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer


def thumbnails(
    video: Path, times_s: Sequence[float], *, height: int
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield for each of `times_s` the frame that is on screen then: its time and its picture.

    Times are seconds from the first frame; pictures are uint8 (height, W, 3) RGB. Raises
    `RecordingError` for a video that cannot be decoded there.
    """
    import av

    times = read_frame_times(video)
    try:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            if stream.time_base is None:
                raise RecordingError(f"{video}: does not say its unit of time")
            first = min(
                packet.pts
                for packet in container.demux(stream)
                if packet.pts is not None and not packet.is_discard
            )
            for time_s in times_s:
                index = int(np.searchsorted(times.starts_s, time_s, side="right")) - 1
                start_s = float(times.starts_s[max(index, 0)])
                frame = _frame_at(container, stream, first, round(start_s / stream.time_base))
                if frame is None:
                    raise RecordingError(f"{video}: no picture can be decoded at {start_s:.3f} s")
                width = max(frame.width * height // frame.height, 1)
                small = frame.reformat(width=width, height=height, format="rgb24")
                yield start_s, small.to_ndarray()
    except (av.FFmpegError, OSError) as error:
        raise RecordingError(f"{video}: cannot be decoded: {error}") from error


def _frame_at(
    container: InputContainer, stream: VideoStream, first: int, ticks: int
) -> VideoFrame | None:
    """Return the last frame that begins no later than `ticks` after `first`."""
    for origin in (first + ticks, first):  # a file with a poor index may seek to too late
        container.seek(origin, stream=stream, backward=True)
        found: VideoFrame | None = None
        for frame in container.decode(stream):
            if frame.pts is None or frame.pts > first + ticks:
                break
            found = frame
        if found is not None:
            return found
    return None
