"""Runs exported graphs with ONNX Runtime: pictures to features, views to probabilities.

Arrays in, values out; needs no PyTorch. `edge` streams through these, `models` evaluates with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import onnxruntime

from industryasm.vocabulary import Task
from models.card import ModelCard, ModelError, check_fits, encoder_file, read_card

RuntimeName = Literal["auto", "onnxruntime", "openvino"]


class Encoder(Protocol):
    """An image encoder of a fixed picture size on some runtime."""

    height: int
    width: int
    runtime: str

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Map pictures uint8 (B, height, width, 3) RGB to features float32 (B, D)."""
        ...


def load_encoder(name: str, runtime: RuntimeName = "auto") -> Encoder:
    """Load a shipped encoder; `auto` is ONNX Runtime, which every installation has.

    Raises `ModelError` when the runtime asked for is not installed or does not load the file.
    """
    if runtime == "openvino":
        return OpenVinoEncoder(name)
    return OnnxEncoder(name)


class OnnxEncoder:
    """The image encoder on ONNX Runtime."""

    def __init__(self, name: str) -> None:
        self._session = _load(encoder_file(name), num_threads=0)
        _, self.height, self.width, _ = self._session.get_inputs()[0].shape
        self.runtime = f"onnxruntime {onnxruntime.__version__} cpu"

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Map pictures uint8 (B, height, width, 3) RGB to features float32 (B, D)."""
        return np.asarray(self._session.run(None, {"images": images})[0])


class OpenVinoEncoder:
    """The image encoder on OpenVINO, in float32 so that features equal ONNX Runtime's."""

    def __init__(self, name: str) -> None:
        try:
            import openvino
        except ImportError as error:
            raise ModelError(
                "runtime openvino is not installed: pip install 'linewatch[openvino]', "
                "or set runtime: auto"
            ) from error
        self._model = openvino.Core().compile_model(
            encoder_file(name), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        shape = self._model.input(0).partial_shape
        self.height, self.width = shape[1].get_length(), shape[2].get_length()
        self.runtime = f"openvino {openvino.__version__.split('-')[0]} cpu f32"

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Map pictures uint8 (B, height, width, 3) RGB to features float32 (B, D)."""
        return np.array(self._model([images])[0])


class TemporalModel:
    """The temporal part of one model: one chunk of one stream at a time."""

    def __init__(self, folder: Path, card: ModelCard) -> None:
        """Load `temporal.onnx`; raise `ModelError` when it is not what the card says."""
        self.card = card
        self._session = _load(folder / "temporal.onnx", num_threads=1)
        self._check(folder)

    def start(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the LSTM state (1, H), (1, H) at the start of a stream."""
        zero = np.zeros((1, self.card.hidden), np.float32)
        return zero, zero

    def decide(
        self, view: np.ndarray, present: np.ndarray, state: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Decide one chunk: view (V, D), present (V,) -> probabilities (stride, K), next state."""
        feeds = {
            "features": view[None],
            "present": present[None],
            "hidden": state[0],
            "cell": state[1],
        }
        logits, hidden, cell = self._session.run(None, feeds)
        return softmax(np.asarray(logits)[0] / self.card.temperature), (hidden, cell)

    def _check(self, folder: Path) -> None:
        shape = self.card.chunk_shape()
        shapes = {i.name: list(i.shape[1:]) for i in self._session.get_inputs()}
        expected = {
            "features": [shape.view, self.card.feature_dim],
            "present": [shape.view],
            "hidden": [self.card.hidden],
            "cell": [self.card.hidden],
        }
        logits = list(self._session.get_outputs()[0].shape[1:])
        if shapes != expected or logits != [shape.stride, len(self.card.labels)]:
            raise ModelError(f"model {folder}: temporal.onnx has other shapes than card.json says")


def load_model(folder: Path, task: Task) -> TemporalModel:
    """Load the model in `folder`; raise `ModelError` when it is damaged or not for `task`."""
    card = read_card(folder)
    check_fits(card, task, folder)
    return TemporalModel(folder, card)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def _load(path: Path, *, num_threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3
    # Idle workers sleep: spinning, they take the time of whatever else runs on the same cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # From bytes, so that a graph cannot name external data outside its folder.
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime raises a family of its own without a common root
        raise ModelError(f"model file {path} cannot be loaded: {error}") from error
