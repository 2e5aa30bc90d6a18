"""The NVIDIA GPU of this machine, as its driver's own program tells."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

QUERY = "name,compute_cap,driver_version,memory.total"
PROBE_S = 10.0


@dataclass(frozen=True)
class Gpu:
    """One GPU; `capability` is its compute capability: (8, 9) for Ada.

    `memory_mib` is None where it has none of its own: DGX Spark and Jetson share the processor's.
    """

    name: str
    capability: tuple[int, int]
    driver: str
    memory_mib: int | None

    @property
    def target(self) -> str:
        """The architecture that code is built for.

        >>> Gpu("L4", (8, 9), "580.1", 23034).target
        'sm89'
        """
        return "sm{}{}".format(*self.capability)


def find_gpu() -> tuple[Gpu | None, str]:
    """Return the first GPU, or None and the reason why there is none to be used."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None, "no NVIDIA GPU: nvidia-smi, which comes with its driver, is not here"
    command = [program, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_S, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"no NVIDIA GPU: nvidia-smi does not answer ({type(error).__name__})"
    gpu = parse_gpu(done.stdout) if done.returncode == 0 else None
    if gpu is None:
        said = (done.stdout + done.stderr).strip().splitlines()
        return None, f"no NVIDIA GPU: nvidia-smi says {said[0][:100] if said else 'nothing'!r}"
    return gpu, ""


def parse_gpu(table: str) -> Gpu | None:
    """Return the first GPU of nvidia-smi's table, None where a line is not as expected.

    >>> parse_gpu("NVIDIA L4, 8.9, 580.65.06, 23034")
    Gpu(name='NVIDIA L4', capability=(8, 9), driver='580.65.06', memory_mib=23034)
    >>> parse_gpu("NVIDIA GB10, 12.1, 580.95.05, [N/A]").memory_mib is None
    True
    >>> parse_gpu("No devices were found")
    """
    match = re.match(r"(.{1,100}), (\d+)\.(\d+), ([^,\n]+), (.+)$", table, re.MULTILINE)
    if match is None:
        return None
    memory_mib = int(match[5]) if match[5].strip().isdecimal() else None
    return Gpu(match[1], (int(match[2]), int(match[3])), match[4], memory_mib)
