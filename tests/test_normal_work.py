"""Data sets of normal work in a calibration, and several data sets judged as one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edge.calibration import AlarmBudget, calibrate
from edge.calibration_cli import calibration_words
from edge.features import Features, video_features
from edge.normal_work import NormalWorkError, open_normal_work, was_trained_on
from industryasm.fault import UserFault
from industryasm.recording import (
    AnnotatedDeviation,
    DataSet,
    DataSetIndex,
    Recording,
    write_data_set,
    write_index,
)
from industryasm.stations.rendering import named_looks, render_recording
from industryasm.vocabulary import load_task
from linewatch import app
from models.calibration import Calibration
from models.calibration_fit import most_expected
from models.card import SHIPPED, ModelCard
from models.runtime import load_encoder

pytestmark = pytest.mark.timeout(200)

TASK = load_task("gear-reducer")
SECOND = 5  # frames of it
Unit = tuple[Recording, Features]


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Unit:
    """One unit that was put together well, and its features."""
    folder = tmp_path_factory.mktemp("unit")
    recording = render_recording(
        TASK, folder, recording_id="one", **named_looks("o", "s", 5), planted=[None], seed=5
    )
    encoder = load_encoder("efficientnet-lite0")
    return recording, video_features(folder / str(recording.video), encoder, rate_hz=SECOND)


def put(folder: Path, unit: Unit, name: str, **changes: Any) -> Recording:
    """Put the unit into the data set as a recording without a video; `changes` are of it."""
    recording, features = unit
    path = folder / "features" / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, features=features.features, times_s=features.times_s)
    fields = {"id": name, "video": None, "features": f"features/{name}.npz", **changes}
    return recording.model_copy(update=fields)


def data_set(folder: Path, unit: Unit, *, name: str = "made") -> Path:
    """A data set with a unit that is normal, and one of which a deviation is known, not seen."""
    deviation = AnnotatedDeviation(
        kind="missed", step="scan-label", cycle=1, start_s=0.0, end_s=40.0
    )
    recordings = [put(folder, unit, "good"), put(folder, unit, "bad", deviations=(deviation,))]
    write_data_set(folder, name=name, splits={"validation": recordings})
    return folder


def normal_set(folder: Path, unit: Unit, *, name: str = "normal", step: int = 0) -> Path:
    """A labelled recording, and one of which nothing is known and of which the frames of a step
    were lost, so that it is called missed.
    """
    recording, features = unit
    lost = recording.segments[step]
    kept = (features.times_s < lost.start_s) | (features.times_s >= lost.end_s)
    times_s = np.arange(kept.sum()) / SECOND
    cut = recording, Features(features.features[kept], times_s)
    duration_s = float(times_s[-1]) + 1 / SECOND
    plain = put(folder, cut, "plain", cycles=(), segments=(), duration_s=duration_s)
    splits = {"train": [put(folder, unit, "labelled")], "test": [plain]}
    write_data_set(folder, name=name, splits=splits)  # type: ignore[arg-type]
    return folder


def calibrated(data: Path, normal: Sequence[Path]) -> Calibration:
    return calibrate(TASK.id, [data], "validation", AlarmBudget(), normal=normal)


def test_normal_work_counts_with_its_hours_its_accusations_and_its_steps(
    tmp_path: Path, unit: Unit
) -> None:
    data, normal = data_set(tmp_path / "data", unit), normal_set(tmp_path / "normal", unit)
    without, found = calibrated(data, []), calibrated(data, [normal])
    recordings = {r.id: r for r in DataSet(normal).recordings()}
    (cycle,) = recordings["labelled"].cycles
    hours = (cycle.end_s - cycle.start_s + recordings["plain"].duration_s) / 3600
    assert found.normal_data_hours == pytest.approx(hours)
    assert found.normal_hours == pytest.approx(without.normal_hours + hours)
    assert (without.normal_data, found.normal_data) == ((), ("normal",))
    assert (without.num_units, found.num_units) == (2, 4)
    assert (without.num_normal_units, found.num_normal_units) == (1, 3)
    assert found.num_recordings == without.num_recordings + 2
    assert found.num_false_before > without.num_false_before, "a step was not seen in normal work"
    assert found.threshold > without.threshold
    assert found.num_false_after == 0
    assert found.most_false_alarms_per_shift == pytest.approx(
        most_expected(found.num_false_held_out) / found.normal_hours * 8
    )
    done = {step.step: step.num_done for step in found.steps}
    before = {step.step: step.num_done for step in without.steps}
    assert {done[step] - before[step] for step in done} == {1}, "the labelled unit has each once"


def test_the_words_say_how_many_hours_came_from_where(tmp_path: Path, unit: Unit) -> None:
    data, normal = data_set(tmp_path / "data", unit), normal_set(tmp_path / "normal", unit)
    model = tmp_path / "model"
    shutil.copytree(SHIPPED / TASK.id, model)
    arguments = ["calibrate", str(model), "--data", str(data), "--normal", str(normal)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found = Calibration.model_validate_json((model / "calibration.json").read_bytes())
    assert result.output.strip() == calibration_words(found, model).strip()
    assert "validation of made; normal work of normal: 4 recordings, 4 units" in result.output
    units_h, hours = found.normal_hours - found.normal_data_hours, found.normal_data_hours
    assert f"{units_h:.2f} h of them units without a known deviation in --data" in result.output
    assert f"{hours:.2f} h from --normal" in result.output
    assert "with 95 % certainty not above" in result.output


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("twice", "twice, or in --data too"),
        ("in data", "twice, or in --data too"),
        ("trained on", "was trained on 'rendered gear-reducer, seed 12'"),
        ("deviating", "recording 'bad' has a known deviation .missed 'scan-label' in unit 1."),
        ("other task", "no recording of task 'gear-reducer'"),
        ("empty", "no recording of task 'gear-reducer'"),
    ],
)
def test_what_cannot_be_taken_for_normal_work_is_refused(
    tmp_path: Path, unit: Unit, name: str, says: str
) -> None:
    data, normal = data_set(tmp_path / "data", unit), tmp_path / "normal"
    given = [normal]
    match name:
        case "twice":
            normal_set(normal, unit)
            given = [normal, tmp_path / "data" / ".." / "normal"]
        case "in data":
            given = [data]
        case "trained on":
            normal_set(normal, unit, name="rendered gear-reducer, seed 12")
        case "deviating":
            data_set(normal, unit)
        case "other task":
            other = put(normal, unit, "other", task="relay-module")
            write_data_set(normal, name="other", splits={"train": [other]})
        case "empty":
            write_index(normal, DataSetIndex(name="empty", splits={}))
    with pytest.raises(NormalWorkError, match=says) as raised:
        open_normal_work(TASK.id, given, data=[data])
    assert f"--normal {given[-1]}" in str(raised.value)


def test_a_card_tells_the_sets_that_its_model_was_trained_on() -> None:
    text = (SHIPPED / TASK.id / "card.json").read_text(encoding="utf-8")
    trained_on = ModelCard.model_validate_json(text).trained_on
    for seed in (11, 12, 13):
        assert was_trained_on(trained_on, f"rendered gear-reducer, seed {seed}")
    for name in ("rendered gear-reducer, seed 1", "rendered gear-reducer, seed 21", "gear", ""):
        assert not was_trained_on(trained_on, name)
    assert not was_trained_on("nothing", "nothing"), "a card that names no set"


def judged(*arguments: str | Path) -> dict[str, Any]:
    command = ["evaluate", "deviations", TASK.id, *map(str, arguments), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    read: dict[str, Any] = json.loads(result.output)
    return read


def test_several_data_sets_are_counted_as_one(tmp_path: Path, unit: Unit) -> None:
    first = data_set(tmp_path / "first", unit)
    second = data_set(tmp_path / "second", unit)
    more = normal_set(tmp_path / "more", unit)
    read = DataSet(more)
    recordings = {"validation": list(read.recordings())}
    write_data_set(more, name="more", splits=recordings)  # type: ignore[arg-type]
    sets, split = [first, second, more], ("--split", "validation")
    single = [judged("--data", folder, *split) for folder in sets]
    pooled = judged(*(part for folder in sets for part in ("--data", folder)), *split)
    for table in ("kinds", "systems"):
        for row, counts in pooled[table].items():
            for count in ("found", "missed", "invented"):
                assert counts[count] == sum(one[table][row][count] for one in single)
    assert pooled["recordings"] == 6
    assert pooled["hours"] == pytest.approx(sum(one["hours"] for one in single))
    assert pooled["systems"]["linewatch"]["missed"] == 2
    assert pooled["separation"] is None, "nothing true was said"
    assert pooled["decoder"] == "order"


def test_the_plain_decoder_stands_in_for_the_stations(tmp_path: Path, unit: Unit) -> None:
    data = data_set(tmp_path / "data", unit)
    arguments = ["--data", data, "--split", "validation", "--decoder", "plain"]
    assert judged(*arguments)["decoder"] == "plain"
    command = ["evaluate", "deviations", TASK.id, *map(str, arguments)]
    assert "without their order" in CliRunner().invoke(app, command).output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([TASK.id, "--data", ".", "--data", "."], "twice"),
        ([TASK.id], "needs MODEL and --data"),
        (["--protocol", "prego", "--data", ".", "--decoder", "plain"], "takes no --decoder"),
        (["--protocol", "oracle", "--data", ".", "--split", "train"], "takes no --split"),
        (["--protocol", "oracle", "--data", ".", "--data", "x"], "takes one --data, not 2"),
    ],
)
def test_the_command_says_what_does_not_go_together(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["evaluate", "deviations", *arguments])
    assert isinstance(result.exception, UserFault)
    assert says in str(result.exception)
