"""Runtimes: each gives the same numbers, says what it really is, and refuses what does not hold."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge.export.inputs import views
from edge.features import Features
from industryasm.vocabulary import load_task
from models.card import SHIPPED, ModelError, file_sha256, read_card
from models.runtime import TemporalModel, load_encoder, load_model
from models.runtimes.artefact import Artefact, card_file
from models.runtimes.gpu import Gpu, find_gpu
from models.runtimes.graph import Graph, RuntimeMissingError
from models.runtimes.graph_check import random_feeds
from models.runtimes.onnx_runtime import OnnxGraph

pytestmark = pytest.mark.timeout(120)

GEAR = SHIPPED / "gear-reducer"
TEMPORAL = GEAR / "temporal.onnx"
ENCODER = "efficientnet-lite0"
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def gear() -> TemporalModel:
    return load_model(GEAR, load_task("gear-reducer"))


# --- one stream, several streams ------------------------------------------------------------------


def test_chunks_of_several_streams_are_decided_as_each_alone() -> None:
    model, rng = gear(), np.random.default_rng(1)
    num_streams, view = 5, model.card.chunk_shape().view
    states = [model.start() for _ in range(num_streams)]
    together = tuple(np.concatenate(parts) for parts in zip(*states, strict=True))
    for _ in range(3):
        views = rng.random((num_streams, view, model.card.feature_dim), np.float32)
        present = rng.random((num_streams, view)) > 0.2
        many, together = model.decide_many(views, present, (together[0], together[1]))
        for i in range(num_streams):
            alone, states[i] = model.decide(views[i], present[i], states[i])
            np.testing.assert_allclose(many[i], alone, atol=1e-6)
            np.testing.assert_allclose(together[0][i : i + 1], states[i][0], atol=1e-6)


@pytest.mark.parametrize("num_frames", [1, 3, 100])
def test_a_stream_shorter_than_a_chunk_and_its_future_is_shown_too(num_frames: int) -> None:
    model = gear()
    times_s = np.arange(num_frames) / model.card.rate_hz
    rows = np.random.default_rng(4).random((num_frames, model.card.feature_dim), np.float32)
    feeds = views(model, Features(rows, times_s))
    assert feeds["present"][-1].any()
    probabilities, _ = model.decide_many(
        feeds["features"], feeds["present"], (feeds["hidden"], feeds["cell"])
    )
    assert probabilities.shape[0] == -(-num_frames // model.card.chunk)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_number_of_threads_changes_no_number(runtime: str) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    one = load_encoder(ENCODER, runtime, num_threads=1)
    all_cores = load_encoder(ENCODER, runtime)
    np.testing.assert_allclose(one.encode(IMAGES), all_cores.encode(IMAGES), atol=1e-4)


def test_the_temporal_part_decides_the_same_on_openvino() -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    ours = load_model(GEAR, load_task("gear-reducer"), "openvino")
    assert ours.runtime.startswith("openvino")
    assert ours.runtime.endswith("cpu f32")
    view = np.random.default_rng(2).random((48, 1280), np.float32)
    present = np.arange(48) < 37
    theirs = gear()
    for a, b in zip(
        ours.decide(view, present, ours.start())[1],
        theirs.decide(view, present, theirs.start())[1],
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-4)


# --- what was asked for and is not here ---------------------------------------------------------


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is here"
)
def test_cuda_that_is_not_here_is_an_error_that_says_how_to_get_it() -> None:
    with pytest.raises(RuntimeMissingError, match="onnxruntime-gpu") as raised:
        load_encoder(ENCODER, "cuda")
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(find_gpu()[0] is not None, reason="a GPU is here")
def test_onnx_runtime_that_goes_over_to_the_processor_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session is real: it is asked for CUDA, has none, and takes the processor."""
    claimed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(
        "models.runtimes.onnx_runtime.onnxruntime.get_available_providers", lambda: claimed
    )
    with pytest.raises(RuntimeMissingError, match="took CPUExecutionProvider instead"):
        load_encoder(ENCODER, "cuda")


def test_openvino_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    for runtime in ("openvino", "openvino-bf16", "openvino-int8"):
        with pytest.raises(RuntimeMissingError, match=r"pip install 'linewatch\[openvino\]'"):
            load_encoder(ENCODER, runtime)


def test_a_fallback_that_is_allowed_says_what_it_stands_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    encoder = load_encoder(ENCODER, "openvino", fallback=True)
    assert encoder.runtime == f"onnxruntime {onnxruntime.__version__} cpu, in place of openvino"
    assert "runtime_fallback" in caplog.text
    exact = load_encoder(ENCODER, "onnxruntime")
    np.testing.assert_array_equal(encoder.encode(IMAGES), exact.encode(IMAGES))
    model = load_model(GEAR, load_task("gear-reducer"), "openvino", fallback=True)
    assert model.runtime.endswith("in place of openvino")


def test_a_fallback_does_not_hide_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"not a graph")
    monkeypatch.setattr("models.runtime.encoder_file", lambda name: tmp_path / "encoder.onnx")
    with pytest.raises(ModelError, match=r"encoder\.onnx"):
        load_encoder(ENCODER, "onnxruntime", fallback=True)


def test_bf16_runs_only_where_the_processor_has_it() -> None:
    openvino = pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    from models.runtimes.openvino_runtime import has_bf16

    if not has_bf16(openvino.Core()):
        with pytest.raises(RuntimeMissingError, match="neither AMX nor AVX512-BF16"):
            load_encoder(ENCODER, "openvino-bf16")
        return
    ours = load_encoder(ENCODER, "openvino-bf16")
    assert ours.runtime.endswith("cpu bf16")
    exact, rounded = load_encoder(ENCODER).encode(IMAGES), ours.encode(IMAGES)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(rounded, axis=1)
    cosines = (exact * rounded).sum(axis=1) / lengths
    assert cosines.min() > 0.99  # AVX512-BF16: 0.996; what labels make of it: docs/performance.md


def test_int8_that_was_not_made_yet_says_how_to_make_it() -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    with pytest.raises(RuntimeMissingError, match="--precision int8 --data DIR"):
        load_encoder(ENCODER, "openvino-int8")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's user without an entry in the system's list and without HOME."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_onnx_runtime_needs_no_folder_of_the_user(homeless: None) -> None:
    assert load_encoder(ENCODER, "onnxruntime").runtime.startswith("onnxruntime")


def test_a_runtime_that_keeps_files_says_where_it_could(homeless: None) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    with pytest.raises(RuntimeMissingError, match="set XDG_CACHE_HOME or HOME") as raised:
        load_encoder(ENCODER, "openvino-int8")
    assert "\n" not in str(raised.value)
    fallen = load_encoder(ENCODER, "openvino-int8", fallback=True)
    assert fallen.runtime.endswith("in place of openvino-int8")


def test_an_encoder_tells_which_file_it_is() -> None:
    assert load_encoder(ENCODER).sha256 == read_card(GEAR).encoder_sha256


# --- the GPU, as nvidia-smi tells -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "gpu"),
    [
        ("NVIDIA L4, 8.9, 580.65.06, 23034", Gpu("NVIDIA L4", (8, 9), "580.65.06", 23034)),
        ("NVIDIA GB10, 12.1, 580.95.05, [N/A]", Gpu("NVIDIA GB10", (12, 1), "580.95.05", None)),
        ("Orin (nvgpu), 8.7, N/A, Not Supported", Gpu("Orin (nvgpu)", (8, 7), "N/A", None)),
        ("A, 8.0, 1.2, 1\nB, 9.0, 1.2, [N/A]", Gpu("A", (8, 0), "1.2", 1)),
        ("No devices were found", None),
        ("NVIDIA L4, [N/A], 580.65.06, 23034", None),
    ],
)
def test_a_gpu_is_found_whatever_is_said_of_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, gpu: Gpu | None
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found, reason = find_gpu()
    assert found == gpu
    assert bool(reason) == (gpu is None)


# --- OpenVINO's files -----------------------------------------------------------------------------


@pytest.fixture
def ir(tmp_path: Path) -> Path:
    """The temporal part as OpenVINO's IR with its card."""
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    from models.runtimes.openvino_export import write_ir

    file = tmp_path / "temporal.f32.xml"
    write_card(file, write_ir(TEMPORAL, file, "f32"))
    return file


def write_card(file: Path, files: dict[str, str]) -> None:
    Artefact(
        graph="temporal",
        name="gear-reducer",
        format="openvino",
        precision="f32",
        source_sha256=file_sha256(TEMPORAL),
        files=files,
        made_with="openvino",
        inputs={},
        outputs={},
    ).write(file)


def load_ir(file: Path) -> Graph:
    from models.runtimes.openvino_runtime import OpenVinoGraph

    return OpenVinoGraph(file)


def test_an_ir_gives_the_numbers_of_its_onnx(ir: Path) -> None:
    graph, exact = load_ir(ir), OnnxGraph(TEMPORAL)
    assert (graph.inputs, graph.outputs) == (exact.inputs, exact.outputs)
    feeds = random_feeds(exact.inputs, 4)
    for ours, theirs in zip(graph.run(feeds), exact.run(feeds), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_an_ir_with_the_weights_of_another_is_refused(ir: Path) -> None:
    weights = ir.with_suffix(".bin")
    weights.write_bytes(bytes(len(weights.read_bytes())))
    with pytest.raises(ModelError, match=r"temporal\.f32\.bin is not the one its card describes"):
        load_ir(ir)


@pytest.mark.parametrize("size", [0, 100])
def test_an_ir_whose_weights_end_too_soon_is_refused(ir: Path, size: int) -> None:
    weights = ir.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:size])
    write_card(ir, {path.name: file_sha256(path) for path in (ir, weights)})
    with pytest.raises(ModelError, match="cannot be loaded") as raised:
        load_ir(ir)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"temporal.f32.xml": "0" * 64}, "not the one its card describes"),
        ({"other.xml": "0" * 64}, "does not name temporal.f32.xml"),
        ({"temporal.f32.xml": None}, "does not describe OpenVINO's files"),
        ({"temporal.f32.xml": None, "../secret.bin": "0" * 64}, "lies outside its folder"),
        ({"temporal.f32.xml": None, "gone.bin": "0" * 64}, r"gone\.bin cannot be read"),
        ({"temporal.f32.xml": "short"}, "pattern"),
    ],
)
def test_an_ir_whose_card_does_not_hold_is_refused(
    ir: Path, files: dict[str, str | None], says: str
) -> None:
    card = json.loads(card_file(ir).read_text())
    card["files"] = {name: sha or file_sha256(ir) for name, sha in files.items()}
    card_file(ir).write_text(json.dumps(card))
    with pytest.raises(ModelError, match=says) as raised:
        load_ir(ir)
    assert "\n" not in str(raised.value)


def test_an_ir_without_its_card_is_refused(ir: Path) -> None:
    card_file(ir).unlink()
    with pytest.raises(ModelError, match=r"temporal\.f32\.xml\.json cannot be read"):
        load_ir(ir)
