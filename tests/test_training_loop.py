"""The training loop: killed at any moment it loses nothing, and what is better is never lost."""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.training.checkpoint import read_header
from models.training.loop import (
    LoopConfig,
    TrainingError,
    load_weights,
    run_loop,
    seed_of,
)
from tests.tiny_training import CONFIG, Tiny, loss_of, score_of, train

ROOT = Path(__file__).parents[1]
SHORT = replace(CONFIG, steps=8, check_every=2)


class Stop(Exception):  # noqa: N818
    """Ends a training between two steps."""


def stopped_at(draw: int) -> Any:
    def loss(module: nn.Module, number: int) -> Tensor:
        if number == draw:
            raise Stop
        return loss_of(module, number)

    return loss


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def learned(folder: Path) -> list[tuple[Any, ...]]:
    names = ("step", "loss", "learning_rate", "validation")
    return [tuple(line[name] for name in names) for line in log_of(folder)]


def same(one: Path, other: Path) -> bool:
    ours, theirs = load_file(one), load_file(other)
    return ours.keys() == theirs.keys() and all(torch.equal(t, theirs[n]) for n, t in ours.items())


# --- resuming


def test_a_training_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    train(tmp_path / "whole")
    killed = subprocess.run(
        [sys.executable, "-m", "tests.tiny_training", str(tmp_path / "killed"), "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert killed.returncode == 0, killed.stderr
    assert int(killed.stdout) >= 2
    for name in ("state.safetensors", "best.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "killed" / name)
    assert learned(tmp_path / "whole") == learned(tmp_path / "killed")
    assert not list((tmp_path / "killed").glob("*.part"))


@pytest.mark.parametrize("draw", [0, 3, 4, 9, 15])
def test_one_stopped_between_two_checkpoints_goes_on_from_the_last(
    tmp_path: Path, draw: int
) -> None:
    train(tmp_path / "whole", SHORT)
    module, about = Tiny(), {"what": "tiny"}
    stopped = tmp_path / "stopped"
    with pytest.raises(Stop):
        run_loop(module, stopped_at(draw), SHORT, stopped, about=about, validate=score_of(module))
    (stopped / "state.part").write_bytes(b"half a")
    train(stopped, SHORT)
    assert same(tmp_path / "whole" / "state.safetensors", stopped / "state.safetensors")
    assert learned(tmp_path / "whole") == learned(stopped)


def test_a_finished_training_is_only_read(tmp_path: Path) -> None:
    first = train(tmp_path / "run", SHORT)
    (tmp_path / "run").chmod(0o555)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "run").iterdir()}
    again, about = Tiny(), {"what": "tiny"}
    run_loop(again, stopped_at(0), SHORT, tmp_path / "run", about=about, validate=score_of(again))
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter, first.get_parameter(name)), name
    assert not again.training
    assert before == {
        p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "run").iterdir()
    }


def test_the_seed_decides_everything(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        train(tmp_path / name, replace(SHORT, seed=seed))
        torch.manual_seed(99)
    assert same(tmp_path / "one/state.safetensors", tmp_path / "two/state.safetensors")
    assert not same(tmp_path / "one/state.safetensors", tmp_path / "three/state.safetensors")
    assert seed_of(1, "a") == 131921258436413157


# --- what is best


def scores(values: list[float]) -> Any:
    rest = iter(values)
    return lambda: next(rest)


def test_better_weights_are_never_overwritten(tmp_path: Path) -> None:
    def run(loss: Any, values: list[float]) -> Tiny:
        module = Tiny()
        run_loop(module, loss, SHORT, tmp_path, about={}, validate=scores(values))
        return module

    with pytest.raises(Stop):
        run(stopped_at(8), [0.5, 0.9])  # steps 2 and 4
    kept = (tmp_path / "best.safetensors").read_bytes()
    older = (tmp_path / "state.safetensors").read_bytes()
    with pytest.raises(Stop):
        run(stopped_at(12), [0.9])  # step 6 is as good, not better
    assert (tmp_path / "best.safetensors").read_bytes() == kept
    with pytest.raises(Stop):
        run(stopped_at(15), [])
    # Killed after the best weights of step 6 were written, before its state was.
    (tmp_path / "state.safetensors").write_bytes(older)
    header = read_header(tmp_path / "best.safetensors")
    save_file(
        load_file(tmp_path / "best.safetensors"),
        tmp_path / "best.safetensors",
        metadata=replace(header, step=6, score=0.95).metadata(),
    )
    run(loss_of, [0.94, 0.8])  # a machine on which the same step comes out a little worse
    assert read_header(tmp_path / "best.safetensors").score == 0.95
    assert [line["step"] for line in log_of(tmp_path)] == [2, 4, 6, 8]


def test_without_validation_the_last_weights_are_the_best(tmp_path: Path) -> None:
    module = train(tmp_path, SHORT, validated=False)
    state = load_file(tmp_path / "state.safetensors")
    for name, weight in load_file(tmp_path / "best.safetensors").items():
        assert torch.equal(weight, state[f"weight.{name}"])
        assert torch.equal(weight, module.get_parameter(name))
    assert read_header(tmp_path / "best.safetensors").step == SHORT.steps
    (tmp_path / "state.safetensors").unlink()
    with pytest.raises(Stop):  # begins anew; what is there is of a later step
        run_loop(Tiny(), stopped_at(8), SHORT, tmp_path, about={"what": "tiny"})
    assert read_header(tmp_path / "best.safetensors").step == SHORT.steps


# --- the folder is one training's


@pytest.mark.parametrize(
    ("changes", "about", "validated", "said"),
    [
        ({"seed": 5}, {"what": "tiny"}, True, r"config.seed was 3, is 5"),
        ({"steps": 9}, {"what": "tiny"}, True, r"config.steps was 8, is 9"),
        ({}, {"what": "other", "more": 1}, True, r"about.more was null, is 1; about.what was"),
        ({}, {"what": "tiny"}, False, r"validated was true, is false"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_another_training_leaves_the_folder_alone(
    tmp_path: Path,
    changes: dict[str, Any],
    about: dict[str, Any],
    validated: bool,
    said: str,
    finished: bool,
) -> None:
    train(tmp_path, SHORT)
    if not finished:  # killed between its first best weights and its first state
        (tmp_path / "state.safetensors").unlink()
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    module = Tiny()
    score = score_of(module) if validated else None
    with pytest.raises(TrainingError, match=f"{tmp_path.name}.*{said}"):
        run_loop(module, loss_of, replace(SHORT, **changes), tmp_path, about=about, validate=score)
    assert before == {p: p.read_bytes() for p in tmp_path.iterdir()}


def test_another_configuration_is_refused_and_both_are_named(tmp_path: Path) -> None:
    about = {"what": "tiny", "model": {"window": 32, "fusion": True}, "data_sha256": "ab"}
    run_loop(Tiny(), loss_of, SHORT, tmp_path, about=about)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    for key, value, said in (
        ("model", {"window": 16, "fusion": True}, r"about\.model\.window was 32, is 16"),
        ("data_sha256", "cd", r'about\.data_sha256 was "ab", is "cd"'),
    ):
        with pytest.raises(TrainingError, match=said):
            run_loop(Tiny(), loss_of, SHORT, tmp_path, about=about | {key: value})
    with pytest.raises(TrainingError, match=r"about\.model was .*, is null"):
        run_loop(Tiny(), loss_of, SHORT, tmp_path, about={"what": "tiny"})
    assert before == {p: p.read_bytes() for p in tmp_path.iterdir()}


def test_a_folder_that_tells_no_configuration_yet_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    old, new = {"what": "tiny"}, {"what": "tiny", "model": {"window": 32}, "data_sha256": "ab"}
    whole = tmp_path / "whole"
    run_loop(Tiny(), loss_of, SHORT, whole, about=new)
    begun = tmp_path / "begun"
    with pytest.raises(Stop):
        run_loop(Tiny(), stopped_at(8), SHORT, begun, about=old)
    run_loop(Tiny(), loss_of, SHORT, begun, about=new)
    ours, theirs = (load_file(folder / "state.safetensors") for folder in (begun, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    run_loop(Tiny(), loss_of, SHORT, begun, about=new)  # what is finished is only read
    with pytest.raises(TrainingError, match=r"about\.model\.window was 32, is 16"):
        run_loop(Tiny(), loss_of, SHORT, begun, about=new | {"model": {"window": 16}})


def test_two_cannot_train_in_one_folder_at_once(tmp_path: Path) -> None:
    def loss(module: nn.Module, draw: int) -> Tensor:
        with pytest.raises(TrainingError, match="another process is training here"):
            train(tmp_path / "run", SHORT)
        return loss_of(module, draw)

    about = {"what": "tiny"}
    module = Tiny()
    run_loop(module, loss, SHORT, tmp_path / "run", about=about, validate=score_of(module))


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(TrainingError, match=r"run.*give another folder"):
        train(tmp_path / "run", SHORT)
    assert (tmp_path / "run").read_text() == "mine"


# --- what goes wrong


def test_a_loss_that_is_not_finite_ends_the_training_and_keeps_its_checkpoint(
    tmp_path: Path,
) -> None:
    def loss(module: nn.Module, draw: int) -> Tensor:
        return loss_of(module, draw) * (math.nan if draw == 9 else 1)

    with pytest.raises(TrainingError, match=r"step 4: the loss of draw 9 is nan.*than 0.01"):
        run_loop(Tiny(), loss, SHORT, tmp_path, about={})
    assert read_header(tmp_path / "state.safetensors").step == 4
    assert all(t.isfinite().all() for t in load_file(tmp_path / "state.safetensors").values())


def test_a_gradient_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    def loss(module: nn.Module, draw: int) -> Tensor:
        return (loss_of(module, draw) * 0).sqrt()  # 0, with an infinite slope

    with pytest.raises(TrainingError, match="step 0: the norm of the gradient is nan"):
        run_loop(Tiny(), loss, SHORT, tmp_path, about={})
    assert not (tmp_path / "state.safetensors").exists()


def test_a_score_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="step 2: the validation's score is nan"):
        run_loop(Tiny(), loss_of, SHORT, tmp_path, about={}, validate=lambda: math.nan)
    assert not (tmp_path / "best.safetensors").exists()


def spoil(path: Path, **changes: Tensor | None) -> None:
    """Write a checkpoint again with some tensors changed or, where None, left out."""
    tensors: dict[str, Tensor | None] = {**load_file(path), **changes}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, path, metadata=read_header(path).metadata())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weight.enter.bias": None}, r"1 tensors are missing: weight.enter.bias"),
        ({"exp_avg.enter.bias": None}, r"1 tensors are missing: exp_avg.enter.bias"),
        ({"step.enter.bias": None}, r"1 tensors are missing: step.enter.bias"),
        ({"weight.more": torch.zeros(1)}, r"1 tensors are not the model's: weight.more"),
        ({"weight.enter.bias": torch.zeros(3)}, r"enter.bias \(3,\), the model's \(8,\)"),
        ({"exp_avg_sq.enter.bias": torch.zeros(())}, r"exp_avg_sq.enter.bias \(\), the"),
    ],
)
def test_a_state_of_another_model_is_refused(
    tmp_path: Path, changes: dict[str, Tensor | None], said: str
) -> None:
    with pytest.raises(Stop):
        run_loop(Tiny(), stopped_at(9), SHORT, tmp_path, about={})
    spoil(tmp_path / "state.safetensors", **changes)
    with pytest.raises(TrainingError, match=f"state.safetensors: .*{said}"):
        run_loop(Tiny(), loss_of, SHORT, tmp_path, about={})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "spoiled, remove it"),
        (b"\xff" * 64, "spoiled, remove it"),
        (b"\x80\x04K*.", "spoiled, remove it"),
    ],
)
@pytest.mark.parametrize("name", ["state.safetensors", "best.safetensors"])
def test_a_spoiled_file_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    train(tmp_path, SHORT)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=f"{name}: .*{said}"):
        train(tmp_path, SHORT)
    assert (tmp_path / name).read_bytes() == content


def test_a_cut_checkpoint_and_one_of_another_program_are_refused(tmp_path: Path) -> None:
    train(tmp_path, SHORT)
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-5])
    with pytest.raises(TrainingError, match="spoiled, remove it"):
        train(tmp_path, SHORT)
    save_file({"a": torch.zeros(1)}, state)
    with pytest.raises(TrainingError, match="no checkpoint of a training"):
        train(tmp_path, SHORT)
    save_file({"a": torch.zeros(1)}, state, metadata={"run": "{", "step": "1", "score": "null"})
    with pytest.raises(TrainingError, match="its settings are no JSON"):
        train(tmp_path, SHORT)


def test_weights_are_loaded_into_the_model_they_are_of(tmp_path: Path) -> None:
    module = train(tmp_path, SHORT)
    other = Tiny()
    about = load_weights(other, tmp_path / "best.safetensors")
    assert json.loads(about["run"])["about"] == {"what": "tiny"}
    assert torch.equal(other.enter.weight, module.enter.weight)
    with pytest.raises(TrainingError, match="no such checkpoint"):
        load_weights(other, tmp_path / "worst.safetensors")
    other.enter = nn.Linear(5, 8)
    with pytest.raises(TrainingError, match=r"another shape \(enter.weight \(8, 4\), .* \(8, 5\)"):
        load_weights(other, tmp_path / "best.safetensors")


def test_a_disk_that_is_full_is_named_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run_loop(Tiny(), stopped_at(9), SHORT, tmp_path, about={})
    state = (tmp_path / "state.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(state) - 1, hard))
    try:
        with pytest.raises(TrainingError, match=r"state.safetensors: cannot be written.*make room"):
            run_loop(Tiny(), loss_of, SHORT, tmp_path, about={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "state.safetensors").read_bytes() == state
    run_loop(Tiny(), loss_of, SHORT, tmp_path, about={})


def test_batch_normalisation_is_refused(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    with pytest.raises(ValueError, match="1: batch normalisation cannot be resumed"):
        run_loop(module, loss_of, SHORT, tmp_path, about={})


# --- the log


def test_a_line_tells_loss_learning_rate_speed_and_memory(tmp_path: Path) -> None:
    train(tmp_path, SHORT)
    lines = log_of(tmp_path)
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert lines[-1]["loss"] < lines[0]["loss"]
    for line in lines:
        assert line["learning_rate"] == SHORT.learning_rate_at(line["step"] - 1)
        assert line["draws_per_s"] > 0
        assert line["memory_mb"] > 0
        assert line["device"] == "cpu"


@pytest.mark.parametrize("tail", [b'{"step": 6, "lo', b'{"step": 6, "loss": 1}\n', b"\0\0\0\n"])
def test_a_log_is_repaired_where_a_kill_or_a_power_cut_left_it(tmp_path: Path, tail: bytes) -> None:
    with pytest.raises(Stop):
        run_loop(Tiny(), stopped_at(9), SHORT, tmp_path, about={})
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(tail)
    run_loop(Tiny(), loss_of, SHORT, tmp_path, about={})
    assert [line["step"] for line in log_of(tmp_path)] == [2, 4, 6, 8]


def test_a_spoiled_line_inside_the_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run_loop(Tiny(), stopped_at(9), SHORT, tmp_path, about={})
    lines = (tmp_path / "log.jsonl").read_bytes()
    (tmp_path / "log.jsonl").write_bytes(b"hello\n" + lines)
    with pytest.raises(TrainingError, match=r"log.jsonl, line 1: b'hello"):
        run_loop(Tiny(), loss_of, SHORT, tmp_path, about={})
    assert (tmp_path / "log.jsonl").read_bytes() == b"hello\n" + lines


# --- settings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"check_every": 0}, "check_every must be at least 1"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0"),
        ({"clip": 0}, "clip must be above 0"),
        ({"warmup": 1.1}, "warmup must be a share"),
        ({"precision": "float16"}, "precision is float32 or bfloat16: float16"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(SHORT, **changes)


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [LoopConfig(steps=100, learning_rate=1.0).learning_rate_at(i) for i in range(100)]
    assert rates[:10] == pytest.approx([0.1 * i for i in range(1, 11)])
    assert max(rates) == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001


def test_half_precision_computes_in_it_and_keeps_weights_whole(tmp_path: Path) -> None:
    seen = []

    def loss(module: nn.Module, draw: int) -> Tensor:
        assert isinstance(module, Tiny)
        with torch.no_grad():
            seen.append(module.enter(torch.zeros(1, 4)).dtype)
        return loss_of(module, draw)

    run_loop(Tiny(), loss, replace(SHORT, precision="bfloat16"), tmp_path, about={})
    assert set(seen) == {torch.bfloat16}
    dtypes = {t.dtype for t in load_file(tmp_path / "state.safetensors").values()}
    assert dtypes == {torch.float32}
