"""Starts a module of this tree in several processes, as a user does by `torchrun`."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 280


def torchrun(
    module: str, arguments: list[str], *, processes: int = 2, restarts: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` in processes on this machine; killed ones are started so often again.

    Raises `subprocess.TimeoutExpired` after `TIMEOUT_S`.
    """
    launcher = [sys.executable, "-m", "torch.distributed.run", "--max-restarts", str(restarts)]
    launcher += ["--nproc-per-node", str(processes), "--monitor-interval", "0.2"]
    launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    return subprocess.run(
        [*launcher, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ
        | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "datasets")])},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
