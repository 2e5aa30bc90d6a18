"""Runs one program for the supervisor and takes it along when the supervisor is gone.

    supervisor --pipe--> leash (leader of a process group) --> program --> its own children

The leash waits on two things: its program, whose exit status it hands on, and its standard input,
a pipe that only the supervisor holds open. The kernel closes that pipe however the supervisor
ends, kill -9 included; the leash then ends its whole process group. It needs nothing of the
program, so that foreign ones can be led, and works on every Unix.

Imports the standard library alone, and is run by its path: it must start fast and be small.
"""

import os
import signal
import subprocess
import sys
import threading
import time

CONFIGURATION_ERROR = 2


def end_group(grace_s: float) -> None:
    """Ask everybody in this process group to end, and after `grace_s` end them and ourselves."""
    os.killpg(0, signal.SIGTERM)
    time.sleep(grace_s)
    os.killpg(0, signal.SIGKILL)


def watch_supervisor(grace_s: float) -> None:
    """Wait until the supervisor closes the pipe, or dies; nothing is ever written to it."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    end_group(grace_s)


def main(grace_s: float, argv: list[str]) -> int:
    """Run `argv` and return its exit status, 128 + n when signal n ended it, as a shell does."""
    # Signals to the group are for the program. A handler, not SIG_IGN, which it would inherit.
    missed: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: missed.append(number))
    threading.Thread(target=watch_supervisor, args=(grace_s,), daemon=True).start()
    try:
        program = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{argv[0]}: cannot be started: {error.strerror}", file=sys.stderr)
        return CONFIGURATION_ERROR
    for early in missed:  # they came before the program was there
        program.send_signal(early)
    status = program.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
