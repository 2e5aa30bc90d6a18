"""What was read in an answer and what was not: every piece of it has its place in one of the two.

The parsers of the predecessors drop what they do not understand and mend the rest unasked:
TimeChat (RenShuhuai-Andy/TimeChat) pairs the n-th time with the n-th piece of text and cuts both
lists to the shorter one (utils/format_dvc.py, `extract_time_from_para`), swaps reversed spans and
keeps the first only (utils/format_tvg.py, `extract_time`), gives a missing score 0 (utils/
format_vhd.py, `parse_highlights`); VTimeLLM takes fixed columns of a string for numbers and prints
what fails (huangb23/VTimeLLM, vtimellm/eval/metric.py, `captioning_metrics`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

ValueT = TypeVar("ValueT")

Rule = Literal["other_wording", "swap_reversed", "cut_at_end", "cut_overlaps"]
"""What a reader may mend, and counts when it does; nothing of it is done unless it is named:
`other_wording`: spans and moments said otherwise ("from 3 to 5.25 seconds"), rounded to tenths.
`swap_reversed`: a span that ends before it starts is read the other way round.
`cut_at_end`: a span that goes on beyond the recording ends with it.
`cut_overlaps`: of segmentation, each segment ends where the next one begins at the latest; of
those that begin together all but the longest are left out. In other answers spans may overlap."""

Outcome = Literal["unread", "kept", "repaired"]
"""`unread`: no value came of the piece. `kept`: one did, as it was said. `repaired`: by a rule."""

What = Literal[
    "empty answer",
    "no line of such an answer",
    "cut off at the length limit",
    "beyond the longest answer that is read",
    "none beside other lines",
    "other wording",
    "time rounded to tenths",
    "score rounded to tenths",
    "score outside 1 to 5",
    "reversed span",
    "span without length",
    "beyond the end",
    "after the end",
    "overlap",
    "moment given twice",
    "no caption",
    "caption written otherwise",
    "span inside a caption",
    "unknown step",
    "ambiguous step",
    "step in other case or blanks",
]


@dataclass(frozen=True, order=True)
class Place:
    """The characters [start, end) of an answer."""

    start: int
    end: int


@dataclass(frozen=True)
class Remark:
    """What is to be said of a piece of an answer."""

    what: What
    outcome: Outcome
    place: Place


@dataclass(frozen=True)
class ReadAnswer(Generic[ValueT]):
    """The values of an answer in its order, where each was said, and the remarks.

    Each character is in the place of a value, in that of an unread piece, in the word `none`, or
    is a blank at the ends of a line.
    """

    text: str
    values: tuple[ValueT, ...]
    places: tuple[Place, ...]
    remarks: tuple[Remark, ...]

    @property
    def unread(self) -> tuple[Remark, ...]:
        """The pieces that no value came of."""
        return tuple(remark for remark in self.remarks if remark.outcome == "unread")

    def counts(self) -> Counter[str]:
        """Return how often each remark was made, as "reversed span: unread"."""
        return Counter(f"{remark.what}: {remark.outcome}" for remark in self.remarks)
