"""The gaps between a recording's segments: the time that is background."""

from __future__ import annotations

from industryasm.recording import Recording


def gaps(recording: Recording) -> list[tuple[float, float]]:
    """Return the spans (start_s, end_s) that no segment covers, from 0 to the recording's end."""
    found: list[tuple[float, float]] = []
    covered_s = 0.0
    for segment in recording.segments:
        if segment.start_s > covered_s:
            found.append((covered_s, segment.start_s))
        covered_s = segment.end_s
    if recording.duration_s > covered_s:
        found.append((covered_s, recording.duration_s))
    return found
