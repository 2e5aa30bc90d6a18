"""One pass over an answer: its lines, the times in them, and the report of what became of each.

What the lines of a task look like is not known here (`answer_parser`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Generic, get_args

from models.language.answer_report import (
    Outcome,
    Place,
    ReadAnswer,
    Remark,
    Rule,
    ValueT,
    What,
)
from models.language.answers import TimeSpan
from models.language.target_text import NONE
from models.language.timestamps import MAX_TIME_S, at_resolution

MAX_CHARS = 100_000
"""Longest answer that is read; one of 400 steps with texts of 200 characters has 90,000."""


class Reading(Generic[ValueT]):
    """An answer that is being read line by line: each line is taken or refused, none is lost."""

    def __init__(
        self, text: str, *, duration_s: float | None, rules: Collection[Rule], finished: bool
    ) -> None:
        """Raise `ValueError` for a rule that there is none of."""
        if unknown := set(rules) - set(get_args(Rule)):
            raise ValueError(f"unknown rules {sorted(unknown)}: known are {get_args(Rule)}")
        self.text = text
        self.rules = frozenset(rules)
        self._end_s = None if duration_s is None else at_resolution(min(duration_s, MAX_TIME_S))
        self._finished = finished
        self._read: list[tuple[ValueT, Place]] = []
        self._remarks: list[Remark] = []
        self._pending: list[Remark] = []  # of the line at hand, made only if it is taken

    def lines(self) -> list[Place]:
        """Return where the lines that may hold values are, without the blanks at their ends."""
        if not self.text.strip():
            self.refuse("empty answer", Place(0, 0))
        places = self._whole_lines()
        says_none = [self._says_none(place) for place in places]
        if says_none == [True]:
            return []
        for place, is_none in zip(places, says_none, strict=True):
            if is_none:
                self.refuse("none beside other lines", place)
        return [p for p, is_none in zip(places, says_none, strict=True) if not is_none]

    def note(self, what: What, outcome: Outcome, line: Place) -> None:
        """Remark on a line whose value is taken later; forgotten when the line is refused."""
        self._pending.append(Remark(what, outcome, line))

    def take(self, value: ValueT, line: Place) -> None:
        """Let a line be this value."""
        self._read.append((value, line))
        self._remarks += self._pending
        self._pending = []

    def refuse(self, what: What, line: Place) -> None:
        """Let a line be no value, for this reason."""
        self._pending = []
        self._remarks.append(Remark(what, "unread", line))

    def time(self, said: str, line: Place) -> float:
        """Return a time that was said, at the resolution."""
        time_s = at_resolution(min(float(said), MAX_TIME_S))
        if time_s != float(said):
            self.note("time rounded to tenths", "repaired", line)
        return time_s

    def span(self, start: str, end: str, line: Place) -> TimeSpan | None:
        """Return the span between two times that were said; refuse the line when there is none."""
        start_s, end_s = self.time(start, line), self.time(end, line)
        if start_s == end_s:
            self.refuse("span without length", line)
            return None
        if start_s > end_s:
            if "swap_reversed" not in self.rules:
                self.refuse("reversed span", line)
                return None
            self.note("reversed span", "repaired", line)
            start_s, end_s = end_s, start_s
        return TimeSpan(start_s, self._end_of_span(start_s, end_s, line))

    def note_if_after_the_end(self, time_s: float, line: Place) -> bool:
        """Remark on a time at which the recording is over, and tell whether it is one."""
        is_after = self._end_s is not None and time_s >= self._end_s
        if is_after:
            self.note("after the end", "kept", line)
        return is_after

    def remark_overlaps(self, span_of: Callable[[ValueT], TimeSpan]) -> None:
        """Remark on each value that begins before an earlier one has ended."""
        end_s = 0.0
        for value, place in sorted(self._read, key=lambda read: span_of(read[0])):
            if span_of(value).start_s < end_s:
                self._remarks.append(Remark("overlap", "kept", place))
            end_s = max(end_s, span_of(value).end_s)

    def cut_overlaps(
        self, span_of: Callable[[ValueT], TimeSpan], with_span: Callable[[ValueT, TimeSpan], ValueT]
    ) -> None:
        """End each value where the next one begins; of those that begin together keep the longest.

        So do the importers of public sets (`industryasm.sets.layer`), but for those that begin
        together, of which the longer one begins there where the shorter one ends.
        """
        order = sorted(range(len(self._read)), key=lambda index: span_of(self._read[index][0]))
        kept = dict(enumerate(self._read))
        for index, following in itertools.pairwise(order):
            value, place = self._read[index]
            span, limit_s = span_of(value), span_of(self._read[following][0]).start_s
            if limit_s == span.start_s:
                del kept[index]
                self._remarks.append(Remark("overlap", "unread", place))
            elif limit_s < span.end_s:
                kept[index] = (with_span(value, replace(span, end_s=limit_s)), place)
                self._remarks.append(Remark("overlap", "repaired", place))
        self._read = list(kept.values())

    def answer(self) -> ReadAnswer[ValueT]:
        """Return what was read."""
        remarks = sorted(self._remarks, key=lambda remark: remark.place)
        values, places = tuple(v for v, _ in self._read), tuple(p for _, p in self._read)
        return ReadAnswer(self.text, values, places, tuple(remarks))

    def _end_of_span(self, start_s: float, end_s: float, line: Place) -> float:
        if self.note_if_after_the_end(start_s, line) or self._end_s is None:
            return end_s
        if end_s > self._end_s and "cut_at_end" in self.rules:
            self.note("beyond the end", "repaired", line)
            return self._end_s
        if end_s > self._end_s:
            self.note("beyond the end", "kept", line)
        return end_s

    def _whole_lines(self) -> list[Place]:
        """Return the lines up to the longest answer that is read, and without one cut off."""
        end = len(self.text)
        if end > MAX_CHARS:
            end = max(self.text.rfind("\n", 0, MAX_CHARS + 1), 0)
            self.refuse("beyond the longest answer that is read", Place(end, len(self.text)))
        places = _stripped_lines(self.text[:end])
        is_open = end == len(self.text) and not self._finished
        if is_open and places and "\n" not in self.text[places[-1].end :]:
            self.refuse("cut off at the length limit", places.pop())
        return places

    def _says_none(self, place: Place) -> bool:
        said = self.text[place.start : place.end]
        if said == NONE:
            return True
        if "other_wording" not in self.rules or said.casefold().rstrip(".") != NONE:
            return False
        self._remarks.append(Remark("other wording", "repaired", place))
        return True


def _stripped_lines(text: str) -> list[Place]:
    places, start = [], 0
    for line in text.split("\n"):
        first = start + len(line) - len(line.lstrip())
        if line.strip():
            places.append(Place(first, first + len(line.strip())))
        start += len(line) + 1
    return places
