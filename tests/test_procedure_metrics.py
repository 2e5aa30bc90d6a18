"""Procedure step recognition scored as published, slips and all, and without them.

The published numbers were made with IndustReal's own functions (PSR/psr_utils.py of
github.com/TimSchoonbeek/IndustReal) and weighted-levenshtein 0.2.2, which are not installed here;
the same comparison on 3,000 random cases gave no difference above 1e-12.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics import MetricError
from models.procedure_metrics import (
    Completion,
    ProcedureScore,
    clean_mean,
    clean_score,
    edit_distance,
    published_mean,
    published_score,
)

Pairs = list[tuple[int, int]]

COMPLETIONS = st.lists(
    st.builds(Completion, st.integers(0, 60), st.integers(0, 5)), min_size=1, max_size=8
).map(sorted)


def completions(pairs: Pairs) -> list[Completion]:
    return [Completion(frame, step) for frame, step in pairs]


@pytest.mark.parametrize(
    ("truth", "predicted", "pos", "f1", "delay", "counts"),
    [
        ([(10, 0)], [(10, 0)], 1.0, 0.99999950000025, 0.0, (1, 0, 0)),
        # a perfect answer is paired with other steps, as no frame is strictly later
        (
            [(10, 0), (20, 1), (30, 2)],
            [(10, 0), (20, 1), (30, 2)],
            1.0,
            0.4999996250002813,
            10.0,
            (1, 2, 0),
        ),
        (
            [(10, 0), (20, 1), (30, 2)],
            [(11, 0), (22, 1), (33, 2)],
            1.0,
            0.99999950000025,
            2.0,
            (3, 0, 0),
        ),
        # what came too early is right by the delay of the other step
        ([(10, 0), (20, 1)], [(5, 0), (30, 1)], 1.0, 0.99999950000025, 15.0, (2, 0, 0)),
        # done twice and seen once: paired with the later one, so early, so wrong
        ([(10, 0), (50, 0)], [(12, 0)], 0.5, 0.0, 100.0, (0, 1, 1)),
        ([(10, 0)], [(12, 0), (20, 0)], 0.0, 0.6666662222225186, 2.0, (1, 1, 0)),
        (
            [(10, 0), (20, 1), (30, 2)],
            [(22, 1), (25, 0), (26, 7)],
            0.0,
            0.6666661666670417,
            8.5,
            (2, 1, 1),
        ),
        ([(10, 0), (20, 1)], [], 0.0, 0.0, 100.0, (0, 0, 2)),
    ],
)
def test_the_published_numbers_are_reproduced(
    truth: Pairs,
    predicted: Pairs,
    pos: float,
    f1: float,
    delay: float,
    counts: tuple[int, int, int],
) -> None:
    score = published_score(completions(truth), completions(predicted))
    assert (score.pos, score.f1, score.delay_frames) == pytest.approx((pos, f1, delay), abs=1e-12)
    assert (score.true_positives, score.false_positives, score.false_negatives) == counts


@pytest.mark.parametrize(
    ("truth", "predicted", "delays", "wrong", "missed"),
    [
        ([], [], (), 0, 0),
        ([(10, 0)], [(10, 0)], (0,), 0, 0),  # the frame itself is not too early
        ([(10, 0)], [(9, 0)], (), 1, 1),  # one frame before it is, and finds nothing
        ([(10, 0), (50, 0)], [(12, 0)], (2,), 0, 1),
        ([(10, 0), (50, 0)], [(60, 0), (61, 0)], (50, 11), 0, 0),
        ([(10, 0)], [(12, 0), (20, 0)], (2,), 1, 0),
        ([(10, 0)], [(12, 1)], (), 1, 1),
    ],
)
def test_each_completion_is_found_once_and_not_before_it(
    truth: Pairs, predicted: Pairs, delays: tuple[int, ...], wrong: int, missed: int
) -> None:
    score = clean_score(completions(truth), completions(predicted))
    assert score.delays_frames == delays
    assert (score.false_positives, score.false_negatives) == (wrong, missed)


@given(COMPLETIONS)
def test_a_perfect_answer_is_perfect_and_by_the_published_code_one_frame_late(
    truth: list[Completion],
) -> None:
    found = clean_mean([clean_score(truth, truth)])
    assert found == ProcedureScore(pos=1.0, f1=1.0, delay_frames=0.0)
    truth = sorted({entry.step: entry for entry in truth}.values())  # each step once
    late = [Completion(entry.frame + 1, entry.step) for entry in truth]
    published = published_score(truth, late)
    assert published.pos == 1.0
    assert published.delay_frames == 1.0
    assert published.f1 == pytest.approx(1.0, abs=1e-6)


@given(COMPLETIONS, COMPLETIONS)
def test_the_clean_matching_finds_as_many_as_any(
    truth: list[Completion], predicted: list[Completion]
) -> None:
    truth, predicted = truth[:4], predicted[:4]
    best = 0
    for order in itertools.permutations([*predicted, *[None] * len(truth)], len(truth)):
        fits = [
            said is not None and said.step == known.step and said.frame >= known.frame
            for known, said in zip(truth, order, strict=True)
        ]
        best = max(best, sum(fits))
    assert len(clean_score(truth, predicted).delays_frames) == best


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_edit_distance_is_one_of_allowed_edits(truth: str, predicted: str) -> None:
    distance = edit_distance(truth, predicted)
    assert distance == edit_distance(predicted, truth)
    assert (distance == 0) == (truth == predicted)
    assert abs(len(truth) - len(predicted)) <= distance <= len(truth) + len(predicted)


def test_recordings_are_averaged_as_published_and_summed_cleanly() -> None:
    late = [Completion(11, 0)]
    truth, nothing = [Completion(10, 0)], list[Completion]()
    published = published_mean([published_score(truth, late), published_score(truth, nothing)])
    assert published.delay_frames == 50.5  # 1 frame, and 100 for what was never seen
    clean = clean_mean([clean_score(truth, late), clean_score(truth, nothing)])
    assert clean == ProcedureScore(pos=0.5, f1=2 / 3, delay_frames=1.0)
    assert clean_mean([clean_score(truth, nothing)]).delay_frames is None


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([], [], "without a completion"),
        ([(0, 0)], [(0, 95)], "from 0 to 94"),
        ([(0, -1)], [], "from 0 to 94"),
    ],
)
def test_what_the_published_code_cannot_score_is_refused(
    truth: Pairs, predicted: Pairs, message: str
) -> None:
    with pytest.raises(MetricError, match=message):
        published_score(completions(truth), completions(predicted))


def test_no_recording_has_no_mean() -> None:
    with pytest.raises(MetricError, match="no recording"):
        published_mean([])
    with pytest.raises(MetricError, match="no recording"):
        clean_mean([])
