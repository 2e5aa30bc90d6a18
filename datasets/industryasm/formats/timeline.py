"""Brings the rows of a foreign layer into seconds, into the recording and off one another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from industryasm.formats.foreign import MAX_END, ForeignFileError, ForeignRecording, ForeignRow
from industryasm.frame_times import FrameTimes
from industryasm.repairs import Repairs

ROUNDING_S = 0.001
"""ELAN and BORIS keep milliseconds, so that an end may lie this far behind the last frame's."""


@dataclass(frozen=True)
class Timeline:
    """How long a recording is and, for rows counted in frames, when its frames are."""

    place: str
    duration_s: float
    frames: FrameTimes | None = None

    def in_seconds(
        self, rows: Sequence[ForeignRow], *, clip: bool, repairs: Repairs
    ) -> list[ForeignRow]:
        """Return the rows in seconds; what lies behind the end is an error or, to `clip`, cut."""
        limit = len(self.frames) if self.frames else self.duration_s
        fitted = [self._fit(row, limit, clip, repairs) for row in rows]
        kept = [row for row in fitted if row is not None]
        if self.frames is None:
            return kept
        start_of = self.frames.start_of
        return [
            replace(row, start=start_of(int(row.start)), end=start_of(int(row.end))) for row in kept
        ]

    def _fit(
        self, row: ForeignRow, limit: float, clip: bool, repairs: Repairs
    ) -> ForeignRow | None:
        if row.end <= limit:
            return row
        if self.frames is None and row.end - limit <= ROUNDING_S:
            repairs.add("end rounded past the last frame moved to it", row.place)
        elif clip:
            repairs.add("longer than the recording: cut at its end", row.place)
        else:
            unit = "frames" if self.frames else "s"
            raise ForeignFileError(
                f"{row.place}: {row.label!r} ends at {row.end:g}, the recording has {limit:g} "
                f"{unit}; is it the right video (and rate)? --clip cuts what is longer"
            )
        return replace(row, end=limit) if row.start < limit else None


def timeline_of_frames(
    recording: ForeignRecording, frames: FrameTimes, *, clip: bool, repairs: Repairs
) -> Timeline:
    """Return the timeline of a recording counted in frames; compare its length if it says one."""
    if recording.length is not None and recording.length != len(frames):
        what = f"{recording.place}: has {recording.length:g} frames, its video {len(frames)}"
        if recording.length > len(frames) and not clip:
            raise ForeignFileError(
                f"{what}; is it the right video (and rate)? --clip cuts what is longer"
            )
        repairs.add("number of frames differs from the video's", what)
    return Timeline(recording.place, frames.end_s, frames)


def grid(num_frames: int, rate_hz: float, end_s: float | None = None) -> FrameTimes:
    """Return the regular grid on which a tool counted, to the end of the video if there is one.

    Raises `ForeignFileError` for more than MAX_END frames.
    """
    if end_s is not None:
        num_frames = math.ceil(end_s * rate_hz - 1e-6)
    if num_frames > MAX_END:
        raise ForeignFileError(
            f"{num_frames} frames at {rate_hz:g} Hz are more than {MAX_END}, which are possible"
        )
    if end_s is None:
        return FrameTimes.regular(num_frames=num_frames, rate_hz=rate_hz)
    return FrameTimes(np.arange(num_frames) / rate_hz, end_s)


def mean_rate_hz(frames: FrameTimes) -> float | None:
    """Return frames by seconds, or None where that is no camera's rate.

    >>> mean_rate_hz(FrameTimes.regular(num_frames=59, rate_hz=29.97))
    29.97
    """
    rate_hz = round(len(frames) / frames.end_s, 6) if frames.end_s > 0 else 0.0
    return rate_hz if 0 < rate_hz <= 240 else None


def without_overlaps(
    rows: Sequence[ForeignRow], *, cut: bool, repairs: Repairs, remedy: str
) -> list[ForeignRow]:
    """Return the rows in order; where two overlap, raise, or to `cut` end the earlier one.

    Of two that begin together nothing is left of the shorter one.

    >>> rows = [ForeignRow(0, 3, "a"), ForeignRow(2, 4, "b")]
    >>> [row.end for row in without_overlaps(rows, cut=True, repairs=Repairs(), remedy="")]
    [2, 4]
    """
    kept: list[ForeignRow] = []
    for row in sorted(rows, key=lambda row: (row.start, row.end)):
        if kept and row.start < kept[-1].end:
            earlier = kept.pop()
            if not cut:
                raise ForeignFileError(
                    f"{row.place}: {row.label!r} from {row.start:g} s overlaps {earlier.label!r} "
                    f"until {earlier.end:g} s ({earlier.place}); mend one or {remedy}"
                )
            both = f"{earlier.place} / {row.place}"
            if earlier.start < row.start:
                repairs.add("overlap: the earlier segment cut", both)
                kept.append(replace(earlier, end=row.start))
            else:
                repairs.add("overlap of two that begin together: the shorter one left out", both)
        kept.append(row)
    return kept
