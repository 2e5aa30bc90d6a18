"""The parts of a deployment as processes of their own, under one supervisor."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from dashboard.page import streamlit_command
from dashboard.supervisor import Child, Supervisor
from edge.deployment import Deployment
from industryasm.fault import UserFault


def part(file: Path, name: str, *, fast: bool = False) -> Child:
    """Return the process that runs one part: `hub`, `dashboard`, `stations` or `station:ID`.

    It ends by itself only where its stations play recordings `fast`.
    """
    command = [sys.executable, "-m", "linewatch", "up", str(file.resolve()), "--only", name]
    return Child(name, [*command, *(("--fast",) if fast else ())], stays=not fast)


def supervise(file: Path, *, fast: bool) -> int:
    """Run every part until SIGTERM or SIGINT and return the exit status."""
    parts = [part(file, "hub"), part(file, "dashboard"), part(file, "stations", fast=fast)]
    return Supervisor(parts).run()


def serve_pages(deployment: Deployment) -> None:
    """Become the Streamlit server of the pages; raise `UserFault` when its port is in use."""
    address, port = deployment.dashboard.address, deployment.dashboard.port
    if not is_free(address, port):
        raise UserFault(
            f"dashboard port {port} at {address} cannot be listened on: stop what uses it, "
            "or name another dashboard.port"
        )
    command, environment = streamlit_command(deployment.database.url, address, port)
    os.execvpe(command[0], command, environment)


def is_free(address: str, port: int) -> bool:
    """Return whether a server could listen at `address`:`port` now."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError:
        return False
    return True
