"""Decoding, sampling and scaling a file, against FFmpeg's own program on the same file.

One thread each. FFmpeg's time is its own (`-benchmark`), from the first packet on: without the
start of its process. Twice: against decoding alone, and against the same samples in the same size.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from time import perf_counter

import av

from edge.bench.measurement import Goal, NotMeasured, Row, in_turns
from edge.bench.measurement import Measurement as Measured
from edge.cameras.recording_source import RecordingSource
from edge.cameras.video_file import video_file_shots
from edge.cameras.view import View
from industryasm.fault import UserFault

GOAL = Goal("at least", 0.85)
RATE_HZ = 5.0
TIMEOUT_S = 120.0
REAL_TIME = re.compile(r"rtime=([0-9.]+)s")


def decoding(clip: Path, size: tuple[int, int], num_rounds: int) -> list[Row]:
    """Measure `clip` scaled to `size` (width, height); one row for each of FFmpeg's two tasks."""
    rows = {
        "decode_over_ffmpeg": (
            "decode and scale 5 a second / ffmpeg -f null, which only decodes",
            [],
        ),
        "decode_over_ffmpeg_scaled": (
            "decode and scale 5 a second / ffmpeg, the same samples and size",
            ["-vf", f"fps={RATE_HZ:g},scale={size[0]}:{size[1]}"],
        ),
    }
    program = shutil.which("ffmpeg")
    if program is None:
        reason = "ffmpeg is not installed: apt-get install ffmpeg"
        return [NotMeasured(key, what, reason) for key, (what, _) in rows.items()]
    num_pictures = _num_pictures(clip)
    measured: list[Row] = []
    for key, (what, filters) in rows.items():
        command = [
            program,
            "-nostdin",
            "-v",
            "info",
            "-benchmark",
            "-threads",
            "1",
            "-i",
            str(clip),
        ]
        command += [*filters, "-filter_threads", "1", "-an", "-f", "null", "-"]
        numbers = in_turns(
            lambda: num_pictures / _our_s(clip, size),
            lambda command=command: num_pictures / _ffmpeg_s(command),  # type: ignore[misc]
            num_rounds,
        )
        measured.append(Measured(key, what, "pictures/s", *numbers, GOAL, "one thread each"))
    return measured


def _our_s(clip: Path, size: tuple[int, int]) -> float:
    began_s = perf_counter()
    shots = video_file_shots(clip, View(size), RATE_HZ)
    with RecordingSource(str(clip), shots, rate_hz=RATE_HZ) as source:
        for _ in source:
            pass
    return perf_counter() - began_s


def _ffmpeg_s(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    found = REAL_TIME.search(done.stderr)
    if done.returncode or not found:
        raise UserFault(f"{' '.join(command)}: status {done.returncode}: {done.stderr[-300:]}")
    return max(float(found[1]), 1e-3)  # it says milliseconds


def _num_pictures(clip: Path) -> int:
    with av.open(str(clip)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)
