"""`linewatch doctor`: what runs where, why, and what would be faster; no secrets."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import onnxruntime
import pytest
from typer.testing import CliRunner

from edge.doctor import Plan, Speed, advice
from edge.doctor_cli import machine_lines
from edge.machine import this_machine
from linewatch import app
from models.runtimes.gpu import Gpu
from models.runtimes.graph import RuntimeName

pytestmark = pytest.mark.timeout(120)

NO_CUDA = "CUDAExecutionProvider" not in onnxruntime.get_available_providers()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def deployment(folder: Path, *stations: str) -> Path:
    path = folder / "deploy.yaml"
    listed = "".join(
        f"  - {{id: s{i}, name: S, line: one, task: gear-reducer, {station}}}\n"
        for i, station in enumerate(stations)
    )
    path.write_text(f"site: S\nlines: [{{id: one, name: One}}]\nstations:\n{listed}")
    return path


CAMERA = 'camera: {source: "rtsp://admin:hunter2@10.0.0.7/live?token=hunter3"}'


def test_the_machine_is_told_and_what_is_missing_says_how_to_get_it() -> None:
    result = CliRunner().invoke(app, ["doctor", "--no-measure", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["file"] is None
    assert told["plans"] == told["speeds"] == []
    machine = told["machine"]
    assert machine["processor"]
    assert 1 <= machine["usable_cores"] <= machine["cores"]
    assert machine["packages"]["onnxruntime"] == onnxruntime.__version__
    assert machine["onnxruntime_providers"] == onnxruntime.get_available_providers()
    assert re.match(r"n?\d+\.", machine["ffmpeg"])
    assert (machine["gpu"] is None) == bool(machine["no_gpu"])
    assert set(told["missing"]) <= set(get_args(RuntimeName))
    assert "openvino-int8" in told["missing"]  # the cache is empty


@pytest.mark.parametrize(("memory_mib", "says"), [(23034, "23034 MiB"), (None, "not told")])
def test_a_gpu_without_memory_of_its_own_is_told(memory_mib: int | None, says: str) -> None:
    gpu = Gpu("NVIDIA GB10", (12, 1), "580.95.05", memory_mib)
    lines = "\n".join(machine_lines(replace(this_machine(), gpu=gpu)))
    assert re.search(f"NVIDIA GB10, sm121, .*{says}, driver 580", lines)


def test_stations_are_told_without_their_cameras_passwords(tmp_path: Path) -> None:
    path = deployment(tmp_path, CAMERA, f"{CAMERA}, runtime: onnxruntime")
    for form in ((), ("--json",)):
        result = CliRunner().invoke(app, ["doctor", str(path), "--no-measure", *form])
        assert result.exit_code == 0, result.output
        assert "hunter" not in result.output
        assert "rtsp://***@10.0.0.7/live?***" in result.output
        assert f"onnxruntime {onnxruntime.__version__} cpu" in result.output


@pytest.mark.skipif(not NO_CUDA, reason="CUDA is here")
def test_a_station_that_cannot_start_is_told_and_fails_the_command(tmp_path: Path) -> None:
    path = deployment(
        tmp_path,
        f"{CAMERA}, runtime: cuda",
        f"{CAMERA}, runtime: cuda, runtime_fallback: true",
    )
    result = CliRunner().invoke(app, ["doctor", str(path), "--no-measure", "--json"])
    assert result.exit_code == 1
    refused, fallen = json.loads(result.stdout)["plans"]
    assert refused["really"] is None
    assert "onnxruntime-gpu" in refused["why"]
    assert fallen["really"] == f"onnxruntime {onnxruntime.__version__} cpu, in place of cuda"
    assert fallen["why"].startswith("runtime_fallback: runtime cuda")


def test_a_station_whose_model_is_damaged_is_told(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "card.json").write_text("{}")
    path = deployment(tmp_path, f"{CAMERA}, model: m")
    result = CliRunner().invoke(app, ["doctor", str(path), "--no-measure"])
    assert result.exit_code == 1
    assert "CANNOT START; model" in result.stdout


def test_the_deployment_file_at_hand_is_taken(tmp_path: Path) -> None:
    deployment(tmp_path, CAMERA)
    result = CliRunner().invoke(app, ["doctor", "--no-measure"])
    assert "Stations of deploy.yaml" in result.stdout
    assert "nothing was measured" in result.stdout


def test_runtimes_are_measured_against_onnx_runtime() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    speeds = {speed["runtime"]: speed for speed in told["speeds"]}
    assert set(speeds) | set(told["missing"]) == set(get_args(RuntimeName)) - {"auto"}
    assert speeds["onnxruntime"]["over_onnxruntime"] == {"1": 1.0, "8": 1.0}
    assert all(speed["per_s"]["1"] > 0 for speed in speeds.values())


def speed(runtime: RuntimeName, per_s: float) -> Speed:
    return Speed(runtime, runtime, {1: per_s, 8: per_s}, {1: per_s / 100, 8: per_s / 100})


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("auto", ["tensorrt instead of auto encodes 9.0 times", "openvino instead of auto"]),
        ("openvino", ["tensorrt instead of openvino encodes 4.5 times"]),
        ("tensorrt", []),
        ("cuda", []),  # was not measured, so nothing is known
    ],
)
def test_advice_is_what_is_clearly_faster(asked: RuntimeName, says: list[str]) -> None:
    speeds = [speed("tensorrt", 900), speed("openvino", 200), speed("onnxruntime", 100)]
    speeds.append(speed("openvino-int8", 110))  # too little to be worth it
    lines = advice(speeds, [Plan("s", "0", asked, "x", "")])
    assert len(lines) == len(says)
    for line, part in zip(lines, says, strict=True):
        assert part in line
        assert ("compare labels first" in line) == ("tensorrt" in line)
