"""Writes an `.eaf` with pympi-ling and reads ours with it: `elan_pympi.py OURS VIDEOS OUT`.

pympi-ling is a library for ELAN's files, not ELAN.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from pympi import Eaf
from story import RATE_HZ, STORY, VIDEO, write_read


def write(path: Path) -> None:
    document = Eaf(author="Linewatch")
    document.remove_tier("default")
    document.add_tier("steps")
    document.add_linked_file(f"file:///{VIDEO}", relpath=f"./{VIDEO}", mimetype="video/mp4")
    for label, start, end in STORY:
        document.add_annotation(
            "steps", start * 1000 // RATE_HZ, end * 1000 // RATE_HZ, value=label
        )
    document.to_file(str(path))


def read(path: Path) -> list[tuple[str, float, float]]:
    rows = Eaf(str(path)).get_annotation_data_for_tier("steps")
    return [(label, start * RATE_HZ / 1000, end * RATE_HZ / 1000) for start, end, label, *_ in rows]


if __name__ == "__main__":
    ours, _, out = map(Path, sys.argv[1:])
    write(out / "elan-pympi.eaf")
    write_read(out, f"pympi-ling {version('pympi-ling')}", read(ours / "bench.eaf"))
