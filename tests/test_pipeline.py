"""The edge's pipeline on a rendered station: from pixels to deviations, and its messages."""

import json
import shutil
import statistics
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge.calibration import AlarmBudget, CalibrationError, calibrate
from edge.cameras.sources import open_source
from edge.evaluation.streamed import evaluate_segmentation
from edge.features import FeatureStore, video_features
from edge.messages import CycleStarted as CycleStartedMessage
from edge.messages import DeviationSeen, SegmentSeen
from edge.pipeline import Pipeline, load_pipeline
from edge.reporter import Reporter, task_info
from industryasm.recording import DataSet
from industryasm.stations.rendering import render_data_set
from industryasm.vocabulary import BACKGROUND, load_task
from linewatch import app
from models.calibration import AS_SCORED, read_calibration
from models.card import SHIPPED, read_card
from models.deviations import CycleEnded, CycleStarted, Deviation, Finding, StepDone
from models.runtime import load_encoder, load_model

TASK = "gear-reducer"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Four recordings of one unit each, by workers that the shipped model has not seen."""
    folder = tmp_path_factory.mktemp("rendered")
    task = load_task(TASK)
    list(render_data_set(task, folder, num_recordings=4, cycles=1, seed=77, good=1.0))
    return DataSet(folder)


def watch(video: Path) -> list[Finding]:
    pipeline = load_pipeline(load_task(TASK), None)
    findings: list[Finding] = []
    with open_source(str(video), rate_hz=pipeline.rate_hz, size=pipeline.image_size) as frames:
        for frame in frames:
            findings += pipeline.push(frame)
    return findings + pipeline.close()


def test_a_unit_is_followed_from_pixels_to_its_end(rendered: DataSet) -> None:
    recording = next(rendered.split("train"))
    findings = watch(rendered.video(recording))
    steps = [f.step for f in findings if isinstance(f, StepDone)]
    truth = [s.label for s in recording.segments]
    assert [type(f) for f in findings].count(CycleStarted) == 1
    assert [type(f) for f in findings].count(CycleEnded) == 1
    assert len(set(truth) & set(steps)) >= len(truth) - 1
    detected = [f.detected_s for f in findings]
    assert detected == sorted(detected), "nothing is said of a time that had not come"


def test_a_step_that_was_done_while_no_picture_came_is_unsure(rendered: DataSet) -> None:
    recording = next(rendered.split("train"))
    pipeline = load_pipeline(load_task(TASK), None)
    seen = video_features(
        rendered.video(recording), load_encoder("efficientnet-lite0"), rate_hz=5.0
    )
    hidden = recording.segments[len(recording.segments) // 2]
    findings: list[Finding] = []
    for feature, time_s in zip(seen.features, seen.times_s.tolist(), strict=True):
        if not hidden.start_s - 1.0 <= time_s < hidden.end_s + 1.0:
            findings += pipeline.push_feature(feature, time_s)
    findings += pipeline.close()
    against = [f for f in findings if isinstance(f, Deviation) and f.step == hidden.label]
    assert "unsure" in {f.kind for f in against}
    assert "missed" not in {f.kind for f in against}


def skipping(rendered: DataSet, threshold: float | None) -> tuple[str, list[Deviation]]:
    """Watch a unit from which the frames of one step were cut; return the step and what is said."""
    recording = next(rendered.split("train"))
    store = FeatureStore(
        rendered, load_encoder("efficientnet-lite0"), name="efficientnet-lite0", rate_hz=5.0
    )
    seen = store.of(recording)
    cut = recording.segments[len(recording.segments) // 2]
    left = seen.features[(seen.times_s < cut.start_s) | (seen.times_s >= cut.end_s)]
    task = load_task(TASK)
    model, encoder = load_model(SHIPPED / TASK, task), store.encoder
    scale = None if threshold is None else AS_SCORED.model_copy(update={"threshold": threshold})
    pipeline = Pipeline(task, model, encoder, calibration=scale)
    findings = [f for i, row in enumerate(left) for f in pipeline.push_feature(row, i / 5)]
    findings += pipeline.close()
    return cut.label, [f for f in findings if isinstance(f, Deviation) and f.step == cut.label]


def test_without_a_calibration_no_deviation_has_a_probability(rendered: DataSet) -> None:
    _, said = skipping(rendered, None)
    assert ("missed", "confirmed") in {(d.kind, d.state) for d in said}
    assert {d.probability for d in said} == {None}


def test_with_a_calibration_a_step_that_was_not_seen_is_missed_with_its_probability(
    rendered: DataSet,
) -> None:
    _, said = skipping(rendered, 0.5)
    missed = next(d for d in said if (d.kind, d.state) == ("missed", "confirmed"))
    assert missed.probability is not None
    assert missed.probability >= 0.5


def test_an_alarm_below_the_threshold_is_unsure_and_no_alarm(rendered: DataSet) -> None:
    step, said = skipping(rendered, 1.0)
    newest = {d.id: d for d in said}.values()
    assert {(d.kind, d.state) for d in newest} == {("missed", "withdrawn"), ("unsure", "confirmed")}
    assert {d.step for d in newest} == {step}


def test_a_model_is_calibrated_by_command_and_judged_with_that(
    rendered: DataSet, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED / TASK, folder)
    (folder / "calibration.json").unlink(missing_ok=True)
    arguments = [str(folder), "--data", str(rendered.folder), "--split", "train"]
    result = CliRunner().invoke(app, ["calibrate", *arguments])
    assert result.exit_code == 0, result.output
    assert "cannot be shown" in result.output
    assert "<svg" in (folder / "reliability.svg").read_text()
    found = read_calibration(folder, read_card(folder), load_task(TASK).procedure())
    assert found is not None
    num_units = sum(len(recording.cycles) for recording in rendered.split("train"))
    assert (found.num_units, found.num_normal_units) == (num_units, num_units)
    result = CliRunner().invoke(app, ["evaluate", "deviations", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    systems = json.loads(result.output)["systems"]
    assert systems["never alarm"]["invented"] == 0
    required = len(load_task(TASK).procedure().required())
    assert systems["always alarm"]["invented"] == required * num_units
    with pytest.raises(CalibrationError, match="twice"):
        calibrate(str(folder), [rendered.folder] * 2, "train", AlarmBudget())


def test_streamed_segments_are_scored_by_both_background_rules_and_by_class(
    rendered: DataSet,
) -> None:
    command = ["evaluate", "segmentation", TASK, "--data", str(rendered.folder)]
    result = CliRunner().invoke(app, [*command, "--split", "validation", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    ours, majority = "linewatch, streamed segments", "majority class"
    assert found["scores"][ours]["f1_50"] > 80
    for name in ours, majority:
        for of_frames in ("accuracy", "num_frames"):
            assert found["scores"][name][of_frames] == found["background_counted"][name][of_frames]
    assert found["scores"][majority]["edit"] == 0, "background is no segment"
    assert found["background_counted"][majority]["edit"] > 0
    labels = {span.label for r in rendered.split("validation") for span in r.visible_work()}
    assert set(found["by_class"][ours]) == {*labels, BACKGROUND}
    assert sorted(found["by_class"][majority].values())[:-1] == [0.0] * len(labels - {BACKGROUND})
    table = CliRunner().invoke(app, [*command, "--split", "validation"]).output.splitlines()
    assert sum(line.startswith("majority class") for line in table) == 2
    means = [statistics.fmean(one.values()) for one in found["by_class"].values()]
    assert table[-1].split()[-len(means) :] == [f"{mean:.1f}" for mean in means]


def test_features_are_computed_once_and_kept(rendered: DataSet) -> None:
    encoder = load_encoder("efficientnet-lite0")
    recording = next(rendered.split("validation"))
    store = FeatureStore(rendered, encoder, name="efficientnet-lite0", rate_hz=5.0)
    first = store.of(recording)
    kept = next((rendered.folder / "features").rglob(f"{recording.id}.npz"))
    written = kept.stat().st_mtime_ns
    again = store.of(recording)
    assert kept.stat().st_mtime_ns == written
    np.testing.assert_array_equal(first.features, again.features)
    fresh = video_features(rendered.video(recording), encoder, rate_hz=5.0)
    np.testing.assert_allclose(fresh.features, first.features, atol=1e-5)
    assert first.features.shape == (len(first.times_s), 1280)


def test_streamed_segments_are_better_than_what_the_features_give_alone(rendered: DataSet) -> None:
    evaluation = evaluate_segmentation(TASK, rendered.folder, "validation")
    rows = evaluation.scores
    ours = rows["linewatch, streamed segments"]
    for name in ("majority class", "linear probe", "linear probe, mean of +-5 frames"):
        assert ours.accuracy > rows[name].accuracy
        assert ours.f1_50 > rows[name].f1_50
    assert evaluation.delay.median_s > 0


def test_findings_are_worded_in_utc_with_names_of_their_boot() -> None:
    task, origin = load_task(TASK), datetime(2026, 1, 1, 12, tzinfo=UTC)
    reporter = Reporter(task, boot="b00t")
    started = reporter.message(CycleStarted(3, 1.0, 2.0), origin)
    assert isinstance(started, CycleStartedMessage)
    assert (started.cycle, started.started_at) == ("b00t-3", origin + timedelta(seconds=1))
    names = set()
    for _ in range(2):
        done = reporter.message(StepDone(3, "scan-label", 1.0, 2.0, 0.9, 4.0), origin)
        assert isinstance(done, SegmentSeen)
        names.add(done.segment)
    assert len(names) == 2, "each segment has a name of its own"
    deviation = Deviation(
        "3-missed-x-1", "missed", "suspected", "press-bearing", 3, 1.0, 2.0, 2.5, "x" * 999
    )
    said = reporter.message(deviation, origin)
    assert isinstance(said, DeviationSeen)
    assert said.critical == "quality"
    assert len(said.detail) == 300
    confirmed = Deviation(**{**vars(deviation), "state": "confirmed"})
    again = reporter.message(confirmed, origin)
    assert isinstance(again, DeviationSeen)
    assert again.deviation == said.deviation, "a state's change keeps the deviation's name"
    stray = reporter.message(Deviation(**{**vars(deviation), "cycle": 0}), origin)
    assert isinstance(stray, DeviationSeen)
    assert stray.cycle is None


def test_a_task_is_introduced_with_its_steps_in_order() -> None:
    info = task_info(load_task(TASK))
    assert [step for step, _ in info.steps][:2] == ["place-housing", "scan-label"]
