"""What the bounded look-ahead costs: the latency-controlled BiLSTM against one full pass.

Per chunk of Nc frames with Nr of look-ahead the forward LSTM takes Nc steps and the backward one
Nc + Nr, a full BiLSTM Nc each: (1 + (Nc + Nr) / Nc) / 2 times as many (Zhang et al., arXiv
1510.08983). What is above that is the price of being called for each chunk. Both sides run in ONNX
Runtime on one thread, with random weights, which cost as much as trained ones.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edge.bench.measurement import Goal, Measurement, in_turns
from models.chunks import ChunkShape

GOAL = Goal("at most", 1.05)
NUM_FRAMES = 512
PAPER_WIDTH = 768


def latency_controlled(
    key: str, shape: ChunkShape, *, width: int, num_rounds: int, num_frames: int = NUM_FRAMES
) -> Measurement:
    """Measure a BiLSTM `width` wide, in and in each direction out, over `num_frames` frames."""
    frames = np.random.default_rng(0).normal(size=(num_frames + shape.lookahead, 1, width))
    frames = frames.astype(np.float32)
    full, chunked = _session(_full(width)), _session(_chunked(width, shape.chunk))
    steps = (1 + shape.recent / shape.chunk) / 2

    def full_s() -> float:
        began_s = perf_counter()
        full.run(None, {"frames": frames[:num_frames]})
        return steps * (perf_counter() - began_s)

    def chunked_s() -> float:
        began_s = perf_counter()
        hidden = cell = np.zeros((1, 1, width), np.float32)
        for start in range(0, num_frames, shape.chunk):
            view = frames[start : start + shape.recent]
            feeds = {"frames": view, "hidden": hidden, "cell": cell}
            _, _, hidden, cell = chunked.run(None, feeds)
        return perf_counter() - began_s

    what = (
        f"BiLSTM {width} wide, chunks of {shape.chunk} with {shape.lookahead} of look-ahead / one "
        f"full pass times {steps:.3g}"
    )
    ours, yardstick = in_turns(chunked_s, full_s, num_rounds)
    above_s = median(a - b for a, b in zip(ours, yardstick, strict=True)) / num_frames
    note = (
        f"a chunk takes {1e6 * above_s * shape.chunk:.0f} us above its steps, "
        f"{1e3 * above_s:.3f} ms a frame"
    )
    return Measurement(key, what, f"s/{num_frames} frames", ours, yardstick, GOAL, note)


def _full(width: int) -> ModelProto:
    """Both directions over all frames: (T, 1, D) -> (T, 2, 1, H)."""
    lstm = helper.make_node(
        "LSTM",
        ["frames", *_weights("both")],
        ["seen"],
        hidden_size=width,
        direction="bidirectional",
    )
    return _model([lstm], ["seen"], _stored("both", width, directions=2), with_state=False)


def _chunked(width: int, chunk: int) -> ModelProto:
    """Forward over the chunk from a state that is carried on, backward from the look-ahead."""
    nodes = [
        helper.make_node("Slice", ["frames", "first", "last", "axis"], ["chunk"]),
        helper.make_node(
            "LSTM",
            ["chunk", *_weights("forward"), "", "hidden", "cell"],
            ["ahead", "next_hidden", "next_cell"],
            hidden_size=width,
        ),
        helper.make_node(
            "LSTM",
            ["frames", *_weights("backward")],
            ["all_behind"],
            hidden_size=width,
            direction="reverse",
        ),
        helper.make_node("Slice", ["all_behind", "first", "last", "axis"], ["behind"]),
    ]
    stored = _stored("forward", width) + _stored("backward", width)
    for name, value in (("first", 0), ("last", chunk), ("axis", 0)):
        stored.append(numpy_helper.from_array(np.array([value], np.int64), name))
    outputs = ["ahead", "behind", "next_hidden", "next_cell"]
    return _model(nodes, outputs, stored, with_state=True)


def _weights(name: str) -> list[str]:
    return [f"{name}_{part}" for part in ("input", "recurrent", "bias")]


def _stored(name: str, width: int, directions: int = 1) -> list[TensorProto]:
    random = np.random.default_rng(1)
    sizes = ((4 * width, width), (4 * width, width), (8 * width,))
    return [
        numpy_helper.from_array(
            random.uniform(-(width**-0.5), width**-0.5, (directions, *size)).astype(np.float32),
            part,
        )
        for part, size in zip(_weights(name), sizes, strict=True)
    ]


def _model(
    nodes: list[NodeProto], outputs: list[str], stored: list[TensorProto], *, with_state: bool
) -> ModelProto:
    names = ["frames", "hidden", "cell"] if with_state else ["frames"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * 3) for n in names]
    given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    graph = helper.make_graph(nodes, "bilstm", inputs, given, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _session(model: ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
