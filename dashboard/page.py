"""How the Streamlit server is started: its command and its environment. Imports no Streamlit."""

from __future__ import annotations

import os
import sys
from pathlib import Path

APP = Path(__file__).parent / "app.py"
DATABASE_VARIABLE = "LINEWATCH_DATABASE"

OPTIONS = {
    "server.headless": "true",  # no question for an e-mail address, no browser opened
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",  # a fault's details belong into the log, not on the page
    "theme.base": "light",
    "theme.primaryColor": "#0b5cad",
    "theme.backgroundColor": "#f2f5f8",
    "theme.secondaryBackgroundColor": "#ffffff",
    "theme.textColor": "#10212f",
}


def streamlit_command(
    database_url: str, address: str, port: int
) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves the pages at `address`:`port`, and its whole environment.

    The URL travels in the environment, as a command can be read by every user of the machine.
    """
    command = [sys.executable, "-m", "streamlit", "run", str(APP)]
    options = OPTIONS | {"server.address": address, "server.port": str(port)}
    command += [f"--{name}={value}" for name, value in options.items()]
    return command, {**os.environ, DATABASE_VARIABLE: database_url}
