"""What the compared systems must beat without a language model, and where the scale ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edge.answers.questions import judge_answers, questions
from edge.evaluation.frame_judgement import Evidence, judge_frames
from edge.evaluation.frame_yardsticks import yardsticks
from edge.labelled_videos import LabelledSplits
from industryasm.repairs import Repairs
from industryasm.segment import Segment, runs
from models.language.blind_prior import fit_priors
from models.language.examples import Example
from models.language.judgement import LanguageScores
from models.language.segment_answers import segment_answer
from models.temporalvlm.answer import Answer
from models.viterbi import best_path

PROBE = "linear probe, mean of ±1 s"


def language_yardsticks(
    splits: LabelledSplits, repairs: Repairs
) -> Iterator[tuple[str, LanguageScores]]:
    """Yield what the truth, who sees nothing, and a linear probe's segments would get.

    The probe is left out where there is less than one frame a second. What the questions leave out
    is counted in `repairs`, and so is, by its name, what a yardstick leaves out of its answers.
    """
    asked = questions(splits, "test", repairs)
    truth = {name: recording.spans() for name, recording in splits.recordings.items()}
    yield _judged("the truth", _said(asked, truth, splits), asked, splits, repairs)
    yield _judged("blind prior", _blind(asked, splits), asked, splits, repairs)
    for name, _, evidence in yardsticks(splits):
        if name == PROBE:
            said = _said(asked, _segments(evidence, splits), splits)
            yield _judged(f"{name}, its segments", said, asked, splits, repairs)


def segment_scores(evidence: Evidence, splits: LabelledSplits) -> LanguageScores:
    """Judge what the decoded segments of frame-wise evidence answer to the test split's questions.

    What is too short to be said in tenths of a second is left out.
    """
    asked = questions(splits, "test", Repairs())
    answers, _ = _said(asked, _segments(evidence, splits), splits)
    return judge_answers(asked, answers, splits)


def _judged(
    name: str,
    said: tuple[list[Answer], Repairs],
    asked: Sequence[Example],
    splits: LabelledSplits,
    repairs: Repairs,
) -> tuple[str, LanguageScores]:
    answers, own = said
    for what, number in own.counts.items():
        repairs.add(f"{name}: {what}", "; ".join(own.places[what]), number)
    return name, judge_answers(asked, answers, splits)


def _blind(asked: Sequence[Example], splits: LabelledSplits) -> tuple[list[Answer], Repairs]:
    known = [splits.recordings[video.name] for video in splits.videos["train"]]
    priors = fit_priors(known, splits.tasks)
    said, repairs = [], Repairs()
    for example in asked:
        recording = splits.recordings[example.recording_id]
        prior = priors[recording.task]
        text = prior.answer(example.question, repairs, duration_s=recording.duration_s)
        said.append(Answer(text, is_finished=True))
    return said, repairs


def _segments(evidence: Evidence, splits: LabelledSplits) -> dict[str, list[Segment]]:
    cost = judge_frames(evidence, splits).switch_penalty
    found: dict[str, list[Segment]] = {}
    for video in splits.videos["test"]:
        labels = splits.tasks[video.task].labels()
        path = best_path(evidence(video), switch_penalty=cost)
        times_s = [*video.times_s.tolist(), splits.recordings[video.name].duration_s]
        found[video.name] = [
            Segment(times_s[start], times_s[end], label)
            for label, start, end in runs([labels[i] for i in path])
            if times_s[start] < times_s[end]
        ]
    return found


def _said(
    asked: Sequence[Example], segments: Mapping[str, list[Segment]], splits: LabelledSplits
) -> tuple[list[Answer], Repairs]:
    said, repairs = [], Repairs()
    for example in asked:
        recording = splits.recordings[example.recording_id]
        text = segment_answer(
            example.question,
            segments[recording.id],
            splits.tasks[recording.task],
            repairs,
            duration_s=recording.duration_s,
        )
        said.append(Answer(text, is_finished=True))
    return said, repairs
