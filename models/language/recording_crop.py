"""A part of a recording, so that a model can be asked about crops of it."""

from __future__ import annotations

from industryasm.recording import AnnotatedSegment, Recording


def crop_recording(recording: Recording, start_s: float, end_s: float) -> Recording:
    """Return the part [start_s, end_s) of a recording, times counted from its start.

    What a segment has inside is kept; cycles, deviations and tracks are not. Raises `ValueError`
    for a part that is not inside the recording.
    """
    end_s = min(end_s, recording.duration_s)
    if not 0 <= start_s < end_s:
        raise ValueError(f"[{start_s}, {end_s}) is no part of {recording.duration_s} s")
    inside = [
        AnnotatedSegment(
            label=segment.label,
            start_s=max(segment.start_s, start_s) - start_s,
            end_s=min(segment.end_s, end_s) - start_s,
        )
        for segment in recording.segments
        if segment.start_s < end_s and segment.end_s > start_s
    ]
    return recording.model_copy(
        update={
            "duration_s": end_s - start_s,
            "segments": tuple(inside),
            "cycles": (),
            "deviations": (),
            "tracks": (),
        }
    )
