"""`linewatch demo`: the whole product on a sample recording."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from industryasm.fault import UserFault


def demo(
    headless: Annotated[
        bool,
        typer.Option(help="No page: play as fast as possible, compare with the truth, end."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --headless: print JSON.")] = False,
    port: Annotated[
        int | None, typer.Option(min=1024, max=65535, help="Port of the page; default 8501 or up.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Folder for database and outboxes, kept afterwards.")
    ] = None,
) -> None:
    """Play sample recordings with mistakes in them as live cameras, and show what is found.

    With --headless it ends by itself: status 0 when at each station every unit was followed, all
    planted deviations but one were told (as `unsure` counts too) and at most one was invented;
    1 otherwise.
    """
    from dashboard.demo import run_headless, run_live, verdict_text

    if as_json and not headless:
        raise UserFault("--json needs --headless: the live demo shows its findings on a page")
    if not headless:
        sys.exit(run_live(port=port, keep=keep))
    verdict = run_headless(keep=keep)
    typer.echo(json.dumps(verdict.to_plain(), indent=1) if as_json else verdict_text(verdict))
    sys.exit(0 if verdict.passed else 1)
