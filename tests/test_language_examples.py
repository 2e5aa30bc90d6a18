"""Questions and answers of the four tasks, made from annotated recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from industryasm.recording import DataSet, Recording
from industryasm.repairs import Repairs
from industryasm.segment import Segment
from industryasm.sets import assembly101, captaincook4d, ikea_asm, impact
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Task, load_task
from models.language.answer_parser import (
    read_captions,
    read_highlights,
    read_segments,
    read_spans,
)
from models.language.answers import CaptionedSpan, Highlight, TimeSpan
from models.language.examples import (
    MAX_CLIPS,
    Example,
    ExampleError,
    clip_bounds,
    clip_highlights,
    clip_length_s,
    language_examples,
)
from models.language.instructions import LanguageTask
from models.language.step_phrases import UNEXPECTED_PHRASE, StepPhrases
from models.language.timestamps import MAX_TIME_S, at_resolution

REAL = Path(__file__).parents[2] / "shared" / "data"
SETS: list[tuple[str, Callable[[Path, Path, Repairs], None]]] = [
    ("captaincook4d", captaincook4d.import_set),
    ("ikea_asm", ikea_asm.import_set),
    ("assembly101_mistakes", assembly101.import_set),
    ("impact", impact.import_set),
]
TASK = load_task("brake-caliper")
HOUSING, SEAL = TASK.steps[0], TASK.steps[1]


def recording(*segments: tuple[float, float, str], duration_s: float = 60.0) -> Recording:
    return Recording.model_validate(
        {
            "id": "hand-made",
            "task": TASK.id,
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


REPEATED = recording(
    (1.0, 3.06, HOUSING.id),
    (3.06, 9.5, SEAL.id),
    (9.5, 12.0, BACKGROUND),
    (12.0, 12.3, UNEXPECTED),
    (12.3, 14.0, HOUSING.id),
)


def made(source: Recording, *tasks: LanguageTask, **options: object) -> list[Example]:
    repairs = Repairs()
    examples = language_examples(source, TASK, repairs, tasks=tasks, **options)  # type: ignore[arg-type]
    assert not repairs.counts
    return examples


def test_dense_captions_are_the_texts_of_what_was_done() -> None:
    [example] = made(REPEATED, "dense_captioning")
    assert example.answer.split("\n") == [
        f"{HOUSING.text}: 1.0 - 3.1 seconds",
        f"{SEAL.text}: 3.1 - 9.5 seconds",
        f"{UNEXPECTED_PHRASE}: 12.0 - 12.3 seconds",
        f"{HOUSING.text}: 12.3 - 14.0 seconds",
    ]
    assert example.truth[0] == CaptionedSpan(TimeSpan(1.0, 3.06), HOUSING.text), "as annotated"


def test_a_step_that_was_done_twice_has_two_spans_or_is_not_asked_for() -> None:
    housing, seal = made(REPEATED, "grounding")
    assert housing.answer == "1.0 - 3.1 seconds\n12.3 - 14.0 seconds"
    assert (housing.question.query, seal.question.query) == (HOUSING.text, SEAL.text)
    repairs = Repairs()
    once = language_examples(REPEATED, TASK, repairs, tasks=["grounding"], repeated="leave_out")
    assert [example.question.query for example in once] == [SEAL.text]
    assert repairs.lines() == [
        f"1 x step done more than once: grounding not asked (hand-made: {HOUSING.text})"
    ]


def test_steps_of_one_text_are_one_question() -> None:
    steps = tuple(s.model_copy(update={"text": "Turn it"}) for s in TASK.steps[:2]) + TASK.steps[2:]
    task = TASK.model_copy(update={"steps": steps})
    asked = language_examples(REPEATED, task, Repairs(), tasks=["grounding", "segmentation"])
    assert [example.question.query for example in asked] == ["Turn it", None]
    assert len(asked[0].truth) == 3
    assert "Turn it (2): 3.1 - 9.5 seconds" in asked[1].answer


def test_highlights_are_scored_by_how_much_of_a_clip_the_step_covers() -> None:
    housing, _ = made(REPEATED, "highlights")
    assert housing.truth == (
        Highlight(0.0, 3.0),  # 1 s of 2
        Highlight(2.0, 3.1),  # 1.06 s of 2
        Highlight(12.0, 4.4),  # 1.7 s of 2
    )
    assert housing.answer.split("\n")[0] == "0.0 seconds, score 3.0"


def test_a_rest_of_less_than_half_a_clip_joins_the_last_one() -> None:
    """IMPACT has a recording of 168.033 s: a clip of its last 0.033 s would be at its end."""
    assert clip_bounds(168.033, 4.0)[-1] == (164.0, 168.033)
    assert clip_bounds(0.3, 2.0) == [(0.0, 0.3)]
    assert clip_highlights([TimeSpan(4, 5)], duration_s=5.0, clip_s=2.0) == (Highlight(4.0, 5.0),)
    assert clip_highlights([TimeSpan(4, 4.9)], duration_s=4.9, clip_s=2.0) == (Highlight(2.0, 2.2),)


@given(st.floats(0.1, MAX_TIME_S), st.data())
def test_highlights_are_at_most_75_clips_with_scores_from_1_to_5(
    duration_s: float, data: st.DataObject
) -> None:
    clip_s = clip_length_s(duration_s)
    assert clip_s % 2 == 0
    start_s = data.draw(st.floats(0, duration_s, exclude_max=True))
    end_s = data.draw(st.floats(start_s, duration_s, exclude_min=True))
    span = TimeSpan(start_s, end_s)
    found = clip_highlights([span], duration_s=duration_s, clip_s=clip_s)
    assert 1 <= len(found) <= MAX_CLIPS
    assert all(1 <= h.score <= 5 and 0 <= h.time_s < duration_s for h in found)
    whole = clip_highlights([TimeSpan(0, duration_s)], duration_s=duration_s, clip_s=clip_s)
    assert {highlight.score for highlight in whole} == {5.0}


def test_a_segmentation_lists_all_steps_and_says_all_segments() -> None:
    [example] = made(REPEATED, "segmentation")
    phrases = StepPhrases.of(TASK)
    assert example.question.steps == tuple(phrases.phrases.values())
    assert read_segments(example.answer, phrases).values[2] == Segment(12.0, 12.3, UNEXPECTED)
    [bare] = made(REPEATED, "segmentation", list_steps=False)
    assert (bare.answer, bare.question.steps) == (example.answer, ())


def test_a_recording_of_background_has_nothing_to_say() -> None:
    examples = made(
        recording((0, 9, BACKGROUND)), "dense_captioning", "grounding", "highlights", "segmentation"
    )
    assert [(e.question.task, e.answer) for e in examples] == [
        ("dense_captioning", "none"),
        ("segmentation", "none"),
    ]


def test_a_segment_too_short_to_be_said_is_left_out_and_counted() -> None:
    repairs = Repairs()
    short = recording((1.01, 1.04, HOUSING.id), (1.04, 1.06, SEAL.id))
    examples = language_examples(short, TASK, repairs)
    assert repairs.lines() == [
        "1 x segment without length in tenths: left out (hand-made: 1.010 - 1.040 s)"
    ]
    assert {example.question.query for example in examples} == {None, SEAL.text}


def test_the_seed_chooses_the_wordings_and_nothing_else() -> None:
    first, again, other = (
        language_examples(REPEATED, TASK, Repairs(), seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert [e.instruction for e in first] != [e.instruction for e in other]
    assert [(e.question, e.answer) for e in first] == [(e.question, e.answer) for e in other]
    alone = language_examples(REPEATED, TASK, Repairs(), tasks=["segmentation"])
    assert alone == first[-1:], "whatever else is asked"


@pytest.mark.parametrize(
    ("source", "task", "message"),
    [
        (recording(), load_task("side-table"), "is of task 'brake-caliper', not of 'side-table'"),
        (
            recording((0, 1, HOUSING.id), (1, 2, "fly")),
            TASK,
            r"'hand-made': segments\.1: label 'fly' is no step",
        ),
        (recording(duration_s=1e6), TASK, "duration_s 1000000.0 is above 99999.9"),
        (
            recording(),
            TASK.model_copy(
                update={"steps": (HOUSING.model_copy(update={"text": "Turn\x1c"}), SEAL)}
            ),
            r"step 'place-housing': text 'Turn\\x1c' ends blank",
        ),
    ],
)
def test_a_recording_that_does_not_fit_is_refused(
    source: Recording, task: Task, message: str
) -> None:
    with pytest.raises(ExampleError, match=message):
        language_examples(source, task, Repairs())


# --- real sets ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "importer"), SETS, ids=[name for name, _ in SETS])
def test_answers_about_real_recordings_are_read_back(
    name: str, importer: Callable[[Path, Path, Repairs], None], tmp_path: Path
) -> None:
    if not (REAL / name).is_dir():
        pytest.skip(f"{REAL / name} is not there")
    importer(REAL / name, tmp_path, Repairs())
    data, repairs, asked = DataSet(tmp_path), Repairs(), Counter[str]()
    for source in data.recordings():
        task = data.task(source.task)
        for example in language_examples(source, task, repairs):
            asked[example.question.task] += 1
            check_is_read_back(example, source, task)
    num_recordings = len(list(data.recordings()))
    assert asked["segmentation"] == asked["dense_captioning"] == num_recordings
    assert asked["grounding"] == asked["highlights"] >= num_recordings
    num_segments = sum(len(source.segments) for source in data.recordings())
    assert sum(repairs.counts.values()) < num_segments / 100


def check_is_read_back(example: Example, source: Recording, task: Task) -> None:
    read = {
        "dense_captioning": read_captions,
        "grounding": read_spans,
        "highlights": read_highlights,
        "segmentation": lambda text, duration_s: read_segments(
            text, StepPhrases.of(task), duration_s=duration_s
        ),
    }[example.question.task]
    answer = read(example.answer, duration_s=source.duration_s)
    assert not answer.remarks
    assert list(answer.values) == [said(value) for value in example.truth]


def said(value: CaptionedSpan | TimeSpan | Highlight | Segment) -> object:
    """Return a value with its times as they are written."""
    if isinstance(value, Highlight):
        return value
    if isinstance(value, CaptionedSpan):
        return CaptionedSpan(spoken(value.span.start_s, value.span.end_s), value.caption)
    times = spoken(value.start_s, value.end_s)
    if isinstance(value, TimeSpan):
        return times
    return Segment(times.start_s, times.end_s, value.label)


def spoken(start_s: float, end_s: float) -> TimeSpan:
    return TimeSpan(at_resolution(start_s), at_resolution(end_s))
