"""Runs a graph as a TensorRT engine on an NVIDIA GPU.

Building is tested everywhere; running needs a GPU and was never done by its authors so far: what
stands here follows TensorRT's documentation (IExecutionContext, `execute_async_v3`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.card import ModelError
from models.runtimes.cuda_memory import CudaStream
from models.runtimes.engine_cache import cached_engine
from models.runtimes.gpu import find_gpu
from models.runtimes.graph import RuntimeMissingError, Shape
from models.runtimes.tensorrt_builder import BackEnd, BackEndName, find_back_end
from models.runtimes.tensorrt_graph import EnginePrecision


class TensorRtGraph:
    """A graph as an engine; larger batches than its largest are cut."""

    on_gpu = True

    def __init__(
        self,
        path: Path,
        folder: Path,
        *,
        back_end: BackEndName,
        precision: EnginePrecision = "fp16",
    ) -> None:
        """Take the engine for the ONNX file `path` from `folder`, or build it there.

        Raises `RuntimeMissingError` without the back end or a GPU that it runs on.
        """
        found = find_back_end(back_end)
        gpu, reason = find_gpu()
        if gpu is None:
            raise RuntimeMissingError(f"runtime {back_end} runs on a GPU; {reason}")
        self._stream = CudaStream()
        engine, artefact = _deserialise(found, path, folder, precision)
        self._engine = engine  # the context needs it for as long as it lives
        self._context = engine.create_execution_context()
        if self._context is None:
            raise ModelError(f"runtime {back_end}: too little GPU memory for {path}")
        assert artefact.batches is not None
        self._largest = artefact.batches[2]
        self.inputs, self.outputs = artefact.inputs, artefact.outputs
        self.runtime = f"{back_end} {found.version} {gpu.name[:50]} {precision}"
        self._dtypes = {
            name: np.dtype(found.module.nptype(engine.get_tensor_dtype(name)))
            for name in (*self.inputs, *self.outputs)
        }
        self._addresses = {
            name: self._stream.allocate(self._num_bytes(name, shape))
            for name, shape in (self.inputs | self.outputs).items()
        }

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Compute the outputs."""
        self._stream.enter()
        batch = len(next(iter(feeds.values())))
        parts = [
            self._run({name: array[at : at + self._largest] for name, array in feeds.items()})
            for at in range(0, batch, self._largest)
        ]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def _run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        for name in self.inputs:
            array = np.ascontiguousarray(feeds[name], self._dtypes[name])
            feeds[name] = array  # held until the copy is done
            self._context.set_input_shape(name, array.shape)
            self._context.set_tensor_address(name, self._addresses[name])
            self._stream.send(array, self._addresses[name])
        results = []
        for name in self.outputs:
            shape = tuple(self._context.get_tensor_shape(name))
            results.append(np.empty(shape, self._dtypes[name]))
            self._context.set_tensor_address(name, self._addresses[name])
        if not self._context.execute_async_v3(self._stream.handle):
            raise ModelError(f"{self.runtime}: the engine did not run")
        for name, result in zip(self.outputs, results, strict=True):
            self._stream.fetch(self._addresses[name], result)
        self._stream.wait()
        return results

    def _num_bytes(self, name: str, shape: Shape) -> int:
        lengths = [self._largest if length is None else length for length in shape]
        return math.prod(lengths) * int(self._dtypes[name].itemsize)


def _deserialise(
    back_end: BackEnd, path: Path, folder: Path, precision: EnginePrecision
) -> tuple[Any, Any]:
    """Return the engine and its card; one that does not load although its card holds is rebuilt."""
    runtime = back_end.module.Runtime(back_end.module.Logger(back_end.module.Logger.ERROR))
    for anew in (False, True):
        file, artefact = cached_engine(
            path, folder, back_end=back_end.name, precision=precision, anew=anew
        )
        engine = runtime.deserialize_cuda_engine(file.read_bytes())
        if engine is not None:
            return engine, artefact
    raise ModelError(f"{file}: a freshly built engine does not load; see the lines before this one")
