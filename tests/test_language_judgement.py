"""Judging answers to the four tasks: what is read is scored, and what is not scores as nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from industryasm.recording import Recording
from industryasm.repairs import Repairs
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Step, Task
from models.language.answer_report import Rule
from models.language.examples import Example, language_examples
from models.language.instructions import LANGUAGE_TASKS, LanguageTask
from models.language.judgement import JudgementError, LanguageScores, judge
from models.language.reading_counts import ReadingCounts
from models.metrics import background_rules

RATE_HZ = 5.0


def toy_task(name: str, *texts: str) -> Task:
    steps = tuple(
        Step(id=f"step-{i}", text=text, primitive="other", expected_s=5, limit_s=20)
        for i, text in enumerate(texts)
    )
    return Task(id=name, name=name, product=name, family="toys", parts=(), steps=steps)


CAR = toy_task(
    "toy-car", "Fit the front axle into its slot", "Press the roof on", "Turn the four wheels once"
)
TRAIN = toy_task("toy-train", "Couple the wagon to the engine", "Place both of them on the rails")


def recording(
    task: Task, *segments: tuple[float, float, str], duration_s: float = 30.0, name: str = "one"
) -> Recording:
    return Recording.model_validate(
        {
            "id": name,
            "task": task.id,
            "task_revision": 1,
            "duration_s": duration_s,
            "station": "s",
            "camera": "c",
            "operator": "o",
            "annotator": "a",
            "review": "reviewed",
            "cycles": [],
            "segments": [{"start_s": s, "end_s": e, "label": label} for s, e, label in segments],
            "deviations": [],
        }
    )


ONE = recording(CAR, (2.0, 8.0, "step-0"), (8.0, 12.0, "step-1"), (20.0, 28.0, "step-2"))
OTHER = recording(TRAIN, (0.0, 9.0, "step-0"), (10.0, 19.0, "step-1"), name="other")


def asked(source: Recording, task: Task, *tasks: LanguageTask, **options: Any) -> list[Example]:
    return language_examples(source, task, Repairs(), tasks=tasks or LANGUAGE_TASKS, **options)


def judged(
    examples: Sequence[Example], answers: Sequence[str], *recordings: Recording, **options: Any
) -> LanguageScores:
    options = {"rate_hz": RATE_HZ, "tasks": [CAR, TRAIN], **options}
    return judge(examples, answers, recordings=recordings or [ONE, OTHER], **options)


def figures(scores: LanguageScores) -> list[float]:
    """The figures that a table shows, captioning first; CIDEr has another scale."""
    assert scores.captioning is not None
    assert scores.grounding is not None
    assert scores.highlights is not None
    assert scores.segmentation is not None
    captioning, grounding, highlights = scores.captioning, scores.grounding, scores.highlights
    segmentation = scores.segmentation.ignored
    return [
        *(captioning.soda_c_exact_stem, captioning.f1),
        *(grounding.recall_30, grounding.recall_50, grounding.recall_70, grounding.mean_overlap),
        *(highlights.mean_average_precision, highlights.hit_at_1),
        *(segmentation.step_accuracy, segmentation.edit, segmentation.f1_10, segmentation.f1_50),
    ]


def test_right_answers_about_several_vocabularies_score_full_marks() -> None:
    examples = asked(ONE, CAR) + asked(OTHER, TRAIN)
    scores = judged(examples, [example.answer for example in examples])
    assert figures(scores) == pytest.approx([100.0] * 12)
    assert scores.captioning is not None
    assert scores.segmentation is not None
    assert scores.captioning.num_recordings == 2
    assert scores.segmentation.ignored.num_frames == 300
    assert scores.segmentation.counted.edit == 100.0
    assert {name: r.num_answers for name, r in scores.readings.items()} == {
        "dense_captioning": 2,
        "grounding": 5,
        "highlights": 5,
        "segmentation": 2,
    }
    assert all(r.unread_percent == 0 and not r.remarks for r in scores.readings.values())


@pytest.mark.parametrize("answer", ["none", "", "   \n", "I cannot see that.", "2.0 - 8.0", "{}"])
def test_an_answer_without_a_value_scores_as_nothing_found(answer: str) -> None:
    examples = asked(ONE, CAR)
    scores = judged(examples, [answer] * len(examples))
    assert figures(scores) == [0.0] * 12
    assert scores.grounding is not None
    assert (scores.grounding.num_questions, scores.grounding.num_unread) == (3, 3)
    reading = scores.readings["grounding"]
    if answer == "none":
        assert (reading.num_none, reading.num_unread_answers, reading.num_lines) == (3, 0, 0)
    else:
        assert (reading.num_none, reading.num_unread_answers, reading.num_unread_lines) == (0, 3, 3)
        assert reading.unread_percent == 100.0


def test_an_unreadable_answer_is_not_dropped_from_the_mean() -> None:
    examples = asked(ONE, CAR, "grounding") + asked(OTHER, TRAIN, "dense_captioning")
    examples += asked(ONE, CAR, "dense_captioning")
    answers = [example.answer for example in examples]
    answers[0] = answers[-1] = "somewhere at the beginning"
    scores = judged(examples, answers)
    assert scores.grounding is not None
    assert scores.captioning is not None
    assert scores.grounding.recall_70 == pytest.approx(200 / 3)
    assert (scores.captioning.f1, scores.captioning.num_recordings) == (50.0, 2)


def test_a_task_that_was_not_asked_has_no_score() -> None:
    assert judged([], []) == LanguageScores(
        captioning=None,
        grounding=None,
        highlights=None,
        segmentation=None,
        readings={},
        num_groundings_left_out=0,
        rules=("cut_overlaps",),
        rate_hz=RATE_HZ,
    )
    [example] = asked(ONE, CAR, "segmentation")
    scores = judged([example], [example.answer])
    assert (scores.captioning, scores.grounding, scores.highlights) == (None, None, None)
    assert list(scores.readings) == ["segmentation"]


def test_answers_of_another_task_are_not_read_as_this_one() -> None:
    """But a segmentation is a captioning too, where the phrases of the steps are their texts."""
    by_task = {e.question.task: e for e in asked(ONE, CAR)}
    wrong: dict[LanguageTask, LanguageTask] = {
        "dense_captioning": "highlights",
        "grounding": "segmentation",
        "highlights": "grounding",
        "segmentation": "highlights",
    }
    examples = [by_task[name] for name in LANGUAGE_TASKS]
    scores = judged(examples, [by_task[wrong[name]].answer for name in LANGUAGE_TASKS])
    assert figures(scores) == [0.0] * 12
    assert {r.unread_percent for r in scores.readings.values()} == {100.0}
    captioning = by_task["dense_captioning"]
    as_segmentation = judged([captioning], [by_task["segmentation"].answer])
    assert as_segmentation == judged([captioning], [captioning.answer])


def test_a_step_of_another_vocabulary_is_unread() -> None:
    [example] = asked(OTHER, TRAIN, "segmentation")
    scores = judged([example], ["Press the roof on: 0.0 - 9.0 seconds"])
    assert scores.readings["segmentation"].remarks == {"unknown step: unread": 1}


# --- reading -----------------------------------------------------------------------------------


def test_lines_are_kept_repaired_or_unread() -> None:
    [example] = asked(ONE, CAR, "segmentation")
    answer = "\n".join(
        [
            "Fit the front axle into its slot: 2.0 - 8.0 seconds",
            "Press the roof on: 7.0 - 12.0 seconds",  # cuts the one before
            "from 20 to 28 seconds: Turn the four wheels once",
            "Press the roof on: 28.0 - 40.0 seconds",  # beyond the end, but said properly
        ]
    )
    scores = judged([example], [answer])
    assert scores.readings["segmentation"] == ReadingCounts(
        num_answers=1,
        num_unread_answers=0,
        num_none=0,
        num_lines=4,
        num_kept_lines=2,
        num_repaired_lines=1,
        num_unread_lines=1,
        remarks={
            "beyond the end: kept": 1,
            "no line of such an answer: unread": 1,
            "overlap: repaired": 1,
        },
    )
    assert scores.readings["segmentation"].unread_percent == 25.0
    assert scores.rules == ("cut_overlaps",)


@pytest.mark.parametrize(
    ("answer", "rule"),
    [("from 2 to 8 seconds", "other_wording"), ("8.0 - 2.0 seconds", "swap_reversed")],
)
def test_what_is_not_said_as_asked_counts_only_by_a_named_rule(answer: str, rule: Rule) -> None:
    example = asked(ONE, CAR, "grounding")[0]
    strict, lenient = judged([example], [answer]), judged([example], [answer], rules=[rule])
    assert strict.grounding is not None
    assert lenient.grounding is not None
    assert (strict.grounding.mean_overlap, lenient.grounding.mean_overlap) == (0.0, 100.0)
    assert lenient.readings["grounding"].num_repaired_lines == 1
    assert lenient.rules == (rule,)


def test_the_line_at_which_a_model_was_stopped_is_not_taken() -> None:
    example = asked(ONE, CAR, "grounding")[0]
    answers = ["2.0 - 8.0 seconds"]
    cut, whole = (judged([example], answers, finished=[known]) for known in (False, True))
    assert cut.grounding is not None
    assert cut.grounding.mean_overlap == 0.0
    assert cut.readings["grounding"].remarks == {"cut off at the length limit: unread": 1}
    assert whole == judged([example], answers)


# --- grounding ---------------------------------------------------------------------------------


def test_the_first_span_of_an_answer_is_the_one_that_is_judged() -> None:
    example = asked(ONE, CAR, "grounding")[0]
    for answer, overlap in [
        ("2.0 - 5.0 seconds\n2.0 - 8.0 seconds", 50.0),
        ("what?\n2.0 - 8.0 seconds", 100.0),
    ]:
        scores = judged([example], [answer])
        assert scores.grounding is not None
        assert scores.grounding.mean_overlap == overlap


def test_a_question_of_several_true_spans_is_counted_and_not_scored() -> None:
    twice = recording(CAR, (0, 4, "step-0"), (4, 8, "step-1"), (8, 12, "step-0"))
    examples = asked(twice, CAR, "grounding")
    scores = judged(examples, ["none", "4.0 - 8.0 seconds"], twice)
    assert scores.grounding is not None
    assert (scores.grounding.num_questions, scores.grounding.recall_70) == (1, 100.0)
    assert scores.num_groundings_left_out == 1
    assert scores.readings["grounding"].num_answers == 2, "it was asked and read"
    alone = judged(examples[:1], ["0.0 - 4.0 seconds"], twice)
    assert alone.grounding is not None
    assert (alone.grounding.num_questions, alone.num_groundings_left_out) == (0, 1)


# --- highlights --------------------------------------------------------------------------------


def highlight_figures(answer: str, source: Recording) -> tuple[float, float]:
    example = asked(source, CAR, "highlights")[0]
    scores = judged([example], [answer], source)
    assert scores.highlights is not None
    return scores.highlights.mean_average_precision, scores.highlights.hit_at_1


# clips [0, 2), [2, 4), [4, 6), [6, 8.9): the step has none, half, all, and 2.0 / 2.9 of them
HALF = recording(CAR, (3.0, 8.0, "step-0"), duration_s=8.9)
SHORT = recording(CAR, (3.9, 4.2, "step-0"), duration_s=8.9)


@pytest.mark.parametrize(
    ("answer", "mean_ap", "hit"),
    [
        ("2.0 seconds, score 3.0\n4.0 seconds, score 5.0\n6.0 seconds, score 3.8", 100, 100),
        ("3.9 seconds, score 3.0\n5.0 seconds, score 5.0\n7.0 seconds, score 3.8", 100, 100),
        ("2.0 seconds, score 1.0\n4.0 seconds, score 1.0\n8.5 seconds, score 1.0", 100, 100),
        ("0.0 seconds, score 5.0", 75, 0),  # the other clips, equally bad, hold the three
        ("0.0 seconds, score 5.0\n4.0 seconds, score 4.0", 75, 0),  # better ones come lower
        ("4.0 seconds, score 5.0", 87.5, 100),
        ("4.0 seconds, score 3.0\n9.0 seconds, score 5.0", 87.5, 0),  # best behind the end
        ("8.9 seconds, score 5.0", 0, 0),  # nothing within the recording
        ("90000.0 seconds, score 5.0", 0, 0),
    ],
)
def test_a_clip_is_a_highlight_if_the_step_is_done_in_half_of_it(
    answer: str, mean_ap: float, hit: float
) -> None:
    assert highlight_figures(answer, HALF) == pytest.approx((mean_ap, hit))


@pytest.mark.parametrize(
    ("answer", "mean_ap", "hit"),
    [
        ("2.0 seconds, score 1.2\n4.0 seconds, score 1.4", 100, 100),
        ("2.0 seconds, score 1.4\n4.0 seconds, score 1.2", 50, 0),
    ],
)
def test_of_a_short_step_the_clip_with_most_of_it_is_the_highlight(
    answer: str, mean_ap: float, hit: float
) -> None:
    assert highlight_figures(answer, SHORT) == pytest.approx((mean_ap, hit))


# --- segmentation ------------------------------------------------------------------------------


def test_a_segmentation_is_scored_frame_by_frame_with_gaps_as_background() -> None:
    short = recording(CAR, (0.0, 1.0, "step-0"), (1.4, 2.0, UNEXPECTED), duration_s=2.0)
    [example] = asked(short, CAR, "segmentation")
    answer = (
        "Fit the front axle into its slot: 0.0 - 0.6 seconds\nPress the roof on: 0.6 - 2.0 seconds"
    )
    scores = judged([example], [answer], short)
    assert scores.segmentation == background_rules(
        predicted=[["step-0"] * 3 + ["step-1"] * 7],
        truth=[["step-0"] * 5 + [BACKGROUND] * 2 + [UNEXPECTED] * 3],
    )
    assert scores.segmentation.ignored.accuracy == 30.0


@pytest.mark.parametrize(
    ("duration_s", "num_frames"), [(0.1, 1), (0.2, 1), (0.27, 2), (0.6, 3), (30.0, 150)]
)
def test_there_is_a_frame_for_each_beginning_within_the_recording(
    duration_s: float, num_frames: int
) -> None:
    short = recording(CAR, (0.0, duration_s, "step-1"), duration_s=duration_s)
    [example] = asked(short, CAR, "segmentation")
    scores = judged([example], [example.answer], short)
    assert scores.segmentation is not None
    assert scores.segmentation.ignored.num_frames == num_frames
    assert scores.segmentation.ignored.accuracy == 100.0


def test_frames_of_recordings_are_counted_together() -> None:
    long = recording(CAR, (0.0, 90.0, "step-0"), duration_s=90.0, name="long")
    short = recording(CAR, (0.0, 10.0, "step-0"), duration_s=10.0, name="short")
    examples = asked(long, CAR, "segmentation") + asked(short, CAR, "segmentation")
    scores = judged(examples, ["none", examples[1].answer], long, short)
    assert scores.segmentation is not None
    assert scores.segmentation.ignored.accuracy == 10.0


def test_all_background_is_told_by_none() -> None:
    idle = recording(CAR, (0.0, 9.0, BACKGROUND), duration_s=9.0)
    examples = asked(idle, CAR)
    scores = judged(examples, ["none"] * len(examples), idle)
    assert scores.segmentation is not None
    assert scores.segmentation.ignored.accuracy == scores.segmentation.ignored.edit == 100.0
    assert scores.captioning is not None
    assert scores.captioning.num_recordings == 0, "nothing is known that could be told"


# --- borders -----------------------------------------------------------------------------------


def test_scores_are_plain_json() -> None:
    examples = asked(ONE, CAR)
    plain = judged(examples, [e.answer for e in examples[:-1]] + ["?"]).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["readings"]["segmentation"]["unread_percent"] == 100.0
    assert plain["grounding"]["recall_50"] == 100.0
    assert plain["segmentation"]["ignored"]["f1_50"] == 0.0
    assert judged([], []).as_dict()["captioning"] is None


EXAMPLE = asked(ONE, CAR, "segmentation")[0]


@pytest.mark.parametrize(
    ("examples", "answers", "options", "message"),
    [
        ([EXAMPLE], [], {}, "0 answers, .* for 1 questions"),
        ([EXAMPLE], ["none"], {"finished": []}, "1 answers, 0 of them known"),
        (
            [replace(EXAMPLE, recording_id="gone")],
            ["none"],
            {},
            "a question about 'gone': give that recording too",
        ),
        (
            [EXAMPLE],
            ["none"],
            {"tasks": [TRAIN]},
            "recording 'one' is of task 'toy-car': give that task",
        ),
        ([EXAMPLE], ["none"], {"tasks": [CAR, CAR]}, "given twice: toy-car"),
        ([EXAMPLE], ["none"], {"rate_hz": 0.0}, "rate_hz 0.0 must be above 0"),
        ([EXAMPLE], ["none"], {"rate_hz": float("nan")}, "rate_hz nan"),
        ([EXAMPLE], ["none"], {"rate_hz": float("inf")}, "rate_hz inf"),
        ([EXAMPLE], ["none"], {"rules": ["be_kind"]}, "unknown rules"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    examples: list[Example], answers: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        judged(examples, answers, **options)
    with pytest.raises(JudgementError, match="given twice: one"):
        judged([], [], ONE, ONE)
