"""TensorRT engines: built everywhere, kept only while they hold, run on a GPU alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.card import SHIPPED, ModelError, encoder_file, file_sha256
from models.runtime import exports_folder, load_encoder
from models.runtimes.artefact import Artefact, card_file, read_artefact
from models.runtimes.engine_cache import PORTABLE, cached_engine
from models.runtimes.gpu import find_gpu
from models.runtimes.graph import RuntimeMissingError
from models.runtimes.graph_check import random_feeds
from models.runtimes.onnx_file import read_onnx
from models.runtimes.onnx_runtime import OnnxGraph
from models.runtimes.tensorrt_builder import _keep_timing_cache, find_back_end
from models.runtimes.tensorrt_graph import EnginePrecision, typed_graph

pytestmark = pytest.mark.timeout(120)

TEMPORAL = SHIPPED / "gear-reducer" / "temporal.onnx"
ENCODER = "efficientnet-lite0"
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def rtx() -> str:
    pytest.importorskip("tensorrt_rtx", reason="the extra `tensorrt-rtx` is not installed")
    return find_back_end("tensorrt-rtx").version


@pytest.mark.parametrize("precision", ["f32", "fp16", "bf16"])
@pytest.mark.parametrize("source", [encoder_file(ENCODER), TEMPORAL], ids=["encoder", "temporal"])
def test_both_graphs_are_built_into_engines(
    tmp_path: Path, rtx: str, source: Path, precision: EnginePrecision
) -> None:
    file, artefact = cached_engine(
        source, tmp_path, back_end="tensorrt-rtx", precision=precision, target="sm89"
    )
    exact = OnnxGraph(source)
    assert file.name.startswith(f"{source.stem}.tensorrt-rtx-{rtx}.sm89.{precision}.1-8-32.")
    assert file_sha256(source)[:12] in file.name
    assert (artefact.inputs, artefact.outputs) == (exact.inputs, exact.outputs)
    assert artefact.batches == (1, 8, 32)
    assert artefact.comparisons == ()
    assert artefact.not_compared is not None
    assert read_artefact(file)[0] == artefact
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, card_file(file).name]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("engine", "not the one its card describes"),
        ("engine a folder", "was an empty folder; the engine is built anew"),
        ("card a folder", "is no regular file; the engine is built anew"),
        ("cut", "not the one its card describes"),
        ("card", "built anew"),
        ("no card", "built anew"),
        ("version", "another version or GPU"),
        ("gpu", "another version or GPU"),
        ("model", "another version or GPU"),
    ],
)
def test_an_engine_that_does_not_hold_is_built_anew(
    tmp_path: Path, rtx: str, caplog: pytest.LogCaptureFixture, damage: str, says: str
) -> None:
    def engine() -> tuple[Path, Artefact]:
        return cached_engine(
            encoder_file(ENCODER), tmp_path, back_end="tensorrt-rtx", target="sm86"
        )

    file, artefact = engine()
    card = json.loads(card_file(file).read_text())
    match damage:
        case "engine":
            file.write_bytes(os.urandom(1000))
        case "engine a folder":
            file.unlink()
            file.mkdir()
        case "card a folder":
            card_file(file).unlink()
            card_file(file).mkdir()
        case "cut":
            file.write_bytes(file.read_bytes()[:-1])
        case "card":
            card_file(file).write_bytes(os.urandom(100))
        case "no card":
            card_file(file).unlink()
        case "version":
            card_file(file).write_text(json.dumps(card | {"made_with": "10.0.0"}))
        case "gpu":
            card_file(file).write_text(json.dumps(card | {"made_for": "sm120"}))
        case "model":
            card_file(file).write_text(json.dumps(card | {"source_sha256": "0" * 64}))
    again, rebuilt = engine()
    assert says in caplog.text
    assert again == file
    assert rebuilt.made_with == rtx
    assert rebuilt.made_for == artefact.made_for == "sm86"
    assert read_artefact(file)[0] == rebuilt


def test_a_folder_of_somebody_in_an_engines_place_is_left_there(tmp_path: Path, rtx: str) -> None:
    file, _ = cached_engine(TEMPORAL, tmp_path, back_end="tensorrt-rtx", target="sm89")
    for path in (file, card_file(file)):
        path.unlink()
        path.mkdir()
        (path / "notes.txt").write_text("mine")
        with pytest.raises(
            ModelError, match="no engine can be kept here: Directory not em"
        ) as told:
            cached_engine(TEMPORAL, tmp_path, back_end="tensorrt-rtx", target="sm89")
        assert str(path) in str(told.value)
        assert (path / "notes.txt").read_text() == "mine"
        (path / "notes.txt").unlink()
    assert cached_engine(TEMPORAL, tmp_path, back_end="tensorrt-rtx", target="sm89")[0] == file


def test_a_folder_that_cannot_be_looked_into_is_one_line(tmp_path: Path, rtx: str) -> None:
    too_long = tmp_path / ("x" * 300)
    with pytest.raises(ModelError, match="no engine can be kept here: File name too long"):
        cached_engine(TEMPORAL, too_long, back_end="tensorrt-rtx", target="sm89")


def test_a_timing_cache_that_cannot_be_written_is_told_and_the_engine_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Only on a GPU is there a real one."""
    config = SimpleNamespace(get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"x"))
    _keep_timing_cache(config, tmp_path)
    assert f"{tmp_path}: cannot be written: Is a directory" in caplog.text


def test_an_engine_that_holds_is_kept(tmp_path: Path, rtx: str) -> None:
    source = encoder_file(ENCODER)
    file, _ = cached_engine(source, tmp_path, back_end="tensorrt-rtx", target="sm89")
    before = file.stat().st_mtime_ns
    assert cached_engine(source, tmp_path, back_end="tensorrt-rtx", target="sm89")[0] == file
    assert file.stat().st_mtime_ns == before
    other, _ = cached_engine(source, tmp_path, back_end="tensorrt-rtx", target="sm120")
    assert other != file


@pytest.mark.skipif(find_gpu()[0] is not None, reason="a GPU is here: its engine is for it")
def test_without_a_gpu_the_engine_is_for_several(tmp_path: Path, rtx: str) -> None:
    _, artefact = cached_engine(encoder_file(ENCODER), tmp_path, back_end="tensorrt-rtx")
    assert artefact.made_for == PORTABLE


def test_a_gpu_that_the_back_end_does_not_know_is_an_error(tmp_path: Path, rtx: str) -> None:
    for target in ("sm90", "sm1", "__class__", "current", "", "../../x", "sm89/../../x"):
        with pytest.raises(RuntimeMissingError, match="builds for sm"):
            cached_engine(TEMPORAL, tmp_path / "o", back_end="tensorrt-rtx", target=target)
    assert list(tmp_path.iterdir()) == [], "nothing is made for what cannot be built"


def test_a_gpu_is_the_same_in_capitals(tmp_path: Path, rtx: str) -> None:
    file, artefact = cached_engine(TEMPORAL, tmp_path, back_end="tensorrt-rtx", target="SM89")
    assert artefact.made_for == "sm89"
    assert cached_engine(TEMPORAL, tmp_path, back_end="tensorrt-rtx", target="sm89")[0] == file


def test_a_graph_that_tensorrt_does_not_take_is_one_line(tmp_path: Path, rtx: str) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra `train` is not installed")
    node = onnx.helper.make_node("StringNormalizer", ["x"], ["y"])
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node], "g", [value("x", 8, ["batch"])], [value("y", 8, ["batch"])]
    )
    path = tmp_path / "words.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    with pytest.raises(ModelError, match="cannot read the graph") as raised:
        cached_engine(path, tmp_path, back_end="tensorrt-rtx")
    assert "\n" not in str(raised.value)


def test_a_back_end_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt-rtx"):
        monkeypatch.setitem(sys.modules, name.replace("-", "_"), None)
        with pytest.raises(RuntimeMissingError, match=rf"pip install 'linewatch\[{name}\]'"):
            find_back_end(name)


@pytest.mark.parametrize(("precision", "allowed"), [("f32", 1e-4), ("fp16", 0.01), ("bf16", 0.05)])
def test_the_graph_that_engines_are_made_of_computes_the_same(
    precision: EnginePrecision, allowed: float
) -> None:
    """By OpenVINO, since ONNX Runtime's processor kernels have no LSTM in 16 bits."""
    pytest.importorskip("onnx", reason="the extra `train` is not installed")
    openvino = pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    core, exact = openvino.Core(), OnnxGraph(TEMPORAL)
    typed = core.read_model(typed_graph(read_onnx(TEMPORAL), precision), b"")
    compiled = core.compile_model(typed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for batch in (1, 5, 32):
        feeds = random_feeds(exact.inputs, batch)
        ours = compiled(feeds)
        for index, theirs in enumerate(exact.run(feeds)):
            np.testing.assert_allclose(ours[index], theirs, atol=allowed)


def test_a_weight_that_fp16_cannot_hold_is_refused() -> None:
    onnx = pytest.importorskip("onnx", reason="the extra `train` is not installed")
    model = onnx.load(TEMPORAL)
    weight = model.graph.initializer[0]
    values = np.array(onnx.numpy_helper.to_array(weight))
    values.flat[0] = 1e6
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    with pytest.raises(ModelError, match="holds 1e\\+06, fp16 ends at 65504: use bf16"):
        typed_graph(model.SerializeToString(), "fp16")
    typed_graph(model.SerializeToString(), "bf16")


@pytest.mark.parametrize("kept", [0, 100])
def test_a_weight_that_is_cut_off_is_refused(kept: int) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra `train` is not installed")
    model = onnx.load(TEMPORAL)
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weight.raw_data = weight.raw_data[:kept]
    for precision in ("fp16", "bf16"):
        with pytest.raises(ModelError, match=f"weight {weight.name} cannot be read") as raised:
            typed_graph(model.SerializeToString(), precision)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("runtime", ["cuda", "tensorrt", "tensorrt-rtx"])
def test_an_encoder_runs_on_the_gpu(runtime: str) -> None:
    gpu, reason = find_gpu()
    if gpu is None:
        wanted = "FAIL_WITHOUT_CUDA" in os.environ
        (pytest.fail if wanted else pytest.skip)(f"{runtime} was not run: {reason}")
    try:
        encoder = load_encoder(ENCODER, runtime)
    except RuntimeMissingError as missing:
        pytest.skip(f"{runtime} was not run: {missing}")
    exact = load_encoder(ENCODER, "onnxruntime").encode(IMAGES)
    for images, expected in ((IMAGES, exact), (IMAGES[:1], exact[:1])):
        np.testing.assert_allclose(encoder.encode(images), expected, atol=0.05)
    many = np.concatenate([IMAGES] * 15)  # more than an engine's largest batch
    np.testing.assert_allclose(encoder.encode(many), np.concatenate([exact] * 15), atol=0.05)


@pytest.mark.skipif(find_gpu()[0] is not None, reason="a GPU is here")
@pytest.mark.parametrize("runtime", ["tensorrt", "tensorrt-rtx"])
def test_without_a_gpu_no_engine_is_said_to_have_run(runtime: str) -> None:
    with pytest.raises(RuntimeMissingError, match=f"runtime {runtime}"):
        load_encoder(ENCODER, runtime)
    assert "in place of" in load_encoder(ENCODER, runtime, fallback=True).runtime
    assert not exports_folder(ENCODER).exists()
