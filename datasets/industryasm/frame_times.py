"""When each frame of a recording is: by its PTS, never by its number over a nominal rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from industryasm.recording import RecordingError


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """Where the frames of a recording begin, float64 (T,), ascending, and where the last one ends.

    Seconds from the first frame. Frame i is on screen in [starts_s[i], starts_s[i + 1]).

    >>> times = FrameTimes.regular(num_frames=4, rate_hz=2)
    >>> times.start_of(1), times.start_of(4), times.nearest(1.4)
    (0.5, 2.0, 3)
    """

    starts_s: np.ndarray
    end_s: float

    @classmethod
    def regular(cls, *, num_frames: int, rate_hz: float) -> FrameTimes:
        """Return a regular grid, for published frame numbers without their video."""
        return cls(np.arange(num_frames) / rate_hz, num_frames / rate_hz)

    def __len__(self) -> int:
        return len(self.starts_s)

    def start_of(self, frame_index: int) -> float:
        """Return where a frame begins; for T, one past the last, where the last one ends."""
        if not 0 <= frame_index <= len(self):
            raise IndexError(f"frame {frame_index} of {len(self)}")
        return float(self.starts_s[frame_index]) if frame_index < len(self) else self.end_s

    def nearest(self, time_s: float) -> int:
        """Return the frame, from 0 to T, whose beginning is nearest to `time_s`."""
        bounds = np.append(self.starts_s, self.end_s)
        after = int(np.searchsorted(bounds, time_s))
        if after == 0 or after == len(bounds):
            return min(after, len(self))
        return after if bounds[after] - time_s < time_s - bounds[after - 1] else after - 1


def read_frame_times(video: Path) -> FrameTimes:
    """Read the frames' times from a video's packets, without decoding a picture.

    Packets that the container says are not shown, as before a trimmed MP4's cut, are no frames.
    Raises `RecordingError` for a file that is no video, and for frames without a time.
    """
    import av

    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise RecordingError(f"{video}: has no video stream")
            stream = container.streams.video[0]
            spans = sorted(
                (
                    float(packet.pts * stream.time_base),
                    float((packet.duration or 0) * stream.time_base),
                )
                for packet in container.demux(stream)
                if packet.pts is not None and stream.time_base is not None and not packet.is_discard
            )
    except (av.FFmpegError, OSError) as error:
        raise RecordingError(f"{video}: cannot be read as a video: {error}") from error
    if not spans:
        raise RecordingError(f"{video}: has no frame with a time")
    starts = np.array([start for start, _ in spans]) - spans[0][0]
    usual = float(np.median(np.diff(starts))) if len(starts) > 1 else 0.0
    return FrameTimes(starts, float(starts[-1]) + (spans[-1][1] or usual))
