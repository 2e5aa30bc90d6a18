"""Writes a graph as OpenVINO's IR: f32, weights in fp16, or integers that NNCF found by looking."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from models.card import ModelError, file_sha256
from models.runtimes.artefact import Precision
from models.runtimes.graph import RuntimeMissingError, one_line
from models.runtimes.onnx_file import read_onnx
from models.runtimes.openvino_runtime import import_openvino


def write_ir(
    source: Path,
    file: Path,
    precision: Precision,
    *,
    calibration: Sequence[np.ndarray] = (),
) -> dict[str, str]:
    """Write the ONNX file `source` as `file` (.xml) and its .bin; return the SHA-256 of both.

    bf16 is a matter of running: its IR is that of f32. int8 looks at `calibration`, pictures
    uint8 (1, H, W, 3). Raises `RuntimeMissingError` without OpenVINO or, for int8, NNCF.
    """
    openvino = import_openvino()
    try:
        model = openvino.Core().read_model(read_onnx(source), b"")
    except RuntimeError as error:
        raise ModelError(f"model file {source} cannot be loaded: {one_line(error)}") from error
    if precision == "int8":
        model = _quantised(model, calibration)
    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=file.parent) as scratch:
        fresh = Path(scratch) / file.name
        openvino.save_model(model, fresh, compress_to_fp16=precision == "fp16")
        weights = fresh.with_suffix(".bin")
        digests = {path.name: file_sha256(path) for path in (fresh, weights)}
        weights.replace(file.with_suffix(".bin"))
        fresh.replace(file)
    return digests


def _quantised(model: Any, calibration: Sequence[np.ndarray]) -> Any:
    try:
        import nncf
        from nncf.quantization.advanced_parameters import (
            AdvancedQuantizationParameters,
            OverflowFix,
        )
    except ImportError as error:
        raise RuntimeMissingError(
            "int8 needs NNCF, which is not installed: pip install 'linewatch[int8]'"
        ) from error
    if not calibration:
        raise ModelError("int8 looks at pictures to find its scales: there are none")
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(sys.stderr):  # its progress bar does not belong among what we print
        return nncf.quantize(
            model,
            nncf.Dataset(calibration),
            subset_size=len(calibration),
            # Half the weights' range: on processors without VNNI the 16-bit sums would overflow.
            advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
        )
