"""What a model must beat on the same features: the majority class and linear probes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from models.runtime import softmax


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier of single feature vectors, standardised by the training set."""

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return label probabilities (T, K) of features (T, D)."""
        scaled = (features - self.mean) / self.scale
        return softmax(scaled @ self.weight.T + self.bias)


def fit_probe(
    features: np.ndarray, labels: np.ndarray, *, num_labels: int, penalty: float = 1e-2
) -> LinearProbe:
    """Fit a probe to features (N, D) and label indices (N,): L-BFGS to convergence.

    `penalty` is the weight of the squared weights; the fit starts from zero, so it has no seed.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    inputs = torch.from_numpy(((features - mean) / scale).astype(np.float32))
    target = torch.from_numpy(labels.astype(np.int64))
    weight = torch.zeros((num_labels, features.shape[1]), requires_grad=True)
    bias = torch.zeros(num_labels, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(inputs @ weight.T + bias, target)
        loss = loss + penalty * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return LinearProbe(mean, scale, weight.detach().numpy(), bias.detach().numpy())


def context_mean(features: np.ndarray, half_width: int) -> np.ndarray:
    """Return each frame's mean over itself and `half_width` frames on both sides, (T, D).

    >>> context_mean(np.array([[0.0], [3.0], [6.0]]), 1).ravel().tolist()
    [1.5, 3.0, 4.5]
    """
    total = np.vstack([np.zeros((1, features.shape[1])), np.cumsum(features, axis=0)])
    index = np.arange(len(features))
    first = np.maximum(index - half_width, 0)
    last = np.minimum(index + half_width + 1, len(features))
    return np.asarray((total[last] - total[first]) / (last - first)[:, None])


def majority(labels: np.ndarray) -> int:
    """Return the commonest label index."""
    return int(np.bincount(labels).argmax())
