"""Models that do not hold: damaged, hostile or not finite; refused in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from industryasm.vocabulary import load_task
from models.card import SHIPPED, ModelError, encoder_file, file_sha256
from models.runtime import load_encoder, load_model
from models.runtimes.onnx_file import opset_of, read_onnx

pytestmark = pytest.mark.timeout(120)

GEAR = SHIPPED / "gear-reducer"
TEMPORAL = GEAR / "temporal.onnx"
ENCODER = "efficientnet-lite0"


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """Yield what was done to a graph, the file's bytes, and what is said of it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def changed(**change: object) -> onnx.ModelProto:
        model = onnx.load(TEMPORAL)
        for name, value in change.items():
            setattr(model, name, value)
        return model

    whole = TEMPORAL.read_bytes()
    yield "empty", b"", "holds no graph"
    yield "noise", np.random.default_rng(0).bytes(5000), "no ONNX file"
    for size in (1, 10, 1000, len(whole) // 2, len(whole) - 1):
        yield f"cut to {size} bytes", whole[:size], "cannot be loaded"

    model = changed()
    values = np.array(numpy_helper.to_array(model.graph.initializer[3]))
    values.flat[-1] = np.nan
    name = model.graph.initializer[3].name
    model.graph.initializer[3].CopyFrom(numpy_helper.from_array(values, name))
    yield "NaN weight", model.SerializeToString(), "holds NaN"

    model = changed()
    model.graph.initializer[3].ClearField("raw_data")
    model.graph.initializer[3].float_data.extend(values.ravel().tolist())
    yield "NaN weight, not raw", model.SerializeToString(), "holds NaN"

    model = changed()
    for weight in model.graph.initializer:
        numbers = np.array(numpy_helper.to_array(weight)) * np.float32(1e30)
        weight.CopyFrom(numpy_helper.from_array(numbers, weight.name))
    yield "weights too large", model.SerializeToString(), "not finite"

    for location in ("../../secret.bin", "/etc/passwd", "weights.bin"):
        model = changed()
        weight = model.graph.initializer[3]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", location
        yield f"data in {location}", model.SerializeToString(), "lies in another file"

    model = changed()
    constant = next(node for node in model.graph.node if node.op_type == "Constant")
    constant.attribute[0].t.ClearField("raw_data")
    constant.attribute[0].t.data_location = TensorProto.EXTERNAL
    yield "a constant elsewhere", model.SerializeToString(), "lies in another file"

    model = changed()
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    yield "custom operator", model.SerializeToString(), r"com\.example\..* is not one of ONNX's"

    model = changed()
    model.graph.node[-1].op_type = "NoSuchOperator"
    yield "unknown operator", model.SerializeToString(), "cannot be loaded"

    model = changed()
    last = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["before" if name == last else name for name in node.output]
    shape = numpy_helper.from_array(np.array([2**40], np.int64), "huge")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("ConstantOfShape", ["huge"], ["zeros"]))
    model.graph.node.append(helper.make_node("ReduceMax", ["zeros"], ["zero"], keepdims=0))
    model.graph.node.append(helper.make_node("Add", ["before", "zero"], [last]))
    yield "4 TiB of zeros", model.SerializeToString(), "does not run|cannot be loaded"

    model = changed()
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], [], body=body))
    yield "a loop", model.SerializeToString(), "loops or branches"

    values = helper.make_tensor("values", TensorProto.FLOAT, [1], [float("nan")])
    places = helper.make_tensor("places", TensorProto.INT64, [1], [0])
    sparse = helper.make_sparse_tensor(values, places, [8])
    for name, value in (("sparse_value", sparse), ("any_name", [sparse, sparse])):
        model = changed()
        model.graph.node.append(helper.make_node("Constant", [], ["few"], **{name: value}))
        yield f"a constant's {name}", model.SerializeToString(), "Constant holds sparse weights"

    model = changed()
    function = helper.make_function("f", "F", ["x"], ["y"], [], [helper.make_opsetid("", 17)])
    model.functions.append(function)
    yield "a function", model.SerializeToString(), "functions"

    model = changed()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 1281
    yield "another feature length", model.SerializeToString(), "cannot be loaded|other shapes"


def test_a_graph_that_does_not_hold_is_refused_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the extra `train` is not installed")
    card = json.loads((GEAR / "card.json").read_text())
    for what, content, says in hostile():
        (tmp_path / "temporal.onnx").write_bytes(content)
        sha256 = file_sha256(tmp_path / "temporal.onnx")
        (tmp_path / "card.json").write_text(
            json.dumps(card | {"temporal_sha256": sha256, "fields_sha256": None})
        )
        for runtime in ("onnxruntime", "openvino"):
            with pytest.raises(ModelError, match=says) as raised:
                load_model(tmp_path, load_task("gear-reducer"), runtime)
            assert "\n" not in str(raised.value), what
            assert len(str(raised.value)) < 700, what


@pytest.mark.parametrize("seed", range(40))
def test_a_file_that_is_damaged_and_cut_off_is_refused(tmp_path: Path, seed: int) -> None:
    rng, path = np.random.default_rng(seed), tmp_path / "x.onnx"
    content = bytearray(TEMPORAL.read_bytes()[:60_000])
    for at in rng.integers(0, len(content), 30):
        content[at] = rng.integers(0, 256)
    path.write_bytes(content)
    with pytest.raises(ModelError) as raised:
        read_onnx(path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path, tmp_path / "none.onnx", tmp_path / "pipe.onnx", Path("/dev/zero")):
        with pytest.raises(ModelError, match="cannot be read"):
            read_onnx(path)
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(ModelError, match="2147483648 bytes"):
        read_onnx(tmp_path / "huge.onnx")


def test_shipped_graphs_ask_for_the_opset_they_were_exported_for() -> None:
    assert opset_of(read_onnx(TEMPORAL)) == 17
    assert opset_of(read_onnx(encoder_file(ENCODER))) == 20


def test_a_graph_that_is_no_image_encoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.runtime.encoder_file", lambda name: TEMPORAL)
    with pytest.raises(ModelError, match="is no image encoder: it takes features"):
        load_encoder(ENCODER)
