"""Renders recordings of a station from a task's vocabulary, with truth exact to the frame.

The picture is made up, and so is the worker; what it is good for, and what not, is said in
`docs/architecture.md`. The same seed gives the same frames.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from industryasm.bench import HEIGHT, WIDTH, draw_camera, draw_operator
from industryasm.deviation import DEVIATION_KINDS, DeviationKind
from industryasm.drawing import Drawing
from industryasm.motion import Worker
from industryasm.recording import (
    AnnotatedCycle,
    AnnotatedDeviation,
    AnnotatedSegment,
    DataSetIndex,
    Recording,
    SplitName,
    write_index,
)
from industryasm.script import write_script
from industryasm.vocabulary import BACKGROUND, Task

RATE_HZ = 10


@dataclass
class _Truth:
    segments: list[AnnotatedSegment] = field(default_factory=list)
    cycles: list[AnnotatedCycle] = field(default_factory=list)
    deviations: list[AnnotatedDeviation] = field(default_factory=list)


def render_recording(
    task: Task,
    folder: Path,
    *,
    recording_id: str,
    operator: str,
    camera: str,
    planted: Sequence[DeviationKind | None],
    seed: int,
) -> Recording:
    """Render one video with a cycle for each entry of `planted` and write it with its annotation.

    The look of `operator` and `camera` follows from their names and `seed`; the video goes to
    `folder`/videos, the annotation to `folder`/recordings.
    """
    worker_look = draw_operator(operator, _generator(seed, "operator", operator))
    camera_look = draw_camera(camera, _generator(seed, "camera", camera))
    rng = _generator(seed, "recording", task.id, recording_id)
    script = write_script(task, planted, pace=worker_look.pace, rng=rng)
    worker = Worker(task, worker_look, RATE_HZ, rng)
    drawing = Drawing(task, worker_look, camera_look, rng)
    truth = _Truth()
    video = Path("videos") / f"{recording_id}.mp4"
    with VideoWriter(folder / video) as writer:
        for number, cycle in enumerate(script, start=1):
            first = writer.num_frames
            for action in cycle.actions:
                start = writer.num_frames
                for pose in worker.perform(action, max(round(action.duration_s * RATE_HZ), 1)):
                    writer.write(drawing.draw(pose))
                if action.label == BACKGROUND:
                    continue
                span = {"start_s": start / RATE_HZ, "end_s": writer.num_frames / RATE_HZ}
                truth.segments.append(AnnotatedSegment(label=action.label, **span))
                if action.step is not None and action.step.primitive == "pack":
                    worker.clear()
                if action.deviation is not None:
                    truth.deviations.append(
                        AnnotatedDeviation(
                            kind=action.deviation, step=action.label, cycle=number, **span
                        )
                    )
            span = _cycle_span(truth.segments, first / RATE_HZ)
            truth.cycles.append(AnnotatedCycle(number=number, **span))
            for step in cycle.missed:
                missed = AnnotatedDeviation(kind="missed", step=step, cycle=number, **span)
                truth.deviations.append(missed)
        duration_s = writer.num_frames / RATE_HZ
    recording = Recording(
        id=recording_id,
        task=task.id,
        task_revision=task.revision,
        video=video.as_posix(),
        duration_s=duration_s,
        rate_hz=RATE_HZ,
        width=WIDTH,
        height=HEIGHT,
        station="rendered",
        camera=camera,
        operator=operator,
        annotator="renderer",
        review="generated",
        cycles=tuple(truth.cycles),
        segments=tuple(truth.segments),
        deviations=tuple(truth.deviations),
    )
    recording.write(folder)
    return recording


def render_data_set(
    task: Task,
    folder: Path,
    *,
    num_recordings: int,
    cycles: int,
    seed: int,
    good: float = 0.5,
    kinds: Sequence[DeviationKind] = DEVIATION_KINDS,
) -> Iterator[Recording]:
    """Render a data set split by operator and camera, yielding each recording when it is written.

    Four recordings of every five are for training, one in ten each for validation and test;
    operators and cameras of one split are in no other. A share `good` of the cycles holds no
    departure, the others one of `kinds`.
    """
    splits: dict[SplitName, list[str]] = {"train": [], "validation": [], "test": []}
    for index in range(num_recordings):
        split: SplitName = {3: "validation", 8: "test"}.get(index % 10, "train")  # type: ignore[assignment]
        who = f"{split}-{index}"
        recording_id = f"{task.id}-{seed}-{index:04d}"
        rng = _generator(seed, "plan", task.id, str(index))
        planted = [_draw_departure(rng, good, kinds) for _ in range(cycles)]
        yield render_recording(
            task,
            folder,
            recording_id=recording_id,
            operator=f"operator-{who}",
            camera=f"camera-{who}",
            planted=planted,
            seed=seed,
        )
        splits[split].append(recording_id)
    index_file = DataSetIndex(
        name=f"rendered {task.id}, seed {seed}",
        splits={name: tuple(ids) for name, ids in splits.items()},
    )
    write_index(folder, index_file)


class VideoWriter:
    """Streams pictures into an H.264 file by one thread, so that equal frames give equal files."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.num_frames = 0
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream("libx264", rate=RATE_HZ)
        self._stream.width, self._stream.height = WIDTH, HEIGHT
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = Fraction(1, RATE_HZ)
        self._stream.options = {
            "preset": "superfast",
            "crf": "29",
            "threads": "1",
            "bf": "0",
            "g": "50",
        }

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()

    def write(self, picture: np.ndarray) -> None:
        """Append one (240, 320, 3) uint8 RGB picture."""
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self.num_frames, Fraction(1, RATE_HZ)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self.num_frames += 1


def _cycle_span(segments: list[AnnotatedSegment], first_s: float) -> dict[str, float]:
    own = [s for s in segments if s.start_s >= first_s]
    return {"start_s": own[0].start_s, "end_s": own[-1].end_s}


def _draw_departure(
    rng: np.random.Generator, good: float, kinds: Sequence[DeviationKind]
) -> DeviationKind | None:
    if rng.random() < good:
        return None
    return kinds[int(rng.integers(0, len(kinds)))]


def _generator(seed: int, *names: str) -> np.random.Generator:
    words = [zlib.crc32(name.encode()) for name in names]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
