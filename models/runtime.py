"""Runs exported graphs: pictures to features, views to probabilities, on the runtime asked for.

Arrays in, values out; needs no PyTorch. `edge` streams through these, `models` evaluates with them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from industryasm.vocabulary import Task
from models.card import (
    ModelCard,
    ModelError,
    check_fits,
    encoder_file,
    file_sha256,
    read_card,
    watching_encoder,
)
from models.runtimes.graph import Graph, RuntimeMissingError, Shape
from models.runtimes.graph import RuntimeName as RuntimeName
from models.runtimes.onnx_runtime import OnnxGraph

logger = logging.getLogger(__name__)


class Encoder(Protocol):
    """An image encoder of a fixed picture size on some runtime."""

    height: int
    width: int
    feature_dim: int
    runtime: str
    on_gpu: bool

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Map pictures uint8 (B, height, width, 3) RGB to features float32 (B, D)."""
        ...


def exports_folder(name: str) -> Path:
    """Return where in the user's cache the exported files and engines of an encoder lie.

    Raises `RuntimeMissingError` for a user who has no home.
    """
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise RuntimeMissingError(
            f"there is no folder for what is made of {name}: set XDG_CACHE_HOME or HOME"
        ) from error
    return cache / "linewatch" / "exports" / name


def load_encoder(
    name: str, runtime: RuntimeName = "auto", *, num_threads: int = 0, fallback: bool = False
) -> OnnxEncoder:
    """Load a shipped encoder; its `runtime` tells what really runs it.

    `num_threads` is for the processor, 0 for all cores: stations that share a machine take one
    each. With `fallback` ONNX Runtime takes the place of a runtime that is not here.
    Raises `RuntimeMissingError` when the runtime asked for is not here, `ModelError` when the file
    does not load or gives no finite features.
    """
    path = encoder_file(name)
    graph = open_graph(
        path, lambda: exports_folder(name), runtime, num_threads=num_threads, fallback=fallback
    )
    return OnnxEncoder(graph, path)


def encoder_of(
    card: ModelCard, runtime: RuntimeName = "auto", *, fallback: bool = False
) -> Encoder:
    """Load the image encoder of a model, otherwise as `load_encoder`.

    Raises `ModelError` for a model of published features, or of other features than it gives.
    """
    name = watching_encoder(card)
    encoder = load_encoder(name, runtime, fallback=fallback)
    if encoder.feature_dim != card.feature_dim:
        raise ModelError(
            f"a model for {card.task!r} takes features of {card.feature_dim} numbers, its encoder "
            f"{name} gives {encoder.feature_dim}: train it again"
        )
    return encoder


def load_model(
    folder: Path,
    task: Task,
    runtime: RuntimeName = "auto",
    *,
    num_threads: int = 1,
    fallback: bool = False,
) -> TemporalModel:
    """Load the model in `folder`; raise `ModelError` when it is damaged or not for `task`.

    Its temporal part takes a few milliseconds a chunk, so that one thread of ONNX Runtime does.
    """
    card = read_card(folder)
    check_fits(card, task, folder)
    path = folder / "temporal.onnx"
    graph = open_graph(path, lambda: folder, runtime, num_threads=num_threads, fallback=fallback)
    return TemporalModel(graph, card, folder)


def open_graph(
    path: Path,
    exports: Callable[[], Path],
    runtime: RuntimeName,
    *,
    num_threads: int = 0,
    fallback: bool = False,
) -> Graph:
    """Load the ONNX file `path` on a runtime.

    What was made of it before lies in `exports()`, asked for where a runtime takes such files.
    """
    try:
        return _open(path, exports, runtime, num_threads=num_threads)
    except RuntimeMissingError as missing:
        if not fallback:
            raise
        logger.warning("%s; going on with ONNX Runtime, as runtime_fallback allows", missing)
        graph = OnnxGraph(path, num_threads=num_threads)
        graph.runtime += f", in place of {runtime}"
        return graph


def _open(
    path: Path, exports: Callable[[], Path], runtime: RuntimeName, *, num_threads: int
) -> Graph:
    if runtime in ("auto", "onnxruntime"):
        return OnnxGraph(path, num_threads=num_threads)
    if runtime == "cuda":
        return OnnxGraph(path, device="cuda", num_threads=num_threads)
    if runtime in ("tensorrt", "tensorrt-rtx"):
        from models.runtimes.tensorrt_runtime import TensorRtGraph

        return TensorRtGraph(path, exports(), back_end=runtime)
    from models.runtimes.openvino_runtime import OpenVinoGraph, int8_file

    if runtime == "openvino-int8":
        return OpenVinoGraph(int8_file(path, exports()), num_threads=num_threads)
    precision: Literal["f32", "bf16"] = "bf16" if runtime == "openvino-bf16" else "f32"
    return OpenVinoGraph(path, precision=precision, num_threads=num_threads)


class OnnxEncoder:
    """An image encoder that was exported to ONNX, on some runtime; `sha256` is its ONNX file's."""

    def __init__(self, graph: Graph, path: Path) -> None:
        """Raise `ModelError` when `graph`, loaded for `path`, is no image encoder that works."""
        self.height, self.width, self.feature_dim = _sizes(graph, path)
        self.runtime, self.on_gpu = graph.runtime, graph.on_gpu
        self.sha256 = file_sha256(path)
        self._graph = graph
        noise = np.random.default_rng(0).integers(0, 256, (1, self.height, self.width, 3), np.uint8)
        if not np.isfinite(self.encode(noise)).all():
            raise ModelError(f"model file {path}: gives features that are not finite; export anew")

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Map pictures uint8 (B, height, width, 3) RGB to features float32 (B, D)."""
        return self._graph.run({"images": images})[0]


def _sizes(graph: Graph, path: Path) -> tuple[int, int, int]:
    match list(graph.inputs.items()), list(graph.outputs.values()):
        case [("images", (None, int(height), int(width), 3))], [(None, int(feature_dim))]:
            return height, width, feature_dim
    raise ModelError(
        f"model file {path}: is no image encoder: it takes {_words(graph.inputs)} and gives "
        f"{_words(graph.outputs)}, expected images (B, height, width, 3) and features (B, D)"
    )


class TemporalModel:
    """The temporal part of one model: one chunk of one stream at a time, or of several."""

    def __init__(self, graph: Graph, card: ModelCard, folder: Path) -> None:
        """Raise `ModelError` when `graph` is not what the card in `folder` says, or not finite."""
        self.card, self.runtime = card, graph.runtime
        self._graph = graph
        self._check_shapes(folder)
        self._check_numbers(folder)

    def start(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the LSTM state (1, H), (1, H) at the start of a stream."""
        zero = np.zeros((1, self.card.hidden), np.float32)
        return zero, zero

    def decide(
        self, view: np.ndarray, present: np.ndarray, state: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Decide one chunk: view (V, D), present (V,) -> probabilities (chunk, K), next state."""
        probabilities, state = self.decide_many(view[None], present[None], state)
        return probabilities[0], state

    def decide_many(
        self, views: np.ndarray, present: np.ndarray, states: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Decide one chunk of each of B streams, as `decide` would one by one.

        Takes views (B, V, D), present (B, V) and the streams' states, concatenated to (B, H),
        (B, H); gives probabilities (B, chunk, K) and the next states (B, H), (B, H). Raises
        `ModelError` for numbers that are not finite, of which no stream would recover.
        """
        feeds = {"features": views, "present": present, "hidden": states[0], "cell": states[1]}
        logits, hidden, cell = self._graph.run(feeds)
        if not np.isfinite(logits).all():
            raise ModelError(f"the model of {self.card.task!r} gives numbers that are not finite")
        return softmax(logits / self.card.temperature), (hidden, cell)

    def _check_shapes(self, folder: Path) -> None:
        shape, hidden = self.card.chunk_shape(), (None, self.card.hidden)
        inputs: dict[str, Shape] = {
            "features": (None, shape.view, self.card.feature_dim),
            "present": (None, shape.view),
            "hidden": hidden,
            "cell": hidden,
        }
        outputs = [(None, shape.chunk, len(self.card.labels)), hidden, hidden]
        if self._graph.inputs != inputs or list(self._graph.outputs.values()) != outputs:
            raise ModelError(
                f"model {folder}: temporal.onnx has other shapes than card.json says: "
                f"{_words(self._graph.inputs)} to {_words(self._graph.outputs)}"
            )

    def _check_numbers(self, folder: Path) -> None:
        view = self.card.chunk_shape().view
        features = np.random.default_rng(0).random((2, view, self.card.feature_dim), np.float32)
        present = np.arange(2 * view).reshape(2, view) % 3 > 0
        zeros = np.zeros((2, self.card.hidden), np.float32)
        probabilities, states = self.decide_many(features, present, (zeros, zeros))
        if not all(np.isfinite(array).all() for array in (probabilities, *states)):
            raise ModelError(
                f"model {folder}: temporal.onnx gives numbers that are not finite; train it again"
            )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def _words(shapes: dict[str, Shape]) -> str:
    return ", ".join(
        f"{name} ({', '.join('B' if length is None else str(length) for length in shape)})"
        for name, shape in shapes.items()
    )[:300]
