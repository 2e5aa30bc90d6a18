"""Twice the load that fits: what is dropped is counted, what is shown is new, memory stays flat."""

from __future__ import annotations

from edge.bench.measurement import Goal, Measurement
from edge.bench.park import CameraPark, Window
from edge.cameras.backlog import MAX_DELAY_S
from edge.cameras.live_source import QUEUE_FRAMES

# Two late pictures more would mean that something queues up which nobody counts.
SPARE_PICTURES = 2
FLAT = 1.05


def overload(
    park: CameraPark, best: Window, *, window_s: float, settle_s: float
) -> list[Measurement]:
    """Watch twice the cameras of `best`, as far as the park has them."""
    park.resize(min(2 * len(best.rates), park.max_cameras))
    window = park.observe(window_s, settle_s=settle_s)
    num_cameras = len(window.rates)
    offered = num_cameras * window.rate_hz * window.seconds
    bound_s = MAX_DELAY_S + (QUEUE_FRAMES + SPARE_PICTURES) / window.rate_hz
    order = "newest first" if window.is_in_order else "OUT OF ORDER"
    note = (
        f"{num_cameras} cameras: {window.num_frames} frames decided, {window.num_dropped} dropped "
        f"and counted, {order}"
    )
    return [
        Measurement(
            "overload_counted_over_offered",
            "twice the load: frames decided or counted as dropped / frames offered",
            "frames",
            (float(window.num_frames + window.num_dropped),),
            (offered,),
            Goal("at least", 0.9),
            note,
        ),
        Measurement(
            "overload_p99_delay_over_bound",
            "twice the load: p99 delay / 2 s of backlog and the pictures that wait",
            "s",
            (window.p99_delay_s,),
            (bound_s,),
            Goal("at most", 1.0),
        ),
        Measurement(
            "overload_memory_end_over_begin",
            "twice the load: memory at the end / at the beginning",
            "MB",
            (window.pss_mb[1],),
            (window.pss_mb[0],),
            Goal("at most", FLAT),
        ),
    ]
