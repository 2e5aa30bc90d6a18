"""What the language model says: text and values are exact inverses, and nothing said gets lost."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Task, load_task, task_ids
from models.language import answer_parser
from models.language.answer_parser import (
    read_captions,
    read_highlights,
    read_segments,
    read_spans,
)
from models.language.answer_reading import MAX_CHARS
from models.language.answer_report import Place, ReadAnswer, Rule
from models.language.answers import CaptionedSpan, Highlight, TimeSpan
from models.language.caption_text import is_caption, read_caption, write_caption
from models.language.instructions import (
    LANGUAGE_TASKS,
    WORDINGS,
    LanguageTask,
    Question,
    pick_wording,
    write_instruction,
)
from models.language.step_phrases import UNEXPECTED_PHRASE, StepPhraseError, StepPhrases
from models.language.target_text import (
    TargetTextError,
    write_captions,
    write_highlights,
    write_segments,
    write_spans,
)
from models.language.timestamps import (
    MAX_TIME_S,
    TimeTextError,
    at_resolution,
    read_time,
    write_time,
)

ALL_RULES: tuple[Rule, ...] = ("other_wording", "swap_reversed", "cut_at_end", "cut_overlaps")
STEPS = StepPhrases(
    {
        "clamp": "Clamp the housing, bore up",
        "bolt": "Drive 2 bolts, M8x25, for 3 seconds",
        "cap": "Setze die Kappe auf; prüfe »Spalt«",
        "cap-again": "setze die kappe auf; prüfe  »spalt«",
        "label": "none: 12.3 - 14.0 seconds",
        "note": "Write C:\\new\nline",
    }
)
ReadAny = Callable[..., ReadAnswer[Any]]
READERS: dict[LanguageTask, ReadAny] = {
    "dense_captioning": read_captions,
    "grounding": read_spans,
    "highlights": read_highlights,
    "segmentation": lambda text, **options: read_segments(text, STEPS, **options),
}
WRITERS: dict[LanguageTask, Callable[[Sequence[Any]], str]] = {
    "dense_captioning": write_captions,
    "grounding": write_spans,
    "highlights": write_highlights,
    "segmentation": lambda values: write_segments(values, STEPS),
}

tenths = st.integers(0, 999_999)
spans = (
    st.tuples(tenths, tenths)
    .filter(lambda t: t[0] != t[1])
    .map(lambda t: TimeSpan(min(t) / 10, max(t) / 10))
)
awkward = st.sampled_from(
    [
        "1. ",
        " 3.5 - 4.0 seconds, ",
        ": 3.5 - 4.0 seconds",
        ",",
        "\n",
        "\\n",
        "\\",
        "\r\n",
        "second",
        "ſ",
        "–",
        "none",
        "９",
    ]
)
captions = (
    st.lists(st.one_of(st.text(max_size=8), awkward), max_size=6)
    .map(lambda parts: "".join(parts).strip())
    .filter(is_caption)
)
highlights = st.builds(
    Highlight, tenths.map(lambda n: n / 10), st.integers(10, 50).map(lambda n: n / 10)
)
VALUES: dict[LanguageTask, st.SearchStrategy[Any]] = {
    "dense_captioning": st.builds(CaptionedSpan, spans, captions),
    "grounding": spans,
    "highlights": highlights,
    "segmentation": st.builds(
        lambda span, label: Segment(span.start_s, span.end_s, label),
        spans,
        st.sampled_from(sorted(STEPS.phrases)),
    ),
}
numbers = st.sampled_from(
    ["3", "5.25", "12.3", "14.0", "007", "99999.99", "1:05", "٣.٤", "1e3", "-2"]
)
pieces = st.one_of(
    numbers,
    awkward,
    st.sampled_from(
        [" - ", " to ", "from ", " seconds", "s", ", ", "\n", "\n\n", " ", "score ", "None.", ": "]
    ),
    st.sampled_from([write_caption(phrase) for phrase in STEPS.phrases.values()]),
    spans.map(lambda span: write_spans([span])),
    highlights.map(lambda highlight: write_highlights([highlight])),
    st.text(max_size=5),
)
hostile = st.one_of(st.text(), st.lists(pieces, max_size=25).map("".join))


# --- times -------------------------------------------------------------------------------------


@given(tenths)
def test_a_time_at_the_resolution_is_read_as_it_was_written(tenth: int) -> None:
    assert read_time(write_time(tenth / 10)) == tenth / 10


@given(st.floats(0, MAX_TIME_S))
def test_writing_moves_a_time_by_half_a_tenth_at_most_and_only_once(time_s: float) -> None:
    written = write_time(time_s)
    assert abs(read_time(written) - time_s) <= 0.05 + 1e-9
    assert write_time(read_time(written)) == written


@given(st.floats(0, MAX_TIME_S), st.floats(0, MAX_TIME_S))
def test_writing_never_turns_two_times_round(first: float, second: float) -> None:
    first, second = sorted([first, second])
    assert at_resolution(first) <= at_resolution(second)


@pytest.mark.parametrize(
    "text",
    ["", "3", "3.", ".5", "3.25", "03.0", "-3.0", "+3.0", "3,0", "1:05", "1e3", "nan", "٣.٤",
     "3.0 ", "3.0\n", "100000.0", "1_0.0"],
)  # fmt: skip
def test_what_write_time_never_writes_is_no_time(text: str) -> None:
    with pytest.raises(TimeTextError, match="is no time"):
        read_time(text)


@pytest.mark.parametrize("time_s", [-0.1, float("nan"), float("inf"), 100_000.0])
def test_a_time_that_cannot_be_said_is_refused(time_s: float) -> None:
    with pytest.raises(TimeTextError, match="outside"):
        write_time(time_s)


# --- text and values are inverses --------------------------------------------------------------


@pytest.mark.parametrize("task", LANGUAGE_TASKS)
@pytest.mark.parametrize("rules", [(), ("other_wording", "swap_reversed", "cut_at_end")])
@given(data=st.data())
def test_what_was_written_is_read_with_the_same_values(
    task: LanguageTask, rules: Collection[Rule], data: st.DataObject
) -> None:
    values = data.draw(st.lists(VALUES[task], max_size=6))
    answer = READERS[task](WRITERS[task](values), duration_s=MAX_TIME_S, rules=rules)
    assert list(answer.values) == values
    assert not answer.unread
    assert not [remark for remark in answer.remarks if remark.outcome == "repaired"]


@given(st.text())
def test_a_caption_is_one_line_and_comes_back(text: str) -> None:
    if is_caption(text):
        assert "\n" not in write_caption(text)
        assert read_caption(write_caption(text)) == (text, True)
    else:
        with pytest.raises(ValueError, match="blanks at its ends"):
            write_caption(text)


def test_nothing_to_say_is_said() -> None:
    for task in LANGUAGE_TASKS:
        assert WRITERS[task]([]) == "none"
        assert READERS[task]("none") == ReadAnswer("none", (), (), ())


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: write_spans([TimeSpan(3.01, 3.04)]), "no length in tenths"),
        (lambda: write_highlights([Highlight(1, 0.9)]), "score 0.9 is outside"),
    ],
)
def test_a_value_that_cannot_be_said_is_refused(write: Callable[[], str], message: str) -> None:
    with pytest.raises(TargetTextError, match=message):
        write()


# --- whatever is said is accounted for ---------------------------------------------------------


@pytest.mark.parametrize("task", LANGUAGE_TASKS)
@pytest.mark.parametrize("rules", [(), ALL_RULES])
@given(text=hostile, finished=st.booleans(), duration_s=st.sampled_from([None, 0.04, 13.0]))
def test_each_character_is_of_a_value_or_of_an_unread_piece_or_blank(
    task: LanguageTask,
    rules: Collection[Rule],
    text: str,
    finished: bool,
    duration_s: float | None,
) -> None:
    answer = READERS[task](text, duration_s=duration_s, rules=rules, finished=finished)
    places = sorted([*answer.places, *(remark.place for remark in answer.unread)])
    assert len(answer.places) == len(answer.values)
    last, left = 0, ""
    for place in places:
        assert last <= place.start <= place.end <= len(text), "no character is told of twice"
        left, last = left + text[last : place.start], place.end
    left += text[last:]
    assert left.strip().casefold().rstrip(".") in ("", "none")
    assert answer.values or answer.remarks or text.strip() == "none"
    assert {r.place for r in answer.remarks if r.outcome == "kept"} <= set(answer.places)
    WRITERS[task](answer.values)  # they are values that can be said, none half-read


@pytest.mark.parametrize("task", LANGUAGE_TASKS)
@given(text=hostile)
def test_without_rules_nothing_is_a_value_but_what_would_be_written_for_it(
    task: LanguageTask, text: str
) -> None:
    answer = READERS[task](text)
    repaired = {remark.place for remark in answer.remarks if remark.outcome == "repaired"}
    assert {r.what for r in answer.remarks if r.place in repaired and r.outcome == "repaired"} <= {
        "caption written otherwise",
        "step in other case or blanks",
    }
    for value, place in zip(answer.values, answer.places, strict=True):
        if place not in repaired:
            assert WRITERS[task]([value]) == text[place.start : place.end]


@pytest.mark.parametrize(
    ("said", "what", "why"),
    [
        ("", "empty answer", "the model said nothing"),
        (" \n ", "empty answer", "blanks"),
        ("3.0 - 4.0", "no line of such an answer", "no unit"),
        ("3 - 4 seconds", "no line of such an answer", "another resolution"),
        ("from 3 to 5 seconds", "no line of such an answer", "another wording"),
        ("1. 3.0 - 4.0 seconds", "no line of such an answer", "1. is no time, nor is it dropped"),
        ("It took 2 screws and 30 seconds", "no line of such an answer", "numbers, but no times"),
        ("3.0 - 4.0 seconds, 5.0 - 6.0 seconds", "no line of such an answer", "two on a line"),
        ("٣.٤ - ٥.٦ seconds", "no line of such an answer", "other digits"),
        ("100000.0 - 100001.0 seconds", "no line of such an answer", "too large"),
        ("5.0 - 3.0 seconds", "reversed span", ""),
        ("5.0 - 5.0 seconds", "span without length", ""),
    ],
)
def test_a_grounding_that_is_none_is_reported_with_its_place(
    said: str, what: str, why: str
) -> None:
    answer = read_spans(f"1.0 - 2.0 seconds\n {said}" if said.strip() else said)
    [remark] = answer.remarks
    assert (remark.what, remark.outcome) == (what, "unread"), why
    assert answer.text[remark.place.start : remark.place.end] == said.strip()
    assert answer.values == ((TimeSpan(1, 2),) if said.strip() else ())


@pytest.mark.parametrize(
    ("reader", "said", "what"),
    [
        (read_captions, "Fit the cap", "no line of such an answer"),
        (read_captions, "3.0 - 4.0 seconds", "no caption"),
        (read_captions, ": 3.0 - 4.0 seconds", "no caption"),
        (read_captions, "\\n: 3.0 - 4.0 seconds", "no caption"),
        (read_captions, "none\nFit: 3.0 - 4.0 seconds", "none beside other lines"),
        (read_highlights, "3.0 seconds, score 0.9", "score outside 1 to 5"),
        (read_highlights, "3.0 seconds, score 5.1", "score outside 1 to 5"),
        (read_highlights, "There are 2 in the 82, 84 second.", "no line of such an answer"),
        (READERS["segmentation"], "Clamp the housing: 3.0 - 4.0 seconds", "unknown step"),
        (
            READERS["segmentation"],
            "Setze die Kappe auf; prüfe »Spalt«!: 3.0 - 4.0 seconds",
            "unknown step",
        ),
        (
            READERS["segmentation"],
            "SETZE die Kappe auf; prüfe »Spalt«: 3.0 - 4.0 seconds",
            "ambiguous step",
        ),
    ],
)  # fmt: skip
def test_a_line_of_another_answer_is_reported(reader: ReadAny, said: str, what: str) -> None:
    assert [remark.what for remark in reader(said).unread] == [what]
    assert [remark.what for remark in reader(said, rules=ALL_RULES).unread] == [what]


# --- the rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "span", "repairs"),
    [
        ("from 3 to 5 seconds", (3, 5), ["other wording"]),
        ("3 - 5 seconds.", (3, 5), ["other wording"]),
        ("3s–5s", (3, 5), ["other wording"]),
        ("From 3.0 seconds to 5.0 seconds", (3, 5), ["other wording"]),
        ("The given query happens in 20.8 - 30.0 seconds.", (20.8, 30), ["other wording"]),
        ("3.25 - 5.04 seconds", (3.2, 5), ["other wording"] + ["time rounded to tenths"] * 2),
        ("3.0 - 5.0 seconds", (3, 5), []),
    ],
)
def test_other_wordings_are_read_only_by_their_rule_and_counted(
    said: str, span: tuple[float, float], repairs: list[str]
) -> None:
    answer = read_spans(said, rules=["other_wording"])
    assert answer.values == (TimeSpan(*span),)
    assert sorted(r.what for r in answer.remarks if r.outcome == "repaired") == sorted(repairs)
    assert bool(read_spans(said).values) == (not repairs)


@pytest.mark.parametrize(
    "said",
    ["1:05 - 2:00 seconds", "step 3 - 5 seconds", "3 - 5", "3 5 seconds", "180 seconds", "3 - 5 kg",
     "3.0000 - 5 seconds", "123456 - 123457 seconds", "- 5 seconds", "3 - 5 secondhand"],
)  # fmt: skip
def test_no_rule_takes_other_numbers_for_times(said: str) -> None:
    answer = read_spans(said, rules=ALL_RULES)
    assert not answer.values
    assert [remark.what for remark in answer.remarks] == ["no line of such an answer"]


def test_highlights_and_captions_in_other_wordings() -> None:
    said = "12 seconds, saliency score: 4.25\nNone"
    answer = read_highlights(said, rules=["other_wording"])
    assert answer.values == (Highlight(12, 4.2),)
    caption = read_captions("12 to 14s: fit 3 to 5 screws", rules=["other_wording"])
    assert caption.values == (CaptionedSpan(TimeSpan(12, 14), "fit 3 to 5 screws"),)
    assert read_captions("None.", rules=["other_wording"]).counts() == {
        "other wording: repaired": 1
    }
    assert read_captions("None.").counts() == {"no line of such an answer: unread": 1}


def test_a_line_that_is_refused_has_no_other_remark() -> None:
    said = "5.25 to 3.0 seconds\n1.0 - 2.0 seconds"
    answer = read_spans(said, rules=["other_wording"])
    assert answer.counts() == {"reversed span: unread": 1}


def test_a_moment_is_read_in_its_own_wording_alone() -> None:
    for said in ("3.0 second, score 4.0", "3.0 seconds score 4.0", "3.0 seconds, score 4"):
        assert read_highlights(said).counts() == {"no line of such an answer: unread": 1}
        assert read_highlights(said, rules=["other_wording"]).values == (Highlight(3, 4),)


def test_a_reversed_span_is_turned_only_by_its_rule() -> None:
    assert read_spans("5.0 - 3.0 seconds").values == ()
    turned = read_spans("5.0 - 3.0 seconds", rules=["swap_reversed"])
    assert turned.values == (TimeSpan(3, 5),)
    assert turned.counts() == {"reversed span: repaired": 1}


def test_what_is_beyond_the_end_is_reported_and_cut_only_by_its_rule() -> None:
    said = "9.0 - 20.0 seconds\n8.0 - 9.0 seconds\n30.0 - 40.0 seconds"
    kept = read_spans(said, duration_s=9.96)
    assert kept.values == (TimeSpan(9, 20), TimeSpan(8, 9), TimeSpan(30, 40))
    assert kept.counts() == {"beyond the end: kept": 1, "after the end: kept": 1}
    cut = read_spans(said, duration_s=9.96, rules=["cut_at_end"])
    assert cut.values == (TimeSpan(9, 10), TimeSpan(8, 9), TimeSpan(30, 40))
    assert cut.counts()["beyond the end: repaired"] == 1
    moments = read_highlights("9.0 seconds, score 3.0\n10.0 seconds, score 3.0", duration_s=10)
    assert moments.counts() == {"after the end: kept": 1}


def test_overlaps_are_reported_and_cut_only_by_their_rule() -> None:
    values = [
        Segment(5, 9, "clamp"), Segment(0, 6, "bolt"), Segment(5, 7, "cap"), Segment(9, 10, "note"),
    ]  # fmt: skip
    said = write_segments(values, STEPS)
    assert read_segments(said, STEPS).values == tuple(values)
    assert read_segments(said, STEPS).counts() == {"overlap: kept": 2}
    cut = read_segments(said, STEPS, rules=["cut_overlaps"])
    assert cut.values == (Segment(5, 9, "clamp"), Segment(0, 5, "bolt"), Segment(9, 10, "note"))
    assert cut.counts() == {"overlap: repaired": 1, "overlap: unread": 1}


@given(st.lists(VALUES["segmentation"], max_size=8))
def test_cut_segments_do_not_overlap(values: list[Segment]) -> None:
    cut = sorted(read_segments(write_segments(values, STEPS), STEPS, rules=["cut_overlaps"]).values)
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(cut))
    assert bool(cut) == bool(values)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown rules \\['mend'\\]"):
        read_spans("none", rules=["mend"])  # type: ignore[list-item]


# --- where predecessors go wrong ---------------------------------------------------------------


def test_a_line_that_the_model_could_not_finish_is_not_taken() -> None:
    said = "Fit the cap: 3.0 - 4.0 seconds\nFit the ca: 5.0 - 6.0 seconds"
    assert len(read_captions(said).values) == 2, "nobody can tell from the text alone"
    stopped = read_captions(said, finished=False)
    assert stopped.counts() == {"cut off at the length limit: unread": 1}
    assert [value.caption for value in stopped.values] == ["Fit the cap"]
    assert len(read_captions(said + "\n", finished=False).values) == 2, "its line was ended"


def test_two_events_on_one_line_are_remarked_on() -> None:
    said = "fit a cap: 5.0 - 6.0 seconds. turn it: 3.0 - 4.0 seconds"
    answer = read_captions(said)
    assert answer.counts() == {"span inside a caption: kept": 1}
    assert len(answer.values) == 1


def test_a_moment_that_is_given_twice_is_remarked_on() -> None:
    answer = read_highlights("2.0 seconds, score 3.0\n2.0 seconds, score 4.0")
    assert answer.counts() == {"moment given twice: kept": 1}
    assert len(answer.values) == 2


PATTERNS = [value for value in vars(answer_parser).values() if isinstance(value, re.Pattern)]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern[:20])
def test_no_pattern_reads_on_without_a_bound(pattern: re.Pattern[str]) -> None:
    """A match looks at a bounded number of characters: the steps are linear in the length."""
    unescaped = re.sub(r"\\.|\[[^]]*\]", "x", pattern.pattern)
    assert not re.search(r"[*+]|\{\d*,\}", unescaped)


@pytest.mark.parametrize(
    "unit",
    [
        "9",
        "9.9 - ",
        "3.0 - 4.0 seconds, ",
        ": 3.0 - 4.0 seconds",
        "\\",
        "none\n",
        "\n",
        "from 3 to ",
        " ",
        "3s-",
    ],
)
@pytest.mark.parametrize("rules", [(), ALL_RULES])
def test_long_hostile_answers_are_read_to_the_bound_and_the_rest_is_reported(
    unit: str, rules: Collection[Rule]
) -> None:
    text = "1.0 - 2.0 seconds\n" + unit * (120_000 // len(unit))
    for read in READERS.values():
        answer = read(text, rules=rules)
        [tail] = [r for r in answer.remarks if r.what == "beyond the longest answer that is read"]
        assert tail.place == Place(text.rfind("\n", 0, MAX_CHARS + 1), len(text))


# --- steps -------------------------------------------------------------------------------------


def two_of_a_text() -> Task:
    steps = [
        {"id": f"s{i}", "text": text, "primitive": "other", "expected_s": 1, "limit_s": 2}
        for i, text in enumerate(["Peel", "Peel", "Peel (2)", "peel", UNEXPECTED_PHRASE])
    ]
    names = {"id": "kitchen", "name": "Kitchen", "product": "Soup", "family": "cooking"}
    return Task.model_validate(names | {"parts": [], "steps": steps})


def test_steps_of_one_text_have_phrases_of_their_own() -> None:
    phrases = StepPhrases.of(two_of_a_text())
    assert list(phrases.phrases.values()) == [
        "Peel", "Peel (3)", "Peel (2)", "peel", UNEXPECTED_PHRASE, f"{UNEXPECTED_PHRASE} (2)",
    ]  # fmt: skip
    assert phrases.find("Peel (3)").labels == ("s1",), "(2) is another one's text"
    assert phrases.find("peel").labels == ("s3",), "as it is written, it is clear"
    assert phrases.find("PEEL").labels == ("s0", "s3"), "else it is not"
    with pytest.raises(ValueError, match="same phrase"):
        StepPhrases({"a": "Peel", "b": "Peel"})


@pytest.mark.parametrize("task_id", task_ids())
def test_every_phrase_of_our_tasks_names_its_step_in_any_case(task_id: str) -> None:
    task = load_task(task_id)
    phrases = StepPhrases.of(task)
    assert set(phrases.phrases) == set(task.labels()) - {BACKGROUND}
    for label, phrase in phrases.phrases.items():
        assert phrases.find(phrase).labels == (label,)
        other = phrases.find("  ".join(phrase.upper().split(" ")))
        assert (other.labels, other.is_exact) == ((label,), False)


def test_background_has_no_phrase() -> None:
    with pytest.raises(StepPhraseError, match="'background' is no step"):
        write_segments([Segment(0, 1, BACKGROUND)], StepPhrases.of(two_of_a_text()))
    assert UNEXPECTED in StepPhrases.of(two_of_a_text()).phrases


def test_a_step_in_other_case_is_read_and_counted() -> None:
    answer = read_segments("clamp the  HOUSING, bore up: 3.0 - 4.0 seconds", STEPS)
    assert answer.values == (Segment(3, 4, "clamp"),)
    assert answer.counts() == {"step in other case or blanks: repaired": 1}


# --- instructions ------------------------------------------------------------------------------


def question(task: LanguageTask, query: str = "Fit {0} 'caps'\nand {query}") -> Question:
    return Question(
        task,
        query=query if task in ("grounding", "highlights") else None,
        clip_s=2.0 if task == "highlights" else None,
        steps=tuple(STEPS.phrases.values()) if task == "segmentation" else (),
    )


@pytest.mark.parametrize("task", LANGUAGE_TASKS)
def test_each_task_has_wordings_enough_and_all_say_the_form_of_the_answer(
    task: LanguageTask,
) -> None:
    written = [
        write_instruction(question(task), wording=n).split("\n") for n in range(len(WORDINGS[task]))
    ]
    assert len({lines[0] for lines in written}) == len(WORDINGS[task]) >= 6
    assert len({lines[-1] for lines in written}) == 1
    for lines in written:
        assert "'none'" in lines[-1]
        if question(task).query is not None:
            assert "'Fit {0} 'caps'\\nand {query}'" in lines[0], "the query is put in untouched"


def test_the_steps_of_a_segmentation_are_listed_a_line_each() -> None:
    lines = write_instruction(question("segmentation")).split("\n")
    assert lines[1:-1] == ["The steps are:", *map(write_caption, STEPS.phrases.values())]
    assert "The steps are:" not in write_instruction(Question("segmentation"))


def test_highlights_say_how_long_a_clip_is() -> None:
    assert "each clip of 8.0 seconds" in write_instruction(Question("highlights", "Fit", 8.0))


def test_the_seed_chooses_the_wording_alike_everywhere() -> None:
    picks = [
        pick_wording(question("grounding"), seed=seed, key=f"r{key}")
        for seed in range(4)
        for key in range(50)
    ]
    assert set(picks) == set(range(8)), "each wording is used"
    assert picks[:6] == [5, 2, 3, 1, 2, 1], "the same in every process and on every Python"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"task": "grounding"}, "query None"),
        ({"task": "segmentation", "query": "Fit"}, "query 'Fit'"),
        ({"task": "grounding", "query": " "}, "is empty"),
        ({"task": "grounding", "query": "Fit", "steps": ("Fit",)}, "segmentation alone"),
        ({"task": "grounding", "query": "Fit", "clip_s": 2.0}, "highlights alone"),
        ({"task": "highlights", "query": "Fit"}, "clip_s None"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Question(**parameters)


def test_a_wording_that_there_is_not_is_refused() -> None:
    with pytest.raises(IndexError, match="no wording 8"):
        write_instruction(Question("segmentation"), wording=8)


@pytest.mark.parametrize(("time_s", "score"), [(-1, 3), (float("nan"), 3), (1, float("inf"))])
def test_a_highlight_is_a_time_and_a_number(time_s: float, score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        Highlight(time_s, score)
