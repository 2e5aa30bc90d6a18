"""A run of all measurements, as a Markdown table and as JSON."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from edge.bench.measurement import Measurement, Row
from edge.machine import Machine

GIT_S = 10.0


@dataclass(frozen=True)
class Report:
    """The rows with where and when they were measured; `commit` None outside of a checkout."""

    rows: tuple[Row, ...]
    machine: Machine
    day: date
    commit: str | None
    is_quick: bool

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints: `ratios` by name, None where one could not be measured."""
        machine = self.machine
        return {
            "ratios": {
                row.key: row.ratio if isinstance(row, Measurement) else None for row in self.rows
            },
            "rows": [_row_json(row) for row in self.rows],
            "machine": {
                "processor": machine.processor,
                "cores": machine.usable_cores,
                "instructions": machine.instructions,
                "memory_gib": machine.memory_gib,
                "gpu": machine.gpu.name if machine.gpu else None,
            },
            "versions": {
                "python": machine.python,
                "ffmpeg": machine.ffmpeg,
                **{name: number for name, number in machine.packages.items() if number},
            },
            "date": self.day.isoformat(),
            "commit": self.commit,
            "quick": self.is_quick,
        }

    def markdown(self) -> str:
        """Return the table, with a line above it that says where and when."""
        machine = self.machine
        place = f"{machine.processor}, {machine.usable_cores} cores"
        instructions = ", ".join(machine.instructions)
        head = f"{self.day}, commit {self.commit or 'unknown'}, {place} ({instructions})"
        gpu = machine.gpu.name if machine.gpu else "no GPU: what needs one was not measured"
        table = [
            "| measured | ours | yardstick | ratio | spread | goal | |",
            "|---|---|---|---|---|---|---|",
            *(_line(row) for row in self.rows),
        ]
        notes = [
            f"- `{row.key}`: {row.note}"
            for row in self.rows
            if isinstance(row, Measurement) and row.note
        ]
        return "\n".join([f"{head}, {gpu}", "", *table, "", *notes])


def commit_of(folder: Path) -> str | None:
    """Return the short name of the commit that `folder` is a checkout of, None where it is none."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _row_json(row: Row) -> dict[str, Any]:
    if not isinstance(row, Measurement):
        return {"key": row.key, "what": row.what, "not_measured": row.reason}
    return {
        "key": row.key,
        "what": row.what,
        "unit": row.unit,
        "ours": row.ours,
        "yardstick": row.yardstick,
        "ratios": row.ratios,
        "goal": str(row.goal) if row.goal else None,
        "is_met": row.is_met,
        "note": row.note,
    }


def _line(row: Row) -> str:
    if not isinstance(row, Measurement):
        return f"| {row.what} `{row.key}` | not measured: {row.reason} | | | | | |"
    verdict = {True: "met", False: "**missed**", None: ""}[row.is_met]
    spread = f"{min(row.ratios):.3g} to {max(row.ratios):.3g}" if len(row.ratios) > 1 else "once"
    cells = [
        f"{row.what} `{row.key}`",
        f"{_middle(row.ours)} {row.unit}",
        _middle(row.yardstick),
        f"{row.ratio:.3g}",
        spread,
        str(row.goal or "stated"),
        verdict,
    ]
    return f"| {' | '.join(cells)} |"


def _middle(numbers: Sequence[float]) -> str:
    middle = median(numbers)
    return f"{middle:.0f}" if middle >= 100 else f"{middle:.3g}"
