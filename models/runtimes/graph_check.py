"""Checks an exported graph against what it was made from: opset, shapes, numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.card import ModelError
from models.runtimes.artefact import Comparison
from models.runtimes.graph import Graph, Shape
from models.runtimes.onnx_file import opset_of, read_onnx

Feeds = dict[str, np.ndarray]

PARITY = 1e-4  # largest difference of an output between two f32 runtimes
BATCHES = (1, 2, 5)


def random_feeds(inputs: dict[str, Shape], batch: int) -> Feeds:
    """Return noise for the inputs of one of our graphs, the same for the same batch."""
    rng = np.random.default_rng(batch)
    feeds: Feeds = {}
    for name, shape in inputs.items():
        lengths = [batch if length is None else length for length in shape]
        if name == "images":
            feeds[name] = rng.integers(0, 256, lengths, np.uint8)
        elif name == "present":
            feeds[name] = rng.random(lengths) > 0.2
        elif name == "features":
            feeds[name] = rng.random(lengths, np.float32)
        else:
            feeds[name] = rng.standard_normal(lengths, np.float32)
    return feeds


def check_opset(path: Path, expected: int) -> None:
    """Raise `ModelError` when the ONNX file `path` asks for another version of the operators."""
    found = opset_of(read_onnx(path))
    if found != expected:
        raise ModelError(f"{path}: opset {found}, expected {expected}")


def check_shapes(
    graph: Graph, inputs: dict[str, Shape], outputs: dict[str, Shape], path: Path
) -> None:
    """Raise `ModelError` when names, order or lengths differ; None is a free length, the batch."""
    for found, expected in ((graph.inputs, inputs), (graph.outputs, outputs)):
        if list(found.items()) != list(expected.items()):
            raise ModelError(f"{path}: has {found}, expected {expected}")


def check_parity(
    graph: Graph,
    reference: Callable[[Feeds], list[np.ndarray]],
    path: Path,
    *,
    against: str,
    real: dict[str, Feeds] | None = None,
    allowed: float | None = PARITY,
) -> tuple[Comparison, ...]:
    """Compare `graph` with what it was made from, on noise and on `real` inputs by their origin.

    Raises `ModelError` when an output has another shape, is not finite, or differs by more than is
    `allowed`; None for lower precisions, which are judged by their labels.
    """
    compared = [_largest(graph, reference, random_feeds(graph.inputs, n), path) for n in BATCHES]
    comparisons = [
        Comparison(
            against=against,
            inputs="random",
            batches=BATCHES,
            largest_difference=max(compared),
            allowed=allowed,
        )
    ]
    for origin, feeds in (real or {}).items():
        batch = len(next(iter(feeds.values())))
        comparisons.append(
            Comparison(
                against=against,
                inputs=origin,
                batches=(batch,),
                largest_difference=_largest(graph, reference, feeds, path),
                allowed=allowed,
            )
        )
    for comparison in comparisons:
        if allowed is not None and comparison.largest_difference > allowed:
            raise ModelError(
                f"{path}: differs from {against} by {comparison.largest_difference:.1e} on "
                f"{comparison.inputs} inputs, allowed is {allowed:.0e}"
            )
    return tuple(comparisons)


def _largest(
    graph: Graph, reference: Callable[[Feeds], list[np.ndarray]], feeds: Feeds, path: Path
) -> float:
    largest = 0.0
    for ours, theirs in zip(graph.run(feeds), reference(feeds), strict=True):
        if ours.shape != theirs.shape:
            raise ModelError(f"{path}: gives {ours.shape}, expected {theirs.shape}")
        if not np.isfinite(ours).all():
            raise ModelError(f"{path}: gives numbers that are not finite")
        largest = max(largest, float(np.abs(ours - theirs).max(initial=0.0)))
    return largest
