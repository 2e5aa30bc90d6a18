"""How well questions about recordings were answered: answers are read strictly and scored.

What no value can be read of scores as nothing found and stays in the count of its questions.

- Dense captioning: each recording's captions, `captioning_metrics`.
- Grounding: the first span of an answer, `grounding_metrics`. A question with several true spans
  has no single right answer: it is read, counted, and left out of R@1 and the mean overlap.
- Highlights: the clips of `examples`, each scored by what was said of it, `highlight_metrics`.
  Published sets call a clip a highlight from a score on; here it is one if the step is done in at
  least half of it, and where no clip is, the one with most of the step (several, if equal). A
  moment after the recording's end is no clip: it misses, if it is said to be the best.
- Segmentation: labels at `rate_hz` frames a second, gaps are background, frames of all recordings
  together, `models.metrics`. The truth is the recording's annotation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from industryasm.fault import UserFault
from industryasm.recording import Recording
from industryasm.segment import Segment, frame_labels
from industryasm.vocabulary import Task
from models.language.answer_parser import (
    read_captions,
    read_highlights,
    read_segments,
    read_spans,
)
from models.language.answer_report import ReadAnswer, Rule, ValueT
from models.language.answers import CaptionedSpan, Highlight, TimeSpan
from models.language.captioning_metrics import CaptioningScore, captioning_score
from models.language.examples import Example, clip_bounds
from models.language.grounding_metrics import GroundingScore, grounding_score
from models.language.highlight_metrics import (
    Floats,
    HighlightScore,
    clip_scores,
    highlight_score,
)
from models.language.instructions import LANGUAGE_TASKS, LanguageTask
from models.language.reading_counts import ReadingCounts
from models.language.step_phrases import StepPhrases
from models.metrics import BackgroundRules, background_rules

NamedT = TypeVar("NamedT", Recording, Task)

DEFAULT_RULES: tuple[Rule, ...] = ("cut_overlaps",)
"""What is mended before it is scored: only that a frame has one label, which every reader of a
segmentation must decide somehow, and here it is counted. A reversed span is a wrong answer, one
beyond the end was not seen to end, and other wordings excuse a model that did not learn ours: who
asks a model that was never taught our form names `other_wording`, and the scores say so."""

HIGHLIGHT_SCORE = 3.0
"""From this score on a clip is a highlight: 1 + 4 * 0.5, half of it (`examples`)."""

MAX_RATE_HZ = 240.0
"""As of a recording."""


class JudgementError(UserFault, ValueError):
    """Examples, answers, recordings and tasks do not belong together."""


@dataclass(frozen=True)
class LanguageScores:
    """The scores of answers, in percent; None for a task that was not asked.

    `num_unread` of grounding and highlights are their answers without a value, `none` among them;
    `readings` tells them apart. `num_groundings_left_out` is how many questions had not one true
    span but several. `rules` are those by which answers were mended, `rate_hz` the frames a second
    of the segmentation.
    """

    captioning: CaptioningScore | None
    grounding: GroundingScore | None
    highlights: HighlightScore | None
    segmentation: BackgroundRules | None
    readings: Mapping[LanguageTask, ReadingCounts]
    num_groundings_left_out: int
    rules: tuple[Rule, ...]
    rate_hz: float

    def as_dict(self) -> dict[str, Any]:
        """Return the scores in the form of JSON, with the share of unread lines of each task."""
        plain = asdict(self) | {"rules": list(self.rules)}
        for task, counts in self.readings.items():
            plain["readings"][task]["unread_percent"] = counts.unread_percent
        return plain


@dataclass(frozen=True)
class _Asked:
    """A question, what it is about, and the answer that was given."""

    example: Example
    recording: Recording
    task: Task
    text: str
    finished: bool

    def read(
        self, reader: Callable[..., ReadAnswer[ValueT]], rules: Collection[Rule]
    ) -> ReadAnswer[ValueT]:
        return reader(
            self.text,
            duration_s=self.recording.duration_s,
            rules=rules,
            finished=self.finished,
        )

    def truth(self, kind: type[ValueT]) -> list[ValueT]:
        known: list[ValueT] = [v for v in self.example.truth if isinstance(v, kind)]
        assert len(known) == len(self.example.truth), "the truth is of the question's task"
        return known


def judge(
    examples: Sequence[Example],
    answers: Sequence[str],
    *,
    recordings: Collection[Recording],
    tasks: Collection[Task],
    rate_hz: float,
    rules: Collection[Rule] = DEFAULT_RULES,
    finished: Sequence[bool] | None = None,
) -> LanguageScores:
    """Score one answer a question, of any recordings and tasks together, given in the same order.

    `recordings` and `tasks` are those that the examples are about, and may be more. `finished`
    tells of each answer whether the model ended it itself; by default all are. Raises
    `JudgementError` where numbers differ, or a recording or its task is missing or given twice.
    """
    if not 0 < rate_hz <= MAX_RATE_HZ:
        raise JudgementError(f"rate_hz {rate_hz} must be above 0 and at most {MAX_RATE_HZ}")
    asked = _asked(examples, answers, finished, recordings, tasks)
    of: dict[LanguageTask, list[_Asked]] = {
        name: [a for a in asked if a.example.question.task == name] for name in LANGUAGE_TASKS
    }
    captions = [a.read(read_captions, rules) for a in of["dense_captioning"]]
    spans = [a.read(read_spans, rules) for a in of["grounding"]]
    moments = [a.read(read_highlights, rules) for a in of["highlights"]]
    segments = [
        a.read(partial(read_segments, phrases=StepPhrases.of(a.task)), rules)
        for a in of["segmentation"]
    ]
    read: dict[LanguageTask, Sequence[ReadAnswer[Any]]] = {
        "dense_captioning": captions,
        "grounding": spans,
        "highlights": moments,
        "segmentation": segments,
    }
    return LanguageScores(
        captioning=_captioning(of["dense_captioning"], captions) if captions else None,
        grounding=_grounding(of["grounding"], spans) if spans else None,
        highlights=_highlights(of["highlights"], moments) if moments else None,
        segmentation=_segmentation(of["segmentation"], segments, rate_hz) if segments else None,
        readings={name: ReadingCounts.of(these) for name, these in read.items() if these},
        num_groundings_left_out=sum(len(a.example.truth) != 1 for a in of["grounding"]),
        rules=tuple(sorted(rules)),
        rate_hz=rate_hz,
    )


def _asked(
    examples: Sequence[Example],
    answers: Sequence[str],
    finished: Sequence[bool] | None,
    recordings: Collection[Recording],
    tasks: Collection[Task],
) -> list[_Asked]:
    if finished is None:
        finished = [True] * len(answers)
    if not len(examples) == len(answers) == len(finished):
        raise JudgementError(
            f"{len(answers)} answers, {len(finished)} of them known to be finished or not, for "
            f"{len(examples)} questions: give one of each a question"
        )
    known = _by_id(recordings)
    vocabularies = _by_id(tasks)
    asked: list[_Asked] = []
    for example, text, is_finished in zip(examples, answers, finished, strict=True):
        if (recording := known.get(example.recording_id)) is None:
            raise JudgementError(
                f"a question about {example.recording_id!r}: give that recording too"
            )
        if (task := vocabularies.get(recording.task)) is None:
            raise JudgementError(
                f"recording {recording.id!r} is of task {recording.task!r}: give that task too"
            )
        asked.append(_Asked(example, recording, task, text, is_finished))
    return asked


def _by_id(things: Collection[NamedT]) -> dict[str, NamedT]:
    by_id = {thing.id: thing for thing in things}
    if len(by_id) < len(things):
        twice = sorted(name for name, n in Counter(t.id for t in things).items() if n > 1)
        raise JudgementError(f"given twice: {', '.join(twice)}; judge such data sets apart")
    return by_id


def _captioning(
    asked: Sequence[_Asked], read: Sequence[ReadAnswer[CaptionedSpan]]
) -> CaptioningScore:
    return captioning_score(
        predicted=[answer.values for answer in read],
        truth=[question.truth(CaptionedSpan) for question in asked],
    )


def _grounding(asked: Sequence[_Asked], read: Sequence[ReadAnswer[TimeSpan]]) -> GroundingScore:
    first_and_truth = [
        (answer.values[0] if answer.values else None, question.truth(TimeSpan))
        for question, answer in zip(asked, read, strict=True)
        if len(question.example.truth) == 1
    ]
    return grounding_score(
        predicted=[first for first, _ in first_and_truth],
        truth=[truth for _, truth in first_and_truth],
    )


def _highlights(asked: Sequence[_Asked], read: Sequence[ReadAnswer[Highlight]]) -> HighlightScore:
    truth: list[Floats] = []
    for question in asked:
        known = _clips(question, question.truth(Highlight))[:-1]
        least = min(HIGHLIGHT_SCORE, known.max())
        truth.append(((known > 0) & (known >= least)).astype(np.float64)[:, None])
    said = [_said_of_clips(*pair) for pair in zip(asked, read, strict=True)]
    return highlight_score(predicted=said, truth=truth, least=1.0)


def _said_of_clips(question: _Asked, answer: ReadAnswer[Highlight]) -> Floats | None:
    """Return what was said of each clip, and of the time after the end; None if of no clip."""
    scores = _clips(question, answer.values)
    return scores if scores[:-1].any() else None


def _clips(question: _Asked, highlights: Sequence[Highlight]) -> Floats:
    """Return the scores (C + 1,) of the clips, and of the time after the end, as one more.

    0 is the score of what nothing was said of.
    """
    clip_s, duration_s = question.example.question.clip_s, question.recording.duration_s
    assert clip_s is not None, "a question for highlights has it"
    starts_s = [start_s for start_s, _ in clip_bounds(duration_s, clip_s)]
    last_s = starts_s[-1]  # a rest of the recording belongs to the last clip
    moments = [
        Highlight(min(h.time_s, last_s) if h.time_s < duration_s else last_s + clip_s, h.score)
        for h in highlights
    ]
    return clip_scores(moments, num_clips=len(starts_s) + 1, clip_s=clip_s)


def _segmentation(
    asked: Sequence[_Asked], read: Sequence[ReadAnswer[Segment]], rate_hz: float
) -> BackgroundRules:
    times_s = [_frame_times(question.recording.duration_s, rate_hz) for question in asked]
    return background_rules(
        predicted=[
            frame_labels(answer.values, times) for answer, times in zip(read, times_s, strict=True)
        ],
        truth=[
            frame_labels(question.recording.spans(), times)
            for question, times in zip(asked, times_s, strict=True)
        ],
    )


def _frame_times(duration_s: float, rate_hz: float) -> list[float]:
    """Return when each frame begins, of which there is at least one."""
    num_frames = max(math.ceil(duration_s * rate_hz - 1e-6), 1)
    return [frame / rate_hz for frame in range(num_frames)]
