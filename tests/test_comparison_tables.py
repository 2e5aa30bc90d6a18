"""`linewatch evaluate --table`: whole tables on small made-up data, stopped and gone on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from edge.answers import training as answer_training
from edge.answers.questions import QUERIES, questions
from edge.evaluation import frame_table as frame_comparison
from edge.evaluation import language_answers
from edge.evaluation.frame_judgement import SWITCH_PENALTIES, judge_frames
from edge.evaluation.frame_table import FrameJob, frame_table_rows, run_job
from edge.evaluation.frame_yardsticks import yardsticks
from edge.evaluation.language_table import (
    COLUMNS,
    ROWS,
    LanguageJob,
    language_table_rows,
    run_language_job,
    step_heads,
)
from edge.evaluation.language_yardsticks import language_yardsticks
from edge.evaluation.training_processes import TrainingProcessError, side_by_side
from edge.evaluation.work_folder import WorkFolderError, claim
from edge.labelled_videos import FeatureScale, LabelledSplits, labelled_splits
from industryasm.recording import (
    DataSet,
    SplitName,
)
from industryasm.repairs import Repairs
from linewatch import app, main
from models.temporalvlm.answer import Answer
from models.temporalvlm.frame_rows import FRAME_ROWS, GRU_ROW, TEMPORALVLM_ROW
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.language_training import AskedVideos
from models.temporalvlm.video_crops import LabelledVideo
from models.viterbi import best_path
from tests.tiny_llama import LANGUAGE, byte_tokenizer, tiny_llama
from tests.tiny_system import tiny_system
from tests.toys import RATE_HZ, SPLITS, STEPS, WIDTH, files_of, spoil, task, write_toys

pytestmark = pytest.mark.timeout(900)  # two processes begin, on a machine that may be busy

ROOT = Path(__file__).parents[1]
YARDSTICKS = (
    "majority class",
    "linear probe of one frame",
    "linear probe, mean of ±1 s",
    "linear probe, mean of ±4 s",
)


def tiny_language(*_: object, cache: Path | None = None) -> LanguageModel:
    assert cache is not None
    return LanguageModel(LANGUAGE.model_copy(update={"lora": None}), tiny_llama(), byte_tokenizer())


def arguments(data: Path, work: Path, *more: str) -> list[str]:
    few = ["--seeds", "1", "--steps", "2", "--answer-steps", "2", "--processes", "1"]
    folders = ["--data", str(data), "--work", str(work)]
    return ["evaluate", "--table", *folders, *few, "--part", "frames", *more]


@dataclass(frozen=True)
class Finished:
    """A comparison that was killed in its first training and then finished; what it printed."""

    data: Path
    work: Path
    printed: str


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    data = write_toys(tmp_path_factory.mktemp("data") / "toys")
    work = tmp_path_factory.mktemp("work")
    embed_texts(data, work)
    command = arguments(data, work)
    kill_in_training(command, FrameJob(data, FRAME_ROWS[0], 0, 2, work))
    with pytest.MonkeyPatch.context() as patch, threads_kept():
        patch.setattr("edge.evaluation.frame_table.side_by_side", one_by_one)
        result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Finished(data, work, result.output)


def one_by_one(
    run: Callable[[FrameJob], Any], jobs: Sequence[FrameJob], *, processes: int
) -> Iterator[tuple[FrameJob, Any]]:
    """Stand in for `side_by_side`, without the seconds that a process takes to begin."""
    assert processes == 1
    return ((job, run(job)) for job in jobs)


def test_the_table_is_printed_as_json_too(finished: Finished) -> None:
    command = arguments(finished.data, finished.work, "--json")
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    (found,) = json.loads(result.output).values()
    assert list(found) == ["frames"]
    rows = [line for line in finished.printed.splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(found["frames"])
    for row, of_seeds in zip(rows, found["frames"].values(), strict=True):
        assert row.split(" | ")[1] == f"{of_seeds[0]['decoded']['ignored']['accuracy']:.1f}"


def embed_texts(data: Path, work: Path) -> None:
    """Do what a comparison begins with, by a language model that is made at once."""
    splits = labelled_splits(DataSet(data), scaled=False)
    claim(work / data.name / "frames", splits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.temporalvlm.pretrained.smollm2", tiny_language)
        frame_comparison._prepare_texts(splits, work / data.name / "frames")


def kill_in_training(command: Sequence[str], job: FrameJob) -> None:
    """Run the command and kill it behind a training's first step; wait for what it started."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "datasets")])}
    run = [sys.executable, "-c", "import linewatch; linewatch.main()", *command]
    process = subprocess.Popen(run, env=environment)
    try:
        while not (job.folder / "state.safetensors").is_file():
            assert process.poll() is None
            time.sleep(0.01)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    finally:
        process.kill()
        process.wait()
    assert len(children) > 1  # the training, and Python's resource tracker
    while any(is_alive(int(child)) for child in children):
        time.sleep(0.05)
    assert not (job.folder / "test.json").exists()


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # ended, though nobody asked how


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    return write_toys(tmp_path / "data" / "toys")


@contextmanager
def threads_kept() -> Iterator[None]:
    """Undo what a training does that is run in this process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    with threads_kept():
        yield


# --- the frame-wise table


def test_the_table_has_every_yardstick_and_every_row(finished: Finished) -> None:
    lines = [line for line in finished.printed.splitlines() if line.startswith("| ")]
    names = [line.split("|")[1].strip() for line in lines[1:]]
    assert names == [*YARDSTICKS, *FRAME_ROWS]
    assert finished.printed.startswith("toys: frame-wise, 1 seeds, 2 steps\n\n| | accuracy")
    for line in lines[1:]:
        assert len(line.split("|")) == len(lines[0].split("|"))
        figures = [float(cell) for cell in line.split("|")[2:-1]]
        assert all(0 <= figure <= 100 for figure in figures)
    accuracy = {line.split("|")[1].strip(): float(line.split("|")[2]) for line in lines[1:]}
    assert accuracy["linear probe of one frame"] > 90 > accuracy["majority class"]


def test_a_second_call_reads_what_is_there(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(finished.work)
    assert sum(name.endswith("test.json") for name in before) == len(FRAME_ROWS)
    assert not [name for name in before if name.endswith(".part")]
    monkeypatch.setattr("edge.evaluation.frame_table.side_by_side", one_by_one)
    again = CliRunner().invoke(app, arguments(finished.data, finished.work), catch_exceptions=False)
    assert again.output == finished.printed
    after = files_of(finished.work)
    assert {name: held for name, (held, _) in after.items()} == {
        name: held for name, (held, _) in before.items()
    }
    trained = [name for name in before if not name.endswith("test.json")]  # that is judged again
    assert all(after[name] == before[name] for name in trained)


@pytest.mark.parametrize("row", [FRAME_ROWS[0], GRU_ROW])
def test_a_killed_comparison_comes_out_as_one_that_was_not(
    finished: Finished, tmp_path: Path, row: str
) -> None:
    embed_texts(finished.data, tmp_path)
    job = FrameJob(finished.data, row, 0, 2, tmp_path)
    resumed = replace(job, work=finished.work).folder / "test.json"
    assert run_job(job).as_dict() == json.loads(resumed.read_text())


def test_results_come_in_the_order_of_the_jobs_and_a_killed_process_is_one_clear_line() -> None:
    assert list(side_by_side(abs, [-2, 3], processes=2)) == [(-2, 2), (3, 3)]
    running = side_by_side(os._exit, [9], processes=1)
    with pytest.raises(TrainingProcessError, match="fewer --processes to go on"):
        list(running)


def test_a_folder_of_other_data_is_refused_and_left_alone(
    finished: Finished, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edge.evaluation.frame_table.side_by_side", lambda *_, **__: pytest.fail("trained")
    )
    before = files_of(finished.work)
    spoil(toys, lambda features: features + 1e-3)
    result = CliRunner().invoke(app, arguments(toys, finished.work))
    assert isinstance(result.exception, WorkFolderError)
    assert "holds trainings on other recordings or features" in str(result.exception)
    assert "\n" not in str(result.exception)
    assert files_of(finished.work) == before


def test_the_same_data_elsewhere_is_the_same_data(finished: Finished, toys: Path) -> None:
    splits = [labelled_splits(DataSet(folder)) for folder in (finished.data, toys)]
    assert splits[0].sha256 == splits[1].sha256
    annotation = json.loads((toys / "recordings" / "toy-car-train-40.json").read_text())
    annotation["segments"][0]["end_s"] -= 0.5
    (toys / "recordings" / "toy-car-train-40.json").write_text(json.dumps(annotation))
    assert labelled_splits(DataSet(toys)).sha256 != splits[0].sha256


# --- bad input


def only_in_test(folder: Path) -> None:
    for name in ("toy-train-train-40", "toy-train-train-60"):
        annotation = json.loads((folder / "recordings" / f"{name}.json").read_text())
        annotation |= {"task": "toy-car", "segments": []}
        (folder / "recordings" / f"{name}.json").write_text(json.dumps(annotation))
    (folder / "recordings" / "toy-train-validation-30.json").write_text(
        (folder / "recordings" / "toy-car-validation-30.json")
        .read_text()
        .replace("toy-car-validation-30", "toy-train-validation-30")
    )


def too_short(folder: Path) -> None:
    path = folder / "recordings" / "toy-train-test-50.json"
    annotation = json.loads(path.read_text()) | {"duration_s": 20.0, "segments": []}
    path.write_text(json.dumps(annotation))


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: write_toys(folder, {"train": (40,), "validation": (30,)}), "the split test"),
    (lambda folder: write_toys(folder, {"test": (40,), "validation": (30,)}), "the split train"),
    (lambda folder: spoil(folder, lambda rows: np.full_like(rows, np.nan)), "not finite"),
    (
        lambda folder: spoil(folder, lambda rows: rows[:, :4]),
        "'toy-train-test-50' has features of 4 numbers, 'toy-car-train-40' of 6",
    ),
    (lambda folder: spoil(folder, lambda rows: rows[:, :1]), "has features of 1 numbers"),
    (only_in_test, "task 'toy-train' is in the split test and not in train"),
    (too_short, "'toy-train-test-50' has features up to 24.5 s and ends at 20 s"),
    (lambda folder: (folder / "dataset.json").unlink(), "dataset.json: cannot be read"),
]


@pytest.mark.parametrize(("change", "says"), FAULTS)
def test_data_that_cannot_be_compared_on_is_refused_in_one_line(
    toys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], object],
    says: str,
) -> None:
    change(toys)
    for part in ("frames", "language"):
        said = faulty(arguments(toys, tmp_path / "work", "--part", part), monkeypatch, capsys)
        assert said.count("\n") == 1
        assert says in said
    assert not (tmp_path / "work").exists()


def faulty(
    command: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setattr(sys, "argv", ["linewatch", *command])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    return capsys.readouterr().err


def test_what_is_asked_wrongly_is_refused(
    toys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, work = ["--data", str(toys)], ["--work", str(tmp_path / "work")]
    blocked = tmp_path / "file"
    blocked.write_text("")
    lines = {
        "--table needs --data DIR": [["--table", *data], ["--table", *work], ["--table"]],
        "--table and baselines": [["--table", *data, *work, "baselines", *data]],
        "give another --work": [["--table", *data, "--work", str(blocked), "--part", "frames"]],
    }
    for says, commands in lines.items():
        for command in commands:
            said = faulty(["evaluate", *command], monkeypatch, capsys)
            assert said.startswith("linewatch: ")
            assert said.count("\n") == 1
            assert says in said
    # These are told by the library that reads the command line, below how the command is used.
    for wrong in (["--part", "pictures"], ["--seeds", "0"], ["--steps", "0"], ["--processes", "0"]):
        said = faulty(["evaluate", "--table", *data, *work, *wrong], monkeypatch, capsys)
        assert f"Invalid value for '{wrong[0]}'" in said
    assert not (tmp_path / "work").exists()


def test_a_first_recording_of_one_frame_does_not_hide_the_rate(tmp_path: Path) -> None:
    data = write_toys(tmp_path, SPLITS | {"train": (1, 60)})
    assert labelled_splits(DataSet(data)).rate_hz == RATE_HZ
    data = write_toys(tmp_path / "none", SPLITS | {"train": (1,)})
    result = CliRunner().invoke(app, arguments(data, tmp_path / "work"))
    assert "no recording of two frames or more is in the split train" in str(result.exception)


# --- judgement


def one_task(lengths: dict[SplitName, int]) -> LabelledSplits:
    """Each split is one video of two labels that change every so many frames."""
    videos: dict[SplitName, list[LabelledVideo]] = {}
    for split, length in lengths.items():
        labels = 1 + np.arange(120) // length % 2
        rows = np.zeros((120, 1), np.float32)
        videos[split] = [LabelledVideo(split, "toy-car", rows, np.arange(120) * 1.0, labels)]
    return LabelledSplits(
        name="made up",
        tasks={"toy-car": task("toy-car")},
        videos=videos,
        recordings={},
        rate_hz=1.0,
        scale=FeatureScale(np.zeros(1), np.ones(1)),
        encoder=None,
        sha256="",
    )


def flickering(video: LabelledVideo) -> np.ndarray:
    """Right of labels that change quickly; wrong now and then of others; never very sure."""
    shown = video.labels.copy()
    if (np.diff(shown) != 0).sum() < 20:
        shown[5::7] = 3 - shown[5::7]
    evidence = np.full((len(shown), 5), -1.5)
    evidence[np.arange(len(shown)), shown] = -0.5
    return evidence


def test_the_switching_cost_is_chosen_on_validation_whatever_the_test_would_want() -> None:
    quick_known = judge_frames(flickering, one_task({"validation": 2, "test": 40}))
    assert quick_known.switch_penalty == 0
    assert quick_known.decoded == quick_known.best_labels
    slow_known = judge_frames(flickering, one_task({"validation": 40, "test": 1}))
    assert slow_known.switch_penalty > 0
    # Each would have got more with the other's cost.
    both_slow = judge_frames(flickering, one_task({"validation": 40, "test": 40}))
    assert both_slow.decoded.ignored.f1_50 > quick_known.decoded.ignored.f1_50 + 10
    assert slow_known.best_labels.ignored.f1_50 > slow_known.decoded.ignored.f1_50 + 10


def test_the_majority_class_stays_the_same_however_it_is_decoded(toys: Path) -> None:
    splits = labelled_splits(DataSet(toys))
    name, _, evidence = next(iter(yardsticks(splits)))
    assert name == "majority class"
    for video in splits.videos["test"]:
        rows = evidence(video)
        paths = [best_path(rows, switch_penalty=cost).tolist() for cost in SWITCH_PENALTIES]
        assert paths == [rows.argmax(axis=1).tolist()] * len(paths)
        assert len(set(paths[0])) == 1
    judgement = judge_frames(evidence, splits)
    assert judgement.decoded == judgement.best_labels


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 6))
def test_without_a_switching_cost_the_best_label_of_each_frame_is_taken(
    seed: int, num_frames: int, num_labels: int
) -> None:
    evidence = np.random.default_rng(seed).normal(size=(num_frames, num_labels)) * 10
    path = best_path(evidence, switch_penalty=0.0)
    np.testing.assert_array_equal(path, evidence.argmax(axis=1))


def test_features_are_scaled_by_the_training_split_alone(toys: Path) -> None:
    splits = labelled_splits(DataSet(toys))
    known = np.concatenate([video.features for video in splits.videos["train"]])
    np.testing.assert_allclose(known.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(known.std(axis=0), 1, atol=5e-3)
    spoil(toys, lambda rows: rows * 100)  # of the test split
    again = labelled_splits(DataSet(toys))
    np.testing.assert_array_equal(
        again.videos["train"][0].features, splits.videos["train"][0].features
    )


def test_several_seeds_are_told_as_mean_and_spread() -> None:
    one = judge_frames(flickering, one_task({"validation": 2, "test": 40}))
    better = replace(one.decoded.ignored, accuracy=one.decoded.ignored.accuracy + 2)
    other = replace(one, decoded=replace(one.decoded, ignored=better))
    (row,) = frame_table_rows({"x": [one, other]})[2:]
    mean = one.decoded.ignored.accuracy + 1
    assert row.startswith(f"| x | {mean:.1f} ±1.4 | ")


# --- the language table


@pytest.fixture
def small_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_training, "new_model", tiny_system)
    monkeypatch.setattr(language_answers, "ANSWERS_AT_ONCE", 3)
    few = dict.fromkeys(language_answers.LONGEST_ANSWER, 3) | {"segmentation": 6}
    monkeypatch.setattr(language_answers, "LONGEST_ANSWER", few)
    monkeypatch.setattr(answer_training, "VALIDATION_EXAMPLES", 2)


def job_of(data: Path, work: Path, row: str = "temporalvlm") -> LanguageJob:
    return LanguageJob(data, row, seed=0, steps=(2, 2), work=work)


@pytest.mark.usefixtures("small_table")
def test_answers_go_on_where_they_were_stopped_and_come_out_the_same(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(toys, tmp_path)
    scores = run_language_job(job)
    path = job.folder / "answers.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) > 10
    trained = files_of(job.folder / "answers") | files_of(job.folder / "alignment")
    asked: list[int] = []
    real = AskedVideos.answers

    def counted(videos: AskedVideos, examples: Any, longest: Any) -> list[Answer]:
        asked.append(len(examples))
        return real(videos, examples, longest)

    monkeypatch.setattr(AskedVideos, "answers", counted)
    for kept, left in (
        (b"", len(lines)),
        (b"".join(lines[:5]), len(lines) - 3),  # in the middle of a batch of three
        (b"".join(lines[:6]) + lines[6][:9], len(lines) - 6),  # and of a line
        (whole[:-1], len(lines) - (len(lines) - 1) // 3 * 3),
        (whole, 0),
    ):
        asked.clear()
        path.write_bytes(kept)
        assert run_language_job(job) == scores
        assert path.read_bytes() == whole
        assert sum(asked) == left
    asked.clear()
    assert run_language_job(job) == scores
    assert not asked
    assert files_of(job.folder / "answers") | files_of(job.folder / "alignment") == trained


@pytest.mark.usefixtures("small_table")
@pytest.mark.parametrize(
    ("spoiled", "says"),
    [
        ({"recording": "another"}, "line 1: no such question"),
        ({"question": "When?"}, "line 1: no such question"),
        ("[]", "line 1: .*remove the file"),
        ("{}", "line 1: KeyError.*remove the file"),
        ("{", "line 1: .*remove the file"),
    ],
)
def test_answers_to_other_questions_are_not_taken(
    toys: Path, tmp_path: Path, spoiled: dict[str, str] | str, says: str
) -> None:
    splits = labelled_splits(DataSet(toys))
    asked = questions(splits, "test", Repairs())
    of = max(asked, key=lambda e: language_answers.LONGEST_ANSWER[e.question.task])
    row: dict[str, str] = {"recording": of.recording_id, "question": of.instruction}
    path = tmp_path / "answers.jsonl"
    first = (
        spoiled
        if isinstance(spoiled, str)
        else json.dumps(row | {"text": "1", "is_finished": True} | spoiled)
    )
    path.write_text(f"{first}\n" * 3)
    model = tiny_system(job_of(toys, tmp_path).training, feature_dim=WIDTH, phrases=["a"]).eval()
    with pytest.raises(WorkFolderError, match=says) as raised:
        language_answers.answers_to(model, asked, splits, path)
    assert str(path) in str(raised.value)
    assert path.read_text() == f"{first}\n" * 3


@pytest.mark.usefixtures("small_table")
def test_every_row_of_the_language_table_is_trained_asked_and_told(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.answers.questions.QUERIES", 1)
    splits = labelled_splits(DataSet(toys))
    found = {name: [scores.as_dict()] for name, scores in language_yardsticks(splits, Repairs())}
    assert list(found) == ["the truth", "blind prior", "linear probe, mean of ±1 s, its segments"]
    for row in ROWS:
        found[row] = [run_language_job(job_of(toys, tmp_path, row))]
    assert list(found)[3:] == [
        "temporalvlm",
        "timechat",
        "longvlm",
        "videochat-embed",
        "temporalvlm, no times as text",
    ]
    lines = language_table_rows(found)
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(found)
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 3}
    cells = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines[2:]}
    truth = [float(cell) for cell in cells["the truth"]]
    for (name, _, _), figure in zip(COLUMNS, truth[:-1], strict=True):
        assert figure > (5 if name == "CIDEr" else 99), name
    assert truth[-1] == 0
    blind = [float(cell) for cell in cells["blind prior"]]
    assert blind[9] < truth[9]  # accuracy


def test_what_the_step_head_answers_stands_beside_the_systems(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.evaluation.language_table.side_by_side", one_by_one)
    trained = files_of(finished.work / "toys" / "frames")
    with threads_kept():
        found = list(step_heads(finished.data, finished.work, seeds=1, steps=2, processes=1))
        again = list(step_heads(finished.data, finished.work, seeds=1, steps=2, processes=1))
    assert found == again
    assert [name for name, _ in found] == [
        "TemporalVLM's step head, its segments",
        "TimeChat's step head, its segments",
    ]
    job = FrameJob(finished.data, TEMPORALVLM_ROW, 0, 2, finished.work)
    scores = dict(found)["TemporalVLM's step head, its segments"]
    assert files_of(finished.work / "toys" / "frames") == trained
    decoded = json.loads((job.folder / "test.json").read_text())["decoded"]
    segmented = scores["segmentation"]
    assert segmented["ignored"]["accuracy"] == pytest.approx(decoded["ignored"]["accuracy"])
    assert segmented["counted"]["f1_50"] == pytest.approx(decoded["counted"]["f1_50"])


def test_what_is_left_out_of_questions_and_answers_is_told_by_the_command(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toys / "recordings" / "toy-car-test-50.json"
    annotation = json.loads(path.read_text())
    first = annotation["segments"][0] | {"start_s": 0.0, "end_s": 1.0}
    last = annotation["segments"][-1]
    splinter = last | {"start_s": last["end_s"], "end_s": last["end_s"] + 0.01}
    annotation["segments"] = [first, *annotation["segments"], splinter]
    path.write_text(json.dumps(annotation))
    monkeypatch.setattr("edge.evaluation.language_table.side_by_side", lambda *_, **__: [])
    monkeypatch.setattr("models.temporalvlm.pretrained.smollm2", tiny_language)
    command = arguments(toys, tmp_path / "work")
    command[command.index("frames")] = "language"
    printed = CliRunner().invoke(app, command, catch_exceptions=False).output
    place = "24.000 - 24.010 s"
    assert f"1 x segment without length in tenths: left out (toy-car-test-50: {place})" in printed
    assert (
        "1 x step done more than once: grounding not asked (toy-car-test-50: fit-axle now)"
        in printed
    )
    assert " x the truth: segment without length in tenths: left out (" in printed


def test_a_row_that_no_cpu_trained_tells_its_device_and_has_a_folder_of_its_own(
    tmp_path: Path,
) -> None:
    for job in (FrameJob(tmp_path, GRU_ROW, 0, 2, tmp_path), job_of(tmp_path, tmp_path)):
        other = replace(job, device="cuda")
        assert (job.title, other.title) == (job.row, f"{job.row}, on cuda")
        assert job.folder != other.folder
        assert other.folder.parent.name == f"{job.folder.parent.name}--on-cuda"


def test_no_recording_is_asked_more_than_time_allows(toys: Path) -> None:
    splits = labelled_splits(DataSet(toys))
    asked = questions(splits, "test", Repairs())
    for name in (video.name for video in splits.videos["test"]):
        kinds = [e.question.task for e in asked if e.recording_id == name]
        steps = len(STEPS[splits.recordings[name].task])
        assert kinds.count("dense_captioning") == kinds.count("segmentation") == 1
        assert kinds.count("grounding") == kinds.count("highlights") == min(QUERIES, steps)
    assert asked == questions(splits, "test", Repairs())
