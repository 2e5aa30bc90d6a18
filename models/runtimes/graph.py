"""An exported network on some runtime: named arrays in, arrays out.

What differs between ONNX Runtime, OpenVINO and TensorRT ends here; `models/runtime.py` knows what
the arrays mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np

from models.card import ModelError

RuntimeName = Literal[
    "auto",
    "onnxruntime",
    "openvino",
    "openvino-bf16",
    "openvino-int8",
    "cuda",
    "tensorrt",
    "tensorrt-rtx",
]
"""`auto` is ONNX Runtime on the processor: every installation has it, and all give the same."""

Shape = tuple[int | None, ...]
"""Lengths of an array's dimensions; None for one that is free, as the batch is."""


class RuntimeMissingError(ModelError):
    """A runtime that was asked for is not on this machine; the message says how to get it."""


class Graph(Protocol):
    """A loaded graph; `run` may not be called from two threads at once."""

    runtime: str
    """What really runs it: name, version, device and, where it is not f32, precision."""
    on_gpu: bool
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Compute the outputs, in the order of `outputs`."""
        ...


def one_line(error: BaseException) -> str:
    """Return what a foreign error says, as one line of at most 300 characters.

    >>> one_line(ValueError("bad\\n  shape"))
    'bad shape'
    """
    return " ".join(str(error).split())[:300] or type(error).__name__
