"""How long a thread was ready to run and had no core, which is not waiting for a camera."""

from __future__ import annotations

from pathlib import Path

SCHEDSTAT = Path("/proc/thread-self/schedstat")


def run_delay_s() -> float:
    """Return the seconds that the calling thread has waited for a core since it began.

    They are the second number of `schedstat`, in nanoseconds (Documentation/scheduler/
    sched-stats.rst in the kernel). 0 where the kernel does not count them: reads then look as if
    they waited longer for the camera than they did.
    """
    try:
        return int(SCHEDSTAT.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0
