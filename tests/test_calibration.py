"""What a model's alarms are worth: the sums behind it, the file, and the command."""

from __future__ import annotations

import json
import math
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from edge import watch
from edge.calibration_cli import calibration_words
from edge.calibration_diagram import reliability_svg
from edge.messages import StationStarted
from edge.pipeline import load_pipeline
from industryasm.deviation import KNOWN_KINDS, FoundKind
from industryasm.procedure import Procedure
from industryasm.vocabulary import load_task
from linewatch import app
from models.calibration import (
    AS_SCORED,
    LEAST_SCORE,
    AlarmScale,
    Calibration,
    StepTrust,
    logit,
    read_calibration,
)
from models.calibration_fit import (
    Accusation,
    conformal_threshold,
    counted,
    deviating_weight,
    expected_precision,
    fit_scale,
    hold_out,
    jeffreys,
    most_expected,
    reliability,
    scale_of,
    separation,
)
from models.card import SHIPPED, ModelError, read_card
from models.confusion import MAX_LABELS, fit_confusion
from tests.test_watching import deployment

TASK = "gear-reducer"
PROCEDURE = load_task(TASK).procedure()


def accusations(real: list[float], false: list[float], *, normal: bool = True) -> list[Accusation]:
    return [
        *(Accusation(f"r{i}", "missed", score, True, False) for i, score in enumerate(real)),
        *(Accusation(f"f{i}", "missed", score, False, normal) for i, score in enumerate(false)),
    ]


@pytest.mark.parametrize(
    ("false", "hours", "threshold_above", "is_shown"),
    [
        ([], 1.0, None, False),  # nothing seen in too few hours: nothing is asked, nothing shown
        ([], 8.0, None, True),  # (0 + 1) / 8 h is the budget itself
        ([], 7.9, None, False),
        ([0.3, 0.7], 1.0, 0.7, False),  # too few hours: just above the highest
        ([0.3, 0.7], 8.0, 0.7, True),  # none may be left
        ([0.3, 0.7], 16.0, 0.3, True),  # one may be left
        ([0.3, 0.7], 24.0, None, True),  # both may be left
        ([0.7, 0.7], 16.0, 0.7, True),  # ties fall together
    ],
)
def test_the_threshold_is_the_smallest_that_keeps_the_budget(
    false: list[float], hours: float, threshold_above: float | None, is_shown: bool
) -> None:
    threshold, shown = conformal_threshold(false, hours=hours, budget=1.0, shift_hours=8.0)
    assert shown == is_shown
    assert threshold == (0.0 if threshold_above is None else math.nextafter(threshold_above, 1.0))
    left = sum(probability >= threshold for probability in false)
    assert not is_shown or (left + 1) / hours <= 1 / 8


def test_a_larger_budget_asks_for_a_lower_threshold() -> None:
    false = np.linspace(0.1, 0.9, 50).tolist()
    found = [
        conformal_threshold(false, hours=40.0, budget=budget, shift_hours=8.0)[0]
        for budget in (0.5, 1.0, 2.0, 5.0)
    ]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("recall", "miss_rate", "percent"),
    [(0.99, 0.005, 33.4), (0.9, 0.005, 4.8), (1.0, 0.005, 100.0), (0.0, 0.5, 50.0)],
)
def test_the_precision_to_expect(recall: float, miss_rate: float, percent: float) -> None:
    assert round(100 * expected_precision(recall, miss_rate), 1) == percent


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        # quantiles of Beta(hits + 1/2, misses + 1/2) by scipy 1.17.1
        (0, 0, 0.00154133, 0.99845867),
        (16, 16, 0.85681586, 0.99996979),
        (15, 16, 0.74307857, 0.99317128),
        (3, 20, 0.04413134, 0.34857771),
        (990, 1000, 0.98233360, 0.99484730),
    ],
)
def test_jeffreys_interval_is_that_of_the_beta_distribution(
    hits: int, trials: int, low: float, high: float
) -> None:
    found = jeffreys(hits, trials)
    assert found.mean == (hits + 0.5) / (trials + 1)
    assert (found.low, found.high) == (pytest.approx(low, abs=2e-6), pytest.approx(high, abs=2e-6))


@pytest.mark.parametrize(
    ("count", "limit"),
    [
        # chi2.ppf(0.95, 2 * (count + 1)) / 2 by scipy 1.17.1
        (0, 2.995732273553991),
        (1, 4.743864518390591),
        (5, 10.513034908741842),
        (40, 52.069369115136936),
        (2000, 2075.142591043989),
    ],
)
def test_the_limit_of_a_poisson_count_is_the_exact_one(count: int, limit: float) -> None:
    assert most_expected(count) == pytest.approx(limit, rel=1e-9)


def test_the_limit_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    for expected in (0.5, 3.0, 20.0):
        limits = {int(k): most_expected(int(k)) for k in range(80)}
        held = [limits[int(k)] >= expected for k in rng.poisson(expected, 4000)]
        assert np.mean(held) >= 0.94


def test_the_fit_finds_the_scale_that_made_the_accusations() -> None:
    rng = np.random.default_rng(5)
    offsets: dict[FoundKind, float] = {"missed": -0.5, "repeated": 0.5}
    truth = AlarmScale(intercept=-1.0, slope=1.5, offsets=offsets, threshold=0.0)
    scores = rng.uniform(0.03, 0.97, 20_000).tolist()
    kinds: list[FoundKind] = ["missed", "repeated"]
    made = [
        Accusation(str(i), k, s, bool(rng.random() < truth.probability(s, k)), True)
        for i, (s, k) in enumerate(zip(scores, kinds * 10_000, strict=True))
    ]
    found = fit_scale(made, weight=1.0)
    assert found.slope == pytest.approx(1.5, abs=0.06)
    for kind in kinds:
        at_even = found.intercept + found.offsets[kind]
        assert at_even == pytest.approx(-1.0 + offsets[kind], abs=0.1)
    assert fit_scale(made, weight=1.0) == found


def test_a_kind_that_is_seldom_wrong_is_believed_at_a_lower_score() -> None:
    seen = [
        *(Accusation(f"a{i}", "missed", 0.7, i < 2, i >= 2) for i in range(20)),
        *(Accusation(f"b{i}", "unexpected", 0.7, i >= 2, i < 2) for i in range(20)),
    ]
    scale = fit_scale(seen, weight=1.0)
    assert scale.probability(0.7, "missed") < 0.3 < 0.7 < scale.probability(0.7, "unexpected")
    assert scale.probability(0.7) == scale.probability(0.7, "rework"), "as the mean of the others"


@pytest.mark.parametrize(
    ("real", "false"),
    [
        ([0.9] * 9, [0.1] * 9),  # separable: Newton alone would run away
        ([0.999, 1.0], [0.0]),  # beyond the least score
        ([0.9], []),
        ([0.1] * 30, [0.95] * 30),  # a better score means less
        ([0.5] * 10, [0.5] * 10),
    ],
)
def test_a_fit_is_finite_whatever_was_seen(real: list[float], false: list[float]) -> None:
    scale = fit_scale(accusations(real, false), weight=0.05)
    assert math.isfinite(scale.intercept)
    assert 0 <= scale.slope < 20
    assert 0 < scale.probability(1.0, "missed") < 1


def test_without_a_real_accusation_the_score_is_the_probability() -> None:
    for made in ([], accusations([], [0.3, 0.8])):
        assert fit_scale(made, weight=1.0) == AS_SCORED
    scale, is_shown = scale_of(
        accusations([], [0.3, 0.8]), weight=1.0, hours=20.0, budget=1.0, shift_hours=8.0
    )
    assert is_shown
    assert 0.3 < scale.threshold < 0.8, "the order of the scores still makes a threshold"


def test_deviations_count_as_rarely_as_they_are_assumed_to_happen() -> None:
    weight = deviating_weight(num_deviations=50, num_steps=550, miss_rate=0.005)
    assert weight == pytest.approx((0.005 / 0.995) / (50 / 500))
    seen = accusations([0.5] * 50, [0.5] * 3)
    weights, real = counted(seen, weight=weight)
    assert (weights * real).sum() == pytest.approx(50 * weight)
    assert (weights * (1 - real)).sum() == pytest.approx(3 + 1), "one more than was seen"
    scale = scale_of(seen, weight=weight, hours=1.0, budget=1.0, shift_hours=8.0)[0]
    share = 50 * weight / (50 * weight + 4)
    assert scale.probability(0.5, "missed") == pytest.approx(share, abs=0.01)


def test_with_no_false_accusation_one_is_counted_in_all_the_same() -> None:
    weights, real = counted(accusations([0.9, 0.8], []), weight=0.1)
    assert (weights * (1 - real)).sum() == pytest.approx(1.0)


def test_a_recording_is_judged_by_the_others_alone() -> None:
    made = [
        replace(a, recording=f"{i % 5}") for i, a in enumerate(accusations([0.9] * 9, [0.2] * 8))
    ]
    hours = {str(i): 0.2 for i in range(5)}

    def judged(seen: list[Accusation]) -> float:
        held = hold_out(seen, weight=0.1, hours=hours, budget=1.0, shift_hours=8.0)
        return held[0].probability

    of_itself = [replace(a, is_real=not a.is_real) if a.recording == "0" else a for a in made]
    of_others = [replace(a, is_real=not a.is_real) if a.recording == "1" else a for a in made]
    assert judged(of_itself) == judged(made) != judged(of_others)


def test_a_new_recording_has_no_more_false_alarms_than_the_budget() -> None:
    """The scale learns from the false accusations that then make its threshold.

    By its own probabilities of them twice the budget would be told.
    """
    rng, hours, rate = np.random.default_rng(3), 9.2, 1.1
    weight = deviating_weight(num_deviations=46, num_steps=7630, miss_rate=0.005)
    new = [sigmoid(score) for score in rng.normal(-0.3, 1.5, 300)]

    def drawn(name: str, number: int, mean: float, *, is_real: bool) -> list[Accusation]:
        return [
            Accusation(
                f"{name}{i}",
                KNOWN_KINDS[rng.integers(8)],
                sigmoid(rng.normal(mean, 1.5)),
                is_real,
                not is_real,
            )
            for i in range(number)
        ]

    def in_a_shift(scale: AlarmScale, threshold: float) -> float:
        alarms = [scale.probability(s, k) >= threshold for s in new for k in KNOWN_KINDS[:8]]
        return float(np.mean(alarms)) * rate * 8

    held_out, in_sample = [], []
    for _ in range(40):
        false = drawn("n", rng.poisson(rate * hours), -0.3, is_real=False)
        seen = false + drawn("r", 27, 1.2, is_real=True)
        scale, is_shown = scale_of(seen, weight=weight, hours=hours, budget=1.0, shift_hours=8.0)
        assert is_shown
        held_out.append(in_a_shift(scale, scale.threshold))
        own = [scale.probability(one.score, one.kind) for one in false if one.score is not None]
        threshold, _ = conformal_threshold(own, hours=hours, budget=1.0, shift_hours=8.0)
        in_sample.append(in_a_shift(scale, threshold))
    assert np.mean(held_out) <= 1.0 < 1.5 < np.mean(in_sample)


def sigmoid(nats: float) -> float:
    return 1 / (1 + math.exp(-nats))


def test_what_cannot_be_scored_uses_up_the_budget_first() -> None:
    assert conformal_threshold([0.4], hours=24.0, budget=1.0, shift_hours=8.0) == (0.0, True)
    found = conformal_threshold([0.4], hours=24.0, budget=1.0, shift_hours=8.0, num_always=2)
    assert found == (math.nextafter(0.4, 1.0), True)
    _, is_shown = conformal_threshold([0.4], hours=24.0, budget=1.0, shift_hours=8.0, num_always=3)
    assert not is_shown
    unscored = [Accusation(f"u{i}", "missed", None, False, True) for i in range(3)]
    made = accusations([0.9] * 9, [0.2] * 8)
    _, is_shown = scale_of(made + unscored, weight=0.1, hours=24.0, budget=1.0, shift_hours=8.0)
    assert not is_shown
    assert fit_scale(made + unscored, weight=0.1) == fit_scale(made, weight=0.1)
    hours = {one.recording: 1.0 for one in made + unscored}
    held = hold_out(made + unscored, weight=0.1, hours=hours, budget=1.0, shift_hours=8.0)
    assert [(one.probability, one.is_alarm) for one in held[-3:]] == [(None, True)] * 3


def test_planted_miscalibration_is_seen_in_the_reliability_bins() -> None:
    rng = np.random.default_rng(7)
    given = rng.uniform(0, 1, 50_000)
    honest = rng.random(50_000) < given
    boasted = 0.5 + 0.5 * given  # said with more certainty than is true
    good = reliability(given, honest, np.ones(50_000))
    bad = reliability(boasted, honest, np.ones(50_000))
    assert [b.lower for b in good] == [i / 10 for i in range(10)]
    assert max(abs(b.predicted - b.observed) for b in good) < 0.03
    assert [b.lower for b in bad] == [0.5, 0.6, 0.7, 0.8, 0.9]
    gaps = [b.predicted - b.observed for b in bad]
    assert gaps == pytest.approx([0.45, 0.35, 0.25, 0.15, 0.05], abs=0.03)
    assert sum(b.num_real + b.num_false for b in bad) == 50_000


def test_separation_counts_pairs() -> None:
    assert separation([0.9, 0.1], [True, False]) == 1.0
    assert separation([0.1, 0.9], [True, False]) == 0.0
    assert separation([0.9], [True]) is None


def test_no_score_is_beyond_doubt() -> None:
    least = math.log(LEAST_SCORE / (1 - LEAST_SCORE))
    assert (logit(0.0), logit(1.0)) == (pytest.approx(least), pytest.approx(-least))


# The file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied = tmp_path / "model"
    shutil.copytree(SHIPPED / TASK, copied)
    (copied / "calibration.json").unlink(missing_ok=True)
    return copied


def calibration(folder: Path) -> Calibration:
    card = read_card(folder)
    step = StepTrust(
        step="press-bearing",
        num_done=16,
        num_recognised=16,
        recall=0.97,
        recall_low=0.86,
        recall_high=1.0,
        precision=0.146,
        precision_low=0.034,
        precision_high=0.994,
    )
    return Calibration(
        intercept=-0.5,
        slope=0.8,
        threshold=0.25,
        task=card.task,
        temporal_sha256=card.temporal_sha256,
        procedure_sha256=PROCEDURE.sha256(),
        data=("set <1> & more",),
        split="validation",
        budget=1.0,
        shift_hours=8.0,
        miss_rate=0.005,
        num_recordings=36,
        num_units=48,
        num_normal_units=16,
        normal_hours=0.7,
        num_deviations=32,
        num_real=2,
        num_false=2,
        num_false_before=1,
        num_false_after=0,
        num_false_held_out=1,
        num_real_doubted=1,
        false_alarms_per_shift=11.4,
        is_shown=False,
        needed_hours=8.0,
        separation=0.75,
        reliability=reliability([0.2, 0.8, 0.9, 0.3], [0, 1, 1, 0], [1, 1, 1, 1]),
        steps=(step,),
    )


def mixed_up(frames: float, runs: int) -> str:
    """Return a confusion of two labels with so many frames and runs, as JSON."""
    rows = f'"said_frames": [[{frames}, 0], [0, 1]], "said_runs": [[{runs}, 0], [0, 1]]'
    return f'{{"labels": ["a", "b"], {rows}}}'


def test_a_calibration_by_another_procedure_is_refused(folder: Path) -> None:
    calibration(folder).write(folder)
    steps = (replace(PROCEDURE.steps[0], limit_s=99.0), *PROCEDURE.steps[1:])
    for other in (replace(PROCEDURE, steps=steps), Procedure(PROCEDURE.steps[::-1])):
        with pytest.raises(ModelError, match="another order or other times of the steps"):
            read_calibration(folder, read_card(folder), other)


def test_the_confusion_of_as_many_labels_as_there_may_be_can_be_read_again(folder: Path) -> None:
    labels = tuple(f"label-{i}" for i in range(MAX_LABELS))
    rng = np.random.default_rng(1)
    rows = rng.dirichlet(np.ones(MAX_LABELS), size=4 * MAX_LABELS) * 1.0
    confusion = fit_confusion(labels, [(rows, [*labels] * 4)] * 50)
    calibration(folder).model_copy(update={"confusion": confusion}).write(folder)
    with pytest.raises(ModelError, match=r"confusion\.labels"):
        read_calibration(folder, read_card(folder), PROCEDURE)


def test_what_is_written_is_read_and_taken_by_a_station(folder: Path) -> None:
    card = read_card(folder)
    assert read_calibration(folder, card, PROCEDURE) is None
    written = calibration(folder)
    written.write(folder)
    assert read_calibration(folder, card, PROCEDURE) == written
    load_pipeline(load_task(TASK), folder)


def test_a_station_introduces_itself_with_what_its_alarms_are_worth(
    folder: Path, tmp_path: Path
) -> None:
    def introduction() -> StationStarted:
        stations = deployment(tmp_path, "rtsp://127.0.0.1:9/none", more=f", model: {folder}")
        encoders = watch.SharedEncoders(num_clients=1)
        station = watch._Watch(stations, "s0", encoders, threading.Event(), fast=False)
        parts = (stations, stations.station("s0"), load_task(TASK), station._calibration)
        return watch._introduction(*parts)

    assert introduction().alarm_trust is None
    calibration(folder).write(folder)
    trust = introduction().alarm_trust
    assert trust is not None
    assert trust.miss_rate == 0.005
    assert [vars(step) for step in trust.steps] == [
        {"step": "press-bearing", "right": 0.146, "low": 0.034, "high": 0.994}
    ]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[:-20], "calibration.json"),
        (lambda text: "", "calibration.json"),
        (lambda text: "[]", "calibration.json"),
        (lambda text: text.replace("-0.5", "NaN"), "intercept"),
        (lambda text: text.replace("-0.5", "1e999"), "intercept"),
        (lambda text: text.replace('"slope": 0.8', '"slope": -0.8'), "slope"),
        (lambda text: text.replace('"threshold": 0.25', '"threshold": 1.5'), "threshold"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version"),
        (lambda text: text.replace('"version": 1', '"version": 1, "mood": "good"'), "mood"),
        (lambda text: text.replace('"num_false_after": 0', '"num_false_after": 9'), "among"),
        (lambda text: text.replace('"normal_hours": 0.7', '"normal_hours": 0'), "normal_hours"),
        (lambda text: text.replace('a_hours": 0.0', 'a_hours": 9.0'), "among those of normal"),
        (lambda text: text.replace(TASK, "relay-module"), "another model"),
        (lambda text: text + " " * (4 << 20), "larger than"),
        (lambda text: text.replace("-0.5", "-1e308"), "intercept"),
        (lambda text: text.replace('"slope": 0.8', '"slope": 1e308'), "slope"),
        (lambda text: text.replace('"offsets": {}', '"offsets": {"missed": 1e308}'), "offsets"),
        (lambda text: text.replace('"version": 1', '"version": 1, "a\\n\\u001b[2J": 1'), "again"),
        (lambda text: text.replace('"version": 1', f'"version": 1, "{"a" * 90_000}": 1'), "again"),
        (
            lambda text: text.replace('"confusion": null', f'"confusion": {mixed_up(1.7e308, 1)}'),
            "said_frames",
        ),
        (
            lambda text: text.replace('"confusion": null', f'"confusion": {mixed_up(1, 10**400)}'),
            "again",
        ),
    ],
)
def test_a_damaged_calibration_is_refused_with_its_file_and_place(
    folder: Path, damage: Callable[[str], str], says: str
) -> None:
    calibration(folder).write(folder)
    path = folder / "calibration.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ModelError, match=says) as raised:
        load_pipeline(load_task(TASK), folder)
    assert str(path) in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / "calibration.json").write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(ModelError, match="calibration"):
        read_calibration(folder, read_card(folder), PROCEDURE)


def test_the_calibration_of_another_model_is_refused(folder: Path) -> None:
    other = calibration(folder).model_copy(update={"temporal_sha256": "0" * 64})
    other.write(folder)
    with pytest.raises(ModelError, match=r"another model.*linewatch calibrate"):
        load_pipeline(load_task(TASK), folder)


# What a person reads


def test_the_words_say_what_the_data_cannot_show(folder: Path) -> None:
    found = calibration(folder)
    words = calibration_words(found, folder)
    assert "1 false alarm in 8 h cannot be shown with 0.7 h of normal work: at least 8 h" in words
    assert "press-bearing" in words
    assert "become unsure: 1 of 2" in words
    shown = found.model_copy(update={"is_shown": True, "normal_hours": 9.0})
    assert "within the budget: 1 false alarm in 8 h" in calibration_words(shown, folder)


def test_the_words_tell_the_limit_of_the_rate_where_it_was_reckoned(folder: Path) -> None:
    found = calibration(folder)
    assert "certainty" not in calibration_words(found, folder), "a calibration of before"
    found = found.model_copy(
        update={"normal_data": ("calm",), "normal_data_hours": 0.5, "num_false_held_out": 1}
        | {"most_false_alarms_per_shift": most_expected(1) / 0.7 * 8}
    )
    words = calibration_words(found, folder)
    assert "0.70 h, 0.20 h of them units without a known deviation in --data, 0.50 h" in words
    assert "11.4 to be expected at most, and with 95 % certainty not above 54.2" in words
    assert "exact Poisson limit of 1 in 0.70 h" in words


def test_the_diagram_is_well_formed_and_shows_every_bin(folder: Path) -> None:
    found = calibration(folder)
    svg = ElementTree.fromstring(reliability_svg(found))
    circles = [element for element in svg.iter() if element.tag.endswith("circle")]
    assert len(circles) == len(found.reliability)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such-task", "--data", "."], "no model for task"),
        ([TASK, "--data", "/no/such"], "cannot be read"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["calibrate", *arguments])
    assert says in str(result.exception)


def test_the_command_names_what_it_needs() -> None:
    result = CliRunner().invoke(app, ["calibrate", TASK])
    assert result.exit_code == 2
    assert "--data" in json.dumps(result.output)
