"""The training loop: resumable, logged, the same for a seed; knows nothing of what it trains.

What a step sees is a function of the seed and the number of the draw alone, so a training that was
killed goes on from its last checkpoint as if nothing had been: on a CPU, with the same number of
threads, to the same weights bit for bit. A folder (`training_folder.py`) holds one training. Under
`torchrun` (`distributed.py`) the processes share the draws of a step: two with `draws` n learn what
one with 2 n does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from models.training import distributed
from models.training.checkpoint import TrainingError, load_weights, trained
from models.training.folder import TrainingFolder
from models.training.log import TrainingLog

__all__ = [
    "LoopConfig",
    "LossOf",
    "Precision",
    "TrainingError",
    "load_weights",
    "precision_on",
    "run_loop",
    "seed_of",
]

LossOf = Callable[[nn.Module, int], Tensor]
"""Gives the loss () of the module on the draw of that number; the same number, the same draw.

It calls the module once and touches nothing else of it, for under `torchrun` it gets a wrapped one;
what it makes from the draw it brings to `distributed.device_of(module)` itself. Random numbers may
come from torch's generator, which is seeded before each draw, or from `seed_of`.
"""

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to learn; each process averages `draws` of the data for each step."""

    steps: int
    draws: int = 1
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    warmup: float = 0.1
    """The share of the steps in which the learning rate rises; then it falls as a cosine."""
    clip: float = 1.0
    """The greatest norm of a step's gradient; a longer one is shortened to it."""
    check_every: int = 50
    """Steps between checkpoints, at which the model is also validated."""
    precision: Precision = "float32"
    """Of the computation (autocast); weights and optimiser keep their own."""
    shard: bool = False
    """Whether the processes share the parameters between them (FSDP2), too large for one GPU."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "draws", "check_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup must be a share, 0 to 1, not {self.warmup}")
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision is {' or '.join(get_args(Precision))}: {self.precision}")

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of step 0 .. steps - 1."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        done = (step - rising) / max(1, self.steps - rising)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def run_loop(
    module: nn.Module,
    loss_of: LossOf,
    config: LoopConfig,
    folder: Path,
    *,
    about: dict[str, Any],
    validate: Callable[[], float] | None = None,
) -> None:
    """Train the parameters of `module` that ask for gradients; leave it with the best of them.

    Goes on where a killed training in `folder` stood, and only reads one that was finished. `about`
    (values of JSON) says what is trained on what: a folder of another training is refused, so that
    nothing in it is overwritten (`folder.LATER_KEYS` may be lacking there). `validate` gives a
    score, higher is better; without it the last weights are the best. Every process validates, and
    the mean of their scores counts.

    The module must be where it shall be trained; torch's random generator is seeded again and
    again. A module that was sharded (`shard`) stays so: load its best weights into a new one.

    Raises `TrainingError` for a loss, gradient or score that is not finite, for a folder of another
    training or in use, and for files that do not fit; what the folder held is still there then.
    """
    run = {
        "about": about,
        "config": asdict(config),
        "processes": distributed.num_processes(),
        "validated": validate is not None,
    }
    training = TrainingFolder(folder, run)
    if training.step < config.steps:
        with training.locked():
            _train(module, loss_of, config, training, validate)
    load_weights(module, training.best_path)
    module.eval()


def precision_on(device: torch.device) -> Precision:
    """Return what a training computes in on a device: bfloat16 on a GPU."""
    return "bfloat16" if device.type == "cuda" else "float32"


def seed_of(*parts: object) -> int:
    """Return a seed below 2**63 that depends on `parts` alone, not on process or version."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _train(
    module: nn.Module,
    loss_of: LossOf,
    config: LoopConfig,
    training: TrainingFolder,
    validate: Callable[[], float] | None,
) -> None:
    _check_resumable(module)
    if config.shard:
        distributed.shard(module)
    weights = trained(module)
    optimiser = _optimiser(weights, config)
    training.resume(weights, optimiser)
    wrapped = module if config.shard else distributed.replicated(module)
    device = distributed.device_of(module)
    log = TrainingLog(training.log_path, step=training.step, device=device)
    for step in range(training.step, config.steps):
        losses = _step(wrapped, loss_of, optimiser, config, step)
        log.add(losses, config.learning_rate_at(step))
        done = step + 1
        if done % config.check_every and done != config.steps:
            continue
        score = None if validate is None else _validated(module, validate, done)
        log.line(done, score)
        training.keep(done, weights, optimiser, score)


def _step(
    module: nn.Module,
    loss_of: LossOf,
    optimiser: torch.optim.Optimizer,
    config: LoopConfig,
    step: int,
) -> list[float]:
    """Do one step; return the losses of its draws in their order, those of all processes."""
    module.train()
    device = distributed.device_of(module)
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate_at(step)
    optimiser.zero_grad(set_to_none=True)
    first = step * config.draws * distributed.num_processes()
    own = []
    for number in range(config.draws):
        draw = first + number * distributed.num_processes() + distributed.rank()
        torch.manual_seed(seed_of(config.seed, draw))  # dropout, too, depends on the draw alone
        with distributed.accumulating(module, last=number == config.draws - 1):
            with torch.autocast(
                device.type, torch.bfloat16, enabled=config.precision == "bfloat16"
            ):
                loss = loss_of(module, draw)
            (loss / config.draws).backward()  # type: ignore[no-untyped-call]
        own.append(loss.item())
    losses = distributed.gathered(own, device)  # so that all processes stop, or none
    for number, value in enumerate(losses):
        if not math.isfinite(value):
            raise _not_finite(f"the loss of draw {first + number} is {value}", step, config)
    norm = _clip(optimiser, config.clip)
    if not math.isfinite(norm):
        raise _not_finite(f"the norm of the gradient is {norm}", step, config)
    optimiser.step()
    return losses


def _not_finite(what: str, step: int, config: LoopConfig) -> TrainingError:
    return TrainingError(
        f"step {step}: {what}; look at the data of that step, or learn more slowly than "
        f"{config.learning_rate}"
    )


def _clip(optimiser: torch.optim.Optimizer, limit: float) -> float:
    """Shorten the gradient to `limit` where it is longer; return its norm before that."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    slopes = [p.grad for p in parameters if p.grad is not None]
    norm = distributed.norm(slopes)
    if norm > limit:
        for slope in slopes:
            slope.mul_(limit / norm)
    return norm


def _validated(module: nn.Module, validate: Callable[[], float], step: int) -> float:
    module.eval()
    with torch.no_grad(), distributed.gathered_parameters(module):
        own = float(validate())
    scores = distributed.gathered([own], distributed.device_of(module))
    score = sum(scores) / len(scores)
    if not math.isfinite(score):
        raise TrainingError(f"step {step}: the validation's score is {score}; look at its data")
    return score


def _optimiser(weights: dict[str, nn.Parameter], config: LoopConfig) -> torch.optim.AdamW:
    matrices = [p for p in weights.values() if p.ndim > 1]
    vectors = [p for p in weights.values() if p.ndim <= 1]  # biases and norms do not decay
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
    )


def _check_resumable(module: nn.Module) -> None:
    """Raise `ValueError` for what learns beside its parameters, which no checkpoint here holds."""
    module.train()
    for name, part in module.named_modules():
        if isinstance(part, _NormBase) and part.training and part.track_running_stats:
            raise ValueError(f"{name}: batch normalisation cannot be resumed; use layer norm")
