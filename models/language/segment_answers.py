"""Answers made of segments, without a language model: yardsticks in the language tables.

Whatever finds segments (a frame-wise model, a linear probe, `blind_prior`, the truth) is asked
the questions that a language model is asked, and answers in the same form. Of the true segments
come the answers of `examples`, but that grounding is answered with the longest span first: the
first line is the one that R@1 judges, and a model's splinters of a step are seldom the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from industryasm.repairs import Repairs
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Task
from models.language.answers import CaptionedSpan, TimeSpan
from models.language.examples import clip_highlights
from models.language.instructions import Question
from models.language.step_phrases import UNEXPECTED_PHRASE, StepPhrases
from models.language.target_text import (
    is_writable,
    write_captions,
    write_highlights,
    write_segments,
    write_spans,
)


def segment_answer(
    question: Question,
    segments: Sequence[Segment],
    task: Task,
    repairs: Repairs,
    *,
    duration_s: float,
    longest_first: bool = True,
) -> str:
    """Return what these segments of a recording answer to a question about it.

    Background is not said; what lies beyond the recording's end is cut off. A segment without a
    length in tenths cannot be said: it is left out, which is counted in `repairs`. Where nothing
    is left to say the answer is `none`. `longest_first` is of a grounding's spans, which are else
    in the order of time. Raises `StepPhraseError` for a label that is none of the task.

    >>> from industryasm.vocabulary import load_task
    >>> found = [Segment(3, 9, "place-housing"), Segment(9, 10.04, "background")]
    >>> question = Question("dense_captioning")
    >>> segment_answer(question, found, load_task("brake-caliper"), Repairs(), duration_s=10.04)
    'Clamp the caliper housing in the fixture, bore up: 3.0 - 9.0 seconds'
    """
    phrases = StepPhrases.of(task)
    said = _sayable(segments, phrases, repairs, duration_s)
    if question.task == "segmentation":
        return write_segments(said, phrases)
    if question.task == "dense_captioning":
        texts = {step.id: step.text for step in task.steps} | {UNEXPECTED: UNEXPECTED_PHRASE}
        return write_captions([CaptionedSpan(_span(s), texts[s.label]) for s in said])
    labels = {step.id for step in task.steps if step.text == question.query}
    spans = [_span(segment) for segment in said if segment.label in labels]
    if question.task == "grounding":
        if longest_first:
            spans.sort(key=lambda span: span.start_s - span.end_s)
        return write_spans(spans)
    assert question.clip_s is not None, "a question for highlights has it"
    return write_highlights(clip_highlights(spans, duration_s=duration_s, clip_s=question.clip_s))


def _span(segment: Segment) -> TimeSpan:
    return TimeSpan(segment.start_s, segment.end_s)


def _sayable(
    segments: Sequence[Segment], phrases: StepPhrases, repairs: Repairs, duration_s: float
) -> list[Segment]:
    said: list[Segment] = []
    for segment in sorted(segments):
        if segment.label == BACKGROUND or segment.start_s >= duration_s:
            continue
        phrases.phrase(segment.label)  # raises for what is no step
        end_s = min(segment.end_s, duration_s)
        if is_writable(TimeSpan(segment.start_s, end_s)):
            said.append(replace(segment, end_s=end_s))
        else:
            place = f"{segment.label}: {segment.start_s:.3f} - {end_s:.3f} s"
            repairs.add("segment without length in tenths: left out", place)
    return said
