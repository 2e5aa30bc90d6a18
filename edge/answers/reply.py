"""A question, what a model said to it, and what of that can be read; the same for every model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from industryasm.fault import UserFault
from industryasm.vocabulary import Task
from models.language.answer_parser import (
    read_captions,
    read_highlights,
    read_segments,
    read_spans,
)
from models.language.answer_report import ReadAnswer, Rule
from models.language.instructions import Question
from models.language.step_phrases import StepPhrases
from models.temporalvlm.answer import Answer

MENDED: tuple[Rule, ...] = ("other_wording", "swap_reversed", "cut_at_end")
"""What is mended in an answer before it is shown; each mend is told."""


class AnswerModelError(UserFault, ValueError):
    """A folder holds no model that answers, or one that does not fit the recording."""


@dataclass(frozen=True)
class Reply:
    """What was asked in words, what the model said, and what of it could be read."""

    instruction: str
    answer: Answer
    read: ReadAnswer[Any]


def read_answer(
    question: Question, answer: Answer, task: Task | None, duration_s: float
) -> ReadAnswer[Any]:
    """Return the values of an answer to `question`; `task` names the steps of a segmentation."""
    text, finished = answer.text, answer.is_finished
    match question.task:
        case "dense_captioning":
            return read_captions(text, duration_s=duration_s, rules=MENDED, finished=finished)
        case "grounding":
            return read_spans(text, duration_s=duration_s, rules=MENDED, finished=finished)
        case "highlights":
            return read_highlights(text, duration_s=duration_s, rules=MENDED, finished=finished)
        case "segmentation":
            assert task is not None
            phrases = StepPhrases.of(task)
            return read_segments(
                text, phrases, duration_s=duration_s, rules=MENDED, finished=finished
            )
