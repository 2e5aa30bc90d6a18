"""The cycles of a data set that nothing is known against, and why the others are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from industryasm.deviation import KnownKind
from industryasm.inspection.annotation_check import check_annotation
from industryasm.recording import DataSet, Recording, RecordingError
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Task

WITH_DEVIATION = "cycle with a known deviation"
WITH_UNEXPECTED = "cycle with unexpected work"
WITHOUT_STEPS = "cycle without a step"
OUTSIDE = "segment outside every cycle"
OTHER_REVISION = "recording of another revision"


@dataclass(frozen=True)
class NormalCycles:
    """The segments of each normal cycle, and how many of what was left out, by reason.

    `operators` made them. `unmarked` recordings say nothing of cycles: each was taken as one.
    """

    cycles: tuple[tuple[Segment, ...], ...]
    operators: int
    unmarked: int
    left_out: Mapping[str, int]


def normal_cycles(
    data: DataSet,
    task: Task,
    *,
    splits: Collection[str] | None = None,
    despite: Collection[KnownKind] = (),
) -> NormalCycles:
    """Gather the normal cycles of `task`, of all splits unless some are named.

    A cycle whose deviations are all of the kinds in `despite` is taken for normal.

    Raises `RecordingError` where no recording is of the task, and for an annotation that cannot be
    read or does not hold together (a label that is no step, cycles that overlap).
    """
    cycles: list[tuple[Segment, ...]] = []
    operators: set[str] = set()
    left_out: Counter[str] = Counter()
    recordings = _recordings(data, task, splits)
    for recording in recordings:
        if recording.task_revision != task.revision:
            left_out[OTHER_REVISION] += 1
            continue
        _check(recording, data, task)
        for segments, fault in _cycles(recording, despite):
            if fault is None:
                cycles.append(segments)
                operators.add(recording.operator)
            else:
                left_out[fault] += 1
        left_out[OUTSIDE] += _num_outside(recording)
    unmarked = sum(not recording.cycles for recording in recordings)
    return NormalCycles(tuple(cycles), len(operators), unmarked, dict(+left_out))


def _recordings(data: DataSet, task: Task, splits: Collection[str] | None) -> list[Recording]:
    names = [name for name in data.index.splits if splits is None or name in splits]
    recordings = [recording for name in names for recording in data.split(name)]
    found = [recording for recording in recordings if recording.task == task.id]
    if not found:
        tasks = ", ".join(sorted({recording.task for recording in recordings})) or "none"
        where = f"{data.folder}: no recording of task {task.id!r}"
        raise RecordingError(f"{where} in split {', '.join(names) or 'none'}; tasks are: {tasks}")
    return found


def _check(recording: Recording, data: DataSet, task: Task) -> None:
    file = str(data.folder / "recordings" / f"{recording.id}.json")
    for problem in check_annotation(recording, file, task):
        if problem.level == "error":
            raise RecordingError(f"{problem}; see `linewatch data validate {data.folder}`")


def _cycles(
    recording: Recording, despite: Collection[KnownKind]
) -> Iterator[tuple[tuple[Segment, ...], str | None]]:
    """Yield the segments of each cycle, and why it is not normal, or None."""
    spans = recording.spans()
    deviating = {found.cycle for found in recording.deviations if found.kind not in despite}
    if not recording.cycles:
        yield tuple(spans), _fault(spans, bool(deviating))
    for cycle in recording.cycles:
        inside = [span for span in spans if cycle.start_s <= span.start_s < cycle.end_s]
        yield tuple(inside), _fault(inside, cycle.number in deviating)


def _fault(segments: Collection[Segment], is_deviating: bool) -> str | None:
    labels = {segment.label for segment in segments} - {BACKGROUND}
    if is_deviating:
        return WITH_DEVIATION
    if UNEXPECTED in labels:
        return WITH_UNEXPECTED
    return None if labels else WITHOUT_STEPS


def _num_outside(recording: Recording) -> int:
    """Count the segments that begin in no cycle, where the recording has cycles."""
    return sum(
        not any(cycle.start_s <= segment.start_s < cycle.end_s for cycle in recording.cycles)
        for segment in recording.segments
        if recording.cycles and segment.label != BACKGROUND
    )
