"""What can be said of a recording without a look at it: the yardstick that a model must beat.

It knows from training recordings which steps are usual and when, relative to a recording's length,
and of the recording that it is asked about the length alone.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from industryasm.recording import Recording
from industryasm.repairs import Repairs
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, Task
from models.language.instructions import Question
from models.language.segment_answers import segment_answer


@dataclass(frozen=True)
class RelativeSpan:
    """When a step is usually done: start and end in parts of a recording's length."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class BlindPrior:
    """The means of a task's training recordings.

    `usual`: what at least half of the recordings have, in the order of its middle. A step that is
    done several times is so often in it as half of the recordings have it, each time on its own.
    `steps`: each step that was ever done, over all times that it was.
    """

    task: Task
    usual: tuple[RelativeSpan, ...]
    steps: tuple[RelativeSpan, ...]

    @classmethod
    def fit(cls, recordings: Sequence[Recording], task: Task) -> BlindPrior:
        """Take the means; raise `ValueError` for no recording, or one of another task."""
        if others := sorted({r.task for r in recordings} - {task.id}):
            raise ValueError(f"recordings are of task {', '.join(others)}, not of {task.id}")
        if not recordings:
            raise ValueError(f"no recording of task {task.id!r} to know its steps from")
        times: dict[tuple[str, int], list[RelativeSpan]] = defaultdict(list)
        for recording in recordings:
            number: Counter[str] = Counter()
            for span in _relative_spans(recording):
                number[span.label] += 1
                times[span.label, number[span.label]].append(span)
        usual = [_mean(spans) for spans in times.values() if 2 * len(spans) >= len(recordings)]
        steps: dict[str, list[RelativeSpan]] = defaultdict(list)
        for (label, _), spans in times.items():
            steps[label] += spans
        return cls(
            task,
            tuple(sorted(usual, key=_middle)),
            tuple(sorted(map(_mean, steps.values()), key=_middle)),
        )

    def segments(self, duration_s: float) -> list[Segment]:
        """Return the usual steps of a recording of this length, in order and without overlaps.

        Steps whose means overlap part half-way between their middles; one that is left no room
        between its neighbours is left out.
        """
        spans = [_scaled(span, duration_s) for span in self.usual]
        starts_s = [span.start_s for span in spans]
        ends_s = [span.end_s for span in spans]
        for index, (one, following) in enumerate(itertools.pairwise(spans)):
            if one.end_s > following.start_s:
                parted_s = (one.start_s + one.end_s + following.start_s + following.end_s) / 4
                ends_s[index] = min(one.end_s, parted_s)
                starts_s[index + 1] = max(following.start_s, parted_s)
        found: list[Segment] = []
        for start_s, end_s, span in zip(starts_s, ends_s, spans, strict=True):
            # Around one that is left out, two middles may differ by their rounding.
            start_s = max(start_s, found[-1].end_s if found else 0.0)
            if start_s < end_s:
                found.append(Segment(start_s, end_s, span.label))
        return found

    def answer(self, question: Question, repairs: Repairs, *, duration_s: float) -> str:
        """Answer a question about a recording of this length, as `segment_answer`.

        Who is asked when a step is done, is told that it is done: the answer is its mean, usual or
        not, and `none` only where no training recording has it.
        """
        if question.task in ("dense_captioning", "segmentation"):
            said = self.segments(duration_s)
        else:
            said = [_scaled(span, duration_s) for span in self.steps]
        return segment_answer(question, said, self.task, repairs, duration_s=duration_s)


def fit_priors(recordings: Iterable[Recording], tasks: Mapping[str, Task]) -> dict[str, BlindPrior]:
    """Return the prior of each task that the training recordings are of, by the task's name."""
    by_task: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        by_task[recording.task].append(recording)
    return {name: BlindPrior.fit(known, tasks[name]) for name, known in by_task.items()}


def _relative_spans(recording: Recording) -> list[RelativeSpan]:
    length_s = recording.duration_s
    return [
        RelativeSpan(segment.start_s / length_s, segment.end_s / length_s, segment.label)
        for segment in recording.spans()
        if segment.label != BACKGROUND
    ]


def _mean(spans: Sequence[RelativeSpan]) -> RelativeSpan:
    return RelativeSpan(
        statistics.fmean(span.start for span in spans),
        statistics.fmean(span.end for span in spans),
        spans[0].label,
    )


def _middle(span: RelativeSpan) -> float:
    return span.start + span.end


def _scaled(span: RelativeSpan, duration_s: float) -> Segment:
    return Segment(span.start * duration_s, span.end * duration_s, span.label)
