"""Starts the processes of this machine, keeps them running and leaves none behind.

Each child is led on a leash (see `dashboard.leash`) in a session and process group of its own. What
it prints is logged with its name. A child that fails is started again, after a wait that grows; one
that ends with status 0 has done its work, unless it is to stay; one that ends with status 2 has a
configuration that starting again cannot mend, and ends everything.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from dashboard import leash
from dashboard.leash import CONFIGURATION_ERROR

logger = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
STEADY_S = 30.0  # a child that ran so long starts again with the shortest wait
POLL_S = 0.05
SAME_WISH_S = 0.5
MAX_LINE = 4096  # characters of a child's line that are logged as one


@dataclass(frozen=True)
class Child:
    """A program to run; `env` is added to the environment of the supervisor.

    One that `stays` has never done its work: it is started again however it ended.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stays: bool = False


class Supervisor:
    """Runs `children` until they are done, one has a configuration error, or it is stopped.

    Either `run()` in the main thread, or `with Supervisor(...) as supervisor:` around other work.
    `grace_s` is how long a child may take to end when it is asked to, before it is killed.
    """

    def __init__(self, children: Sequence[Child], *, grace_s: float = 5.0) -> None:
        self.status: int | None = None
        self._running = [_Running(child, grace_s) for child in children]
        self._grace_s = grace_s
        self._asked_to_stop = 0  # how often
        self._asked_s = 0.0
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    def run(self) -> int:
        """Run until the end and return the exit status: 0, also when stopped by a signal, or 2.

        SIGINT and SIGTERM stop all children; a second one kills those that do not end.
        """
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            self.start()
            return self.wait()
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self) -> None:
        """Start all children and return; a thread looks after them."""
        self._thread = threading.Thread(target=self._look_after, name="supervisor")
        self._thread.start()

    def wait(self) -> int:
        """Wait until nothing runs any more and return the exit status.

        Raises `OSError` when a process could not be started, for want of memory, say.
        """
        assert self._thread, "start() comes first"
        while self._thread.is_alive():
            self._thread.join(POLL_S)  # a short wait, in which signals are handled
        if self._failure:
            raise self._failure
        return self.status or 0

    def stop(self) -> int:
        """End all children and return the exit status; nothing of them runs afterwards."""
        self._asked_to_stop = max(1, self._asked_to_stop)
        return self.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _on_signal(self, *_: object) -> None:
        # a plain count, because a handler must take no lock that the thread below it may hold
        # One wish to stop may come as several signals: `timeout` and some init systems send it to
        # the process and to its group. A person who presses Ctrl-C again takes longer.
        now_s = time.monotonic()
        if not self._asked_to_stop or now_s - self._asked_s >= SAME_WISH_S:
            self._asked_to_stop += 1
            self._asked_s = now_s

    def _look_after(self) -> None:
        status = 0
        try:
            while not self._asked_to_stop and not all(one.is_done for one in self._running):
                for one in self._running:
                    one.look_after()
                if any(one.status == CONFIGURATION_ERROR for one in self._running):
                    status = CONFIGURATION_ERROR
                    break
                time.sleep(POLL_S)
        except OSError as error:
            self._failure = error
        finally:
            self._end_all()
            self.status = status

    def _end_all(self) -> None:
        for one in self._running:
            one.signal(signal.SIGTERM)
        end_s = time.monotonic() + self._grace_s
        while any(one.is_alive() for one in self._running):
            if time.monotonic() >= end_s or self._asked_to_stop > 1:
                break
            time.sleep(POLL_S)
        for one in self._running:
            one.end()


class _Running:
    """One child and the process that it is now."""

    def __init__(self, child: Child, grace_s: float) -> None:
        self.status: int | None = None  # of its last end
        self._child = child
        self._grace_s = grace_s
        self._process: subprocess.Popen[str] | None = None
        self._started_s = 0.0
        self._start_at_s = 0.0
        self._num_failures = 0

    @property
    def is_done(self) -> bool:
        return self.status == 0 and not self._child.stays

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def look_after(self) -> None:
        """Start the child when it is time, and note its end."""
        if self._process:
            if not self.is_alive():
                self._note_end()
        elif not self.is_done and time.monotonic() >= self._start_at_s:
            self._start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child and to all that it started."""
        if self._process:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                logger.debug("%s: had ended already", self._child.name)

    def end(self) -> None:
        """Kill what is left of the child and of all that it started."""
        if not self._process:
            return
        if self.is_alive():
            logger.warning("%s: had not ended by itself; killed", self._child.name)
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._let_go(self._process)

    def _start(self) -> None:
        # -I -S: the leash needs no installed package, and must not be led astray by the environment
        lead = [sys.executable, "-I", "-S", str(Path(leash.__file__)), str(self._grace_s)]
        self._process = subprocess.Popen(
            [*lead, *self._child.argv],
            env={**os.environ, **self._child.env},
            stdin=subprocess.PIPE,  # held open, never written: its end tells the leash of ours
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._started_s = time.monotonic()
        self.status = None
        assert self._process.stdout
        threading.Thread(
            target=_log_lines,
            args=(self._child.name, self._process.stdout),
            name=f"output of {self._child.name}",
            daemon=True,
        ).start()

    def _note_end(self) -> None:
        assert self._process
        self.status = self._process.returncode
        self.signal(signal.SIGKILL)  # what it left behind
        self._let_go(self._process)
        if self.is_done or self.status == CONFIGURATION_ERROR:
            logger.info("%s: ended with status %d", self._child.name, self.status)
            return
        is_steady = time.monotonic() - self._started_s >= STEADY_S
        self._num_failures = 0 if is_steady else min(self._num_failures + 1, 10)
        wait_s = min(FIRST_WAIT_S * 2.0 ** max(self._num_failures - 1, 0), LONGEST_WAIT_S)
        self._start_at_s = time.monotonic() + wait_s
        logger.error(
            "%s: ended with status %d; starting again in %g s",
            self._child.name,
            self.status,
            wait_s,
        )

    def _let_go(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        process.stdin.close()
        self._process = None


def _log_lines(name: str, output: IO[str]) -> None:
    """Log what a child prints until all who hold its output are gone."""
    with output:
        while line := output.readline(MAX_LINE):
            if line.strip():
                logger.info("%s: %s", name, line.rstrip())
