"""Answers made of segments: the truth judged, and what can be said without a look at the video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from industryasm.recording import DataSet, Recording
from industryasm.repairs import Repairs
from industryasm.segment import Segment
from industryasm.sets import captaincook4d, ikea_asm
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, load_task
from models.language.answer_parser import read_segments
from models.language.blind_prior import BlindPrior, RelativeSpan, fit_priors
from models.language.examples import Example, language_examples
from models.language.instructions import Question
from models.language.judgement import LanguageScores, judge
from models.language.segment_answers import segment_answer
from models.language.step_phrases import UNEXPECTED_PHRASE, StepPhraseError, StepPhrases

REAL = Path(__file__).parents[2] / "shared" / "data"
TASK = load_task("brake-caliper")
HOUSING, SEAL, BORE, *_ = TASK.steps
SEGMENTS = [
    Segment(1.0, 3.04, HOUSING.id),
    Segment(3.04, 9.5, SEAL.id),
    Segment(9.5, 12.0, BACKGROUND),
    Segment(12.0, 12.3, UNEXPECTED),
    Segment(12.3, 15.0, HOUSING.id),
]


def recording(*segments: Segment, duration_s: float, name: str = "one") -> Recording:
    return Recording.model_validate(
        {
            "id": name,
            "task": TASK.id,
            "task_revision": 1,
            "duration_s": duration_s,
            "station": "s",
            "camera": "c",
            "operator": "o",
            "annotator": "a",
            "review": "reviewed",
            "cycles": [],
            "segments": [
                {"start_s": s.start_s, "end_s": s.end_s, "label": s.label} for s in segments
            ],
            "deviations": [],
        }
    )


def said(question: Question, *segments: Segment, duration_s: float = 20.0) -> str:
    repairs = Repairs()
    answer = segment_answer(question, segments, TASK, repairs, duration_s=duration_s)
    assert not repairs.counts
    return answer


# --- from segments -----------------------------------------------------------------------------


def test_segments_answer_each_task() -> None:
    lines = [
        f"{HOUSING.text}: 1.0 - 3.0 seconds",
        f"{SEAL.text}: 3.0 - 9.5 seconds",
        f"{UNEXPECTED_PHRASE}: 12.0 - 12.3 seconds",
        f"{HOUSING.text}: 12.3 - 15.0 seconds",
    ]
    assert said(Question("dense_captioning"), *SEGMENTS).split("\n") == lines
    assert said(Question("segmentation"), *SEGMENTS).split("\n") == lines
    assert said(Question("grounding", query=SEAL.text), *SEGMENTS) == "3.0 - 9.5 seconds"
    assert said(Question("highlights", query=SEAL.text, clip_s=4.0), *SEGMENTS).split("\n") == [
        "0.0 seconds, score 2.0",
        "4.0 seconds, score 5.0",
        "8.0 seconds, score 2.5",
    ]


def test_the_longest_span_is_the_first_answer_to_a_grounding() -> None:
    answer = said(Question("grounding", query=HOUSING.text), *SEGMENTS)
    assert answer.split("\n") == ["12.3 - 15.0 seconds", "1.0 - 3.0 seconds"]


@pytest.mark.parametrize(
    "question",
    [
        Question("dense_captioning"),
        Question("segmentation"),
        Question("grounding", query=HOUSING.text),
        Question("highlights", query=HOUSING.text, clip_s=2.0),
    ],
)
@pytest.mark.parametrize(
    "segments",
    [[], [Segment(0, 9, BACKGROUND)], [Segment(20, 22, HOUSING.id)]],
    ids=["nothing found", "background alone", "behind the end"],
)
def test_nothing_found_is_none(question: Question, segments: list[Segment]) -> None:
    assert said(question, *segments) == "none"


def test_unexpected_work_is_no_answer_to_a_question_about_a_step() -> None:
    question = Question("grounding", query=UNEXPECTED_PHRASE)
    assert said(question, *SEGMENTS) == "none"


def test_segments_in_any_order_and_beyond_the_end_are_said_properly() -> None:
    answer = said(
        Question("segmentation"), Segment(5, 30, SEAL.id), Segment(0, 5, HOUSING.id), duration_s=8.0
    )
    read = read_segments(answer, StepPhrases.of(TASK), duration_s=8.0)
    assert not read.remarks
    assert read.values == (Segment(0, 5, HOUSING.id), Segment(5, 8, SEAL.id))


def test_a_segment_too_short_to_be_said_is_counted() -> None:
    repairs = Repairs()
    segments = [Segment(1.01, 1.04, HOUSING.id), Segment(2, 3, SEAL.id)]
    answer = segment_answer(Question("dense_captioning"), segments, TASK, repairs, duration_s=9.0)
    assert answer == f"{SEAL.text}: 2.0 - 3.0 seconds"
    assert repairs.lines() == [
        "1 x segment without length in tenths: left out (place-housing: 1.010 - 1.040 s)"
    ]


def test_a_label_of_another_task_is_refused() -> None:
    with pytest.raises(StepPhraseError, match="'fly' is no step"):
        said(Question("grounding", query=HOUSING.text), Segment(0, 1, "fly"))


# --- the truth and the blind, judged -----------------------------------------------------------


def test_the_truth_scores_full_marks_in_all_four_tasks() -> None:
    source = recording(*SEGMENTS[:-1], duration_s=15.0)
    examples = language_examples(source, TASK, Repairs())
    answers = [said(e.question, *source.spans(), duration_s=15.0) for e in examples]
    assert answers == [example.answer for example in examples]
    scores = judge(examples, answers, recordings=[source], tasks=[TASK], rate_hz=5.0)
    check_full_marks(scores)
    assert scores.grounding is not None
    assert scores.grounding.mean_overlap > 98  # times in tenths


def check_full_marks(scores: LanguageScores) -> None:
    """Full marks, as far as times written in tenths let them be."""
    assert scores.captioning is not None
    assert scores.grounding is not None
    assert scores.highlights is not None
    assert scores.segmentation is not None
    assert scores.captioning.soda_c_exact_stem > 98
    assert scores.captioning.f1 == pytest.approx(100)
    assert scores.grounding.recall_70 == 100
    assert scores.highlights.mean_average_precision == scores.highlights.hit_at_1 == 100
    assert scores.segmentation.ignored.f1_50 == scores.segmentation.ignored.edit == 100
    assert scores.segmentation.ignored.accuracy > 98
    assert not any(r.num_unread_lines or r.remarks for r in scores.readings.values())


TRAINING = [
    recording(Segment(0, 2, HOUSING.id), Segment(2, 6, SEAL.id), duration_s=10.0),
    recording(
        Segment(4, 8, HOUSING.id),
        Segment(8, 16, SEAL.id),
        Segment(16, 20, HOUSING.id),
        duration_s=20.0,
    ),
    recording(Segment(0, 4, HOUSING.id), Segment(36, 40, BORE.id), duration_s=40.0),
]


def test_the_prior_is_the_mean_of_what_is_usual_relative_to_the_length() -> None:
    prior = BlindPrior.fit(TRAINING, TASK)
    assert [span.label for span in prior.usual] == [HOUSING.id, SEAL.id], "one in three is not"
    first, second = prior.segments(30.0)
    assert (first.start_s, first.end_s) == pytest.approx((2.0, 7.0))  # of 0, .2, 0 and .2, .4, .1
    assert (second.start_s, second.end_s) == pytest.approx((9.0, 21.0))  # of .2, .4 and .6, .8


def test_a_step_done_twice_by_half_of_the_recordings_is_told_twice() -> None:
    prior = BlindPrior.fit(TRAINING[:2], TASK)
    assert [span.label for span in prior.usual] == [HOUSING.id, SEAL.id, HOUSING.id]


def test_who_is_told_that_a_rare_step_was_done_answers_its_mean() -> None:
    prior, repairs = BlindPrior.fit(TRAINING, TASK), Repairs()

    def answer(query: str) -> str:
        return prior.answer(Question("grounding", query=query), repairs, duration_s=20.0)

    assert answer(BORE.text) == "18.0 - 20.0 seconds"
    assert answer(HOUSING.text) == "5.0 - 8.5 seconds", "of all four times"
    assert answer(TASK.steps[-1].text) == "none", "in no training recording"
    clips = Question("highlights", query=BORE.text, clip_s=4.0)
    assert prior.answer(clips, repairs, duration_s=20.0) == "16.0 seconds, score 3.0"
    assert BORE.text not in prior.answer(Question("segmentation"), repairs, duration_s=20.0)
    assert not repairs.counts


spans = st.tuples(st.integers(0, 99), st.integers(1, 99)).map(
    lambda pair: RelativeSpan(min(pair) / 100, (max(pair) + 1) / 100, HOUSING.id)
)


@given(st.lists(spans, max_size=8))
@example([RelativeSpan(a, b, HOUSING.id) for a, b in ((0.0, 0.99), (0.45, 0.54), (0.46, 0.53))])
def test_segments_of_the_prior_never_overlap(usual: list[RelativeSpan]) -> None:
    usual.sort(key=lambda span: span.start + span.end)
    segments = BlindPrior(TASK, tuple(usual), ()).segments(60.0)
    ends_s = [0.0, *(segment.end_s for segment in segments)]
    assert all(s.start_s >= end_s for s, end_s in zip(segments, ends_s[:-1], strict=True))
    if len(usual) == 1:
        assert segments == [Segment(usual[0].start * 60, usual[0].end * 60, HOUSING.id)]


def test_steps_of_overlapping_means_part_between_their_middles() -> None:
    usual = (RelativeSpan(0.0, 0.6, HOUSING.id), RelativeSpan(0.2, 0.8, SEAL.id))
    assert BlindPrior(TASK, usual, ()).segments(10.0) == [
        Segment(0.0, 4.0, HOUSING.id),
        Segment(4.0, 8.0, SEAL.id),
    ]


def test_recordings_without_steps_have_nothing_to_say() -> None:
    prior = BlindPrior.fit([recording(duration_s=9.0)], TASK)
    assert (prior.usual, prior.steps, prior.segments(9.0)) == ((), (), [])
    assert prior.answer(Question("segmentation"), Repairs(), duration_s=9.0) == "none"


def test_a_prior_of_no_recording_or_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match="no recording of task 'brake-caliper'"):
        BlindPrior.fit([], TASK)
    with pytest.raises(ValueError, match="of task brake-caliper, not of side-table"):
        BlindPrior.fit(TRAINING, load_task("side-table"))


def test_priors_are_fitted_task_by_task() -> None:
    other = load_task("side-table")
    theirs = TRAINING[0].model_copy(update={"task": other.id, "segments": ()})
    priors = fit_priors([*TRAINING, theirs], {TASK.id: TASK, other.id: other})
    assert priors == {
        TASK.id: BlindPrior.fit(TRAINING, TASK),
        other.id: BlindPrior.fit([theirs], other),
    }


@pytest.mark.parametrize(
    ("name", "importer", "rate_hz"),
    [
        ("captaincook4d", captaincook4d.import_set, 1.0),
        ("ikea_asm", ikea_asm.import_set, 5.0),
    ],
)
def test_on_real_recordings_the_truth_has_full_marks_and_the_blind_do_not(
    name: str, importer: Callable[[Path, Path, Repairs], None], rate_hz: float, tmp_path: Path
) -> None:
    if not (REAL / name).is_dir():
        pytest.skip(f"{REAL / name} is not there")
    importer(REAL / name, tmp_path, Repairs())
    data = DataSet(tmp_path)
    test = {source.id: source for source in data.split("test")}
    tasks = {source.task: data.task(source.task) for source in data.recordings()}
    examples = [
        example
        for source in test.values()
        for example in language_examples(
            source, tasks[source.task], Repairs(), repeated="leave_out"
        )
    ]
    priors = fit_priors(data.split("train"), tasks)

    def true_answer(example: Example) -> str:
        source, repairs = test[example.recording_id], Repairs()
        answer = segment_answer(
            example.question,
            source.spans(),
            tasks[source.task],
            repairs,
            duration_s=source.duration_s,
        )
        assert answer == example.answer
        return answer

    def blind_answer(example: Example) -> str:
        source = test[example.recording_id]
        prior = priors[source.task]
        return prior.answer(example.question, Repairs(), duration_s=source.duration_s)

    def scores(answer: Callable[[Example], str]) -> LanguageScores:
        return judge(
            examples,
            [answer(example) for example in examples],
            recordings=list(test.values()),
            tasks=list(tasks.values()),
            rate_hz=rate_hz,
        )

    check_full_marks(scores(true_answer))
    blind = scores(blind_answer)
    assert blind.captioning is not None
    assert blind.grounding is not None
    assert 10 < blind.captioning.soda_c_exact_stem < 20
    assert 10 < blind.grounding.mean_overlap < 40
    assert blind.num_groundings_left_out == 0
    assert not any(reading.num_unread_lines for reading in blind.readings.values())
