"""Makes of an f32 ONNX graph the one that TensorRT builds from: its numbers in the wanted type.

TensorRT 11 and TensorRT-RTX know only strongly typed networks: they compute in the types that the
graph has, so fp16 and bf16 are made here and not by a builder's flag. In and out it stays f32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from models.card import ModelError
from models.runtimes.graph import RuntimeMissingError, one_line

if TYPE_CHECKING:
    import onnx

EnginePrecision = Literal["f32", "fp16", "bf16"]

FLOAT, UINT8, FLOAT16, BFLOAT16 = 1, 2, 10, 16  # TensorProto.DataType
TYPES = {"f32": FLOAT, "fp16": FLOAT16, "bf16": BFLOAT16}
LARGEST_HALF = 65504.0


def typed_graph(content: bytes, precision: EnginePrecision) -> bytes:
    """Return the ONNX graph `content` computing in `precision`, its inputs and outputs as before.

    Pictures become numbers first of all: TensorRT takes uint8 at an input, and nowhere behind it.
    Raises `ModelError` when a weight is cut off, or too large for fp16; `RuntimeMissingError`
    without `onnx`.
    """
    try:
        import onnx
    except ImportError as error:
        raise RuntimeMissingError(
            "runtime tensorrt needs the package onnx to build its engine: pip install onnx"
        ) from error
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf's errors, by its implementation
        raise ModelError(f"the ONNX graph cannot be read: {one_line(error)}") from error
    wanted = TYPES[precision]
    del model.graph.value_info[:]  # they tell the types that no longer hold
    if wanted != FLOAT:
        for tensor in model.graph.initializer:
            _retype(tensor, wanted)
        for node in model.graph.node:
            _retype_node(node, wanted)
        _cast_outputs(model.graph)
    _cast_inputs(model.graph, wanted)
    typed: bytes = model.SerializeToString()
    return typed


def _retype_node(node: onnx.NodeProto, wanted: int) -> None:
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == FLOAT:
            attribute.i = wanted
        elif attribute.HasField("t"):
            _retype(attribute.t, wanted)


def _retype(tensor: onnx.TensorProto, wanted: int) -> None:
    from onnx import helper, numpy_helper

    if tensor.data_type != FLOAT:
        return
    try:
        values = numpy_helper.to_array(tensor)
    except Exception as error:  # NumPy's errors and onnx's own, by what of it does not hold
        name = tensor.name or "of a constant"
        raise ModelError(f"weight {name} cannot be read: {one_line(error)}") from error
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    if wanted == FLOAT16 and largest > LARGEST_HALF:
        raise ModelError(
            f"weight {tensor.name or 'of a constant'} holds {largest:g}, fp16 ends at "
            f"{LARGEST_HALF:g}: use bf16"
        )
    dtype = helper.tensor_dtype_to_np_dtype(wanted)
    tensor.CopyFrom(numpy_helper.from_array(values.astype(dtype), tensor.name))


def _cast_inputs(graph: onnx.GraphProto, wanted: int) -> None:
    """Let everything behind an f32 or uint8 input read that input cast to the wanted type."""
    from onnx import helper

    sources = {UINT8} | ({FLOAT} if wanted != FLOAT else set())
    for value in graph.input:
        if value.type.tensor_type.elem_type not in sources:
            continue
        typed = f"{value.name}_typed"
        for node in graph.node:
            node.input[:] = [typed if name == value.name else name for name in node.input]
        graph.node.insert(0, helper.make_node("Cast", [value.name], [typed], to=wanted))


def _cast_outputs(graph: onnx.GraphProto) -> None:
    from onnx import helper

    for value in graph.output:
        if value.type.tensor_type.elem_type != FLOAT:
            continue
        typed = f"{value.name}_typed"
        for node in graph.node:
            node.output[:] = [typed if name == value.name else name for name in node.output]
            node.input[:] = [typed if name == value.name else name for name in node.input]
        graph.node.append(helper.make_node("Cast", [typed], [value.name], to=FLOAT))
