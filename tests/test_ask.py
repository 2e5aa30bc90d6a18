"""`linewatch train-answers` and `ask`, with a language model of a test's size."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from edge.answers import questions
from edge.answers import training as answer_training
from edge.answers.ask import Asked
from edge.answers.model import CARD, SCALE, WEIGHTS, AnswerModelError, load_answer_model, read_card
from edge.evaluation.streamed import predict
from edge.features import Features
from industryasm.fault import UserFault
from industryasm.recording import DataSet
from industryasm.vocabulary import BACKGROUND
from linewatch import app
from models.language.instructions import LANGUAGE_TASKS, Question
from models.temporalvlm.answer import Answer
from models.temporalvlm.language_model import Queries
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.training.checkpoint import read_header
from tests.tiny_system import tiny_system
from tests.torchrun import torchrun
from tests.toys import WIDTH, files_of, spoil, write_toys

pytestmark = pytest.mark.timeout(600)

RECORDING = "toy-car-test-50"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_training, "new_model", tiny_system)
    monkeypatch.setattr("edge.answers.model.new_model", tiny_system)
    monkeypatch.setattr(answer_training, "VALIDATION_EXAMPLES", 2)
    few = dict.fromkeys(questions.LONGEST_ANSWER, 6)
    monkeypatch.setattr("edge.answers.model.LONGEST_ANSWER", few)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toys(tmp_path_factory.mktemp("toys"))


@pytest.fixture
def model(toys: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    done = run("train-answers", "--data", toys, "--out", folder, "--steps", 2, "--answer-steps", 2)
    assert "toys: 4 recordings, toy-car, toy-train" in done
    return folder


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return str(result.output)


def says(monkeypatch: pytest.MonkeyPatch, text: str, *, is_finished: bool = True) -> list[str]:
    """Let every model say `text`; return the list of what it will have been asked."""
    asked: list[str] = []

    def answer(
        self: VideoLanguageModel,
        videos: object,
        instructions: list[str],
        queries: Queries,
        *,
        max_new_tokens: int,
    ) -> list[Answer]:
        asked.extend(instructions)
        return [Answer(text, is_finished)]

    monkeypatch.setattr(VideoLanguageModel, "answer", answer)
    return asked


def test_every_task_that_is_trained_can_be_asked() -> None:
    assert {asked.task for asked in Asked} == set(LANGUAGE_TASKS)


def test_a_model_answers_the_same_twice_and_is_what_was_trained(toys: Path, model: Path) -> None:
    first = run("ask", model, RECORDING, "--data", toys, "--json")
    assert run("ask", model, RECORDING, "--data", toys, "--json") == first
    card = read_card(model)
    assert (card.system, card.feature_dim, card.rate_hz) == ("temporalvlm", WIDTH, 2.0)
    assert card.encoder is None, "published features come from no encoder"
    again = run("train-answers", "--data", toys, "--out", model, "--steps", 2, "--answer-steps", 2)
    assert "temporalvlm, times as text" in again
    assert read_card(model) == card, "a finished training is read, not done again"


def test_what_is_read_and_what_is_not_are_both_told(
    toys: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = says(
        monkeypatch, "fit-axle now: 1.0 - 2.5 seconds\nand then some\nx: 9.0 - 8.0 seconds"
    )
    said = run("ask", model, RECORDING, "--data", toys).splitlines()
    assert said[:2] == ["fit-axle now: 1.0 - 2.5 seconds", "x: 9.0 - 8.0 seconds"]
    assert "  unread: no line of such an answer: 'and then some'" in said
    assert any("repaired: reversed span" in line for line in said)
    assert "description: start - end seconds" in asked[0]


@pytest.mark.parametrize(
    ("arguments", "text", "values"),
    [
        (["when", "--about", "fit-roof now"], "1.0 - 2.0 seconds", [{"start_s": 1, "end_s": 2}]),
        (
            ["highlights", "--about", "fit-roof now"],
            "2.0 seconds, score 4.5",
            [{"time_s": 2, "score": 4.5}],
        ),
        (
            ["steps"],
            "fit-wheel now: 0.0 - 3.0 seconds",
            [{"start_s": 0, "end_s": 3, "label": "fit-wheel", "confidence": 1}],
        ),
        (["captions"], "none", []),
    ],
)
def test_each_question_is_worded_and_read_as_its_own_task(
    toys: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    text: str,
    values: list[dict[str, object]],
) -> None:
    asked = says(monkeypatch, text)
    reply = json.loads(run("ask", model, RECORDING, *arguments, "--data", toys, "--json"))
    assert reply["values"] == values
    assert reply["instruction"] == asked[0]
    assert ("fit-roof" in asked[0]) == (arguments[0] != "captions")
    assert reply["remarks"] == []


def test_an_answer_that_was_cut_off_says_so(
    toys: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, "fit: 1.0 - 2.0 seconds\n3.0 - 4.", is_finished=False)
    said = run("ask", model, RECORDING, "--data", toys)
    assert "cut off at the length limit: '3.0 - 4.'" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody"], "no recording 'nobody'; there are toy-car-"),
        ([RECORDING, "when"], "when: say with --about TEXT"),
        ([RECORDING, "highlights", "--about", " "], "highlights: say with --about TEXT"),
        ([RECORDING, "steps", "--about", "x"], "--about 'x' is for `when`"),
    ],
)
def test_a_question_that_cannot_be_put_is_one_line(
    toys: Path, model: Path, arguments: list[str], says: str
) -> None:
    result = CliRunner().invoke(app, ["ask", str(model), *arguments, "--data", str(toys)])
    assert isinstance(result.exception, UserFault)
    assert says in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_video_has_no_published_features(model: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["ask", str(model), str(tmp_path / "video.mp4")])
    assert isinstance(result.exception, UserFault)
    assert "published features, which no video has; give --data" in str(result.exception)


@pytest.mark.parametrize("name", ["0", "rtsp://camera/live", "nothing.mp4"])
def test_only_a_file_is_asked_about_without_a_data_set(model: Path, name: str) -> None:
    card = json.loads((model / CARD).read_text())
    (model / CARD).write_text(json.dumps(card | {"encoder": "efficientnet-lite0"}))
    result = CliRunner().invoke(app, ["ask", str(model), name])
    assert isinstance(result.exception, UserFault)
    assert "no such video file; a recording of a data set needs --data" in str(result.exception)


def test_files_that_are_not_the_card_s_are_refused(model: Path, tmp_path: Path) -> None:
    for name in (WEIGHTS, SCALE):
        whole = (model / name).read_bytes()
        (model / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(AnswerModelError, match="is not the file that card"):
            load_answer_model(model, cache=tmp_path)
        (model / name).unlink()
        with pytest.raises(AnswerModelError, match="is not the file that card"):
            load_answer_model(model, cache=tmp_path)
        (model / name).write_bytes(whole)
    card = json.loads((model / CARD).read_text())
    for change, told in (({"system": "gpt"}, "system"), ({"feature_dim": 0}, "feature_dim")):
        (model / CARD).write_text(json.dumps(card | change))
        with pytest.raises(AnswerModelError, match=f"card.json: {told}: "):
            load_answer_model(model, cache=tmp_path)
    (model / CARD).unlink()
    with pytest.raises(AnswerModelError, match="cannot be read"):
        load_answer_model(model, cache=tmp_path)


def test_steps_that_the_model_was_not_made_for_are_refused(toys: Path, model: Path) -> None:
    answering = load_answer_model(model, cache=toys)
    known = DataSet(toys).task("toy-car")
    features = Features(np.zeros((4, WIDTH), np.float32), np.arange(4.0))
    question = Question("segmentation", steps=("x",))
    for changes, said in (
        ({"id": "toy-plane"}, "knows the steps of toy-car, toy-train, not of 'toy-plane'"),
        ({"steps": known.steps[:2]}, "was trained on other steps of task 'toy-car'"),
    ):
        other = known.model_copy(update=changes)
        with pytest.raises(AnswerModelError, match=said):
            answering.ask(question, features, task=other, duration_s=2.0)
        captions = Question("dense_captioning")
        answering.ask(captions, features, task=other, duration_s=2.0)  # of no vocabulary


def test_a_finished_model_is_not_overwritten_by_other_data_of_its_name(
    toys: Path, model: Path, tmp_path: Path
) -> None:
    other = write_toys(tmp_path / "other")
    spoil(other, lambda features: features + 1e-3)
    before = files_of(model)
    for arguments, said in (
        (["--data", str(other)], "about.data_sha256 was "),
        (
            ["--data", str(toys), "--no-written-times"],
            "about.model.language.lines.times was true",
        ),
    ):
        few = ["--out", str(model), "--steps", "2", "--answer-steps", "2"]
        result = CliRunner().invoke(app, ["train-answers", *arguments, *few])
        assert isinstance(result.exception, UserFault)
        assert said in str(result.exception)
    assert files_of(model) == before
    result = CliRunner().invoke(app, ["train-answers", "--data", str(toys), "--out", __file__])
    assert isinstance(result.exception, UserFault)
    assert "give another folder" in str(result.exception)


def test_what_questions_leave_out_is_told(toys: Path, tmp_path: Path) -> None:
    path = toys / "recordings" / "toy-car-validation-30.json"
    whole = path.read_text()
    annotation = json.loads(whole)
    last = annotation["segments"][-1]
    splinter = last | {"start_s": last["end_s"], "end_s": last["end_s"] + 0.01}
    path.write_text(json.dumps(annotation | {"segments": [*annotation["segments"], splinter]}))
    few = ["--steps", 1, "--answer-steps", 1]
    try:
        told = run("train-answers", "--data", toys, "--out", tmp_path / "model", *few)
    finally:
        path.write_text(whole)
    assert (
        "questions about the split validation: 1 x segment without length in tenths: left out "
        "(toy-car-validation-30: 14.000 - 14.010 s)"
    ) in told


def test_processes_that_torchrun_starts_train_one_model(toys: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    few = ["--steps", "2", "--answer-steps", "1"]
    done = torchrun("tests.tiny_answers", ["--data", str(toys), "--out", str(out), *few])
    assert done.returncode == 0, done.stderr[-6000:]
    assert done.stdout.count("toys: 4 recordings, toy-car, toy-train") == 1
    header = json.loads(read_header(out / WEIGHTS).run)
    precision = answer_training.language_precision_on(torch.device("cpu"))
    assert (header["processes"], header["config"]["precision"]) == (2, precision)
    assert load_answer_model(out, cache=tmp_path).card == read_card(out)


def test_features_of_another_width_are_refused(toys: Path, model: Path, tmp_path: Path) -> None:
    other = write_toys(tmp_path / "other")
    for path in (other / "features").iterdir():
        with np.load(path, allow_pickle=False) as stored:
            features, times_s = stored["features"], stored["times_s"]
        np.savez(path, features=features[:, :4], times_s=times_s)
    assert DataSet(other).recordings()
    result = CliRunner().invoke(app, ["ask", str(model), RECORDING, "--data", str(other)])
    assert isinstance(result.exception, AnswerModelError)
    assert f"features of 4 numbers; the model was trained on {WIDTH}" in str(result.exception)


# --- a step model, which answers by its segments ------------------------------------------------


@pytest.fixture(scope="module")
def step_model(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("step-model")
    run("train", "--data", toys, "--task", "toy-car", "--out", folder, "--epochs", 40)
    return folder


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["captions"], r"(fit-(axle|roof|wheel) now: \d+\.\d - \d+\.\d seconds\n){3}"),
        (["steps"], r"(fit-(axle|roof|wheel) now: \d+\.\d - \d+\.\d seconds\n){3}"),
        (["when", "--about", "fit-roof"], r"\d+\.\d - \d+\.\d seconds\n"),
        (["when", "--about", "Fit-Roof NOW"], r"\d+\.\d - \d+\.\d seconds\n"),
        (["highlights", "--about", "fit-roof now"], r"(\d+\.0 seconds, score \d\.\d\n)+"),
    ],
)
def test_a_step_model_is_asked_as_a_language_model_is(
    toys: Path, step_model: Path, arguments: list[str], pattern: str
) -> None:
    assert re.fullmatch(pattern, run("ask", step_model, RECORDING, *arguments, "--data", toys))


def test_a_step_model_answers_what_it_streams(toys: Path, step_model: Path) -> None:
    (streamed,) = [
        said for name, said in predict(str(step_model), toys, "test") if name == RECORDING
    ]
    told = json.loads(run("ask", step_model, RECORDING, "steps", "--data", toys, "--json"))
    steps = [segment for segment in streamed.segments if segment.label != BACKGROUND]
    assert [value["label"] for value in told["values"]] == [segment.label for segment in steps]
    starts = [segment.start_s for segment in steps]
    assert [value["start_s"] for value in told["values"]] == pytest.approx(starts, abs=0.05)
    assert told["is_finished"]
    assert told["remarks"] == []


@pytest.mark.parametrize(
    ("recording", "arguments", "says"),
    [
        (RECORDING, ["when", "--about", "sing"], "'sing' is no step of task 'toy-car'; there are:"),
        ("toy-train-test-50", ["steps"], "knows the steps of 'toy-car', not of 'toy-train'"),
    ],
)
def test_a_step_model_refuses_what_is_none_of_its_steps(
    toys: Path, step_model: Path, recording: str, arguments: list[str], says: str
) -> None:
    command = ["ask", str(step_model), recording, *arguments, "--data", str(toys)]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, AnswerModelError)
    assert says in str(result.exception)


def test_a_name_that_is_no_model_says_what_to_do(toys: Path) -> None:
    result = CliRunner().invoke(app, ["ask", "nothing", RECORDING, "--data", str(toys)])
    assert isinstance(result.exception, UserFault)
    assert "no model for task 'nothing' comes with Linewatch: train one" in str(result.exception)
