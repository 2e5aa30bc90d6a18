"""CaptainCook4D's protocol: budgeted recall, decision points, detectors, and all of it at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from edge.evaluation.work_folder import WorkFolderError
from edge.labelled_videos import labelled_splits
from edge.protocols import captaincook4d, captaincook4d_probe
from edge.protocols.captaincook4d_detectors import DETECTORS, Accusation, Detector
from edge.protocols.captaincook4d_evidence import FOLDER, all_videos, folds, held_out_evidence
from edge.protocols.captaincook4d_probe import PROBE, without
from edge.protocols.captaincook4d_score import score_kind
from edge.protocols.captaincook4d_truth import (
    JudgedRecording,
    first_ends,
    judged_recording,
    order_reasons,
)
from edge.protocols.scored_alarms import ScoredAlarms, ScoredAlarmsError
from industryasm.deviation import KnownKind
from industryasm.fault import UserFault
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.recording import (
    AnnotatedCycle,
    AnnotatedDeviation,
    AnnotatedSegment,
    DataSet,
    Recording,
    SplitName,
    Track,
    write_data_set,
)
from industryasm.repairs import Repairs
from industryasm.sets.captaincook4d import import_set
from industryasm.vocabulary import BACKGROUND, Step, Task, write_task
from linewatch import app

REAL = Path(__file__).parents[2] / "shared" / "data" / "captaincook4d"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not there")

STEPS = "abcd"  # b and c after a, d after both
AFTER = {"a": "", "b": "a", "c": "a", "d": "bc"}
DIAMOND = Procedure(tuple(ProcedureStep(s, frozenset(AFTER[s]), limit_s=99.0) for s in STEPS))
LABELS = (BACKGROUND, *STEPS, "unexpected")
SLOT_S, WIDTH = 20, 6
ORDERS = ("abcd", "acbd", "acd", "abd", "bacd", "abcd")


def recording(name: str, order: str, *, operator: str = "p", missed: str = "") -> Recording:
    """Each step of `order` takes 16 s, with 4 s of background before it."""
    duration_s = float(SLOT_S * len(order) + 5)
    spans = [(s, SLOT_S * i + 4.0, SLOT_S * i + 20.0) for i, s in enumerate(order)]
    known: list[tuple[KnownKind, str, float, float]] = [
        ("missed", s, 0, duration_s) for s in missed
    ]
    for place, (step, start_s, end_s) in enumerate(spans):
        if DIAMOND.predecessors(step) & set(order[place + 1 :]):
            known.append(("out_of_order", step, start_s, end_s))
    return Recording(
        id=name,
        task="toast",
        task_revision=1,
        features=f"features/{name}.npz",
        duration_s=duration_s,
        station="kitchen",
        camera="head",
        operator=operator,
        annotator="a",
        review="reviewed",
        cycles=(AnnotatedCycle(number=1, start_s=0.0, end_s=duration_s),),
        segments=tuple(AnnotatedSegment(label=n, start_s=s, end_s=e) for n, s, e in spans),
        deviations=tuple(
            AnnotatedDeviation(kind=kind, step=step, cycle=1, start_s=s, end_s=e)
            for kind, step, s, e in known
        ),
    )


def write_set(folder: Path, operators: str = "pqr") -> Path:
    """Two recordings of each person; each step shows in a feature of its own."""
    (folder / "features").mkdir(parents=True)
    recordings = []
    for index, order in enumerate(ORDERS):
        missed = "".join(sorted(set(STEPS) - set(order)))
        operator = f"person-{operators[index % len(operators)]}"
        recordings.append(recording(f"r{index}", order, operator=operator, missed=missed))
        times_s = np.arange(SLOT_S * len(order) + 5, dtype=np.float64)
        features = np.random.default_rng(index).normal(0, 0.2, (len(times_s), WIDTH))
        for place, step in enumerate(order):
            start = SLOT_S * place + 4
            features[start : start + 16, STEPS.index(step)] += 3
        np.savez(folder / "features" / f"r{index}.npz", features=features, times_s=times_s)
    task = Task(
        id="toast",
        name="toast",
        product="toast",
        family="cooking",
        parts=(),
        steps=tuple(
            Step(id=s, text=s, primitive="other", after=tuple(AFTER[s]), expected_s=9, limit_s=99)
            for s in STEPS
        ),
    )
    splits: dict[SplitName, list[Recording]] = {
        "train": recordings[:4],
        "validation": recordings[4:5],
        "test": recordings[5:],
    }
    write_data_set(folder, name="toast", splits=splits, tasks=[task])
    return folder


@pytest.fixture(scope="module")
def toast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("toast") / "toast")


@pytest.fixture(autouse=True)
def threads_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)  # it would hold for later tests


def rows_of(order: str, sure: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Evidence (T, K) of 8 s of each step at 1 Hz, `.` for background, and its times."""
    rest = (1 - sure) / (len(LABELS) - 1)
    rows = np.full((8 * len(order), len(LABELS)), rest)
    for place, step in enumerate(order):
        label = BACKGROUND if step == "." else step
        rows[8 * place : 8 * place + 8, LABELS.index(label)] = sure
    return rows, np.arange(len(rows), dtype=np.float64)


def accused(name: str, order: str) -> dict[str, set[str]]:
    detector = DETECTORS[name]
    said = detector.accuse(DIAMOND, LABELS, *rows_of(order))
    by_kind: dict[str, set[str]] = {"missed": set(), "out_of_order": set()}
    for accusation in said:
        if accusation.score >= detector.threshold:
            by_kind[accusation.kind].add(accusation.step)
    return by_kind


@pytest.mark.parametrize(
    ("right", "wrong", "num_true", "hours", "per_hour", "recall", "why"),
    [
        ([], [], 3, 1.0, 1.0, 0.0, "nothing was said"),
        ([], [], 0, 1.0, 1.0, 0.0, "nothing is true"),
        ([1.0, 1.0], [], 4, 1.0, 0.0, 0.5, "no false alarm is needed"),
        ([1.0, 1.0], [1.0, 1.0], 2, 1.0, 1.0, 0.0, "one score: both false alarms or none"),
        ([1.0, 1.0], [1.0], 2, 1.0, 1.0, 1.0, "the one false alarm is in the budget"),
        ([0.9, 0.5, 0.1], [0.7, 0.3], 3, 1.0, 1.0, 2 / 3, "down to the second false alarm"),
        ([0.9, 0.5, 0.1], [0.7, 0.3], 3, 2.0, 1.0, 1.0, "two hours allow two"),
        ([0.9, 0.5, 0.1], [0.7, 0.3], 3, 0.5, 1.0, 1 / 3, "half an hour allows none"),
        ([0.9, 0.5], [0.5], 2, 0.5, 1.0, 0.5, "a right alarm with a false one's score"),
        ([0.2], [0.1] * 5, 1, 1 / 3 * 3, 1.0, 1.0, "whole budgets survive division"),
    ],
)
def test_recall_within_a_budget_of_false_alarms(
    right: list[float],
    wrong: list[float],
    num_true: int,
    hours: float,
    per_hour: float,
    recall: float,
    why: str,
) -> None:
    alarms = ScoredAlarms(right, wrong, num_true, hours)
    assert alarms.recall_at(per_hour) == pytest.approx(recall), why


def test_recall_never_falls_with_a_larger_budget_and_the_budget_is_kept() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        right, wrong = rng.integers(0, 8, 6) / 8, rng.integers(0, 8, 9) / 8
        alarms = ScoredAlarms(right, wrong, 7, 2.0)
        budgets = np.linspace(0, 5, 11)
        recalls = [alarms.recall_at(budget) for budget in budgets]
        assert recalls == sorted(recalls)
        for budget in budgets:
            assert (wrong >= alarms.threshold_at(budget)).sum() <= budget * 2.0 + 1e-9


@pytest.mark.parametrize(
    ("right", "num_true", "hours", "message"),
    [
        ([0.5, 0.6], 1, 1.0, "no more right"),
        ([float("nan")], 1, 1.0, "no number"),
        ([0.5], 1, 0.0, "0.0 hours"),
        ([0.5], 1, float("inf"), "inf hours"),
    ],
)
def test_alarms_that_cannot_be_judged_are_refused(
    right: list[float], num_true: int, hours: float, message: str
) -> None:
    with pytest.raises(ScoredAlarmsError, match=message):
        ScoredAlarms(right, [], num_true, hours)


@pytest.mark.parametrize(
    ("order", "missed", "known", "why"),
    [
        ("acd", "b", {("missed", "b"): 60.0}, "d, its first successor, ends at 60 s"),
        ("abc", "d", {("missed", "d"): 64.0}, "nothing follows d: the last frame"),
        ("cd", "ab", {("missed", "a"): 20.0, ("missed", "b"): 40.0}, "c is after a alone"),
        ("bacd", "", {("out_of_order", "b"): 20.0}, "when the early step is done"),
        ("abcd", "", {}, "nothing is wrong"),
    ],
)
def test_when_a_deviation_could_be_known_at_the_earliest(
    order: str, missed: str, known: dict[tuple[str, str], float], why: str
) -> None:
    made = recording("r", order, missed=missed)
    judged = judged_recording(made, DIAMOND, last_frame_s=made.duration_s - 1)
    assert judged.known == known, why


def test_other_errors_are_truth_of_neither_kind() -> None:
    made = recording("r", "abcd")
    wrong = AnnotatedDeviation(kind="wrong_execution", step="b", cycle=1, start_s=1.0, end_s=2.0)
    made = made.model_copy(update={"deviations": (wrong,)})
    assert judged_recording(made, DIAMOND, last_frame_s=84.0).known == {}


def test_steps_that_overlap_are_taken_as_published() -> None:
    made = recording("r", "abcd")
    stirred = Track(name="uncut-1", segments=(AnnotatedSegment(label="b", start_s=24, end_s=70),))
    hand = Track(name="left-hand", segments=(AnnotatedSegment(label="a", start_s=1, end_s=2),))
    assert first_ends(made)["b"] == 40
    assert first_ends(made.model_copy(update={"tracks": (stirred, hand)})) == {"b": 70}


def test_the_task_graph_says_why_a_step_is_tagged() -> None:
    made = recording("r", "bacd")
    tagged = [
        AnnotatedDeviation(kind="out_of_order", step=step, cycle=1, start_s=1.0, end_s=2.0)
        for step in "bad"
    ]
    made = made.model_copy(update={"deviations": tuple(tagged)})
    assert sorted(order_reasons(made, DIAMOND).values()) == [1, 1, 1]


@pytest.mark.parametrize(
    "name", ["argmax + set difference", "minimum dwell + set difference", "fuzzy set difference"]
)
@pytest.mark.parametrize(
    ("order", "missed", "early"),
    [("abcd", "", ""), ("acbd", "", ""), ("acd", "b", ""), ("bacd", "", "b"), ("dc", "ab", "d")],
)
def test_detectors_that_see_the_steps_know_what_is_wrong(
    name: str, order: str, missed: str, early: str
) -> None:
    assert accused(name, order) == {"missed": set(missed), "out_of_order": set(early)}


@pytest.mark.parametrize("name", ["linewatch", "linewatch, one unit told"])
def test_the_monitor_accuses_what_it_confirms(name: str) -> None:
    assert accused(name, "acd") == {"missed": {"b"}, "out_of_order": set()}
    assert accused(name, "abcd") == {"missed": set(), "out_of_order": set()}


def test_a_pause_does_not_divide_a_unit() -> None:
    paused = "ab....cd"
    assert not accused("linewatch", paused)["missed"]
    assert not accused("linewatch, one unit told", paused)["missed"]


def test_a_flicker_is_a_step_for_the_best_label_and_none_for_a_least_dwell() -> None:
    rows, times_s = rows_of("acd")
    rows[4] = rows_of("b")[0][0]
    missed = {
        name: {a.step for a in DETECTORS[name].accuse(DIAMOND, LABELS, rows, times_s)}
        for name in ("argmax + set difference", "minimum dwell + set difference")
    }
    assert missed == {
        "argmax + set difference": set(),
        "minimum dwell + set difference": {"b"},
    }


def test_nothing_and_everything_can_be_accused() -> None:
    assert accused("never alarm", "abcd") == {"missed": set(), "out_of_order": set()}
    assert accused("always alarm", "abcd") == {"missed": set(STEPS), "out_of_order": set(STEPS)}


def test_a_step_is_accused_once_and_from_the_time_that_it_was_sure() -> None:
    judged = JudgedRecording("r", "t", "p", 7200.0, DIAMOND, {("missed", "b"): 50.0})
    said = [
        Accusation("missed", "b", 0.3, 10.0),
        Accusation("missed", "b", 0.8, 57.0),
        Accusation("missed", "b", 0.9, 60.0),
        Accusation("missed", "c", 0.85, 61.0),
        Accusation("missed", "c", 0.85, 62.0),
        Accusation("out_of_order", "a", 1.0, 1.0),
    ]
    quiet = JudgedRecording("s", "t", "p", 3600.0, DIAMOND, {})
    score = score_kind("missed", [(judged, said), (quiet, [])], threshold=0.5)
    assert (score.steps.right, score.steps.wrong, score.steps.missed) == (1, 1, 0)
    assert (score.recordings.right, score.recordings.wrong) == (1, 0)
    assert score.delays_s == (7.0,)
    assert score.wrong_per_hour == pytest.approx(1 / 3)
    assert score.recall_in_budget == 100


def test_no_model_sees_the_person_that_it_judges(toast: Path) -> None:
    splits = labelled_splits(DataSet(toast), scaled=False)
    people = folds(splits)
    assert {person: len(videos) for person, videos in people.items()} == {
        "person-p": 2,
        "person-q": 2,
        "person-r": 2,
    }
    for person, videos in people.items():
        known, judged = without(splits, person)
        assert {v.name for v in judged} == {v.name for v in videos}
        assert not {v.name for v in known} & {v.name for v in judged}
        assert len(known) + len(judged) == len(ORDERS)


def test_a_recipe_that_one_person_made_alone_is_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "alone", operators="p")
    with pytest.raises(UserFault, match=r"all 6 recordings of 'toast' are of 'person-p'"):
        folds(labelled_splits(DataSet(folder), scaled=False))


def test_a_task_without_an_order_is_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "toast")
    task = DataSet(folder).task("toast")
    steps = tuple(step.model_copy(update={"after": ()}) for step in task.steps)
    write_task(task.model_copy(update={"steps": steps}), folder / "tasks" / "toast.yaml")
    with pytest.raises(UserFault, match="'toast' has no order of required steps"):
        captaincook4d.report(folder, tmp_path)


def test_the_command_judges_the_whole_way_and_goes_on_with_its_evidence(
    toast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["evaluate", "deviations", "--protocol", "captaincook4d", "--data", str(toast)]
    command += ["--work", str(tmp_path)]
    first = CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False)
    plain = json.loads(first.output)
    assert plain["folds"] == {"person-p": 2, "person-q": 2, "person-r": 2}
    assert plain["known"] == {"missed": 2, "out_of_order": 1}
    assert plain["frames"][PROBE]["accuracy"] > 80
    assert set(plain["scores"]) == {PROBE, captaincook4d.TRUE_STEPS}
    for evidence in (PROBE, captaincook4d.TRUE_STEPS):
        found = plain["scores"][evidence]["minimum dwell + set difference"]
        assert found["missed"]["steps"]["f1"] == found["out_of_order"]["steps"]["f1"] == 100
        assert found["missed"]["recall_at_1_false_alarm_per_hour"] == 100
        assert found["missed"]["delay_median_s"] >= 0
    monkeypatch.setattr(captaincook4d_probe, "without", None)  # nothing is trained again
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    for name in DETECTORS:
        assert name in again.output


def test_a_further_detector_is_judged_beside_the_others(toast: Path, tmp_path: Path) -> None:
    def sees_b(
        procedure: Procedure, labels: object, rows: object, times_s: object
    ) -> list[Accusation]:
        return [Accusation("missed", "b", 0.9, 7.0)]

    found = captaincook4d.report(toast, tmp_path, detectors={"b is missed": Detector(sees_b)})
    missed = found.scores[captaincook4d.TRUE_STEPS]["b is missed"]["missed"]
    assert (missed.steps.right, missed.steps.wrong, missed.steps.missed) == (1, 5, 1)
    late = found.scores[PROBE]["b is missed"]["missed"]
    assert late.delays_s[0] - missed.delays_s[0] == 5  # row 7 comes with frame 12


@pytest.mark.parametrize("damage", ["torn", "other shape", "not finite"])
def test_damaged_evidence_is_refused(toast: Path, tmp_path: Path, damage: str) -> None:
    splits = labelled_splits(DataSet(toast), scaled=False)
    rows = held_out_evidence(splits, tmp_path)["r0"]
    path = tmp_path / "toast" / FOLDER / "r0.npz"
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:40])
    else:
        np.savez(path, rows=rows[:-1] if damage == "other shape" else np.full_like(rows, np.nan))
    with pytest.raises(WorkFolderError, match=r"r0.npz: .*remove it"):
        held_out_evidence(splits, tmp_path)


def test_evidence_of_other_data_is_refused(toast: Path, tmp_path: Path) -> None:
    (tmp_path / "toast").mkdir()
    (tmp_path / "toast" / "data.json").write_text('{"name": "toast", "sha256": "0"}')
    with pytest.raises(WorkFolderError, match="other recordings"):
        captaincook4d.report(toast, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "captaincook4d"], "needs --data DIR, the imported set, and --work DIR"),
        (["--protocol", "captaincook4d", "--data", "x"], "and --work DIR"),
        (["model", "--protocol", "captaincook4d"], "takes no MODEL"),
        (["--protocol", "oracle", "--data", "x", "--work", "y"], "takes no --work"),
    ],
)
def test_the_command_says_what_is_missing_or_too_much(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["evaluate", "deviations", *arguments])
    assert isinstance(result.exception, UserFault)
    assert message in str(result.exception)


@needs_real
def test_the_real_set_has_its_known_deviations_and_true_steps_find_the_missed_ones(
    tmp_path: Path,
) -> None:
    import_set(REAL, tmp_path / "set", Repairs())
    splits = labelled_splits(DataSet(tmp_path / "set"), scaled=False)
    videos = all_videos(splits)
    recordings = {v.name: captaincook4d.judged(splits, v) for v in videos}
    known = [kind for recording in recordings.values() for kind, _ in recording.known]
    assert (len(videos), known.count("missed"), known.count("out_of_order")) == (63, 80, 226)
    assert len(folds(splits)) == 8
    name = "minimum dwell + set difference"
    rows = captaincook4d.true_rows(splits)
    scores = captaincook4d.judge(splits, recordings, rows, {name: DETECTORS[name]})
    assert scores[name]["missed"].steps.recall == 100
