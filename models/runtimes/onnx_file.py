"""Reads an ONNX file as bytes, after looking into it for what no model of Linewatch has.

Each runtime is given these bytes and not the path, so that none follows a reference out of the
file. What is looked for, by the field numbers of onnx.proto3 (onnx/onnx, `onnx/onnx.proto3`): data
kept in other files, operators from elsewhere than ONNX, loops and branches (which may never end),
sparse weights, and weights that are no numbers. The `onnx` package is not needed, which an edge
does not have.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from models.card import ModelError

MAX_BYTES = 2**31 - 1  # what one protobuf message may hold
ONNX_DOMAINS = (b"", b"ai.onnx")

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5  # protobuf's wire types
MODEL_OPSET, MODEL_GRAPH, MODEL_TRAINING, MODEL_FUNCTION = 8, 7, 20, 25
GRAPH_NODE, GRAPH_TENSOR, GRAPH_SPARSE = 1, 5, 15
NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES = 22, 23
TENSOR_TYPE, TENSOR_FLOATS, TENSOR_NAME, TENSOR_RAW, TENSOR_DOUBLES = 2, 4, 8, 9, 10
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14
OPSET_DOMAIN, OPSET_VERSION = 1, 2

RAW_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}  # TensorProto.DataType of raw data

Field = tuple[int, int, memoryview]
"""A field's number, its value where it is a number, and its bytes where it has a length."""


def read_onnx(path: Path) -> bytes:
    """Return the bytes of the ONNX file `path`.

    Raises `ModelError`, one line, when it cannot be read, is cut off or no ONNX, names data outside
    itself, has operators that are not ONNX's, loops, branches, sparse weights, or weights that are
    not a number.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe is waited for, a device has no end
            raise ModelError(f"model file {path} cannot be read: it is not a regular file")
        if about.st_size > MAX_BYTES:
            raise ModelError(
                f"model file {path} has {about.st_size} bytes, an ONNX file at most {MAX_BYTES}"
            )
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"model file {path} cannot be read: {error.strerror or error}") from error
    try:
        graphs = [view for number, _, view in _fields(memoryview(content)) if number == MODEL_GRAPH]
        others = {number for number, _, _ in _fields(memoryview(content))}
        if not any(len(graph) for graph in graphs):
            raise _NotOurs("it holds no graph")
        if others & {MODEL_TRAINING, MODEL_FUNCTION}:
            raise _NotOurs("it holds functions, which no model of Linewatch has")
        for graph in graphs:
            _check_graph(graph)
    except _NotOurs as reason:
        raise ModelError(f"model file {path} cannot be loaded: {reason}") from None
    return content


def opset_of(content: bytes) -> int:
    """Return the version of ONNX's operators that the bytes of an ONNX file ask for.

    >>> opset_of(bytes([0x42, 2, 0x10, 17]))  # ModelProto.opset_import[0].version = 17
    17
    """
    for number, _, view in _fields(memoryview(content)):
        if number == MODEL_OPSET:
            fields = list(_fields(view))
            domain = b"".join(bytes(v) for n, _, v in fields if n == OPSET_DOMAIN)
            if domain in ONNX_DOMAINS:
                return next((value for n, value, _ in fields if n == OPSET_VERSION), 0)
    return 0


class _NotOurs(Exception):  # noqa: N818  (a reason, given its file's name by read_onnx)
    """Why a file is refused."""


def _check_graph(graph: memoryview) -> None:
    for number, _, view in _fields(graph):
        if number == GRAPH_NODE:
            _check_node(view)
        elif number == GRAPH_TENSOR:
            _check_tensor(view)
        elif number == GRAPH_SPARSE:
            raise _NotOurs("it holds sparse weights, which no model of Linewatch has")


def _check_node(node: memoryview) -> None:
    fields = list(_fields(node))
    operator = _text(fields, NODE_OPERATOR)
    domain = b"".join(bytes(view) for number, _, view in fields if number == NODE_DOMAIN)
    if domain not in ONNX_DOMAINS:
        raise _NotOurs(f"operator {_text(fields, NODE_DOMAIN)}.{operator} is not one of ONNX's")
    for number, _, attribute in fields:
        if number != NODE_ATTRIBUTE:
            continue
        for kind, _, view in _fields(attribute):
            if kind in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                raise _NotOurs(f"operator {operator} loops or branches, as no model of ours does")
            if kind in (ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES):
                raise _NotOurs(f"operator {operator} holds sparse weights, as no model of ours has")
            if kind in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                _check_tensor(view)


def _check_tensor(tensor: memoryview) -> None:
    # Read again and again, not kept: numbers written one by one have a field each.
    name = _text(_fields(tensor), TENSOR_NAME) or "of a constant"
    outside = any(n == TENSOR_LOCATION and value for n, value, _ in _fields(tensor))
    if outside or any(n == TENSOR_EXTERNAL for n, _, _ in _fields(tensor)):
        raise _NotOurs(f"weight {name} lies in another file; export the model as one file")
    kind = next((value for number, value, _ in _fields(tensor) if number == TENSOR_TYPE), 0)
    types = {TENSOR_RAW: RAW_FLOATS.get(kind), TENSOR_FLOATS: "<f4", TENSOR_DOUBLES: "<f8"}
    for number, _, view in _fields(tensor):
        dtype = types.get(number)
        if dtype is None or not len(view):
            continue
        if len(view) % np.dtype(dtype).itemsize:
            raise _NotOurs(f"weight {name} is cut off")
        if np.isnan(np.frombuffer(view, dtype)).any():
            raise _NotOurs(f"weight {name} holds NaN: its training diverged, or it is damaged")


def _text(fields: Iterable[Field], wanted: int) -> str:
    text = b"".join(bytes(view[:100]) for number, _, view in fields if number == wanted)
    return text[:100].decode("utf-8", "replace").encode("unicode_escape").decode()


def _fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a protobuf message; raise `_NotOurs` where it is cut off or none."""
    nothing = message[:0]
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        value, size = 0, {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(wire, 0)
        if wire == VARINT:
            value, at = _varint(message, at)
        elif wire == LENGTH:
            size, at = _varint(message, at)
        elif not size:
            raise _NotOurs("it is no ONNX file")
        if at + size > len(message):
            raise _NotOurs("it is cut off, or no ONNX file")
        yield number, value, message[at : at + size] if size else nothing
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise _NotOurs("it is cut off, or no ONNX file")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise _NotOurs("it is no ONNX file")
