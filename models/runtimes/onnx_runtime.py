"""Runs a graph with ONNX Runtime, on the processor or on an NVIDIA GPU."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime

from models.card import ModelError
from models.runtimes.graph import RuntimeMissingError, Shape, one_line
from models.runtimes.onnx_file import read_onnx

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
GET_CUDA = (
    "pip uninstall onnxruntime, then pip install onnxruntime-gpu, on a machine with an NVIDIA "
    "driver; never install both"
)


class OnnxGraph:
    """A graph on ONNX Runtime."""

    def __init__(
        self, path: Path, *, device: Literal["cpu", "cuda"] = "cpu", num_threads: int = 0
    ) -> None:
        """Load `path`; `num_threads` 0 takes all cores.

        Raises `ModelError` when it does not load, `RuntimeMissingError` when `device` is not to be
        had: ONNX Runtime itself would go over to the processor without a word.
        """
        if device == "cuda" and CUDA not in onnxruntime.get_available_providers():
            raise RuntimeMissingError(
                f"runtime cuda: onnxruntime {onnxruntime.__version__} here has no CUDA: {GET_CUDA}"
            )
        providers = [CUDA, CPU] if device == "cuda" else [CPU]
        self._session = _session(path, providers, num_threads=num_threads)
        used = self._session.get_providers()[0]
        if device == "cuda" and used != CUDA:
            raise RuntimeMissingError(
                f"runtime cuda: ONNX Runtime took {used} instead, as it does where the NVIDIA "
                "driver, CUDA or cuDNN is missing or of another version: see `nvidia-smi`"
            )
        self.runtime = f"onnxruntime {onnxruntime.__version__} {device}"
        self.on_gpu = device == "cuda"
        self.inputs = {i.name: _shape(i.shape) for i in self._session.get_inputs()}
        self.outputs = {o.name: _shape(o.shape) for o in self._session.get_outputs()}

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Compute the outputs; raise `ModelError` when the graph itself fails."""
        try:
            return [np.asarray(output) for output in self._session.run(None, dict(feeds))]
        except Exception as error:  # ONNX Runtime raises a family of its own, as when it loads
            raise ModelError(
                f"{self.runtime}: the graph does not run: {one_line(error)}"
            ) from error


def _session(path: Path, providers: list[str], *, num_threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 4  # what goes wrong is raised, and told once
    # Idle workers sleep: spinning, they take the time of whatever else runs on the same cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content = read_onnx(path)
    try:
        with warnings.catch_warnings():
            # Of a provider that it does not have, ONNX Runtime only warns; the caller looks.
            warnings.filterwarnings("ignore", "Specified provider", UserWarning)
            return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # ONNX Runtime raises a family of its own without a common root
        raise ModelError(f"model file {path} cannot be loaded: {one_line(error)}") from error


def _shape(shape: list[int | str | None]) -> Shape:
    return tuple(length if isinstance(length, int) else None for length in shape)
