"""Whether memory grows while cameras are watched: what is held late in the run against early in it.

What is read of files is not counted, and batches of all sizes are encoded before.
"""

from __future__ import annotations

from statistics import median
from time import monotonic, sleep

from edge.bench.measurement import Goal, Measurement
from edge.bench.park import CameraPark
from edge.bench.processes import own_mb

EVERY_S = 1.0
NUM_PARTS = 4
FLAT = 1.02


def memory_growth(park: CameraPark, *, seconds: float) -> Measurement:
    """Watch the park's cameras for `seconds`; compare the second quarter's memory with the last's.

    In the first quarter decoders and allocators still fill their pools.
    """
    park.fill_batches()
    began_s = monotonic()
    values: list[float] = []
    while monotonic() - began_s < seconds or len(values) < NUM_PARTS:
        values.append(own_mb(park.process_ids()))
        sleep(min(EVERY_S, seconds / NUM_PARTS))
    part = len(values) // NUM_PARTS
    early, late = median(values[part : 2 * part]), median(values[-part:])
    minutes = (monotonic() - began_s) / 60
    slope = (late - early) / (minutes * (NUM_PARTS - 2) / NUM_PARTS)
    return Measurement(
        "memory_late_over_early",
        f"memory in the last quarter of {minutes:.1f} minutes / in the second",
        "MB",
        (late,),
        (early,),
        Goal("at most", FLAT),
        f"{len(park.process_ids()) - 1} cameras; slope {slope:+.2f} MB a minute",
    )
