"""A camera's process as the station sees it: started, talked to, and killed when it hangs.

A program of its own, not a fork: the station has threads and a GPU, which do not survive a fork.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress

from edge.cameras.link import Link, LinkClosedError, LinkSilentError, Message

START_S = 30.0  # it imports PyAV and OpenCV, which takes seconds on a small and busy machine
POLITE_S = 1.0  # for a farewell to the camera
KILL_S = 5.0  # a process that outlives a SIGKILL so long waits in a driver


class CameraGoneError(Exception):
    """The camera's process has died, or hung and was killed; the text is the reason."""


class CameraChild:
    """One process of `edge.cameras.process`; `end` it in the end.

    Must be made and ended in one thread, with which the process ends (PR_SET_PDEATHSIG).
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = (str(theirs.fileno()), str(os.getpid()))
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "edge.cameras.process", *arguments],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=os.environ | _environment(),
                )
            except OSError:
                ours.close()
                raise
        self.link = Link(ours)
        self.was_killed = False
        self._has_started = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Message) -> None:
        """Tell the process something; raise `CameraGoneError`."""
        try:
            self.link.send(message)
        except LinkClosedError:
            raise self._gone() from None

    def receive(self, silence_s: float) -> tuple[Message, int | None]:
        """Wait for its next message and the file descriptor that came along.

        Raises `CameraGoneError` when it has died, or was killed because it said nothing for
        `silence_s` seconds (more while it starts).
        """
        limit_s = silence_s if self._has_started else max(silence_s, START_S)
        try:
            received = self.link.receive(limit_s)
        except LinkClosedError:
            raise self._gone() from None
        except LinkSilentError:
            self.was_killed = True
            self._process.kill()
            raise CameraGoneError(f"hung for {limit_s:g} s; its process was killed") from None
        self._has_started = True
        return received

    def end(self) -> bool:
        """End the process and wait for it; return whether it is gone."""
        self.link.hang_up()
        self.link.close()
        if not self.was_killed:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(POLITE_S)
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_S)
        return self._process.returncode is not None

    def _gone(self) -> CameraGoneError:
        if not self.link.hung_up:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(KILL_S)  # it is dying, and its status says of what
        self.end()
        status = self._process.returncode
        return CameraGoneError(f"the process that reads it ended (status {status})")


def _environment() -> dict[str, str]:
    """Return what the process needs to find the same modules; it does no linear algebra."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109
    return {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
