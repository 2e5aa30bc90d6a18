"""What Linux says of processes: CPU time and memory. Other systems have no /proc; they say so."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from industryasm.fault import UserFault

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class NoProcError(UserFault):
    """This system does not say what a process takes."""


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that process `pid` has taken, all threads together."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S  # utime, stime: proc(5)


def pss_mb(pids: Sequence[int]) -> float:
    """Return the memory of processes in MB; what they share counts once among its sharers (PSS)."""
    return _memory_mb(pids, ("Pss:",))


def own_mb(pids: Sequence[int]) -> float:
    """Return what processes hold in MB without what they read of files: what a leak would grow.

    The share of a library that is counted to them changes with the other programs that use it.
    """
    return _memory_mb(pids, ("Pss_Anon:", "Pss_Shmem:"))


def _memory_mb(pids: Sequence[int], kinds: tuple[str, ...]) -> float:
    kilobytes = 0
    for pid in pids:
        for line in _read(pid, "smaps_rollup").splitlines():
            if line.startswith(kinds):
                kilobytes += int(line.split()[1])
    return kilobytes * 1024 / 1e6


def _read(pid: int, name: str) -> str:
    path = Path("/proc") / str(pid) / name
    try:
        return path.read_text()
    except OSError as error:
        raise NoProcError(f"{path}: cannot be read ({error.strerror}); Linux has it") from error
