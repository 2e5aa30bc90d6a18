"""`linewatch export`: what is written computes the same, and its card says how near it comes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edge.export.cli import sentences
from industryasm.recording import AnnotatedSegment, Recording, write_data_set
from industryasm.vocabulary import Task, load_task
from linewatch import app
from models.calibration import read_calibration
from models.card import SHIPPED, encoder_file, file_sha256, read_card, read_card_alone
from models.runtime import load_encoder, load_model
from models.runtimes.artefact import Artefact, card_file
from models.runtimes.gpu import find_gpu
from tests.clip import write_clip

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

pytestmark = pytest.mark.timeout(120)

TASK = load_task("gear-reducer")
DIM = 8


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def exported(*arguments: str | Path) -> Artefact:
    """Return the card that was printed; NNCF's progress bar goes elsewhere."""
    result = export(*arguments, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return Artefact.model_validate_json(result.stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of published features with random weights."""
    from models.export import write_model
    from models.step_network import StepNetwork, StepNetworkShape

    torch.manual_seed(0)
    shape = StepNetworkShape(len(TASK.labels()), feature_dim=DIM, dim=16, heads=2, hidden=12)
    folder = tmp_path_factory.mktemp("models") / "toy"
    folder.mkdir()
    (folder / "calibration.json").write_text("of the model that was here before")
    write_model(
        StepNetwork(shape),
        folder,
        task=TASK,
        encoder=None,
        rate_hz=5.0,
        temperature=1.0,
        trained_on="nothing",
        trained_with="nothing",
        metrics={},
    )
    return folder


def test_a_new_model_does_not_keep_the_calibration_of_the_old_one(trained: Path) -> None:
    assert not (trained / "calibration.json").exists()


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "toy")


def data_set(folder: Path, *, task: Task = TASK, seconds: float = 12.0) -> Path:
    """One recording to train and one to validate on, with published features or as videos."""

    def recording(name: str, **files: str) -> Recording:
        return Recording(
            id=name,
            task=task.id,
            task_revision=1,
            duration_s=seconds,
            station="s",
            camera="c",
            operator="o",
            annotator="a",
            review="draft",
            cycles=(),
            segments=(AnnotatedSegment(label=task.steps[0].id, start_s=2, end_s=8),),
            deviations=(),
            **files,
        )

    times_s = np.arange(0, seconds, 0.2)
    features = np.random.default_rng(3).random((len(times_s), DIM), np.float32)
    splits = {}
    for name, kind in (("train", "features"), ("validation", "features")):
        (folder / "features").mkdir(parents=True, exist_ok=True)
        np.savez(folder / "features" / f"{name}.npz", features=features, times_s=times_s)
        splits[name] = [recording(name, **{kind: f"features/{name}.npz"})]
    write_data_set(folder, name="toys", splits=splits, tasks=[task])
    return folder


def videos(folder: Path) -> Path:
    """The same, as videos of coloured noise."""
    data_set(folder, seconds=12.0)
    (folder / "videos").mkdir()
    for name in ("train", "validation"):
        write_clip(
            folder / "videos" / f"{name}.mp4", np.arange(0, 12, 0.2).tolist(), size=(96, 96),
            noise=True,
        )  # fmt: skip
        path = folder / "recordings" / f"{name}.json"
        told = json.loads(path.read_text()) | {"features": None, "video": f"videos/{name}.mp4"}
        path.write_text(json.dumps(told))
    return folder


def test_a_model_is_exported_again_and_its_card_follows(model: Path, tmp_path: Path) -> None:
    data = data_set(tmp_path / "data")
    (model / "temporal.onnx").write_bytes((model / "temporal.onnx").read_bytes())
    card = exported(model, "--data", data)
    assert card.format == "onnx"
    assert card.opset == 17
    assert card.source_sha256 == file_sha256(model / "temporal.safetensors")
    assert card.files == {"temporal.onnx": file_sha256(model / "temporal.onnx")}
    assert card.inputs["features"] == (None, 48, DIM)
    assert [c.inputs for c in card.comparisons] == ["random", "toys, validation"]
    assert all(c.largest_difference <= 1e-4 == c.allowed for c in card.comparisons)
    assert all(c.against.startswith("PyTorch") for c in card.comparisons)
    assert read_card(model).temporal_sha256 == card.files["temporal.onnx"]
    load_model(model, TASK)


def test_an_export_elsewhere_leaves_the_model_as_it_is(model: Path, tmp_path: Path) -> None:
    before = {path.name: file_sha256(path) for path in model.iterdir()}
    card = exported(model, "--out", tmp_path / "out")
    assert {path.name: file_sha256(path) for path in model.iterdir()} == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "temporal.onnx",
        "temporal.onnx.json",
    ]
    assert [c.inputs for c in card.comparisons] == ["random"]  # no data set, no real inputs


@pytest.mark.parametrize("precision", ["f32", "fp16"])
def test_a_model_becomes_openvinos_ir(model: Path, tmp_path: Path, precision: str) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    data = data_set(tmp_path / "data")
    card = exported(model, "--to", "openvino", "--precision", precision, "--data", data)
    file = model / f"temporal.{precision}.xml"
    assert set(card.files) == {file.name, file.with_suffix(".bin").name}
    assert Artefact.model_validate_json(card_file(file).read_bytes()) == card
    assert card.not_compared is None
    if precision == "f32":
        assert all(c.largest_difference <= 1e-4 for c in card.comparisons)
        assert card.agreement is None
    else:
        assert card.agreement is not None
        assert card.agreement.frames == 60
        assert card.agreement.labels_agree > 0.9
    assert str(tmp_path) not in file.read_text()


def test_bf16_is_compared_only_where_it_is_computed(model: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    from models.runtimes.openvino_runtime import has_bf16

    data = data_set(tmp_path / "data")
    card = exported(model, "--to", "openvino", "--precision", "bf16", "--data", data)
    if has_bf16(openvino.Core()):
        assert card.agreement is not None
        unjudged = card.model_copy(update={"agreement": None})
        assert "give --data DIR" in sentences(tmp_path, unjudged)[-1]
        assert "give --data DIR" not in sentences(tmp_path, card)[-1]
    else:
        assert card.comparisons == ()
        assert "neither AMX nor AVX512-BF16" in str(card.not_compared)


def test_int8_shows_its_cost_and_then_runs(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    pytest.importorskip("nncf", reason="the extra `int8` is not installed")
    data = videos(tmp_path / "data")
    card = exported("efficientnet-lite0", "--to", "openvino", "--precision", "int8", "--data", data)
    assert card.precision == "int8"
    assert card.agreement is not None
    assert card.agreement.frames == 60
    assert [c.allowed for c in card.comparisons] == [None, None]
    encoder = load_encoder("efficientnet-lite0", "openvino-int8")
    assert encoder.runtime.endswith("cpu int8")
    file = tmp_path / "cache" / "linewatch" / "exports" / "efficientnet-lite0" / "encoder.int8.xml"
    told = json.loads(card_file(file).read_text())
    card_file(file).write_text(json.dumps(told | {"source_sha256": "0" * 64}))
    with pytest.raises(Exception, match="is of another encoder"):
        load_encoder("efficientnet-lite0", "openvino-int8")


@pytest.mark.skipif(find_gpu()[0] is not None, reason="a GPU is here: the engine is compared on it")
def test_an_engine_that_cannot_run_here_is_not_said_to_have_been_compared(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the extra `tensorrt-rtx` is not installed")
    result = export(
        SHIPPED / "gear-reducer", "--to", "tensorrt-rtx", "--gpu", "sm89", "--out", tmp_path / "o"
    )
    assert result.exit_code == 0, result.output
    assert "not compared: runtime tensorrt-rtx runs on a GPU" in result.stdout
    [engine] = (tmp_path / "o").glob("*.engine")
    assert "sm89.fp16" in engine.name
    card = json.loads(card_file(engine).read_text())
    assert card["comparisons"] == []
    assert card["name"] == "gear-reducer"
    assert card["source_sha256"] == file_sha256(SHIPPED / "gear-reducer" / "temporal.onnx")


def test_the_encoder_is_exported_and_compared_on_pictures(tmp_path: Path) -> None:
    data = videos(tmp_path / "data")
    card = exported("efficientnet-lite0", "--data", data)
    file = tmp_path / "cache" / "linewatch" / "exports" / "efficientnet-lite0" / "encoder.onnx"
    assert [c.inputs for c in card.comparisons] == ["random", "toys, validation"]
    assert all(c.largest_difference <= 1e-4 for c in card.comparisons)
    assert (card.opset, card.outputs) == (20, {"features": (None, 1280)})
    assert card.files == {"encoder.onnx": file_sha256(file)}
    shipped = encoder_file("efficientnet-lite0")
    assert abs(file.stat().st_size - shipped.stat().st_size) < 1000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--to", "coreml"), "known are onnx, openvino, tensorrt, tensorrt-rtx"),
        (("--precision", "int8"), "onnx can be written in f32"),
        (("--to", "tensorrt", "--precision", "int8"), "tensorrt can be written in fp16, f32, bf16"),
        (("--to", "openvino", "--precision", "int8"), "int8 is for the encoder"),
        (("--to", "openvino", "--data", "/nowhere"), "/nowhere"),
    ],
)
def test_what_cannot_be_exported_is_a_fault(
    model: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = export(model, *arguments)
    assert result.exit_code == 1
    assert says in str(result.exception)
    assert "\n" not in str(result.exception)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(1000))


def no_number(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    weights["forward_lstm.weight_hh_l0"][0, 0] = float("nan")
    save_file(weights, path)


def other_shape(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    weights["segment_encoder.absent"] = torch.zeros(3)
    save_file(weights, path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (Path.unlink, "has no temporal.safetensors"),
        (cut, "temporal.safetensors cannot be used"),
        (noise, "temporal.safetensors cannot be used"),
        (other_shape, "size mismatch"),
        (no_number, "forward_lstm.weight_hh_l0 holds numbers that are not finite"),
    ],
)
def test_weights_that_do_not_hold_are_refused_and_nothing_is_written(
    model: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(model / "temporal.safetensors")
    vouch_for_no_weights(model)
    before = {path.name: file_sha256(path) for path in model.iterdir()}
    result = export(model)
    assert says in str(result.exception)
    assert "\n" not in str(result.exception)
    assert {path.name: file_sha256(path) for path in model.iterdir()} == before


def vouch_for_no_weights(model: Path) -> None:
    """Make the card one of before cards had the hash of their weights."""
    card = read_card_alone(model)
    card.model_copy(update={"weights_sha256": None}).write(model)


def other_training(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    save_file({name: 1.5 * values for name, values in weights.items()}, path)


@pytest.mark.parametrize(
    ("of_before", "says"),
    [(False, "is not the one its card"), (True, "temporal.safetensors: differs from the card's")],
)
def test_the_weights_of_another_training_replace_nothing(
    model: Path, *, of_before: bool, says: str
) -> None:
    other_training(model / "temporal.safetensors")
    if of_before:
        vouch_for_no_weights(model)
    before = {path.name: file_sha256(path) for path in model.iterdir()}
    assert says in str(export(model).exception)
    assert {path.name: file_sha256(path) for path in model.iterdir()} == before


def test_a_model_whose_graph_was_spoiled_is_mended_from_its_weights(model: Path) -> None:
    good = file_sha256(model / "temporal.onnx")
    (model / "temporal.onnx").write_bytes(b"half a gra")
    assert "not the one its card" in str(export(model, "--to", "openvino").exception)
    assert exported(model).files == {"temporal.onnx": good}
    load_model(model, TASK)
    (model / "temporal.onnx").write_bytes(b"half a gra")
    vouch_for_no_weights(model)
    assert "not the one its card" in str(export(model).exception), "nobody vouches for the weights"


def test_a_calibration_follows_the_graph_that_computes_the_same(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import export as writer
    from models.calibration import Calibration

    shipped = json.loads((SHIPPED / TASK.id / "calibration.json").read_text())
    card = read_card(model)
    own = shipped | {"temporal_sha256": card.temporal_sha256, "confusion": None}
    Calibration.model_validate(own).write(model)
    strip = writer.strip_traces

    def by_another_version(path: Path) -> None:
        import onnx

        strip(path)
        graph = onnx.load(path)
        graph.producer_version = "another"
        onnx.save(graph, path)

    monkeypatch.setattr(writer, "strip_traces", by_another_version)
    exported(model)
    after = read_card(model)
    assert after.temporal_sha256 != card.temporal_sha256
    assert read_calibration(model, after, TASK.procedure()) is not None
