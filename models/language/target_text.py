"""Answers as text: what a model is trained to say, one value a line.

```
dense captioning      Clamp the housing in the fixture: 12.3 - 14.0 seconds
grounding             12.3 - 14.0 seconds
highlights            12.0 seconds, score 4.5
segmentation          Clamp the housing in the fixture: 12.3 - 14.0 seconds
nothing to say        none
```
TimeChat writes the times first (RenShuhuai-Andy/TimeChat, utils/construct_it_data/
process_dvc_data.py: "21.0 - 22.0 seconds, begin to run up. "). Ours come last, because a small
language model copies what follows words that it has just said (docs/log.md, 2026-11-23). A line for
each value, because a full stop also stands in captions. `answer_parser` reads this text back: its
values equal those that were written, at the resolution of times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from industryasm.segment import Segment
from models.language.answers import CaptionedSpan, Highlight, TimeSpan
from models.language.caption_text import write_caption
from models.language.step_phrases import StepPhrases
from models.language.timestamps import at_resolution, write_time

NONE = "none"
MIN_SCORE, MAX_SCORE = 1.0, 5.0


class TargetTextError(ValueError):
    """A value cannot be said: too short for the resolution, or a score out of its range."""


def write_captions(values: Sequence[CaptionedSpan]) -> str:
    """Write what happens when; raise `TargetTextError` for a span shorter than the resolution.

    >>> print(write_captions([CaptionedSpan(TimeSpan(3, 5.25), "Take 2 screws, M4")]))
    Take 2 screws, M4: 3.0 - 5.2 seconds
    """
    return _lines(f"{write_caption(v.caption)}: {_span(v.span)}" for v in values)


def write_spans(values: Sequence[TimeSpan]) -> str:
    """Write when what is asked for happens; raise `TargetTextError` as `write_captions`."""
    return _lines(_span(value) for value in values)


def write_highlights(values: Sequence[Highlight]) -> str:
    """Write how much each moment is what is asked for, scores to a tenth.

    Raises `TargetTextError` for a score outside 1 to 5.

    >>> print(write_highlights([Highlight(12, 4.5)]))
    12.0 seconds, score 4.5
    """
    return _lines(f"{write_time(v.time_s)} seconds, score {_score(v.score)}" for v in values)


def write_segments(values: Sequence[Segment], phrases: StepPhrases) -> str:
    """Write which step is done when; a segment's confidence is not said.

    Raises `TargetTextError` as `write_captions`, `StepPhraseError` for a label that is no step.
    """
    return _lines(
        f"{write_caption(phrases.phrase(v.label))}: {_span(TimeSpan(v.start_s, v.end_s))}"
        for v in values
    )


def is_writable(span: TimeSpan) -> bool:
    """Tell whether a span has a length when its times are rounded to the resolution."""
    return at_resolution(span.start_s) < at_resolution(span.end_s)


def _span(span: TimeSpan) -> str:
    if not is_writable(span):
        raise TargetTextError(f"[{span.start_s}, {span.end_s}) s has no length in tenths")
    return f"{write_time(span.start_s)} - {write_time(span.end_s)} seconds"


def _score(score: float) -> str:
    if not MIN_SCORE <= score <= MAX_SCORE:
        raise TargetTextError(f"score {score} is outside {MIN_SCORE} to {MAX_SCORE}")
    return f"{score:.1f}"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines) or NONE
