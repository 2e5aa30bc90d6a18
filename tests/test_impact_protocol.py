"""Completions through a measured recogniser: files refused or read, shares kept, filters exact."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.protocols import impact
from edge.protocols.impact_labels import read_trials
from edge.protocols.impact_recogniser import (
    EVIDENCE,
    Recogniser,
    measured_recogniser,
)
from edge.protocols.impact_trackers import (
    TRACKERS,
    decoder_steps,
    filtered,
    monitor_steps,
    trust_all,
    trust_in_order,
    trust_none,
)
from industryasm.fault import UserFault
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.repairs import Repairs
from industryasm.sets.set_error import SetError
from models.procedure_metrics import Completion

REAL = Path(__file__).parents[2] / "shared" / "data"
needs_real = pytest.mark.skipif(
    not (REAL / "impact" / "psr").is_dir(), reason=f"{REAL / 'impact' / 'psr'} is not there"
)
needs_evidence = pytest.mark.skipif(
    not (REAL / "ikea_asm").is_dir(), reason=f"{REAL / 'ikea_asm'} is not there"
)

PARTS = ("base", "gear")
CHAIN = Procedure(
    tuple(ProcedureStep(str(step), frozenset({str(step - 1)} if step else ())) for step in range(6))
)
SURE = Recogniser(1, 1.0, 0.0, 0.0, 1.0, np.array([0.0]))
POOR = Recogniser(1, 0.6, 0.1, 0.1, 1.0, np.array([0.0]))


def step_name(step: int) -> str:
    verb = ("Install", "Incorrectly installed", "Remove")[step % 3]
    return f"{verb} {PARTS[step // 3]}"


def write_set(folder: Path, *, labels: str, raw: str = "0.jpg,0,0\n90.jpg,1,1\n") -> Path:
    """A set of one trial; `labels` as `frame:step ...`."""
    steps = [
        {
            "id": step,
            "description": step_name(step),
            "install": step % 3 < 2,
            "state_idx": step // 3,
        }
        for step in range(6)
    ]
    trial = folder / "train" / "trial-1"
    trial.mkdir(parents=True)
    (folder / "val").mkdir()
    (folder / "procedure_info_IMPACT.json").write_text(json.dumps(steps))
    rows = [entry.split(":") for entry in labels.split()]
    text = "".join(f"{frame}.jpg,{step},{step_name(int(step))}\n" for frame, step in rows)
    (trial / "PSR_labels.csv").write_text(text)
    (trial / "PSR_labels_with_errors.csv").write_text(text)
    (trial / "PSR_labels_raw.csv").write_text(raw)
    return folder


def entries(text: str) -> list[Completion]:
    """`0123` is a step each ten frames."""
    return [Completion(10 * index, int(step)) for index, step in enumerate(text)]


def steps_of(said: list[Completion]) -> str:
    return "".join(str(entry.step) for entry in said)


def test_a_trial_is_read_with_its_direction_and_what_is_missing(tmp_path: Path) -> None:
    folder = write_set(tmp_path, labels="30:0", raw="0.jpg,0,0\n30.jpg,1,0\n80.jpg,1,-1\n")
    (trial,) = read_trials(folder, Repairs())
    assert (trial.direction, trial.end_frame) == ("assembly", 80)
    assert trial.completions == (Completion(30, 0),)
    assert trial.missing == {3}
    assert not trial.is_undone_somewhere


def test_taking_apart_begins_with_parts_that_are_on(tmp_path: Path) -> None:
    folder = write_set(tmp_path, labels="30:5 60:2", raw="0.jpg,1,1\n60.jpg,0,0\n")
    (trial,) = read_trials(folder, Repairs())
    assert trial.direction == "disassembly"
    assert trial.missing == frozenset()


@pytest.mark.parametrize("labels", ["30:0 60:3 70:5 90:3", "30:0 50:2 60:3"])
def test_a_step_redone_or_undone_is_told(tmp_path: Path, labels: str) -> None:
    (trial,) = read_trials(write_set(tmp_path, labels=labels), Repairs())
    assert trial.is_undone_somewhere


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("PSR_labels.csv", "30.jpg,0,Install gear\n", r"PSR_labels.csv:1: '0', 'Install gear'"),
        ("PSR_labels.csv", "30.jpg,9,Install gear\n", "none of the 6 steps"),
        ("PSR_labels.csv", "30.jpg,0\n", "2 columns"),
        ("PSR_labels.csv", "x.jpg,0,Install base\n", "no frame"),
        ("PSR_labels.csv", "-3.jpg,0,Install base\n", "no frame"),
        ("PSR_labels.csv", "99999999.jpg,0,Install base\n", "no frame"),
        (
            "PSR_labels.csv",
            "30.jpg,0,Install base\n20.jpg,3,Install gear\n",
            r":2: frame 20 comes after frame 30",
        ),
        ("PSR_labels_raw.csv", "0.jpg,0,2\n", "states -1, 0 or 1"),
        ("PSR_labels_raw.csv", "0.jpg,0\n", "expected 2 states"),
        ("PSR_labels_raw.csv", "", "holds no state"),
    ],
)
def test_damaged_labels_are_refused(tmp_path: Path, file: str, text: str, message: str) -> None:
    folder = write_set(tmp_path, labels="30:0")
    (folder / "train" / "trial-1" / file).write_text(text)
    with pytest.raises(SetError, match=message):
        read_trials(folder, Repairs())


def test_a_trial_without_a_completion_is_left_out_and_counted(tmp_path: Path) -> None:
    repairs = Repairs()
    assert read_trials(write_set(tmp_path, labels=""), repairs) == []
    assert repairs.counts == {"trial without a completion: left out": 1}


def test_steps_in_another_order_are_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path, labels="30:0")
    path = folder / "procedure_info_IMPACT.json"
    path.write_text(json.dumps(json.loads(path.read_text())[::-1]))
    with pytest.raises(SetError, match="is not step 0"):
        read_trials(folder, Repairs())


def write_evidence(folder: Path, scores: str, truth: str) -> Path:
    """Two networks that are sure of a label each frame: `n` is NA, `a` and `b` are steps."""
    rows = np.array([np.eye(3)["nab".index(letter)] * 0.98 + 0.005 for letter in scores])
    np.savez(
        folder / EVIDENCE,
        x0=np.tile(rows, 2).astype(np.float16),
        y0=np.array(["nab".index(letter) for letter in truth], np.int16),
        cases=np.array(["one"]),
        labels=np.array(["NA", "a", "b"]),
        models=np.array(["m", "n"]),
    )
    return folder


@pytest.mark.parametrize(
    ("scores", "truth", "recall", "confusion", "inventions"),
    [
        ("n" * 20 + "a" * 20 + "n" * 20, "n" * 20 + "a" * 20 + "n" * 20, 1.0, 0.0, 0.0),
        ("a" * 20 + "b" * 20 + "n" * 20, "a" * 20 + "a" * 20 + "n" * 20, 1.0, 0.0, 1.0),
        ("a" * 20 + "n" * 20 + "a" * 20, "a" * 20 + "n" * 20 + "b" * 20, 0.5, 0.5, 0.0),
        ("a" * 20 + "n" * 20 + "n" * 20, "a" * 20 + "n" * 20 + "b" * 20, 0.5, 0.0, 0.0),
    ],
)
def test_steps_are_seen_confused_or_invented(
    tmp_path: Path, scores: str, truth: str, recall: float, confusion: float, inventions: float
) -> None:
    found = measured_recogniser(write_evidence(tmp_path, scores, truth))
    assert (found.recall, found.confusion, found.inventions) == (recall, confusion, inventions)


def test_evidence_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="x0"):
        measured_recogniser(write_evidence(tmp_path, "aa", "aaa"))


def test_a_recogniser_errs_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = [Completion(1000 * i, i % 6) for i in range(3000)]
    said = POOR.observe(truth, others=range(6), end_frame=3_000_000, rate_hz=30.0, rng=rng)
    known = {(entry.frame, entry.step) for entry in truth}
    right = sum((entry.frame, entry.step) in known for entry in said)
    assert right / len(truth) == pytest.approx(0.6, abs=0.03)
    assert (len(said) - right) / len(truth) == pytest.approx(0.2, abs=0.03)
    assert said == sorted(said)
    same = SURE.observe(truth, others=range(6), end_frame=10, rate_hz=30.0, rng=rng)
    assert same == truth


def test_the_shares_of_a_recogniser_are_its_confusion() -> None:
    confusion = replace(POOR, num_steps=100_000).as_confusion(["0", "1", "2"])
    shares = confusion.shares()
    assert np.allclose(shares[1], [0.3, 0.6, 0.05, 0.05], atol=1e-3)
    assert np.allclose(shares[0], [0.9, 0.1 / 3, 0.1 / 3, 0.1 / 3], atol=1e-3)
    assert np.allclose(confusion.recall()[1:], 0.6, atol=1e-3)


def test_no_observation_is_before_the_beginning() -> None:
    early = replace(SURE, delays_s=np.array([-5.0]))
    rng = np.random.default_rng(0)
    said = early.observe(entries("01"), others=range(6), end_frame=10, rate_hz=30.0, rng=rng)
    assert said == [Completion(0, 0), Completion(0, 1)]


@pytest.mark.parametrize(
    ("observed", "everything", "in_order", "monitor", "decoder", "believed"),
    [
        ("", "", "", "", "", ""),
        ("012345", "012345", "012345", "012345", "012345", "012345"),
        ("02345", "02345", "0", "02345", "012345", "012345"),  # not seen and done all the same
        ("05", "05", "0", "05", "0", "01"),  # four unseen ones at once are not
        ("0011", "0011", "01", "01", "01", "01"),
        ("09", "09", "0", "0", "0", "0"),  # not a step of the procedure
    ],
)
def test_what_is_believed_of_what_was_observed(
    observed: str, everything: str, in_order: str, monitor: str, decoder: str, believed: str
) -> None:
    seen = entries(observed)
    assert steps_of(trust_all(CHAIN, POOR, seen)) == everything
    assert steps_of(trust_in_order(CHAIN, POOR, seen)) == in_order
    assert steps_of(monitor_steps(CHAIN, POOR, seen)) == monitor
    assert steps_of(decoder_steps(CHAIN, POOR, seen)) == decoder
    assert steps_of(filtered(CHAIN, POOR, seen)) == believed
    assert trust_none(CHAIN, POOR, seen) == []


def test_what_is_said_does_not_depend_on_what_comes_later() -> None:
    rng = np.random.default_rng(3)
    observed = entries("".join(str(rng.integers(7)) for _ in range(12)))
    for track in TRACKERS.values():
        whole = track(CHAIN, POOR, observed)
        for length in range(len(observed)):
            now = observed[length].frame
            before = [entry for entry in whole if entry.frame < now]
            assert track(CHAIN, POOR, observed[:length]) == before


def test_folders_that_are_absent_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserFault, match="psr"):
        impact.report(tmp_path)


@needs_real
def test_the_real_trials_keep_their_totals() -> None:
    trials = read_trials(REAL / "impact" / "psr", Repairs())
    assert len(trials) == 74
    assert sum(len(trial.completions) for trial in trials) == 1276
    assert sum(trial.is_undone_somewhere for trial in trials) == 3
    procedures = impact.trial_procedures(trials)
    scores = impact.judge(trust_all, trials, procedures, SURE, num_seeds=1)
    assert scores.clean[0].f1 == 1.0  # a recogniser that does not err is believed in everything


@needs_evidence
def test_the_real_recogniser_sees_half_of_the_steps() -> None:
    found = measured_recogniser(REAL / "ikea_asm")
    assert found.num_steps == 1237
    assert 0.5 < found.recall < 0.6
    assert 0.7 < found.precision < 0.8
