"""Accuracy by look-ahead: what is seen when, delays, the offline network online, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from edge.evaluation import delay_curve as curve
from edge.evaluation.delay_judgement import DelayScore, arrival, judge_delayed
from edge.features import published_features
from edge.labelled_videos import LabelledSplits, labelled_splits
from industryasm.recording import DataSet
from linewatch import app
from models.chunks import ChunkShape
from models.delay_yardsticks import WHOLE_RECORDING, CausalGRU, OfflineStepNetwork
from models.step_network import StepNetworkShape
from models.training.frames import predict
from tests.toys import write_toys


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toys(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def splits(toys: Path) -> LabelledSplits:
    return labelled_splits(DataSet(toys))


def truth(splits: LabelledSplits) -> dict[str, np.ndarray]:
    return {
        video.name: np.eye(len(splits.label_names(video.task)))[video.labels]
        for video in splits.videos["test"]
    }


def small(chunk: ChunkShape, width: int = 6, labels: int = 4) -> StepNetworkShape:
    torch.manual_seed(0)
    return StepNetworkShape(labels, feature_dim=width, dim=16, heads=2, hidden=12, chunk=chunk)


def features(num_frames: int, width: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num_frames, width)).astype(np.float32)


def test_features_are_read_as_they_are_where_they_are_not_to_be_scaled(toys: Path) -> None:
    data = DataSet(toys)
    as_they_are, scaled = labelled_splits(data, scaled=False), labelled_splits(data)
    video = as_they_are.videos["train"][0]
    recording = next(r for r in data.split("train") if r.id == video.name)
    np.testing.assert_array_equal(video.features, published_features(data, recording).features)
    assert np.abs(video.features - scaled.videos["train"][0].features).max() > 0.1
    assert as_they_are.sha256 != scaled.sha256  # trainings on the one are none on the other


def test_a_frame_is_labelled_when_its_chunk_and_the_look_ahead_have_come() -> None:
    assert arrival(4, 5)(11).tolist() == [8, 8, 8, 8, *[10] * 7]
    assert arrival(1, 0)(3).tolist() == [0, 1, 2]


def test_the_truth_is_perfect_and_as_late_as_it_was_seen(splits: LabelledSplits) -> None:
    at_once = judge_delayed(truth(splits), splits, arrival(1, 0))
    late = judge_delayed(truth(splits), splits, arrival(1, 5))
    at_the_end = judge_delayed(truth(splits), splits, None)
    for score in (at_once, late, at_the_end):
        assert score.best_labels.accuracy == score.best_labels.f1_50 == 100
    assert at_once.decided_s == 0
    assert at_once.given_median_s is not None
    assert late.given_median_s is not None
    assert late.decided_s == pytest.approx(5 / splits.rate_hz, rel=0.1)
    assert late.given_median_s >= at_once.given_median_s + 4 / splits.rate_hz
    assert (at_the_end.decided_s, at_the_end.given_median_s) == (None, None)
    assert DelayScore.from_dict(late.as_dict()) == late


def test_the_offline_network_run_online_sees_nothing_of_the_future(
    splits: LabelledSplits,
) -> None:
    video = splits.videos["test"][0]
    labels = 1 + max(int(columns.max()) for columns in curve._columns(splits).values())
    shape = small(WHOLE_RECORDING, video.features.shape[1], labels)
    network = OfflineStepNetwork(shape).eval()
    online = curve._rows_online(network, video, splits, 4)
    changed = video.features.copy()
    changed[40:] = 0
    after = type(video)(video.name, video.task, changed, video.times_s, video.labels)
    np.testing.assert_array_equal(curve._rows_online(network, after, splits, 4)[:40], online[:40])
    whole = curve._rows(network, video, splits)
    assert np.abs(whole[:40] - curve._rows(network, after, splits)[:40]).max() > 1e-4
    newest = (len(video.labels) - 1) // 4 * 4
    np.testing.assert_allclose(online[newest:], whole[newest:], atol=1e-5)


def test_the_gru_is_causal_and_the_offline_network_looks_to_the_end() -> None:
    rows = features(200)
    changed = rows.copy()
    changed[97:] += 1
    gru = CausalGRU(small(ChunkShape())).eval()
    np.testing.assert_array_equal(predict(gru, changed)[:97], predict(gru, rows)[:97])
    offline = OfflineStepNetwork(small(WHOLE_RECORDING)).eval()
    far = slice(72, 80)  # their views end before frame 96
    assert np.abs(predict(offline, changed)[far] - predict(offline, rows)[far]).max() > 0


def test_the_command_goes_on_with_what_was_judged(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["evaluate", "delay", "--data", str(toys), "--work", str(tmp_path), "--epochs", "1"]
    monkeypatch.setattr(curve, "LOOKAHEADS_S", (0.0, 5.0))
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)  # it would hold for later tests
    monkeypatch.setattr(curve, "side_by_side", lambda run, jobs, **_: ((j, run(j)) for j in jobs))
    first = CliRunner().invoke(app, command, catch_exceptions=False)
    assert first.exit_code == 0, first.output
    for row in (
        "majority class",
        "linear probe of one frame",
        curve.CAUSAL_GRU,
        "look-ahead 0 s",
        "look-ahead 5 s",
        curve.WHOLE,
        curve.WHOLE_RUN_ONLINE,
    ):
        assert f"| {row} |" in first.output
    monkeypatch.setattr(curve, "_train", lambda *_: pytest.fail("trained again"))
    assert CliRunner().invoke(app, command, catch_exceptions=False).output == first.output
    plain = json.loads(
        CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False).output
    )[toys.name]
    late = plain["look-ahead 5 s"]
    assert [score["decided_s"] > plain["look-ahead 0 s"][0]["decided_s"] for score in late] == [
        True
    ]
    assert plain[curve.WHOLE][0]["decided_s"] is None
    assert f"| {plain[curve.WHOLE][0]['best_labels']['accuracy']:.1f} |" in first.output
