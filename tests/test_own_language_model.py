"""`train-answers --llama` and `ask`: a local LLaMA instead of SmolLM2, of a test's size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from edge.answers import questions
from edge.answers import training as answer_training
from edge.answers.model import WEIGHTS, AnswerModelError, load_answer_model, read_card
from edge.answers.training import AnswerTraining, new_model
from industryasm.fault import UserFault
from linewatch import app
from models.temporalvlm.config import LinesConfig
from models.temporalvlm.language_model import LanguageModelError
from models.temporalvlm.pretrained import llama
from models.temporalvlm.video import segment_video
from models.training.checkpoint import read_header
from tests.tiny_llama import byte_tokenizer, tiny_llama
from tests.torchrun import torchrun
from tests.toys import WIDTH, write_toys

pytestmark = pytest.mark.timeout(600)

RECORDING = "toy-car-test-50"
FEW = ["--steps", "1", "--answer-steps", "1"]


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toys(tmp_path_factory.mktemp("toys"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny LLaMA as Hugging Face writes one, with LLaMA-2's ends of a text."""
    path = tmp_path / "own-llama"
    tiny_llama(4096).save_pretrained(path)
    byte_tokenizer("<s>", "</s>").save_pretrained(path)
    return path


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_training, "VALIDATION_EXAMPLES", 2)
    short = dict.fromkeys(questions.LONGEST_ANSWER, 6)
    monkeypatch.setattr("edge.answers.model.LONGEST_ANSWER", short)


def test_a_model_with_a_llama_of_one_s_own_is_trained_and_asked(
    toys: Path, folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    command = ["train-answers", "--data", str(toys), "--out", str(model), *FEW]
    done = CliRunner().invoke(
        app,
        [*command, "--llama", str(folder), "--gradient-checkpointing"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    card = read_card(model)
    assert card.llama is not None
    assert card.llama.folder == folder.resolve()
    assert card.llama.name == llama(folder).config.name
    about = json.loads(read_header(model / WEIGHTS).run)["about"]["model"]["language"]
    assert (about["name"], about["dim"]) == (card.llama.name, 24)
    asked = ["ask", str(model), RECORDING, "--data", str(toys), "--json"]
    said = [CliRunner().invoke(app, asked, catch_exceptions=False).stdout for _ in range(2)]
    assert said[0] == said[1]
    assert "answer" in json.loads(said[0])

    shape = folder / "config.json"
    shape.write_text(json.dumps(json.loads(shape.read_text()) | {"rope_theta": 5e4}))
    with pytest.raises(AnswerModelError, match=r"holds other files than when .* was trained"):
        load_answer_model(model, cache=tmp_path)
    again = CliRunner().invoke(app, [*command, "--llama", str(folder)])
    assert isinstance(again.exception, UserFault)
    assert "about.model.language.name was " in str(again.exception)


def test_processes_share_the_parameters_where_asked(
    toys: Path, folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    command = ["train-answers", "--data", str(toys), "--out", str(model), *FEW]
    done = torchrun("linewatch", [*command, "--llama", str(folder), "--shard"])
    assert done.returncode == 0, done.stderr[-6000:]
    header = json.loads(read_header(model / WEIGHTS).run)
    assert (header["processes"], header["config"]["shard"]) == (2, True)
    assert load_answer_model(model, cache=tmp_path).card == read_card(model)


def test_a_language_model_in_bfloat16_learns_and_answers(folder: Path) -> None:
    training = AnswerTraining("temporalvlm", True, (1, 1), 0, llama=folder)
    model = new_model(
        training, feature_dim=WIDTH, phrases=["a", "b"], cache=folder, device=torch.device("cpu")
    )
    model.language = llama(folder, lines=LinesConfig(), dtype=torch.bfloat16)
    features = torch.randn(40, WIDTH).numpy()
    video, _ = segment_video(features, torch.arange(40.0).numpy(), model.segmentation)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(video, ["when?"], ["1.0 seconds"])
    loss.backward()
    assert torch.isfinite(loss)
    adapters = [w for name, w in model.named_parameters() if "lora_B" in name]
    assert adapters
    assert all(w.dtype == torch.float32 and w.grad is not None for w in adapters)
    (answer,) = model.eval().answer(video, ["when?"], max_new_tokens=4)
    assert isinstance(answer.text, str)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "config.json").unlink(), r"no LLaMA's config\.json"),
        (lambda f: (f / "config.json").write_text("[]"), r"no LLaMA's config\.json"),
        (lambda f: (f / "config.json").write_text("{}"), "KeyError: 'hidden_size'"),
        (
            lambda f: (f / "config.json").write_text(
                '{"hidden_size": 8, "model_type": "gpt_neox"}'
            ),
            "model_type is 'gpt_neox'",
        ),
        (lambda f: byte_tokenizer().save_pretrained(f), "its tokenizer knows no '<s>'"),
        (lambda f: (f / "model.safetensors").unlink(), "give a folder with all of a LLaMA's"),
    ],
)
def test_what_is_no_llama_is_refused(folder: Path, change: object, said: str) -> None:
    change(folder)  # type: ignore[operator]
    with pytest.raises(LanguageModelError, match=said):
        llama(folder)
