"""Fixtures that several tests share: a station's words, a store, a throwaway PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.messages import (
    CycleEnded,
    CycleStarted,
    DeviationSeen,
    Event,
    Heartbeat,
    Payload,
    SegmentSeen,
    StationStarted,
    TaskInfo,
)

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STEPS = (
    ("place-base", "Place the base plate in the fixture"),
    ("insert-gear", "Insert the gear"),
    ("screw-cover", "Screw the cover on with four screws"),
)


class Script:
    """The words of one station; `event` numbers them as its outbox would."""

    def __init__(
        self,
        station: str = "line-1.station-1",
        boot: str = "boot-1",
        *,
        begin: datetime = NOON,
        steps: tuple[tuple[str, str], ...] = STEPS,
        task: tuple[str, str] = ("gearbox", "Gearbox assembly"),
    ) -> None:
        self.task, self.task_name = task
        self.station, self.boot, self.begin, self.steps = station, boot, begin, steps
        self.sequence = 0

    def event(self, payload: Payload, sequence: int | None = None) -> Event:
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        return Event(
            station=self.station,
            boot=self.boot,
            sequence=sequence,
            sent_at=self.begin,
            payload=payload,
        )

    def at(self, second: float) -> datetime:
        return self.begin + timedelta(seconds=second)

    def started(self, line: str = "Line 1", name: str = "Station 1"):
        info = TaskInfo(id=self.task, name=self.task_name, revision=1, steps=self.steps)
        return StationStarted(
            site="Northfield", line=line, name=name, camera="cam-1", task=info, model="m"
        )

    def heartbeat(self, state: str = "watching", step: str | None = None, **more: object):
        return Heartbeat(state=state, step=step, **more)

    def cycle(self, number: int, second: float = 0, task: str | None = None):
        return CycleStarted(
            cycle=f"{self.boot}.c{number}",
            number=number,
            task=task or self.task,
            started_at=self.at(second),
        )

    def cycle_end(self, number: int, second: float = 60, complete: bool = True):
        return CycleEnded(
            cycle=f"{self.boot}.c{number}", ended_at=self.at(second), complete=complete
        )

    def segment(self, number: int, step: str, start: float, end: float, name: str | None = None):
        return SegmentSeen(
            segment=name or f"{self.boot}.s{start:g}",
            cycle=f"{self.boot}.c{number}" if number else None,
            step=step,
            started_at=self.at(start),
            ended_at=self.at(end),
            confidence=0.9,
        )

    def deviation(
        self,
        number: int,
        kind: str,
        step: str,
        second: float = 10,
        state: str = "confirmed",
        **more: object,
    ):
        return DeviationSeen(
            deviation=f"{self.boot}.d{number}.{kind}.{second:g}",
            cycle=f"{self.boot}.c{number}" if number else None,
            type=kind,
            state=state,
            step=step,
            started_at=self.at(second),
            ended_at=self.at(second + 1),
            detected_at=self.at(second + 2),
            **more,
        )


@pytest.fixture
def script() -> type[Script]:
    return Script


@pytest.fixture
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def start_process() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start Python with the given arguments; whatever still runs is killed after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **options: object) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, *arguments], **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A throwaway cluster of Debian's PostgreSQL on a Unix socket, run by an ordinary user."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    programs = found[-1].parent
    # short and open to the ordinary user, as pytest's own folders are not
    folder = Path(tempfile.mkdtemp(prefix="lw-pg-"))
    run_as: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses root
        shutil.chown(folder, "nobody")
        user = pwd.getpwnam("nobody")
        run_as = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    data = str(folder / "data")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
    initdb = [str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "linewatch", "-E", "UTF8"]
    control = [str(programs / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log")]
    try:
        subprocess.run([*run_as, *initdb], **quiet)
        subprocess.run([*run_as, *control, "-o", options, "start"], **quiet)
        yield f"postgresql+psycopg://linewatch@/postgres?host={folder}"
        subprocess.run([*run_as, *control, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind that is supported."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.sqlite'}"
    import psycopg

    url = request.getfixturevalue("postgres_url")
    name = f"test_{os.urandom(6).hex()}"
    host = url.partition("host=")[2]
    with psycopg.connect(
        host=host, user="linewatch", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.replace("/postgres?", f"/{name}?")
