"""Published features: recordings without a video train a model that is judged and cannot watch."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge.evaluation.streamed import evaluate_deviations, evaluate_segmentation
from edge.features import FeatureStore, NoPictures, published_features
from edge.learning import train as train_command
from edge.pipeline import Pipeline, load_pipeline
from industryasm.fault import UserFault
from industryasm.recording import (
    AnnotatedCycle,
    AnnotatedSegment,
    DataSet,
    Recording,
    RecordingError,
    write_data_set,
)
from industryasm.repairs import Repairs
from industryasm.sets import captaincook4d, ikea_asm
from industryasm.vocabulary import Step, Task
from linewatch import app
from models.card import ModelError, read_card
from models.runtime import load_model

REAL = Path(__file__).parents[2] / "shared" / "data"
RATE_HZ, DIM, NUM_FRAMES = 2.0, 6, 120

TASK = Task(
    id="toy-car",
    name="Toy car",
    product="Toy car",
    family="toys",
    parts=(),
    steps=(
        Step(id="fit-axle", text="Fit the axle", primitive="other", expected_s=10, limit_s=40),
        Step(
            id="fit-roof",
            text="Fit the roof",
            primitive="other",
            after=("fit-axle",),
            expected_s=10,
            limit_s=40,
        ),
    ),
)


def recording(name: str, task: str = TASK.id) -> Recording:
    spans = (("fit-axle", 5.0, 25.0), ("fit-roof", 30.0, 55.0))
    return Recording(
        id=name,
        task=task,
        task_revision=1,
        features=f"features/{name}.npz",
        duration_s=NUM_FRAMES / RATE_HZ,
        station="s",
        camera="c",
        operator=name,
        annotator="a",
        review="reviewed",
        cycles=(AnnotatedCycle(number=1, start_s=0, end_s=60),),
        segments=tuple(AnnotatedSegment(label=n, start_s=s, end_s=e) for n, s, e in spans),
        deviations=(),
    )


def write_features(folder: Path, name: str, *, dim: int = DIM, rate_hz: float = RATE_HZ) -> None:
    times_s = np.arange(NUM_FRAMES) / rate_hz
    features = np.random.default_rng(0).normal(0, 0.1, (NUM_FRAMES, dim))
    features[(times_s >= 5) & (times_s < 25), 0] += 3
    features[(times_s >= 30) & (times_s < 55), 1] += 3
    (folder / "features").mkdir(exist_ok=True, parents=True)
    path = folder / "features" / f"{name}.npz"
    np.savez(path, features=features.astype(np.float16), times_s=times_s)


def write_toy_cars(folder: Path) -> DataSet:
    names = {"train": ("a", "b", "c"), "validation": ("d",), "test": ("e",)}
    for name in "abcde":
        write_features(folder, name)
    splits = {split: [recording(name) for name in of_split] for split, of_split in names.items()}
    write_data_set(folder, name="toy-cars", splits=splits, tasks=[TASK])  # type: ignore[arg-type]
    return DataSet(folder)


@pytest.fixture
def toy_cars(tmp_path: Path) -> DataSet:
    return write_toy_cars(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = write_toy_cars(tmp_path_factory.mktemp("toy-cars"))
    out = tmp_path_factory.mktemp("model")
    train(data, out, "--epochs", "15")
    return out


def train(data: DataSet, out: Path, *more: str) -> None:
    arguments = ["train", "--data", str(data.folder), "--out", str(out), *more]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_a_model_of_published_features_is_judged_without_an_image_encoder(
    toy_cars: DataSet, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.runtime.OnnxEncoder.__init__", lambda *_: pytest.fail("loaded"))
    card = read_card(trained)
    assert (card.encoder, card.encoder_sha256) == (None, None)
    assert (card.feature_dim, card.rate_hz) == (DIM, RATE_HZ)
    scores = evaluate_segmentation(str(trained), toy_cars.folder, "test").scores
    majority = scores["majority class"].accuracy
    assert scores["network, best label of each frame"].accuracy > majority
    score = evaluate_deviations(str(trained), [toy_cars.folder], "test")
    assert score.matched == score.missed == ()


def test_such_a_model_refuses_to_watch_in_one_clear_line(trained: Path) -> None:
    with pytest.raises(ModelError, match="published features, not on pictures") as raised:
        load_pipeline(TASK, trained)
    assert "\n" not in str(raised.value)
    pipeline = Pipeline(TASK, load_model(trained, TASK), NoPictures())
    assert pipeline.push_feature(np.zeros(DIM, np.float32), 0.0) == []
    with pytest.raises(ModelError, match="not on pictures"):
        NoPictures().encode(np.zeros((1, 2, 2, 3), np.uint8))


def test_a_card_names_an_encoder_with_its_hash_or_neither(trained: Path, tmp_path: Path) -> None:
    card = json.loads((trained / "card.json").read_text())
    (tmp_path / "card.json").write_text(
        json.dumps(card | {"encoder": "efficientnet-lite0", "fields_sha256": None})
    )
    with pytest.raises(ModelError, match="given together"):
        read_card(tmp_path)


def test_features_are_read_as_they_were_published_in_float32(toy_cars: DataSet) -> None:
    first = next(toy_cars.split("train"))
    store = FeatureStore(toy_cars, NoPictures(), name="published", rate_hz=RATE_HZ)
    features = store.of(first)
    with np.load(toy_cars.folder / "features" / "a.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(features.features, stored["features"].astype(np.float32))
        np.testing.assert_array_equal(features.times_s, stored["times_s"])
    assert features.features.dtype == np.float32
    assert features.rate_hz == RATE_HZ
    with pytest.raises(RecordingError, match="2 features a second, expected 5"):
        FeatureStore(toy_cars, NoPictures(), name="published", rate_hz=5.0).of(first)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"features": np.ones((3, 2))}, "times_s is not a file"),
        ({"features": np.ones((3, 2)), "times_s": np.arange(4.0)}, r"expected \(T, D\)"),
        ({"features": np.ones(3), "times_s": np.arange(3.0)}, r"expected \(T, D\)"),
        ({"features": np.ones((0, 2)), "times_s": np.arange(0.0)}, r"expected \(T, D\)"),
        ({"features": np.ones((2, 2)), "times_s": np.array([1.0, 1.0])}, "must ascend"),
        ({"features": np.ones((2, 2)), "times_s": np.array([-1.0, 1.0])}, "must ascend"),
        ({"features": np.full((2, 2), np.nan), "times_s": np.arange(2.0)}, "not finite"),
        ({"features": np.array([["a"], ["b"]]), "times_s": np.arange(2.0)}, "<U1"),
        ({"features": np.array([[{}]], dtype=object), "times_s": np.arange(1.0)}, "allow_pickle"),
    ],
)
def test_features_that_do_not_hold_are_refused_by_file(
    toy_cars: DataSet, arrays: dict[str, np.ndarray], says: str
) -> None:
    path = toy_cars.folder / "features" / "a.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(RecordingError, match=says) as raised:
        published_features(toy_cars, toy_cars.recording("a"))
    assert str(path) in str(raised.value)


def single_array() -> bytes:
    content = io.BytesIO()
    np.save(content, np.zeros((3, 2)))
    return content.getvalue()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", single_array()])
def test_a_file_that_holds_no_features_is_refused(toy_cars: DataSet, content: bytes) -> None:
    path = toy_cars.folder / "features" / "a.npz"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"a\.npz: cannot be read as features"):
        published_features(toy_cars, toy_cars.recording("a"))


def test_an_archive_that_is_damaged_anywhere_is_read_or_refused(toy_cars: DataSet) -> None:
    path, rng = toy_cars.folder / "features" / "a.npz", np.random.default_rng(0)
    np.savez_compressed(path, features=rng.random((9, 2)), times_s=np.arange(9.0))
    whole, refused = path.read_bytes(), []
    for _ in range(500):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            assert published_features(toy_cars, toy_cars.recording("a")).features.shape == (9, 2)
        except RecordingError as error:
            refused.append(str(error))
    assert len(refused) > 400
    assert not any("\n" in line for line in refused)


def test_features_of_another_size_are_refused(
    toy_cars: DataSet, trained: Path, tmp_path: Path
) -> None:
    write_features(toy_cars.folder, "e", dim=DIM + 1)
    with pytest.raises(UserFault, match="'e' has features of 7 numbers, the model takes 6"):
        evaluate_segmentation(str(trained), toy_cars.folder, "test")

    with pytest.raises(UserFault, match="have 6, 7 numbers"):
        train_command([toy_cars.folder], tmp_path / "model")


def test_a_task_of_which_nothing_is_to_train_on_is_refused(
    toy_cars: DataSet, tmp_path: Path
) -> None:
    splits = {"validation": [recording("a")], "test": []}
    write_data_set(toy_cars.folder, name="x", splits=splits, tasks=[TASK])  # type: ignore[arg-type]
    with pytest.raises(UserFault, match="'toy-car' is in the split train"):
        train_command([toy_cars.folder], tmp_path / "model", task=TASK.id)


@pytest.mark.skipif(not (REAL / "ikea_asm").is_dir(), reason=f"{REAL / 'ikea_asm'} is not there")
def test_real_evidence_trains_a_model_above_the_majority_class(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with np.load(REAL / "ikea_asm" / "evidence_5fps.npz", allow_pickle=False) as raw:
        names = ["labels", "models", "cases"]
        names += [f"{kind}{index}" for kind in "xy" for index in range(47, 53)]
        np.savez(source / "evidence_5fps.npz", **{name: raw[name] for name in names})
    ikea_asm.import_set(source, tmp_path / "data", Repairs())
    train(DataSet(tmp_path / "data"), tmp_path / "model", "--epochs", "10")
    scores = evaluate_segmentation(str(tmp_path / "model"), tmp_path / "data", "test").scores
    majority = scores["majority class"].accuracy
    assert scores["network, best label of each frame"].accuracy > majority


COOKING = REAL / "captaincook4d"


@pytest.mark.skipif(not COOKING.is_dir(), reason=f"{COOKING} is not there")
def test_one_recipe_of_real_features_trains_at_their_rate(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(COOKING, source, ignore=shutil.ignore_patterns("*.npz"))
    with np.load(next(COOKING.glob("*.npz")), allow_pickle=False) as raw:
        some = {name: raw[name][:240] for name in raw.files if name.startswith("12_")}
    np.savez(source / "features_1fps_768d.npz", **some)
    repairs = Repairs()
    captaincook4d.import_set(source, tmp_path / "data", repairs)
    assert repairs.counts["step after the end of the features: left out"] > len(some)
    data, task = DataSet(tmp_path / "data"), "tomato-mozzarella-salad"
    train(data, tmp_path / "model", "--task", task, "--epochs", "1")
    card = read_card(tmp_path / "model")
    assert (card.task, card.feature_dim, card.rate_hz) == (task, 768, 1.0)
    evaluation = evaluate_segmentation(str(tmp_path / "model"), data.folder, "test")
    assert set(evaluation.scores) >= {"majority class", "linewatch, streamed segments"}


def test_what_a_model_says_of_each_recording_is_written_as_lines(
    toy_cars: DataSet, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "said.jsonl"
    arguments = ["predict", str(trained), "--data", str(toy_cars.folder), "--out", str(out)]
    for more, names in (([], ["a", "b", "c", "d", "e"]), (["--split", "test"], ["e"])):
        result = CliRunner().invoke(app, [*arguments, *more], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert [line["recording"] for line in lines] == names
        for line in lines:
            assert {"start_s", "end_s", "label", "confidence"} == set(line["segments"][0])
            assert {segment["label"] for segment in line["segments"]} <= set(TASK.labels())
