"""Runs a graph with OpenVINO on the processor: f32, bf16 where the processor has it, or int8."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from models.card import ModelError, file_sha256
from models.runtimes.artefact import read_artefact
from models.runtimes.graph import RuntimeMissingError, Shape, one_line
from models.runtimes.onnx_file import read_onnx


class OpenVinoGraph:
    """A graph on OpenVINO."""

    on_gpu = False

    def __init__(
        self, path: Path, *, precision: Literal["f32", "bf16"] = "f32", num_threads: int = 0
    ) -> None:
        """Load an ONNX file, or OpenVINO's IR (`.xml`) with the card that `export` wrote for it.

        `precision` is what is computed in; the integers of an int8 IR stay integers. Left to
        itself OpenVINO takes bf16 where it can, and features differ by 1 %. `num_threads` 0 takes
        all cores. Raises `RuntimeMissingError` when OpenVINO is not installed or the processor has
        no bf16, `ModelError` when the file does not load or is not the one on its card.
        """
        openvino = import_openvino()
        core = openvino.Core()
        if precision == "bf16" and not has_bf16(core):
            raise RuntimeMissingError(
                "runtime openvino-bf16: this processor has neither AMX nor AVX512-BF16, so bf16 "
                "would only be imitated: set runtime: openvino, or auto"
            )
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision}
        if num_threads:
            options["INFERENCE_NUM_THREADS"] = num_threads
        content, weights, kind = _contents(path)
        try:
            model = core.read_model(content, weights)
            self._model = core.compile_model(model, "CPU", options)
        except Exception as error:  # RuntimeError and others, by OpenVINO's version
            raise ModelError(f"model file {path} cannot be loaded: {one_line(error)}") from error
        version = openvino.__version__.split("-")[0]
        self.runtime = f"openvino {version} cpu {kind or precision}"
        self.inputs = {port.any_name: _shape(port) for port in self._model.inputs}
        self.outputs = {port.any_name: _shape(port) for port in self._model.outputs}

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Compute the outputs; raise `ModelError` when the graph itself fails."""
        try:
            results = self._model(dict(feeds))
        except RuntimeError as error:
            raise ModelError(
                f"{self.runtime}: the graph does not run: {one_line(error)}"
            ) from error
        return [np.array(results[index]) for index in range(len(self.outputs))]


def int8_file(source: Path, folder: Path) -> Path:
    """Return the int8 IR that was made of the ONNX file `source`.

    Raises `RuntimeMissingError` when there is none in `folder`, or it was made of another file.
    """
    import_openvino()
    file = folder / f"{source.stem}.int8.xml"
    make = (
        f"linewatch export {source.parent.name} --to openvino --precision int8 --data DIR, with a "
        "data set of such pictures"
    )
    if not file.is_file():
        raise RuntimeMissingError(f"runtime openvino-int8: there is no {file}: make it with {make}")
    if read_artefact(file)[0].source_sha256 != file_sha256(source):
        raise RuntimeMissingError(f"runtime openvino-int8: {file} is of another encoder: {make}")
    return file


def import_openvino() -> ModuleType:
    """Return OpenVINO's module; raise `RuntimeMissingError` when it is not installed."""
    try:
        import openvino
    except ImportError as error:
        raise RuntimeMissingError(
            "runtime openvino is not installed: pip install 'linewatch[openvino]', "
            "or set runtime: auto"
        ) from error
    except RuntimeError as error:  # its telemetry asks for the user's home
        raise RuntimeMissingError(f"runtime openvino cannot start: {one_line(error)}") from error
    module: ModuleType = openvino
    return module


def has_bf16(core: Any) -> bool:
    """Return whether OpenVINO computes in bf16 on this processor (AMX or AVX512-BF16)."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _contents(path: Path) -> tuple[bytes, bytes, str | None]:
    """Return the graph, its weights, and the precision that they are stored in, None for f32."""
    if path.suffix != ".xml":
        return read_onnx(path), b"", None
    artefact, contents = read_artefact(path)
    weights = contents.get(path.with_suffix(".bin").name)
    if artefact.format != "openvino" or weights is None:
        raise ModelError(f"model file {path}: its card does not describe OpenVINO's files")
    return contents[path.name], weights, "int8" if artefact.precision == "int8" else None


def _shape(port: Any) -> Shape:
    return tuple(d.get_length() if d.is_static else None for d in port.partial_shape)
