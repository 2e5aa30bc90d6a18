"""Questions and answers from annotated recordings: what the language model is trained and asked.

- Dense captioning: the texts of the steps over their segments; unexpected work has a phrase.
- Grounding: a question for each text of a step that was done. Steps of one text, and steps that
  were done more than once, have several spans: the answer gives all of them, or, where figures need
  one span a question (R@1), the question is not asked, which is counted.
- Highlights: a question as of grounding. The recording is cut into clips of 2 s as in QVHighlights
  (arXiv 2107.09609, section 3), of a multiple of 2 s where there were more than its 75 clips. There
  people scored the clips from 1 to 5. We have no such scores: ours is 1 + 4 * the share of the clip
  in which the step is done. Other clips are no highlights. The time of a clip is its start.
- Segmentation: all segments.

Background is nothing that is asked for or answered. A segment that has no length when its times are
written in tenths cannot be said: it is left out, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from industryasm.fault import UserFault
from industryasm.recording import Recording
from industryasm.repairs import Repairs
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Task
from models.language.answers import CaptionedSpan, Highlight, TimeSpan
from models.language.caption_text import is_caption
from models.language.instructions import (
    LANGUAGE_TASKS,
    LanguageTask,
    Question,
    pick_wording,
    write_instruction,
)
from models.language.step_phrases import UNEXPECTED_PHRASE, StepPhrases
from models.language.target_text import (
    is_writable,
    write_captions,
    write_highlights,
    write_segments,
    write_spans,
)
from models.language.timestamps import MAX_TIME_S

CLIP_S = 2.0
MAX_CLIPS = 75
"""Clips of QVHighlights' recordings, which are 150 s long."""

Repeated = Literal["all", "leave_out"]
Truth = (
    tuple[CaptionedSpan, ...] | tuple[TimeSpan, ...] | tuple[Highlight, ...] | tuple[Segment, ...]
)


class ExampleError(UserFault, ValueError):
    """A recording and a task do not belong together, or the recording is too long to speak of."""


@dataclass(frozen=True)
class Example:
    """A question about a recording, as it is asked, and the answer that is right.

    `truth` has the times as they were annotated, `answer` has them as they are written.
    """

    recording_id: str
    question: Question
    instruction: str
    answer: str
    truth: Truth


def language_examples(
    recording: Recording,
    task: Task,
    repairs: Repairs,
    *,
    seed: int = 0,
    tasks: Collection[LanguageTask] = LANGUAGE_TASKS,
    repeated: Repeated = "all",
    list_steps: bool = True,
) -> list[Example]:
    """Return the questions of the named tasks about a recording, always in the same order.

    `seed` chooses the wordings. `repeated` says what becomes of groundings of steps that were done
    more than once, see above. `list_steps` puts the phrases of the steps into the question of a
    segmentation. What is left out is counted in `repairs`. Raises `ExampleError` when the recording
    is of another task, has a label that is none of it, or is longer than times can be written.
    """
    _check(recording, task)
    segments = _sayable(recording, repairs)
    queries = _queries(segments, task)
    phrases = StepPhrases.of(task)
    asked: list[tuple[Question, Truth, str]] = []
    if "dense_captioning" in tasks:
        captions = _captions(segments, task)
        asked.append((Question("dense_captioning"), captions, write_captions(captions)))
    if "grounding" in tasks:
        for query, spans in _asked_once(queries, recording, repeated, repairs):
            asked.append((Question("grounding", query=query), spans, write_spans(spans)))
    if "highlights" in tasks:
        clip_s = clip_length_s(recording.duration_s)
        for query, spans in queries.items():
            found = clip_highlights(spans, duration_s=recording.duration_s, clip_s=clip_s)
            question = Question("highlights", query=query, clip_s=clip_s)
            asked.append((question, found, write_highlights(found)))
    if "segmentation" in tasks:
        steps = tuple(phrases.phrases.values()) if list_steps else ()
        question = Question("segmentation", steps=steps)
        asked.append((question, segments, write_segments(segments, phrases)))
    return [
        Example(recording.id, question, _instruction(question, seed, recording.id), answer, truth)
        for question, truth, answer in asked
    ]


def clip_length_s(duration_s: float) -> float:
    """Return the length of a recording's clips: 2 s, or the multiple that makes 75 clips at most.

    >>> clip_length_s(150), clip_length_s(150.1), clip_length_s(600)
    (2.0, 4.0, 8.0)
    """
    return CLIP_S * max(math.ceil(duration_s / (CLIP_S * MAX_CLIPS)), 1)


def clip_bounds(duration_s: float, clip_s: float) -> list[tuple[float, float]]:
    """Return where each clip begins and ends; a rest of less than half a clip joins the last one.

    >>> clip_bounds(4.9, 2.0), clip_bounds(5.0, 2.0)[-1]
    ([(0.0, 2.0), (2.0, 4.9)], (4.0, 5.0))
    """
    number = max(math.floor(duration_s / clip_s + 0.5), 1)
    starts_s = [clip * clip_s for clip in range(number)]
    return list(zip(starts_s, [*starts_s[1:], duration_s], strict=True))


def clip_highlights(
    spans: Sequence[TimeSpan], *, duration_s: float, clip_s: float
) -> tuple[Highlight, ...]:
    """Score each clip by the share of it that the spans, which do not overlap, cover.

    Scores are 1 + 4 * share, to a tenth; clips that they do not cover are left out.

    >>> clip_highlights([TimeSpan(3, 6)], duration_s=7, clip_s=2.0)
    (Highlight(time_s=2.0, score=3.0), Highlight(time_s=4.0, score=5.0))
    """
    out: list[Highlight] = []
    for start_s, end_s in clip_bounds(duration_s, clip_s):
        parts = (min(span.end_s, end_s) - max(span.start_s, start_s) for span in spans)
        covered_s = sum(part for part in parts if part > 0)
        if covered_s > 0:
            share = min(covered_s / (end_s - start_s), 1.0)
            out.append(Highlight(start_s, round(1 + 4 * share, 1)))
    return tuple(out)


def _check(recording: Recording, task: Task) -> None:
    if recording.task != task.id:
        raise ExampleError(
            f"recording {recording.id!r} is of task {recording.task!r}, not of {task.id!r}"
        )
    if recording.duration_s > MAX_TIME_S:
        raise ExampleError(
            f"recording {recording.id!r}: duration_s {recording.duration_s} is above {MAX_TIME_S}, "
            "the longest time that can be written: cut the recording"
        )
    for step in task.steps:
        if not is_caption(step.text):  # the vocabulary lets control characters at the ends pass
            raise ExampleError(f"task {task.id!r}: step {step.id!r}: text {step.text!r} ends blank")
    labels = set(task.labels())
    for index, segment in enumerate(recording.segments):
        if segment.label not in labels:
            raise ExampleError(
                f"recording {recording.id!r}: segments.{index}: label {segment.label!r} is no step "
                f"of task {task.id!r}"
            )


def _sayable(recording: Recording, repairs: Repairs) -> tuple[Segment, ...]:
    kept: list[Segment] = []
    for segment in recording.spans():
        if segment.label == BACKGROUND:
            continue
        if is_writable(TimeSpan(segment.start_s, segment.end_s)):
            kept.append(segment)
        else:
            place = f"{recording.id}: {segment.start_s:.3f} - {segment.end_s:.3f} s"
            repairs.add("segment without length in tenths: left out", place)
    return tuple(kept)


def _captions(segments: Sequence[Segment], task: Task) -> tuple[CaptionedSpan, ...]:
    texts = {step.id: step.text for step in task.steps} | {UNEXPECTED: UNEXPECTED_PHRASE}
    return tuple(CaptionedSpan(TimeSpan(s.start_s, s.end_s), texts[s.label]) for s in segments)


def _queries(segments: Sequence[Segment], task: Task) -> dict[str, tuple[TimeSpan, ...]]:
    """Return when each text of a step was done, in the order of the task."""
    texts = {step.id: step.text for step in task.steps}
    spans: dict[str, list[TimeSpan]] = {text: [] for text in texts.values()}
    for segment in segments:
        if segment.label != UNEXPECTED:
            spans[texts[segment.label]].append(TimeSpan(segment.start_s, segment.end_s))
    return {text: tuple(found) for text, found in spans.items() if found}


def _asked_once(
    queries: Mapping[str, tuple[TimeSpan, ...]],
    recording: Recording,
    repeated: Repeated,
    repairs: Repairs,
) -> Iterator[tuple[str, tuple[TimeSpan, ...]]]:
    for query, spans in queries.items():
        if len(spans) == 1 or repeated == "all":
            yield query, spans
        else:
            repairs.add("step done more than once: grounding not asked", f"{recording.id}: {query}")


def _instruction(question: Question, seed: int, recording_id: str) -> str:
    wording = pick_wording(question, seed=seed, key=recording_id)
    return write_instruction(question, wording=wording)
