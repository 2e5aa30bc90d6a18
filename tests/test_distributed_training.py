"""Several processes learn what one does with as many draws, and stop and go on together."""

import json
import os
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.temporalvlm.language_model import LanguageModel
from models.training import distributed
from models.training.checkpoint import read_header
from tests.tiny_llama import LANGUAGE, byte_tokenizer, tiny_llama
from tests.tiny_training import Tiny
from tests.torchrun import torchrun
from tests.training_cases import CASES, CONFIG, language_model, videos_of

TOGETHER = ["killed", "spoiled", "averagings", "frames", "language", "sharded", "sharded_frames"]
HAS_CUDA = torch.cuda.is_available()


def train_cases(out: Path, names: list[str], *, processes: int) -> CompletedProcess[str]:
    """Train the cases; a killed one is started once more."""
    return torchrun(
        "tests.training_cases", [str(out), "1", *names], processes=processes, restarts=1
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes did, one draw each."""
    out = tmp_path_factory.mktemp("two")
    done = train_cases(out, TOGETHER, processes=2)
    assert done.returncode == 0, done.stderr[-6000:]
    assert "SIGKILL" in done.stderr or "exitcode: -9" in done.stderr, "none was killed"
    return out


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ["killed", "frames", "language", "sharded", "sharded_frames"])
def test_two_processes_learn_what_one_does_with_twice_the_draws(
    tmp_path: Path, two: Path, name: str
) -> None:
    CASES[name](tmp_path, replace(CONFIG, draws=2), torch.device("cpu"))
    for line, other in zip(log_of(two / name), log_of(tmp_path), strict=True):
        assert line["step"] == other["step"]
        assert line["learning_rate"] == other["learning_rate"]
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-4)
        score = other["validation"]
        assert line["validation"] == (None if score is None else pytest.approx(score, rel=1e-4))
    ours, theirs = (load_file(f / "state.safetensors") for f in (two / name, tmp_path))
    assert ours.keys() == theirs.keys(), "what one draw leaves unused is the same for both"
    for tensor in (n for n in ours if n.startswith("exp_avg.")):
        torch.testing.assert_close(ours[tensor], theirs[tensor], rtol=1e-2, atol=1e-5)
    # A slope that is 0 but for rounding, such as that of a key's bias, moves weights by AdamW's
    # step all the same; hence the weights are compared as a whole.
    weights = [n for n in ours if n.startswith("weight.")]
    off = torch.cat([(ours[n] - theirs[n]).flatten() for n in weights])
    assert off.square().mean().sqrt() < 0.02 * CONFIG.learning_rate


def test_a_loss_of_one_process_that_is_not_finite_ends_all(two: Path) -> None:
    said = [(two / "spoiled" / f"{rank}.txt").read_text() for rank in range(2)]
    assert said[0] == said[1]
    assert said[0].startswith("step 2: the loss of draw 5 is nan")
    assert read_header(two / "spoiled/run/state.safetensors").step == 2


def test_gradients_are_averaged_once_a_step(two: Path) -> None:
    assert [(two / "averagings" / f"{rank}.txt").read_text() for rank in range(2)] == ["1", "1"]


def test_one_process_needs_no_torchrun() -> None:
    module = Tiny()
    assert distributed.replicated(module) is module
    assert distributed.gathered([1.0, 2.0], torch.device("cpu")) == [1.0, 2.0]
    assert distributed.num_processes() == 1
    with pytest.raises(distributed.DistributedError, match="that torchrun started"):
        distributed.shard(module)


# --- gradient checkpointing


def gradients(net: nn.Module, device: torch.device) -> tuple[dict[str, Tensor], int]:
    """Return the gradients of the language loss and the values held for them, counted."""
    held = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal held
        held += tensor.numel()
        return tensor

    torch.manual_seed(5)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = net.train()(videos_of(0, device), ["When?"], ["at 3.2 s"])
    loss.backward()
    return {n: p.grad for n, p in net.named_parameters() if p.grad is not None}, held


def test_gradient_checkpointing_holds_less_and_gives_the_same_gradients() -> None:
    cpu = torch.device("cpu")
    plain, held = gradients(language_model(cpu, gradient_checkpointing=False), cpu)
    ours, held_less = gradients(language_model(cpu, gradient_checkpointing=True), cpu)
    assert plain.keys() == ours.keys()
    assert any("lora_" in name for name in ours)
    assert any("video_qformer" in name for name in ours)
    for name, slope in plain.items():
        torch.testing.assert_close(ours[name], slope, rtol=1e-5, atol=1e-7)
    assert held_less < 0.8 * held


def test_gradient_checkpointing_leaves_answers_alone() -> None:
    config = LANGUAGE.model_copy(update={"gradient_checkpointing": True})
    model = LanguageModel(config, tiny_llama(), byte_tokenizer())
    with torch.no_grad():
        assert not model.embed_texts(["a", "b"]).requires_grad


# --- on a GPU


@pytest.mark.skipif(
    not HAS_CUDA and "FAIL_WITHOUT_CUDA" not in os.environ,
    reason="no CUDA device: training on a GPU is not tested",
)
def test_the_same_trains_on_a_gpu(tmp_path: Path) -> None:
    assert HAS_CUDA, "FAIL_WITHOUT_CUDA is set, and there is no CUDA device"
    names = ["frames", "language", "half"]
    done = train_cases(tmp_path, names, processes=1)
    assert done.returncode == 0, done.stderr[-6000:]
    for name in names:
        lines = log_of(tmp_path / name)
        assert [line["step"] for line in lines] == [2, 4]
        assert {line["device"] for line in lines} == {"cuda"}
