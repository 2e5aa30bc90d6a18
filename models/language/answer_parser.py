"""Answers back to values: the strict inverse of `target_text`, with a report of what is left.

A line is read by the pattern of its task or not at all; a number that stands elsewhere is never
taken for a time. Every part of a pattern has a bounded length and a caption is what is left of its
line, so that reading is linear in the length of an answer (at most `answer_reading.MAX_CHARS`).

>>> answer = read_spans("12.3 - 14.0 seconds\\n9.0 - 8.0 seconds")
>>> answer.values, [remark.what for remark in answer.unread]
((TimeSpan(start_s=12.3, end_s=14.0),), ['reversed span'])
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from industryasm.segment import Segment
from models.language.answer_reading import Reading
from models.language.answer_report import Place, ReadAnswer, Rule, ValueT
from models.language.answers import CaptionedSpan, Highlight, TimeSpan
from models.language.caption_text import read_caption
from models.language.step_phrases import StepPhrases
from models.language.target_text import MAX_SCORE, MIN_SCORE
from models.language.timestamps import TIME_PATTERN

_NUMBER = r"[0-9]{1,5}(?:\.[0-9]{1,3})?"
_UNIT = r"[ ]?(?:seconds?|s)"
_SAID_OTHERWISE = (
    rf"(?:the given query happens in )?(?:from )?({_NUMBER})(?:{_UNIT})?"
    rf"[ ]?(?:-|–|—|to)[ ]?({_NUMBER}){_UNIT}"
)
_OTHER = re.IGNORECASE | re.ASCII

_SPAN = re.compile(rf"({TIME_PATTERN}) - ({TIME_PATTERN}) seconds")
_OTHER_SPAN = re.compile(_SAID_OTHERWISE + r"\.?", _OTHER)
_TIMES_FIRST = re.compile(_SAID_OTHERWISE + r"(?:[,:] ?| )", _OTHER)
_MOMENT = re.compile(rf"({TIME_PATTERN}) seconds, score ([0-9]\.[0-9])")
_OTHER_MOMENT = re.compile(
    rf"({_NUMBER}){_UNIT}[,:]? (?:saliency )?score:? ([0-9](?:\.[0-9]{{1,3}})?)\.?", _OTHER
)
_SPAN_INSIDE = re.compile(rf"{_NUMBER} ?(?:-|–|—|to) ?{_NUMBER}{_UNIT}", _OTHER)


def read_captions(
    text: str,
    *,
    duration_s: float | None = None,
    rules: Collection[Rule] = (),
    finished: bool = True,
) -> ReadAnswer[CaptionedSpan]:
    """Read a dense captioning.

    `duration_s` is the recording's length: spans beyond it are remarked on. `finished` is false
    when the model was stopped before it ended the answer: the line that it was at is not taken.
    Raises `ValueError` for an unknown rule, nothing for any text.
    """
    reading = Reading[CaptionedSpan](text, duration_s=duration_s, rules=rules, finished=finished)
    for line in reading.lines():
        if (found := _captioned(reading, line)) is not None:
            reading.take(CaptionedSpan(*found), line)
    reading.remark_overlaps(lambda value: value.span)
    return reading.answer()


def read_spans(
    text: str,
    *,
    duration_s: float | None = None,
    rules: Collection[Rule] = (),
    finished: bool = True,
) -> ReadAnswer[TimeSpan]:
    """Read a temporal grounding; parameters and errors as of `read_captions`."""
    reading = Reading[TimeSpan](text, duration_s=duration_s, rules=rules, finished=finished)
    for line in reading.lines():
        found = _match(reading, line, _SPAN, _OTHER_SPAN)
        if found and (span := reading.span(found[1], found[2], line)):
            reading.take(span, line)
    reading.remark_overlaps(lambda value: value)
    return reading.answer()


def read_highlights(
    text: str,
    *,
    duration_s: float | None = None,
    rules: Collection[Rule] = (),
    finished: bool = True,
) -> ReadAnswer[Highlight]:
    """Read a highlight detection; parameters and errors as of `read_captions`."""
    reading = Reading[Highlight](text, duration_s=duration_s, rules=rules, finished=finished)
    said: set[float] = set()
    for line in reading.lines():
        found = _match(reading, line, _MOMENT, _OTHER_MOMENT)
        if found and (highlight := _highlight(reading, found, line)):
            if highlight.time_s in said:
                reading.note("moment given twice", "kept", line)
            said.add(highlight.time_s)
            reading.take(highlight, line)
    return reading.answer()


def read_segments(
    text: str,
    phrases: StepPhrases,
    *,
    duration_s: float | None = None,
    rules: Collection[Rule] = (),
    finished: bool = True,
) -> ReadAnswer[Segment]:
    """Read an action segmentation; parameters and errors as of `read_captions`.

    A line whose text names no step of `phrases`, or more than one, is unread.
    """
    reading = Reading[Segment](text, duration_s=duration_s, rules=rules, finished=finished)
    for line in reading.lines():
        if (found := _captioned(reading, line)) is not None:
            span, phrase = found
            if (label := _label(reading, phrases, phrase, line)) is not None:
                reading.take(Segment(span.start_s, span.end_s, label), line)
    if "cut_overlaps" in reading.rules:
        reading.cut_overlaps(_span_of, _with_span)
    else:
        reading.remark_overlaps(_span_of)
    return reading.answer()


def _match(
    reading: Reading[ValueT],
    line: Place,
    strict: re.Pattern[str],
    other: re.Pattern[str],
) -> re.Match[str] | None:
    """Match a whole line; refuse it when it does not match."""
    for pattern in (strict, other) if "other_wording" in reading.rules else (strict,):
        if found := pattern.fullmatch(reading.text, line.start, line.end):
            if pattern is other:
                reading.note("other wording", "repaired", line)
            return found
    reading.refuse("no line of such an answer", line)
    return None


def _captioned(reading: Reading[ValueT], line: Place) -> tuple[TimeSpan, str] | None:
    said = reading.text[line.start : line.end]
    words, _, times = said.rpartition(": ")
    found = _SPAN.fullmatch(times)
    if found is None and "other_wording" in reading.rules:
        found = _OTHER_SPAN.fullmatch(times)
        if found is None and (found := _TIMES_FIRST.match(said)):
            words = said[found.end() :]
        if found:
            reading.note("other wording", "repaired", line)
    if found is None:
        reading.refuse("no line of such an answer", line)
        return None
    caption, is_as_written = read_caption(words)
    if not caption:
        reading.refuse("no caption", line)
        return None
    if not is_as_written:
        reading.note("caption written otherwise", "repaired", line)
    if _SPAN_INSIDE.search(caption):  # perhaps two events on a line, which nobody can tell
        reading.note("span inside a caption", "kept", line)
    span = reading.span(found[1], found[2], line)
    return None if span is None else (span, caption)


def _highlight(reading: Reading[Highlight], found: re.Match[str], line: Place) -> Highlight | None:
    score = float(f"{float(found[2]):.1f}")
    if not MIN_SCORE <= score <= MAX_SCORE:
        reading.refuse("score outside 1 to 5", line)
        return None
    if score != float(found[2]):
        reading.note("score rounded to tenths", "repaired", line)
    time_s = reading.time(found[1], line)
    reading.note_if_after_the_end(time_s, line)
    return Highlight(time_s, score)


def _label(reading: Reading[Segment], phrases: StepPhrases, phrase: str, line: Place) -> str | None:
    found = phrases.find(phrase)
    if len(found.labels) != 1:
        reading.refuse("ambiguous step" if found.labels else "unknown step", line)
        return None
    if not found.is_exact:
        reading.note("step in other case or blanks", "repaired", line)
    return found.labels[0]


def _span_of(segment: Segment) -> TimeSpan:
    return TimeSpan(segment.start_s, segment.end_s)


def _with_span(segment: Segment, span: TimeSpan) -> Segment:
    return replace(segment, start_s=span.start_s, end_s=span.end_s)
