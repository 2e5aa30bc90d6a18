"""What could be read of many answers, and what could not, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.language.answer_report import ReadAnswer


@dataclass(frozen=True)
class ReadingCounts:
    """What could be read of the answers to one task's questions.

    `num_unread_answers` gave no value and are not the word `none`, as `num_none` are. A line was
    kept as it was said, repaired by a rule, or unread: these three make up `num_lines`, to which an
    empty answer adds one and `none` nothing. `remarks` are those of `ReadAnswer.counts`.
    """

    num_answers: int
    num_unread_answers: int
    num_none: int
    num_lines: int
    num_kept_lines: int
    num_repaired_lines: int
    num_unread_lines: int
    remarks: Mapping[str, int]

    @classmethod
    def of(cls, read: Sequence[ReadAnswer[Any]]) -> ReadingCounts:
        """Count over the answers."""
        remarks: Counter[str] = Counter()
        num_values = num_repaired = num_unread = 0
        for answer in read:
            remarks += answer.counts()
            mended = {remark.place for remark in answer.remarks if remark.outcome == "repaired"}
            num_values += len(answer.values)
            num_repaired += sum(place in mended for place in answer.places)
            num_unread += len(answer.unread)
        return cls(
            num_answers=len(read),
            num_unread_answers=sum(bool(a.unread) and not a.values for a in read),
            num_none=sum(not a.unread and not a.values for a in read),
            num_lines=num_values + num_unread,
            num_kept_lines=num_values - num_repaired,
            num_repaired_lines=num_repaired,
            num_unread_lines=num_unread,
            remarks=dict(sorted(remarks.items())),
        )

    @property
    def unread_percent(self) -> float:
        """Share of the lines that are unread; 0 where there is no line."""
        return 100.0 * self.num_unread_lines / self.num_lines if self.num_lines else 0.0
