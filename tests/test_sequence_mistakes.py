"""Mistakes told from a recognised sequence: online, repeatable, and from correct runs alone."""

from __future__ import annotations

import numpy as np
import pytest

from models.sequence_mistakes import (
    JudgedRun,
    MistakeDetector,
    Procedures,
    align,
    best_threshold,
    fit_detector,
    fit_recogniser,
)
from models.transcripts import Transcripts, set_difference, unseen_transitions

CAR = [("base", "axle", "wheel", "roof"), ("base", "axle", "roof", "wheel")]
PROCEDURES = Procedures.learned({"car": CAR, "boat": [("hull", "mast", "sail")] * 3})
STEPS = ["base", "axle", "wheel", "roof", "mast"]


def run_of(*steps: str, reported: tuple[str, ...] | None = None) -> JudgedRun:
    """A run of the car that ends with its mistake."""
    said = reported or steps
    return JudgedRun("car", said, last(said), steps, last(steps))


def last(steps: tuple[str, ...]) -> tuple[bool, ...]:
    return (*(False for _ in steps[1:]), True)


def drawn_runs(seed: int, num: int = 60) -> list[JudgedRun]:
    """Runs of the car in order up to a wrong step, reported by one who hears 1 of 10 wrong."""
    draw = np.random.default_rng(seed)
    runs = []
    for _ in range(num):
        length = int(draw.integers(1, 4))
        wrong = str(draw.choice(["mast", "sail", CAR[0][length - 1]]))
        steps = (*CAR[int(draw.integers(2))][:length], wrong)
        reported = tuple(s if draw.random() > 0.1 else str(draw.choice(STEPS)) for s in steps)
        runs.append(run_of(*steps, reported=reported))
    return runs


@pytest.fixture(scope="module")
def detector() -> MistakeDetector:
    return fit_detector(drawn_runs(0), PROCEDURES)


def test_a_step_is_judged_by_what_came_before_it_alone(detector: MistakeDetector) -> None:
    draw = np.random.default_rng(1)
    for _ in range(50):
        steps = [str(s) for s in draw.choice([*STEPS, "never heard of"], size=9)]
        whole = detector.probabilities("car", steps)
        for num in range(1, len(steps)):
            part = detector.probabilities("car", steps[:num])
            np.testing.assert_allclose(part, whole[:num], rtol=1e-12)
            assert detector.alarms("car", steps[:num]) == detector.alarms("car", steps)[:num]


def test_the_same_runs_give_the_same_detector(detector: MistakeDetector) -> None:
    again = fit_detector(drawn_runs(0), PROCEDURES)
    np.testing.assert_array_equal(again.weight, detector.weight)
    assert again.threshold == detector.threshold


def test_probabilities_are_between_0_and_1_for_labels_that_nobody_knows(
    detector: MistakeDetector,
) -> None:
    found = detector.probabilities("car", ["?", "base", "?", "another"])
    assert found.shape == (4,)
    assert ((found > 0) & (found < 1)).all()
    assert detector.probabilities("car", []).shape == (0,)


def test_a_procedure_without_transcripts_is_refused(detector: MistakeDetector) -> None:
    with pytest.raises(KeyError, match="plane"):
        detector.probabilities("plane", ["base"])


def test_mistakes_of_a_good_recogniser_are_found_in_runs_not_fitted_on(
    detector: MistakeDetector,
) -> None:
    judged = drawn_runs(7, num=200)
    alarms = [detector.alarms(run.procedure, run.reported) for run in judged]
    recall = np.mean([one[-1] for one in alarms])
    rate = np.mean([alarm for one in alarms for alarm in one[:-1]])
    assert recall > 0.8
    assert rate < 0.42


def test_a_misfit_that_the_recogniser_often_makes_is_less_of_a_mistake() -> None:
    """`mast` for `axle` is either the worker's or the recogniser's doing."""
    clear = [run_of("base", "axle", "mast") for _ in range(30)]
    deaf = [run_of("base", "axle", "mast", reported=("base", "mast", "axle")) for _ in range(30)]
    good, poor = fit_detector(clear, PROCEDURES), fit_detector(clear + deaf, PROCEDURES)
    steps = ["base", "mast"]
    assert good.probabilities("car", steps)[1] > poor.probabilities("car", steps)[1]


@pytest.mark.parametrize(
    ("reported", "true", "places", "reason"),
    [
        ("", "", [], "nothing"),
        ("abc", "abc", [0, 1, 2], "equal"),
        ("axb", "ab", [0, None, 1], "one put in"),
        ("ac", "abc", [0, 2], "one left out"),
        ("x", "a", [0], "one taken for another"),
        ("x", "ab", [1], "the later of equals"),
        ("ab", "", [None, None], "no truth"),
    ],
)
def test_reported_steps_are_aligned_with_the_true_ones(
    reported: str, true: str, places: list[int | None], reason: str
) -> None:
    assert align(reported, true) == places, reason


def test_confusion_and_mistakes_are_probabilities() -> None:
    known = fit_recogniser(drawn_runs(3), PROCEDURES)
    np.testing.assert_allclose(known.confusion.sum(axis=1), 1)
    assert known.mistakes.sum() == pytest.approx(1)
    assert min(known.confusion.min(), known.mistakes.min()) > 0
    assert known.confusion[known.index["axle"]].argmax() == known.index["axle"]


def test_the_threshold_keeps_to_the_false_alarm_rate_and_else_never_alarms() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    truth = np.array([False, True, False, True, False])
    assert best_threshold(scores, truth, max_false_alarm_rate=1.0) == 0.2
    assert best_threshold(scores, truth, max_false_alarm_rate=0.5) == 0.4
    assert best_threshold(scores, truth, max_false_alarm_rate=0.2) == np.inf


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([run_of("base", "mast")] * 4, "too few"),
        ([run_of("base")] * 6, "mistakes and correct steps"),
    ],
)
def test_runs_that_teach_nothing_are_refused(runs: list[JudgedRun], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_detector(runs, PROCEDURES)


def test_a_run_needs_a_flag_for_each_step() -> None:
    with pytest.raises(ValueError, match="one flag"):
        JudgedRun("car", ("base",), (), (), ())
    with pytest.raises(ValueError, match="one flag"):
        JudgedRun("car", ("base",), (True,), ("base",), ())


def test_transcripts_tell_support_predecessors_and_transitions() -> None:
    car = Transcripts(CAR)
    assert car.num_runs["wheel"] == 2
    assert car.predecessors("wheel") == {"base", "axle"}  # the roof is before it in one of two
    assert car.predecessors("wheel", support=3) == frozenset()
    assert car.predecessors("unknown") == frozenset()
    assert car.mean_length == 4
    assert car.num_awaited("wheel", {"base"}) == pytest.approx((2 + 1) / 3)  # axle 2, roof 1 of 2
    for nothing in ([], [()], [("base", "")]):
        with pytest.raises(ValueError, match="empty"):
            Transcripts(nothing)


def test_the_plain_alarms_are_at_what_was_never_so() -> None:
    car = Transcripts(CAR)
    steps = ["base", "wheel", "axle", "wheel", "?"]
    assert set_difference(car, steps) == [False, True, False, False, True]
    assert unseen_transitions(car, steps) == [False, True, True, False, True]
    assert set_difference(car, []) == unseen_transitions(car, []) == []
