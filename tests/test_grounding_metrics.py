"""Grounding figures against QVHighlights' published numbers and a count over small times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.language.answers import TimeSpan
from models.language.grounding_metrics import (
    GroundingScore,
    best_overlaps,
    grounding_score,
    overlap,
    recall_at,
)

QVHIGHLIGHTS = Path(__file__).parents[2] / "shared" / "data" / "metrics_golden" / "qvhighlights"

spans = st.tuples(st.integers(0, 12), st.integers(1, 12)).map(
    lambda pair: TimeSpan(pair[0], pair[0] + pair[1])
)


@given(spans, spans)
def test_overlap_counts_the_seconds_of_both_and_of_either(a: TimeSpan, b: TimeSpan) -> None:
    seconds_a = set(range(int(a.start_s), int(a.end_s)))
    seconds_b = set(range(int(b.start_s), int(b.end_s)))
    expected = len(seconds_a & seconds_b) / len(seconds_a | seconds_b)
    assert overlap(a, b) == overlap(b, a) == pytest.approx(expected)


@given(st.lists(st.tuples(st.none() | spans, st.lists(spans, min_size=1, max_size=3)), min_size=1))
def test_figures_are_counts_of_the_best_overlaps(
    questions: list[tuple[TimeSpan | None, list[TimeSpan]]],
) -> None:
    score = grounding_score(predicted=[a for a, _ in questions], truth=[t for _, t in questions])
    best = [max(overlap(a, known) for known in t) if a else 0.0 for a, t in questions]
    n = len(questions)
    assert score.recall_30 == pytest.approx(100 * len([x for x in best if x >= 0.3]) / n)
    assert score.recall_50 == pytest.approx(100 * len([x for x in best if x >= 0.5]) / n)
    assert score.recall_70 == pytest.approx(100 * len([x for x in best if x >= 0.7]) / n)
    assert score.mean_overlap == pytest.approx(100 * sum(best) / n)
    assert (score.num_questions, score.num_unread) == (n, [a for a, _ in questions].count(None))


@pytest.mark.parametrize(
    ("predicted", "recalls", "mean_overlap"),
    [  # the truth is [0, 10)
        (TimeSpan(0, 10), (100, 100, 100), 100),
        (TimeSpan(0, 5), (100, 100, 0), 50),  # just at the threshold
        (TimeSpan(0, 3), (100, 0, 0), 30),
        (TimeSpan(0, 7), (100, 100, 100), 70),
        (TimeSpan(10, 20), (0, 0, 0), 0),  # touches
        (TimeSpan(40, 50), (0, 0, 0), 0),
        (None, (0, 0, 0), 0),  # could not be read
    ],
)
def test_one_answer(
    predicted: TimeSpan | None, recalls: tuple[int, int, int], mean_overlap: float
) -> None:
    score = grounding_score(predicted=[predicted], truth=[[TimeSpan(0, 10)]])
    assert (score.recall_30, score.recall_50, score.recall_70) == recalls
    assert score.mean_overlap == pytest.approx(mean_overlap)
    assert score.num_unread == (predicted is None)


def test_answers_that_could_not_be_read_are_misses() -> None:
    truth = [[TimeSpan(0, 10)], [TimeSpan(5, 6)], [TimeSpan(2, 9)], [TimeSpan(0, 1)]]
    score = grounding_score(predicted=[TimeSpan(0, 10), None, None, TimeSpan(0, 1)], truth=truth)
    assert (score.recall_70, score.mean_overlap, score.num_unread) == (50.0, 50.0, 2)


def test_no_question_scores_nothing() -> None:
    assert grounding_score(predicted=[], truth=[]) == GroundingScore(0.0, 0.0, 0.0, 0.0, 0, 0)


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ValueError, match="1 answers for 0 questions"):
        grounding_score(predicted=[None], truth=[])
    with pytest.raises(ValueError, match="question 1 has no true span"):
        grounding_score(predicted=[None, None], truth=[[TimeSpan(0, 1)], []])


@pytest.mark.skipif(not QVHIGHLIGHTS.is_dir(), reason=f"no published answers, {QVHIGHLIGHTS}")
@pytest.mark.parametrize(
    ("part", "longer_than_s", "at_most_s"),
    [("full", 0, 150), ("long", 30, 150), ("middle", 10, 30), ("short", 0, 10)],
)
def test_sample_answers_give_the_numbers_of_the_official_evaluator(
    part: str, longer_than_s: float, at_most_s: float
) -> None:
    published = json.loads((QVHIGHLIGHTS / "sample_val_preds_metrics.json").read_text())
    lines = (QVHIGHLIGHTS / "sample_val_preds.jsonl").read_text().splitlines()
    answers = {answer["qid"]: answer["pred_relevant_windows"] for answer in map(json.loads, lines)}
    predicted, truth = [], []
    for line in (QVHIGHLIGHTS / "highlight_val_release.jsonl").read_text().splitlines():
        question = json.loads(line)
        windows = [TimeSpan(*window) for window in question["relevant_windows"]]
        windows = [w for w in windows if longer_than_s < w.end_s - w.start_s <= at_most_s]
        if windows:
            truth.append(windows)
            predicted.append(TimeSpan(*answers[question["qid"]][0][:2]))
    overlaps = best_overlaps(predicted, truth)
    for least, recall in published[part]["MR-R1"].items():
        assert round(recall_at(overlaps, float(least)), 2) == recall, least
    score = grounding_score(predicted=predicted, truth=truth)
    assert round(score.recall_50, 2) == published[part]["MR-R1"]["0.5"]
    assert round(score.recall_70, 2) == published[part]["MR-R1"]["0.7"]
