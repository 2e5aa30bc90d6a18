"""What this machine is: processor, memory, GPU, and the versions of what a station runs on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from models.runtimes.gpu import Gpu, find_gpu

FLAGS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_tile": "AMX",
    "amx_bf16": "AMX-BF16",
    "amx_int8": "AMX-INT8",
    "asimddp": "NEON dot product",
    "bf16": "NEON bf16",
}
"""What of the processor's instructions makes networks faster: Linux's word, everybody's word."""

PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "nncf",
    "tensorrt",
    "tensorrt-rtx",
    "av",
    "numpy",
)


@dataclass(frozen=True)
class Machine:
    """One machine; `packages` are versions by name, None for what is not installed."""

    processor: str
    cores: int
    usable_cores: int
    instructions: tuple[str, ...]
    memory_gib: float | None
    gpu: Gpu | None
    no_gpu: str
    packages: dict[str, str | None]
    onnxruntime_providers: tuple[str, ...]
    ffmpeg: str
    python: str


def this_machine() -> Machine:
    """Look at the machine that this runs on."""
    import av
    import onnxruntime

    about = parse_cpuinfo(_read(Path("/proc/cpuinfo")))
    gpu, no_gpu = find_gpu()
    return Machine(
        processor=about.get("model name") or platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        usable_cores=len(os.sched_getaffinity(0)),
        instructions=instructions(about.get("flags") or about.get("Features") or ""),
        memory_gib=memory_gib(_read(Path("/proc/meminfo"))),
        gpu=gpu,
        no_gpu=no_gpu,
        packages={name: _version(name) for name in PACKAGES},
        onnxruntime_providers=tuple(onnxruntime.get_available_providers()),
        ffmpeg=str(av.ffmpeg_version_info),
        python=platform.python_version(),
    )


def parse_cpuinfo(text: str) -> dict[str, str]:
    """Return what Linux says of the first core.

    >>> parse_cpuinfo("model name\\t: AMD EPYC\\nflags\\t\\t: fpu avx2\\n\\nmodel name\\t: other")
    {'model name': 'AMD EPYC', 'flags': 'fpu avx2'}
    """
    first = text.strip().partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def instructions(flags: str) -> tuple[str, ...]:
    """Return which of `FLAGS` a processor has.

    >>> instructions("fpu avx2 amx_tile amx_bf16")
    ('AVX2', 'AMX', 'AMX-BF16')
    """
    present = set(flags.split())
    return tuple(name for flag, name in FLAGS.items() if flag in present)


def has_bf16() -> bool:
    """Tell whether this machine's processor computes in bfloat16 faster than in float32."""
    about = parse_cpuinfo(_read(Path("/proc/cpuinfo")))
    return bool({"AVX512-BF16", "AMX-BF16"} & set(instructions(about.get("flags") or "")))


def memory_gib(text: str) -> float | None:
    """Return the memory that `/proc/meminfo` speaks of.

    >>> memory_gib("MemTotal:       24689532 kB\\nMemFree: 1 kB")
    23.5
    """
    for line in text.splitlines():
        if line.startswith("MemTotal:"):
            return round(int(line.split()[1]) / 2**20, 1)
    return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
