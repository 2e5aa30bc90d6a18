"""The whole product on sample recordings: stations, hub, database and pages, each a process."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from dashboard.comparison import StationVerdict, compare, verdict_lines
from dashboard.processes import is_free, part
from dashboard.store import Store
from dashboard.supervisor import Supervisor
from edge.deployment import Deployment, load_deployment
from industryasm.fault import UserFault
from industryasm.stations.sample import sample_recording
from industryasm.vocabulary import load_task

STATIONS = {"gear-1": "gear-reducer", "relay-1": "relay-module"}
FIRST_PORT = 8501
DAY_ONE = datetime(1970, 1, 1, tzinfo=UTC)

FILE = """\
site: Demonstration
data: .
hub: {{endpoint: "tcp://127.0.0.1:{hub_port}"}}
dashboard: {{port: {page_port}}}
lines:
  - {{id: line-1, name: Line 1}}
stations:
  - {{id: gear-1, name: "Gear reducer, bench 1", line: line-1, task: gear-reducer,
     camera: {{source: "sample:gear-reducer"}}}}
  - {{id: relay-1, name: "Relay module, bench 2", line: line-1, task: relay-module,
     camera: {{source: "sample:relay-module"}}}}
"""


@dataclass(frozen=True)
class Verdict:
    """The demo's result over its stations."""

    stations: tuple[StationVerdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every station passed (`StationVerdict.passed`)."""
        return all(station.passed for station in self.stations)

    def to_plain(self) -> dict[str, object]:
        """Return the verdict as plain values for JSON."""
        return {"passed": self.passed, "stations": [s.to_plain() for s in self.stations]}


def verdict_text(verdict: Verdict) -> str:
    """Word the verdict for a terminal."""
    lines = [line for station in verdict.stations for line in verdict_lines(station)]
    lines.append(
        "passed" if verdict.passed else "FAILED: too much NOT FOUND or INVENTED, see above"
    )
    return "\n".join(lines)


def run_headless(*, keep: Path | None) -> Verdict:
    """Play the samples as fast as the machine can through all processes; compare with the truth.

    Raises `UserFault` when a process of it cannot run.
    """
    with _folder(keep) as folder:
        file, deployment = _write_deployment(folder, page_port=FIRST_PORT)
        hub = Supervisor([part(file, "hub")])
        stations = Supervisor([part(file, "stations", fast=True)])
        with _stop_on_signals() as stop, hub, stations:
            while stations.status is None and hub.status is None and not stop.wait(0.1):
                pass
            if stop.is_set() or stations.status or hub.status is not None:
                raise UserFault("the demo was stopped before its recordings ended; see above")
        with Store.open(deployment.database.url) as store:
            return Verdict(tuple(_judge(store, name, task) for name, task in STATIONS.items()))


def run_live(*, port: int | None, keep: Path | None) -> int:
    """Play the samples as live cameras, with the pages, until Ctrl-C; return the exit status."""
    page_port = port or next(
        p for p in range(FIRST_PORT, FIRST_PORT + 100) if is_free("127.0.0.1", p)
    )
    with _folder(keep) as folder:
        file, deployment = _write_deployment(folder, page_port=page_port)
        supervisor = Supervisor([part(file, name) for name in ("hub", "dashboard", "stations")])
        logging.getLogger("dashboard.supervisor").addFilter(_is_trouble)
        print(f"Linewatch demo: http://127.0.0.1:{page_port}   (Ctrl-C ends it)", flush=True)
        with (
            _stop_on_signals() as stop,
            supervisor,
            Store.open(deployment.database.url) as store,
        ):
            progress = Progress(store)
            while supervisor.status is None and not stop.wait(1.0):
                progress.show()
        print()
        return supervisor.status or 0


class Progress:
    """Tells on the terminal what the database says: deviations as lines, the state as one line."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: set[tuple[str, str, str]] = set()
        self._last_line = ""
        self._last_s = 0.0

    def show(self) -> None:
        """Read the store once and print what is new."""
        parts: list[str] = []
        for name in STATIONS:
            detail = self._store.station(name, now=datetime.now(UTC), today_from=DAY_ONE)
            if detail is None:
                parts.append(f"{name}: getting ready")
                continue
            for deviation in reversed(detail.deviations):
                key = (name, deviation.id, deviation.state)
                if key not in self._told:
                    self._told.add(key)
                    unit = deviation.cycle_number or "-"
                    kind = deviation.kind.replace("_", " ")
                    self._print(
                        f"{name}, unit {unit}: {deviation.state} {kind}: {deviation.step_text}"
                    )
            status = detail.status
            unit_text = f"unit {status.cycle.number}" if status.cycle else "no unit yet"
            step = status.current_step or status.health
            parts.append(f"{name}: {unit_text}, {step}")
        self._print_state("  |  ".join(parts))

    def _print(self, line: str) -> None:
        wipe = "\r\033[K" if sys.stdout.isatty() else ""
        print(f"{wipe}{datetime.now():%H:%M:%S} {line}", flush=True)

    def _print_state(self, line: str) -> None:
        if sys.stdout.isatty():
            print(f"\r\033[K{line}", end="", flush=True)
        elif line != self._last_line and time.monotonic() - self._last_s >= 5:
            print(line, flush=True)
            self._last_line, self._last_s = line, time.monotonic()


def _judge(store: Store, station: str, task: str) -> StationVerdict:
    recording, _ = sample_recording(load_task(task))
    detail = store.station(station, now=datetime.now(UTC), today_from=DAY_ONE, num_cycles=1000)
    if detail is None:
        raise UserFault(f"station {station} never reached the hub; see its messages above")
    return compare(recording, detail)


def _write_deployment(folder: Path, *, page_port: int) -> tuple[Path, Deployment]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        hub_port = probe.getsockname()[1]
    path = folder / "deploy.yaml"
    path.write_text(FILE.format(hub_port=hub_port, page_port=page_port), encoding="utf-8")
    return path, load_deployment(path)


def _is_trouble(record: logging.LogRecord) -> bool:
    """Keep back what the processes say in good order: the progress line tells it shorter."""
    said = record.getMessage()
    return record.levelno >= logging.WARNING or "linewatch: " in said or "ERROR" in said


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with TemporaryDirectory(prefix="linewatch-demo-") as scratch:
            yield Path(scratch)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserFault(f"--keep {keep}: cannot be made: {error.strerror}") from error
    yield keep


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
