"""Renders recordings of a station from a task's vocabulary, with truth exact to the frame.

The picture is made up, and so is the worker; what it is good for, and what not, is said in
`docs/architecture.md`. The same seed gives the same frames.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np

from industryasm.deviation import KnownKind
from industryasm.fault import UserFault
from industryasm.recording import (
    INDEX_FILE,
    AnnotatedCycle,
    AnnotatedDeviation,
    AnnotatedSegment,
    DataSet,
    DataSetIndex,
    Recording,
    SplitName,
    annotation_path,
    write_index,
)
from industryasm.stations.bench import HEIGHT, WIDTH
from industryasm.stations.drawing import Drawing
from industryasm.stations.motion import Worker
from industryasm.stations.operators import Operator, draw_operator
from industryasm.stations.optics import Camera, Optics, draw_camera
from industryasm.stations.script import PLANTABLE, Action, CycleScript, write_script
from industryasm.stations.surroundings import Surroundings
from industryasm.stations.video_writer import VideoWriter
from industryasm.vocabulary import BACKGROUND, Task

RATE_HZ = 10


@dataclass
class _Truth:
    """What an annotator would write down, taken from the script while it is played."""

    segments: list[AnnotatedSegment] = field(default_factory=list)
    cycles: list[AnnotatedCycle] = field(default_factory=list)
    deviations: list[AnnotatedDeviation] = field(default_factory=list)

    def add_action(self, action: Action, cycle: int, start_s: float, end_s: float) -> None:
        if action.label == BACKGROUND:
            return
        self.segments.append(AnnotatedSegment(label=action.label, start_s=start_s, end_s=end_s))
        if action.deviation is None:
            return
        if action.deviation == "rework":  # it began when the part was taken off again
            start_s = self.segments[-2].start_s
        instead = f"took {action.wrong_part}" if action.wrong_part else ""
        self._add(action.deviation, action.label, cycle, start_s, end_s, note=instead)

    def end_cycle(self, number: int, missed: Sequence[str], first_s: float) -> None:
        own = [segment for segment in self.segments if segment.start_s >= first_s]
        start_s, end_s = own[0].start_s, own[-1].end_s
        self.cycles.append(AnnotatedCycle(number=number, start_s=start_s, end_s=end_s))
        for step in missed:
            self._add("missed", step, number, start_s, end_s)

    def _add(
        self, kind: KnownKind, step: str, cycle: int, start_s: float, end_s: float, note: str = ""
    ) -> None:
        self.deviations.append(
            AnnotatedDeviation(
                kind=kind, step=step, cycle=cycle, start_s=start_s, end_s=end_s, note=note
            )
        )


def render_recording(
    task: Task,
    folder: Path,
    *,
    recording_id: str,
    operator: Operator,
    station: str,
    camera: Camera,
    planted: Sequence[KnownKind | None],
    seed: int,
    keep: bool = False,
) -> Recording:
    """Render one video with a cycle for each entry of `planted` and write it with its annotation.

    The video goes to `folder`/videos, the annotation to `folder`/recordings. What is done, who
    passes and how the camera flickers follows from `recording_id` and `seed`. With `keep`, one
    that lies there with this annotation is not rendered again.
    """
    rng = _generator(seed, "recording", task.id, recording_id)
    script = write_script(task, operator, planted, rng=rng)
    num_frames = sum(_num_frames(action) for cycle in script for action in cycle.actions)
    truth = _truth(script)
    video = Path("videos") / f"{recording_id}.mp4"
    path = folder / video
    recording = Recording(
        id=recording_id,
        task=task.id,
        task_revision=task.revision,
        video=video.as_posix(),
        duration_s=num_frames / RATE_HZ,
        rate_hz=RATE_HZ,
        width=WIDTH,
        height=HEIGHT,
        station=station,
        camera=camera.name,
        operator=operator.name,
        annotator="renderer",
        review="generated",
        cycles=tuple(truth.cycles),
        segments=tuple(truth.segments),
        deviations=tuple(truth.deviations),
    )
    if keep and path.is_file() and recording.lies_in(folder):
        return recording
    # An annotation vouches for its video, so it goes before that is another.
    annotation_path(folder, recording_id).unlink(missing_ok=True)
    worker = Worker(task, operator, RATE_HZ, rng)
    drawing = Drawing(task, operator, camera.bench, rng)
    surroundings = Surroundings(rng, num_frames=num_frames, rate_hz=RATE_HZ)
    optics = Optics(camera, rng, rate_hz=RATE_HZ)
    with VideoWriter(path, width=WIDTH, height=HEIGHT, rate_hz=RATE_HZ, crf=camera.crf) as writer:
        _play(script, worker, drawing, surroundings, optics, writer)
    recording.write(folder)
    return recording


def _truth(script: Sequence[CycleScript]) -> _Truth:
    truth, num_frames = _Truth(), 0
    for number, cycle in enumerate(script, start=1):
        first_s = num_frames / RATE_HZ
        for action in cycle.actions:
            start_s = num_frames / RATE_HZ
            num_frames += _num_frames(action)
            truth.add_action(action, number, start_s, num_frames / RATE_HZ)
        truth.end_cycle(number, cycle.missed, first_s)
    return truth


def _play(
    script: Sequence[CycleScript],
    worker: Worker,
    drawing: Drawing,
    surroundings: Surroundings,
    optics: Optics,
    writer: VideoWriter,
) -> None:
    for action in (action for cycle in script for action in cycle.actions):
        for pose in worker.perform(action, _num_frames(action)):
            picture = drawing.draw(pose)
            surroundings.draw(picture, writer.num_frames)
            writer.write(optics.see(picture))
        if action.builds and action.step is not None and action.step.primitive == "pack":
            worker.clear()


def render_data_set(
    task: Task,
    folder: Path,
    *,
    num_recordings: int,
    cycles: int,
    seed: int,
    good: float = 0.5,
    kinds: Sequence[KnownKind] = PLANTABLE,
) -> Iterator[Recording]:
    """Render a data set split by operator and station, yielding each recording when it is written.

    Four recordings of every five are for training, one in ten each for validation and test;
    operators and stations of one split are in no other. A share `good` of the cycles holds no
    departure, the others one of `kinds`. A rendering that was stopped goes on; one that was
    finished, which has its index, is done anew. Raises `UserFault` for a folder that has the index
    of another data set, or of one that was split anew.
    """
    if (folder / INDEX_FILE).exists():
        _begin_anew(folder, task, seed)
    index_file = _index(task, seed, num_recordings)
    split_of = {name: split for split, names in index_file.splits.items() for name in names}
    for index in range(num_recordings):
        recording_id = _recording_id(task, seed, index)
        split = split_of[recording_id]
        rng = _generator(seed, "plan", task.id, str(index))
        yield render_recording(
            task,
            folder,
            recording_id=recording_id,
            **named_looks(f"operator-{split}-{index}", f"station-{split}-{index}", seed),
            planted=[draw_departure(rng, good, kinds) for _ in range(cycles)],
            seed=seed,
            keep=True,
        )
    write_index(folder, index_file)


def _index(task: Task, seed: int, num_recordings: int) -> DataSetIndex:
    splits: dict[SplitName, list[str]] = {"train": [], "validation": [], "test": []}
    for index in range(num_recordings):
        split: SplitName = {3: "validation", 8: "test"}.get(index % 10, "train")  # type: ignore[assignment]
        splits[split].append(_recording_id(task, seed, index))
    ids = {name: tuple(names) for name, names in splits.items()}
    return DataSetIndex(name=f"rendered {task.id}, seed {seed}", splits=ids)


def _recording_id(task: Task, seed: int, index: int) -> str:
    return f"{task.id}-{seed}-{index:04d}"


def _begin_anew(folder: Path, task: Task, seed: int) -> None:
    """Take away what vouches for a finished rendering, the index first; its videos stay.

    Raises `UserFault` where the index is not one that a rendering of `task` and `seed` wrote.
    """
    found = DataSet(folder).index
    names = [name for split in found.splits.values() for name in split]
    if found != _index(task, seed, len(names)):
        raise UserFault(
            f"{folder}: holds the data set {found.name[:80]!r}, which is no rendering of {task.id} "
            f"with seed {seed} as it was written; name another folder"
        )
    (folder / INDEX_FILE).unlink()
    for name in names:
        annotation_path(folder, name).unlink(missing_ok=True)


class Looks(TypedDict):
    """Who works where, before which camera, as `render_recording` takes it."""

    operator: Operator
    station: str
    camera: Camera


def named_looks(operator: str, station: str, seed: int) -> Looks:
    """Draw the worker and the camera of these names; the same for the same names and seed."""
    return {
        "operator": draw_operator(operator, _generator(seed, "operator", operator)),
        "station": station,
        "camera": draw_camera(f"camera-{station}", _generator(seed, "station", station)),
    }


def draw_departure(
    rng: np.random.Generator, good: float, kinds: Sequence[KnownKind]
) -> KnownKind | None:
    """Draw None with probability `good`, else one of `kinds`."""
    if rng.random() < good:
        return None
    return kinds[int(rng.integers(0, len(kinds)))]


def _num_frames(action: Action) -> int:
    return max(round(action.duration_s * RATE_HZ), 1)


def _generator(seed: int, *names: str) -> np.random.Generator:
    words = [zlib.crc32(name.encode()) for name in names]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
