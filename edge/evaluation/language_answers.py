"""The answers of a system to all questions, written down batch by batch as they come."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edge.answers.questions import LONGEST_ANSWER
from edge.evaluation.work_folder import WorkFolderError
from edge.labelled_videos import LabelledSplits
from models.language.examples import Example
from models.temporalvlm.answer import Answer

if TYPE_CHECKING:
    from models.temporalvlm.video_language_model import VideoLanguageModel

ANSWERS_AT_ONCE = 48
"""Questions in a batch: many, so that weights are seldom read; with SmolLM2 it takes 2.5 GB."""


def answers_to(
    model: VideoLanguageModel, asked: Sequence[Example], splits: LabelledSplits, path: Path
) -> list[Answer]:
    """Ask the questions that have no answer yet, a batch at a time, and write them down."""
    from models.temporalvlm.language_training import AskedVideos

    longest = [LONGEST_ANSWER[example.question.task] for example in asked]
    # Long answers go together: a step for many costs little more than one for few.
    order = sorted(range(len(asked)), key=lambda place: (-longest[place], place))
    known = _known_answers([asked[i] for i in order], path)
    videos = AskedVideos(model, splits.videos["test"])
    for start in range(len(known), len(asked), ANSWERS_AT_ONCE):
        places = order[start : start + ANSWERS_AT_ONCE]
        batch = [asked[place] for place in places]
        said = videos.answers(batch, [longest[place] for place in places])
        with path.open("a", encoding="utf-8") as file:
            for example, answer in zip(batch, said, strict=True):
                file.write(json.dumps(_asked_as(example) | asdict(answer)) + "\n")
        known += said
    answers = dict(zip(order, known, strict=True))
    return [answers[place] for place in range(len(asked))]


def _known_answers(asked: Sequence[Example], path: Path) -> list[Answer]:
    """Return the answers in the file, which is cut behind its last whole batch.

    Beside other questions an answer is rounded otherwise, and so could be another. Raises
    `WorkFolderError` where the file answers other questions.
    """
    if not path.is_file():
        return []
    # A kill may have cut the last line.
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    if len(lines) != len(asked):
        lines = lines[: len(lines) // ANSWERS_AT_ONCE * ANSWERS_AT_ONCE]
    known = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            known.append(Answer(str(row.pop("text")), bool(row.pop("is_finished"))))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise WorkFolderError(f"{path}: line {number}: {error!r}; remove the file") from error
        if number > len(asked) or row != _asked_as(asked[number - 1]):
            raise WorkFolderError(f"{path}: line {number}: no such question; remove the file")
    os.truncate(path, sum(map(len, lines)))
    return known


def _asked_as(example: Example) -> dict[str, str]:
    return {"recording": example.recording_id, "question": example.instruction}
