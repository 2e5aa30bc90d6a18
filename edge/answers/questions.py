"""The questions that the compared systems are asked about a data set, and their judgement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from edge.labelled_videos import LabelledSplits
from industryasm.recording import SplitName
from industryasm.repairs import Repairs
from models.language.examples import Example, language_examples
from models.language.instructions import LanguageTask
from models.language.judgement import LanguageScores, judge
from models.temporalvlm.answer import Answer
from models.training.loop import seed_of

QUERIES = 4
"""Groundings, and highlights, that are asked of each recording: as many as time allows."""

LONGEST_ANSWER: dict[LanguageTask, int] = {
    "dense_captioning": 640,
    "grounding": 32,
    "highlights": 320,
    "segmentation": 640,
}
"""Tokens: above every true answer of the sets that the table was made for, but for 9 of the 68 on
highlights of IKEA ASM's test split; a model that runs on says so many each time."""


def questions(splits: LabelledSplits, split: SplitName, repairs: Repairs) -> list[Example]:
    """Return each recording's captioning and segmentation, and some of its other questions.

    Which ones depends on nothing but their text. Steps done more than once are not asked for in
    groundings, whose R@1 needs one right answer.
    """
    return [
        example for video in splits.videos[split] for example in _of(splits, video.name, repairs)
    ]


def _of(splits: LabelledSplits, name: str, repairs: Repairs) -> Iterator[Example]:
    recording = splits.recordings[name]
    found = language_examples(
        recording, splits.tasks[recording.task], repairs, repeated="leave_out"
    )
    asked: Counter[str] = Counter()
    for example in sorted(found, key=lambda e: seed_of(name, e.question.query)):
        kind = example.question.task
        asked[kind] += 1
        if example.question.query is None or asked[kind] <= QUERIES:
            yield example


def judge_answers(
    asked: Sequence[Example], answers: Sequence[Answer], splits: LabelledSplits
) -> LanguageScores:
    """Score one answer a question, given in the same order."""
    return judge(
        asked,
        [answer.text for answer in answers],
        finished=[answer.is_finished for answer in answers],
        recordings=list(splits.recordings.values()),
        tasks=list(splits.tasks.values()),
        rate_hz=splits.rate_hz,
    )
