"""The files of a training: safetensors, whole or as they were before, checked when read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from industryasm.fault import UserFault
from models.training.distributed import spread, whole, writes
from models.whole_files import put_in_place

MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW remembers of a parameter
WEIGHT = "weight."


class TrainingError(UserFault, ValueError):
    """A training cannot start, go on or be read: other settings, spoiled files, no finite loss."""


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself: the settings it comes from, its step and its score.

    `run` is JSON; `score` is None where nothing was validated.
    """

    run: str
    step: int
    score: float | None

    def better_than(self, other: Header | None) -> bool:
        """Return whether the score is higher or, where nothing is validated, the step is."""
        if other is None:
            return True
        if self.score is None or other.score is None:
            return self.step > other.step
        return self.score > other.score

    def metadata(self) -> dict[str, str]:
        """Return the header as safetensors stores it."""
        return {"run": self.run, "step": json.dumps(self.step), "score": json.dumps(self.score)}


def trained(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that ask for gradients, by name."""
    found = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not found:
        raise ValueError("no parameter asks for gradients: nothing to train")
    return found


def load_weights(module: nn.Module, path: Path) -> dict[str, str]:
    """Load `best.safetensors` into the trained parameters of `module`; return what it says of them.

    Raises `TrainingError` when it cannot be read, or its names or shapes are not the module's.
    """
    weights = trained(module)
    tensors, about = read(path)
    _check(path, tensors, {name: weight.shape for name, weight in weights.items()})
    _copy(tensors, weights)
    return about


def read_header(path: Path) -> Header:
    """Return what a checkpoint says of itself; its tensors are not read."""
    return _header(path, _open(path, with_tensors=False)[1])


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a checkpoint and its metadata."""
    return _open(path, with_tensors=True)


def write_weights(path: Path, weights: Mapping[str, nn.Parameter], header: Header) -> None:
    """Write the weights alone; every process calls this, `path` is written by the first."""
    _write(path, dict(weights), header)


def write_state(
    path: Path,
    weights: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    header: Header,
) -> None:
    """Write the weights and what AdamW remembers of them, whatever resuming needs."""
    state: dict[str, Tensor] = {WEIGHT + name: weight for name, weight in weights.items()}
    for name, weight in weights.items():
        # A parameter that no loss has used yet has none.
        for moment, value in optimiser.state.get(weight, {}).items():
            state[f"{moment}.{name}"] = value
    _write(path, state, header)


def load_state(
    path: Path, weights: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> Header:
    """Load what `write_state` wrote; return its header."""
    tensors, about = read(path)
    header = _header(path, about)
    shapes: dict[str, torch.Size] = {WEIGHT + name: w.shape for name, w in weights.items()}
    for name, weight in weights.items():
        if any(f"{moment}.{name}" in tensors for moment in MOMENTS):
            shapes[f"step.{name}"] = torch.Size()
            shapes |= {f"{moment}.{name}": weight.shape for moment in MOMENTS[1:]}
    _check(path, tensors, shapes)
    _copy({n.removeprefix(WEIGHT): t for n, t in tensors.items() if n.startswith(WEIGHT)}, weights)
    for name, weight in weights.items():
        if f"step.{name}" in tensors:
            optimiser.state[weight] = {
                "step": tensors[f"step.{name}"],  # AdamW keeps this one on the CPU
                **{m: spread(tensors[f"{m}.{name}"], weight) for m in MOMENTS[1:]},
            }
    return header


def _write(path: Path, tensors: Mapping[str, Tensor], header: Header) -> None:
    plain = {name: whole(tensor) for name, tensor in tensors.items()}  # by all processes at once
    if not writes():
        return
    part = path.with_suffix(".part")
    try:
        save_file(plain, part, metadata=header.metadata())
        put_in_place(part, path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{path}: cannot be written: {error}; make room and start the same training again, it "
            "goes on from its last checkpoint"
        ) from error


def _open(path: Path, *, with_tensors: bool) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise TrainingError(f"{path}: no such checkpoint; give the folder of a training")
    try:
        with safe_open(path, framework="pt") as file:
            about: dict[str, str] = file.metadata() or {}
            names = file.keys() if with_tensors else []
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path}: {error}; the file is spoiled, remove it") from error
    return tensors, about


def _header(path: Path, about: Mapping[str, str]) -> Header:
    try:
        score: Any = json.loads(about["score"])
        return Header(about["run"], int(about["step"]), None if score is None else float(score))
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path}: its header lacks run, step or score ({error!r}); it is no checkpoint of a "
            "training, give another folder"
        ) from error


def _check(path: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    """Raise `TrainingError` unless the tensors are exactly those of `shapes`."""
    known = shapes.keys() & tensors.keys()
    other = {name for name in known if tensors[name].shape != shapes[name]}
    _refuse(path, "are missing", shapes.keys() - tensors.keys())
    _refuse(path, "are not the model's", tensors.keys() - shapes.keys())
    if other:
        name = min(other)
        has, wants = tuple(tensors[name].shape), tuple(shapes[name])
        _refuse(path, f"have another shape ({name} {has}, the model's {wants})", other)


def _refuse(path: Path, what: str, names: Iterable[str]) -> None:
    found = sorted(names)
    if found:
        shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise TrainingError(
            f"{path}: {len(found)} tensors {what}: {shown}; give a checkpoint of a model with this "
            "configuration"
        )


def _copy(tensors: Mapping[str, Tensor], weights: Mapping[str, nn.Parameter]) -> None:
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(spread(tensors[name], weight))
