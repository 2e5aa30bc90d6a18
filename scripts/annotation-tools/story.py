"""What every tool is made to tell: the three segments of tests/annotations/README.md."""

from __future__ import annotations

import json
from pathlib import Path

RATE_HZ = 25
NUM_FRAMES = 100
VIDEO = "bench.mp4"
STORY = (("place base", 10, 34), ("insert gear", 34, 53), ("place base", 60, 82))
"""Label, first frame, frame after the last."""


def write_read(out: Path, version: str, segments: list[tuple[str, float, float]]) -> None:
    """Write `read.json`: which version of the tool read which segments out of our export."""
    rows = [[label.replace("-", " "), start, end] for label, start, end in sorted_rows(segments)]
    (out / "read.json").write_text(json.dumps({"version": version, "segments": rows}))


def sorted_rows(segments: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    return sorted(segments, key=lambda segment: segment[1:])
