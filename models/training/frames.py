"""Trains the step network on sequences of frame features with frame-wise labels."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.step_network import FrameNetwork, StepNetwork, StepNetworkShape

logger = logging.getLogger(__name__)

EPOCHS, LEAST_STEPS = 40, 400

NetworkT = TypeVar("NetworkT", bound=FrameNetwork)


@dataclass(frozen=True, eq=False)
class LabelledSequence:
    """One recording at the model's rate: features float32 (T, D), label indices int64 (T,)."""

    features: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or len(self.features) != len(self.labels):
            raise ValueError(f"features {self.features.shape}, labels {self.labels.shape}")


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; the defaults are what the shipped models were trained with."""

    epochs: int = 60
    batch: int = 8
    crop: int = 384
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    transition_weight: float = 0.15
    feature_noise: float = 0.1
    drop_frames: float = 0.05
    speed_jitter: float = 0.2
    seed: int = 0


def enough_epochs(sequences: Sequence[LabelledSequence]) -> int:
    """Return how many passes train a network that generalises: 40, more where they are short.

    An epoch over nine recordings is one step, and 40 steps are too few (docs/log.md, 2026-11-24).
    """
    return max(EPOCHS, math.ceil(LEAST_STEPS / _steps_per_epoch(sequences, TrainingConfig())))


def train(
    sequences: Sequence[LabelledSequence],
    shape: StepNetworkShape,
    config: TrainingConfig,
) -> StepNetwork:
    """Train a step network as `train_kind` does."""
    return train_kind(StepNetwork, sequences, shape, config)


def train_kind(
    kind: type[NetworkT],
    sequences: Sequence[LabelledSequence],
    shape: StepNetworkShape,
    config: TrainingConfig,
) -> NetworkT:
    """Train a network on `sequences` and return it in evaluation mode; repeatable for a seed.

    Loss: cross-entropy plus the truncated mean squared error between neighbouring frames' log
    probabilities (MS-TCN, arXiv 1903.01945, equations 8 to 11, tau 4, weight 0.15), which
    discourages over-segmentation.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = kind(shape)
    scale = torch.tensor(np.concatenate([s.features for s in sequences]).std(axis=0) + 1e-6)
    optimiser = torch.optim.AdamW(
        network.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    per_epoch = _steps_per_epoch(sequences, config)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.epochs * per_epoch, pct_start=0.15
    )
    for epoch in range(config.epochs):
        network.train()
        total = 0.0
        for _ in range(per_epoch):
            features, present, labels = _draw_batch(sequences, config, rng)
            features = features + config.feature_noise * scale * torch.randn_like(features)
            loss = _loss(network.whole(features, present), labels, config)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        logger.info("epoch %d of %d: loss %.3f", epoch + 1, config.epochs, total / per_epoch)
    return network.eval()


def predict(network: FrameNetwork, features: np.ndarray) -> np.ndarray:
    """Return the label logits (T, K) of one recording's features (T, D)."""
    present = torch.ones((1, len(features)), dtype=torch.bool)
    with torch.inference_mode():
        logits = network.whole(torch.from_numpy(features)[None], present)
    return logits[0].numpy()


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature under which softmax(logits / temperature) fits `labels` best.

    Guo et al., "On Calibration of Modern Neural Networks" (arXiv 1706.04599), section 4.2.
    """
    candidates = np.geomspace(0.5, 4.0, 43)
    scores = torch.from_numpy(logits)
    target = torch.from_numpy(labels)
    losses = [functional.cross_entropy(scores / float(t), target).item() for t in candidates]
    return round(float(candidates[int(np.argmin(losses))]), 3)


def _steps_per_epoch(sequences: Sequence[LabelledSequence], config: TrainingConfig) -> int:
    frames = sum(len(s.labels) for s in sequences)
    return max(frames // (config.batch * config.crop), 1)


def _draw_batch(
    sequences: Sequence[LabelledSequence],
    config: TrainingConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    weights = np.array([len(s.labels) for s in sequences], np.float64)
    chosen = rng.choice(len(sequences), config.batch, p=weights / weights.sum())
    length = config.crop
    features, present, labels = [], [], []
    for index in chosen:
        sequence = sequences[index]
        at = _draw_times(len(sequence.labels), length, config.speed_jitter, rng)
        inside = at < len(sequence.labels)
        at = np.minimum(at, len(sequence.labels) - 1)
        seen = inside & (rng.random(length) >= config.drop_frames)
        features.append(sequence.features[at])
        present.append(seen)
        labels.append(np.where(seen, sequence.labels[at], -100))
    return (
        torch.from_numpy(np.stack(features)),
        torch.from_numpy(np.stack(present)),
        torch.from_numpy(np.stack(labels)),
    )


def _draw_times(
    num_frames: int, length: int, speed_jitter: float, rng: np.random.Generator
) -> np.ndarray:
    # Another speed is another step through the frames; the start may lie a little before them.
    speed = float(rng.uniform(1 - speed_jitter, 1 + speed_jitter))
    latest = max(num_frames - int(0.6 * length * speed), 1)
    start = int(rng.integers(0, latest))
    return (start + np.arange(length) * speed).astype(np.int64)


def _loss(logits: Tensor, labels: Tensor, config: TrainingConfig) -> Tensor:
    likelihood = functional.cross_entropy(
        logits.flatten(0, 1),
        labels.flatten(),
        ignore_index=-100,
        label_smoothing=config.label_smoothing,
    )
    log_probabilities = functional.log_softmax(logits, dim=-1)
    step = log_probabilities[:, 1:] - log_probabilities[:, :-1].detach()
    return likelihood + config.transition_weight * step.abs().clamp(max=4).square().mean()
