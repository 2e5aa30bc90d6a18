"""The command line: every fault that a person can mend is one line and exit status 2."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cli import _teller
from industryasm.vocabulary import task_ids
from models.card import SHIPPED
from models.findings import CycleStarted
from models.whole_files import WriteError

ROOT = Path(__file__).parent.parent
SHARED_VIDEO = ROOT.parent / "shared" / "data" / "video"


def linewatch(
    *arguments: str, timeout_s: float = 90, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "linewatch", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def deployment(folder: Path, **changes: str) -> Path:
    values = {
        "endpoint": f"tcp://127.0.0.1:{free_port()}",
        "url": "sqlite:///linewatch.sqlite",
        "port": str(free_port()),
        "source": "sample:gear-reducer",
        "task": "gear-reducer",
        "model": "null",
        "extra": "",
    } | changes
    path = folder / "deploy.yaml"
    path.write_text(
        "site: S\n"
        f"hub: {{endpoint: '{values['endpoint']}'}}\n"
        f"database: {{url: '{values['url']}'}}\n"
        f"dashboard: {{port: {values['port']}}}\n"
        "lines: [{id: one, name: One}]\n"
        "stations:\n"
        f"  - {{id: a, name: A, line: one, task: {values['task']}, model: {values['model']},\n"
        f"     camera: {{source: '{values['source']}'}}}}\n" + values["extra"]
    )
    return path


def assert_one_line(done: subprocess.CompletedProcess[str], *says: str) -> None:
    lines = [line for line in done.stderr.splitlines() if line.startswith("linewatch: ")]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    for part in says:
        assert part in lines[0]


@pytest.mark.parametrize(
    ("source", "task", "says"),
    [
        ("/no/such/file.mp4", "gear-reducer", "/no/such/file.mp4"),
        ("empty.mp4", "gear-reducer", "empty.mp4"),
        ("noise.mp4", "gear-reducer", "noise.mp4"),
        ("/dev/zero", "gear-reducer", "/dev/zero"),
        (".", "gear-reducer", "image"),
        ("rtsp://user:secret@127.0.0.1:9/stream", "gear-reducer", "127.0.0.1:9"),
        ("ftp://127.0.0.1/x", "gear-reducer", "ftp"),
        ("empty.mp4", "no-such-task", "no-such-task"),
    ],
)
def test_monitor_names_what_it_cannot_watch(
    tmp_path: Path, source: str, task: str, says: str
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "noise.mp4").write_bytes(os.urandom(100_000))
    done = linewatch("monitor", source, "--task", task, cwd=tmp_path)
    assert_one_line(done, says)
    assert "secret" not in done.stderr + done.stdout


@pytest.mark.skipif(not SHARED_VIDEO.is_dir(), reason="the shared videos are not on this machine")
def test_monitor_refuses_the_damaged_sample() -> None:
    done = linewatch("monitor", str(SHARED_VIDEO / "damaged.avi"), "--task", "gear-reducer")
    assert_one_line(done, "damaged.avi", "encode it anew")


def test_monitor_says_that_the_pictures_are_dark_and_finds_no_work_in_them(tmp_path: Path) -> None:
    for number in range(40):
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), np.zeros((96, 128, 3), np.uint8))
    done = linewatch("monitor", str(tmp_path), "--task", "gear-reducer")
    assert (done.returncode, done.stdout) == (0, "")
    assert "pictures are dark: " in done.stderr


def test_a_model_of_another_task_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    model = str(SHIPPED / "relay-module")
    done = linewatch(
        "monitor", "empty.mp4", "--task", "gear-reducer", "--model", model, cwd=tmp_path
    )
    assert_one_line(done, "relay-module", "gear-reducer")


def test_a_model_folder_that_holds_none_is_refused(tmp_path: Path) -> None:
    done = linewatch("monitor", "x.mp4", "--task", "gear-reducer", "--model", str(tmp_path))
    assert_one_line(done, str(tmp_path), "card.json")


def test_findings_that_cannot_be_written_are_a_fault(tmp_path: Path) -> None:
    done = linewatch(
        "monitor", "x.mp4", "--task", "gear-reducer", "--jsonl", str(tmp_path / "no" / "x.jsonl")
    )
    assert_one_line(done, "x.jsonl")


def test_findings_for_a_pipe_that_nobody_reads_are_a_fault(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = ["monitor", "x.mp4", "--task", "gear-reducer", "--jsonl", str(tmp_path / "pipe")]
    assert_one_line(linewatch(*command, timeout_s=30), "pipe", "nobody reads this pipe")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full_of_findings_is_a_fault() -> None:
    says = "/dev/full: cannot be written: No space left"
    with pytest.raises(WriteError, match=says), ExitStack() as stack:
        _teller(stack, Path("/dev/full"))(CycleStarted(1, 0.0, 1.0))


def test_predictions_that_cannot_be_written_are_a_fault(tmp_path: Path) -> None:
    out = str(tmp_path / "no" / "p.jsonl")
    done = linewatch("predict", "gear-reducer", "--data", str(tmp_path), "--out", out)
    assert_one_line(done, "p.jsonl: cannot be written: No such file or directory")


def test_a_file_where_a_folder_is_made_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    done = linewatch("data", "render", "--task", "gear-reducer", "--out", str(file))
    assert_one_line(done, str(file), "Not a directory")
    assert file.read_text() == "mine"


def test_the_live_demo_refuses_to_print_json() -> None:
    assert_one_line(linewatch("demo", "--json"), "--json needs --headless")


def test_check_accepts_the_deployment_file_of_the_repository() -> None:
    done = linewatch("check", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stations"] == {
        "gear-1": "gear-reducer",
        "relay-1": "relay-module",
    }


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task": "no-such-task"}, "deploy.yaml:7"),
        ({"model": "nowhere"}, "deploy.yaml:7"),
        ({"extra": "colour: red\n"}, "deploy.yaml:9: colour: unknown key"),
        ({"endpoint": "tcp://0.0.0.0:5750"}, "deploy.yaml:2"),
        ({"source": "rtsp://x:${NO_SUCH_NAME}@y/z"}, "NO_SUCH_NAME"),
        ({"port": "99999"}, "deploy.yaml:4"),
    ],
)
def test_check_names_file_line_and_key(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    done = linewatch("check", str(deployment(tmp_path, **changes)))
    assert_one_line(done, says)


def test_a_deployment_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert_one_line(linewatch("up", str(tmp_path / "deploy.yaml")), "deploy.yaml")


@pytest.mark.parametrize("part", ["hub", "dashboard"])
def test_a_port_in_use_is_a_fault(tmp_path: Path, part: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        key = {"endpoint": f"tcp://127.0.0.1:{port}"} if part == "hub" else {"port": str(port)}
        done = linewatch("up", str(deployment(tmp_path, **key)), "--only", part)
    assert_one_line(done, str(port))


def test_a_database_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    file = deployment(tmp_path, url=f"sqlite:///{tmp_path}/taken/x.sqlite")
    assert_one_line(linewatch("up", str(file), "--only", "hub"), "taken/x.sqlite")


def test_one_part_with_a_fault_ends_all_and_leaves_no_process(tmp_path: Path) -> None:
    file = deployment(tmp_path, source=str(tmp_path / "nothing.mp4"))
    done = linewatch("up", str(file))
    assert done.returncode == 2, done.stderr
    assert "nothing.mp4" in done.stderr
    assert "Traceback" not in done.stderr
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(file) not in running.stdout


def test_an_unknown_part_is_answered_with_those_there_are(tmp_path: Path) -> None:
    done = linewatch("up", str(deployment(tmp_path)), "--only", "station:b")
    assert_one_line(done, "station:a")


def test_every_command_has_help_and_tasks_are_listed() -> None:
    for command in ("demo", "up", "check", "monitor", "tasks", "data", "train", "evaluate"):
        done = linewatch(command, "--help")
        assert done.returncode == 0, done.stderr
        assert "--help" in done.stdout
    listed = json.loads(linewatch("tasks", "--json").stdout)
    assert [task["id"] for task in listed] == list(task_ids())


@pytest.mark.parametrize(
    ("what", "modules"),
    [
        ("the command line, before a command needs it", "linewatch"),
        ("stations", "edge.watch, edge.pipeline, edge.cameras.process"),
        ("the hub", "dashboard.hub"),
        ("the pages", "dashboard.processes, dashboard.cards, dashboard.panels, dashboard.session"),
        ("the demo", "dashboard.demo"),
        ("answers of a step model", "edge.answers.step_answers"),
    ],
)
def test_what_runs_at_a_line_imports_no_torch(what: str, modules: str) -> None:
    code = f"import {modules}, sys; assert 'torch' not in sys.modules"
    path = f"{ROOT}{os.pathsep}{ROOT / 'datasets'}"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})


def test_importing_datasets_from_the_root_is_not_ours() -> None:
    """`import datasets` must stay free for the library of that name."""
    assert not (ROOT / "datasets" / "__init__.py").exists()
    code = "import datasets; assert datasets.__file__ is None"  # a bare folder, not a package
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_station_waits_for_its_camera_and_stops_when_told(tmp_path: Path) -> None:
    file = deployment(tmp_path, source=f"rtsp://127.0.0.1:{free_port()}/away")
    process = subprocess.Popen(
        [sys.executable, "-m", "linewatch", "up", str(file), "--only", "station:a"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "trying again" in line:
            break
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
