"""What a thread waits for a core is told apart from what it waits for a camera."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import monotonic, process_time, sleep

import pytest

from edge.cameras import run_queue
from edge.cameras.run_queue import run_delay_s

pytestmark = pytest.mark.timeout(55)
LONG_S = 0.3
# Shares the given core with its starter, until that closes its input.
SPIN = """
import os, sys, threading
os.sched_setaffinity(0, {int(sys.argv[1])})
threading.Thread(target=sys.stdin.read).start()
print("spins", flush=True)
while threading.active_count() > 1:
    pass
"""

needs_schedstat = pytest.mark.skipif(
    not run_queue.SCHEDSTAT.exists(), reason="this kernel does not count what a thread waits"
)


@needs_schedstat
def test_waiting_for_a_core_counts() -> None:
    cores = os.sched_getaffinity(0)
    core = min(cores)
    with subprocess.Popen(
        [sys.executable, "-c", SPIN, str(core)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        os.sched_setaffinity(0, {core})
        try:
            before_s, began_s, began_cpu_s = run_delay_s(), monotonic(), process_time()
            while process_time() - began_cpu_s < LONG_S:
                pass
            delay_s, lost_s = run_delay_s() - before_s, monotonic() - began_s - LONG_S
        finally:
            os.sched_setaffinity(0, cores)
            other.communicate()
    assert delay_s > lost_s / 2
    assert delay_s > 0


@needs_schedstat
def test_sleeping_does_not_count_as_waiting_for_a_core() -> None:
    before_s, began_s = run_delay_s(), monotonic()
    sleep(LONG_S)
    assert monotonic() - began_s - (run_delay_s() - before_s) >= LONG_S * 0.99


def test_a_kernel_that_does_not_count_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_queue, "SCHEDSTAT", tmp_path / "absent")
    assert run_delay_s() == 0.0
