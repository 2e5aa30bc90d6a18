"""Model folders: what is shipped holds, and one that was tampered with is refused."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.pipeline import load_pipeline
from industryasm.vocabulary import load_task
from models.card import SHIPPED, ModelError, check_fits, encoder_file, read_card, shipped_model
from models.runtime import load_encoder, load_model

TASKS = ("gear-reducer", "relay-module")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied = tmp_path / "model"
    shutil.copytree(SHIPPED / "gear-reducer", copied)
    return copied


def change_card(folder: Path, **changes: object) -> None:
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fields_sha256": None} | changes))


@pytest.mark.parametrize("task_id", TASKS)
def test_a_shipped_model_fits_its_task_and_decides(task_id: str) -> None:
    model = load_model(shipped_model(task_id), load_task(task_id))
    card = model.card
    view = np.zeros((card.chunk_shape().view, card.feature_dim), np.float32)
    rows, state = model.decide(view, np.zeros(len(view), bool), model.start())
    assert rows.shape == (card.chunk_shape().chunk, len(card.labels))
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    assert state[0].shape == (1, card.hidden)


def test_what_is_shipped_stays_under_20_megabytes() -> None:
    size = sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file())
    assert size < 20_000_000


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": ["background", "a", "b"]}, "other steps"),
        ({"vocabulary_hash": "0" * 64}, "other steps"),
        ({"task": "relay-module"}, "not for 'gear-reducer'"),
        ({"hidden": 64}, "other shapes"),
        ({"lookahead": 40}, "lookahead 40"),
        ({"temporal_sha256": "0" * 64}, "SHA-256"),
        ({"encoder": "resnet"}, "missing"),
        ({"rate_hz": -5}, "rate_hz"),
        ({"temperature": 1e999}, "temperature"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_card_that_does_not_hold_is_refused(
    folder: Path, change: dict[str, object], says: str
) -> None:
    change_card(folder, **change)
    with pytest.raises(ModelError, match=says) as raised:
        load_model(folder, load_task("gear-reducer"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("change", [{"lookahead": 0}, {"rate_hz": 4.0}, {"temperature": 9.0}])
def test_a_card_that_was_edited_is_refused(folder: Path, change: dict[str, object]) -> None:
    """The graph has as many places whatever the card says; recognition would be worse, unseen."""
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | change))
    with pytest.raises(ModelError, match="changed after the card was written"):
        read_card(folder)


@pytest.mark.parametrize("name", ["card.json", "calibration.json", "temporal.onnx"])
def test_a_pipe_in_a_model_s_folder_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelError, match=name):
        load_pipeline(load_task("gear-reducer"), folder)


@pytest.mark.parametrize("content", [b"", b"not a graph"])
def test_a_graph_that_was_exchanged_is_refused(folder: Path, content: bytes) -> None:
    (folder / "temporal.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        read_card(folder)


def test_a_card_of_a_graph_that_is_none_is_refused(folder: Path) -> None:
    from models.card import file_sha256

    (folder / "temporal.onnx").write_bytes(b"not a graph")
    change_card(folder, temporal_sha256=file_sha256(folder / "temporal.onnx"))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(folder, load_task("gear-reducer"))


def test_a_model_of_another_task_does_not_fit() -> None:
    folder = shipped_model("gear-reducer")
    with pytest.raises(ModelError, match="relay-module"):
        check_fits(read_card(folder), load_task("relay-module"), folder)


def test_the_shipped_encoder_is_the_published_network_with_its_weights() -> None:
    torch = pytest.importorskip("torch")
    from models.encoder import EfficientNetLite0

    images = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    with torch.inference_mode():
        expected = EfficientNetLite0()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(
        load_encoder("efficientnet-lite0").encode(images), expected, atol=1e-4
    )


def test_openvino_gives_the_same_features() -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    ours = load_encoder("efficientnet-lite0", "openvino")
    theirs = load_encoder("efficientnet-lite0", "onnxruntime")
    assert ours.runtime.startswith("openvino")
    np.testing.assert_allclose(ours.encode(images), theirs.encode(images), atol=1e-3)


def test_the_encoder_graph_holds_no_reference_outside_its_file() -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(encoder_file("efficientnet-lite0"), load_external_data=False).graph
    assert not any(tensor.external_data for tensor in graph.initializer)


def test_no_shipped_graph_names_a_folder_of_the_machine_that_made_it() -> None:
    for path in SHIPPED.rglob("*.onnx"):
        assert b"site-packages" not in path.read_bytes(), path
