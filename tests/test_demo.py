"""The whole product on the sample recordings, as `linewatch demo` runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.comparison import Doubted, StationVerdict, verdict_lines
from industryasm.deviation import KnownDeviation
from models.findings import Deviation
from models.metrics import DeviationScore, segmentation_score

ROOT = Path(__file__).parent.parent


def test_the_headless_demo_tells_what_was_planted_but_for_one_a_station(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "linewatch",
            "demo",
            "--headless",
            "--json",
            "--keep",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["passed"]
    assert {station["task"] for station in verdict["stations"]} == {"gear-reducer", "relay-module"}
    for station in verdict["stations"]:
        found, unsure = (station["deviations"][told] for told in ("found", "unsure"))
        assert len({row["kind"] for row in [*found, *unsure]}) >= 4
        assert len(found) >= 3
        assert len(station["deviations"]["invented"]) <= 1
        assert station["cycles"] == {"planted": 6, "found": 6}
        assert station["steps"]["f1_50"] > 90
    assert (tmp_path / "linewatch.sqlite").is_file()


def test_what_was_said_as_unsure_is_told_apart_and_is_not_left_out() -> None:
    missed = tuple(KnownDeviation("missed", step, 1, 0.0, 9.0) for step in ("a", "b"))
    unsure = Deviation("1", "unsure", "confirmed", "a", 1, 0.0, 9.0, 9.0, "not done; 40 % sure")
    verdict = StationVerdict(
        station="s",
        task="t",
        num_cycles=1,
        num_cycles_found=1,
        steps=segmentation_score(predicted=[["c"]], truth=[["c"]]),
        num_steps=3,
        num_steps_found=1,
        deviations=DeviationScore((), missed, ()),
        doubted=(Doubted(missed[0], unsure),),
        frames_per_s=5.0,
        runtime="r",
    )
    assert verdict.not_told == [missed[1]]
    assert verdict.passed
    assert not replace(verdict, doubted=()).passed
    told = [line.split()[:2] for line in verdict_lines(verdict)[2:]]
    assert told == [["UNSURE", "missed"], ["NOT", "FOUND"]]
    deviations = verdict.to_plain()["deviations"]
    assert isinstance(deviations, dict)
    assert [len(deviations[name]) for name in ("unsure", "missed")] == [1, 1]


def test_the_live_demo_shows_its_page_and_ends_everything_on_ctrl_c(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "linewatch", "demo", "--keep", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        address = re.search(r"http://\S+", first)
        assert address, first
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{address[0]}/_stcore/health", timeout=5) as reply:
                    assert reply.status == 200
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.5)
        line = ""
        while "unit 1" not in line:
            line = process.stdout.readline()
            assert line, "the demo ended by itself"
            assert time.monotonic() < deadline + 120
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in running.stdout


@pytest.mark.parametrize("keep", ["/proc/no/such"])
def test_a_folder_that_cannot_be_made_is_one_line(keep: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "linewatch", "demo", "--headless", "--keep", keep],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert keep in done.stderr
