"""The supervisor with real processes: it starts again, ends, and leaves nobody behind."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.supervisor import Child, Supervisor

LIMIT_S = 30.0  # for what takes well under a second on an idle machine

# writes the id of a process of its own that would sleep for ever, and its own id, then sleeps
FAMILY = """
import os, pathlib, subprocess, sys, time
kid = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {kid.pid} ")
time.sleep(1000)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY
SUPERVISE = """
import sys
from dashboard.supervisor import Child, Supervisor
argv = [sys.executable, "-c", sys.argv[1]]
children = [Child("a", [*argv, sys.argv[2]]), Child("b", [*argv, sys.argv[3]])]
sys.exit(Supervisor(children, grace_s=0.5).run())
"""


def python(name: str, code: str, *args: object, **env: str) -> Child:
    return Child(name, [sys.executable, "-c", code, *map(str, args)], env)


def wait_for(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, "what was waited for did not happen"
        time.sleep(0.02)


def written(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def ids(path: Path) -> list[int]:
    """Return the ids of a family: itself and its kid."""
    wait_for(lambda: written(path).endswith(" "))
    return [int(word) for word in written(path).split()]


def is_running(pid: int) -> bool:
    """Return whether the process runs; one that waits for its parent to look does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def are_gone(pids: list[int]) -> bool:
    return not any(is_running(pid) for pid in pids)


def supervise(code: str, *files: Path) -> subprocess.Popen[bytes]:
    """Start a supervisor of two families in a process of its own."""
    argv = [sys.executable, "-c", SUPERVISE, code, *map(str, files)]
    return subprocess.Popen(argv, cwd=Path(__file__).resolve().parents[1])


def test_children_that_have_done_their_work_end_it_with_0(tmp_path: Path) -> None:
    children = [
        python("a", f"open({str(tmp_path / 'a')!r}, 'a').write('x')"),
        python("b", "import os, sys; sys.exit(os.environ['ANSWER'] != '42')", ANSWER="42"),
    ]
    assert Supervisor(children).run() == 0
    assert written(tmp_path / "a") == "x"  # once: what is done is not started again


def test_a_child_that_dies_is_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code = "import sys; f = open(sys.argv[1], 'a'); f.write('x'); sys.exit(f.tell() < 3)"
    assert Supervisor([python("station", code, tmp_path / "starts")]).run() == 0
    assert written(tmp_path / "starts") == "xxx"
    failures = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert failures == [
        "station: ended with status 1; starting again in 0.5 s",
        "station: ended with status 1; starting again in 1 s",
    ]


def test_a_child_that_stays_is_started_again_however_it_ended(tmp_path: Path) -> None:
    code = "import sys; f = open(sys.argv[1], 'a'); f.write('x'); sys.exit(2 * (f.tell() > 2))"
    child = replace(python("hub", code, tmp_path / "starts"), stays=True)
    assert Supervisor([child]).run() == 2
    assert written(tmp_path / "starts") == "xxx"


def test_a_child_that_is_killed_is_started_again(tmp_path: Path) -> None:
    code = """
import os, sys
starts = open(sys.argv[1], "a")
starts.write("x")
starts.flush()
if starts.tell() < 2:
    os.kill(os.getpid(), 9)
"""
    assert Supervisor([python("station", code, tmp_path / "starts")]).run() == 0
    assert written(tmp_path / "starts") == "xx"


def test_a_configuration_error_of_one_ends_all_with_2(tmp_path: Path) -> None:
    children = [
        python("good", FAMILY, tmp_path / "family"),
        python("bad", "import time, sys; time.sleep(0.3); sys.exit(2)"),
    ]
    assert Supervisor(children).run() == 2
    assert are_gone(ids(tmp_path / "family"))


def test_a_program_that_is_not_there_is_a_configuration_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    assert Supervisor([Child("pages", ["/no/such/program"])]).run() == 2
    wait_for(lambda: "pages: /no/such/program: cannot be started: No such file" in caplog.text)


def test_what_children_print_is_logged_with_their_names(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    code = (
        "import sys; print('out'); print('err', file=sys.stderr); sys.stdout.buffer.write(b'\\xff')"
    )
    Supervisor([python("hub", code)]).run()
    wait_for(lambda: {"hub: out", "hub: err", "hub: \ufffd"} <= set(caplog.messages))


def test_stop_leaves_nobody(tmp_path: Path) -> None:
    with Supervisor([python("a", FAMILY, tmp_path / "a"), python("b", FAMILY, tmp_path / "b")]):
        pids = ids(tmp_path / "a") + ids(tmp_path / "b")
        assert all(is_running(pid) for pid in pids)
    wait_for(lambda: are_gone(pids))


def test_a_child_that_does_not_listen_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Supervisor([python("deaf", STUBBORN, tmp_path / "a")], grace_s=0.3):
        pids = ids(tmp_path / "a")
    wait_for(lambda: are_gone(pids))
    assert "deaf: had not ended by itself; killed" in caplog.messages


def test_a_kid_that_a_dead_child_left_behind_is_ended(tmp_path: Path) -> None:
    code = FAMILY.replace("time.sleep(1000)\n", "os._exit(0)\n")
    Supervisor([python("a", code, tmp_path / "a")]).run()
    wait_for(lambda: are_gone(ids(tmp_path / "a")))


def test_stopping_at_once_needs_no_killing(caplog: pytest.LogCaptureFixture) -> None:
    for wait_s in (0.0, 0.02, 0.04, 0.08):  # before, while and after the program starts
        with Supervisor([python("a", "import time; time.sleep(1000)")]):
            time.sleep(wait_s)
    assert not [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_stopping_while_a_child_waits_to_be_started_again_is_quick() -> None:
    with Supervisor([python("a", "import sys; sys.exit(1)")]) as supervisor:
        time.sleep(0.3)
    assert supervisor.status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("code", [FAMILY, STUBBORN], ids=["polite", "stubborn"])
def test_a_signal_to_the_supervisor_ends_all_with_0(
    tmp_path: Path, number: signal.Signals, code: str
) -> None:
    supervisor = supervise(code, tmp_path / "a", tmp_path / "b")
    pids = ids(tmp_path / "a") + ids(tmp_path / "b")
    supervisor.send_signal(number)
    assert supervisor.wait(LIMIT_S) == 0
    wait_for(lambda: are_gone(pids))


@pytest.mark.parametrize("code", [FAMILY, STUBBORN], ids=["polite", "stubborn"])
def test_nobody_outlives_a_supervisor_that_is_killed(tmp_path: Path, code: str) -> None:
    supervisor = supervise(code, tmp_path / "a", tmp_path / "b")
    pids = ids(tmp_path / "a") + ids(tmp_path / "b")
    leashes = [os.getpgid(pid) for pid in pids]
    supervisor.kill()
    supervisor.wait(LIMIT_S)
    wait_for(lambda: are_gone(pids + leashes))


SLOW_TO_END = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def end(*_):
    time.sleep(0.3)
    (folder / "ended").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
(folder / "ready").touch()
time.sleep(1000)
"""


def test_a_signal_sent_twice_at_once_lets_children_end_by_themselves(tmp_path: Path) -> None:
    """`timeout` signals the process and its group: that is one wish to stop, not an urgent one."""
    script = "from dashboard.supervisor import Child, Supervisor\n"
    script += "import sys\n"
    script += f"code = {SLOW_TO_END!r}\n"
    script += f"child = Child('slow', [sys.executable, '-c', code, {str(tmp_path)!r}])\n"
    script += "sys.exit(Supervisor([child]).run())\n"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parent.parent)
    wait_for((tmp_path / "ready").exists)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)  # after the first was handled, so that both are seen
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_S) == 0
    assert (tmp_path / "ended").exists()
