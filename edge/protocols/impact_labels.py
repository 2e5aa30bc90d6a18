"""IMPACT's procedure steps as they were published: completions, states of the parts, directions.

Read: `psr/procedure_info_IMPACT.json`, and for each trial of `psr/train` and `psr/val` the files
`PSR_labels.csv` (`frame.jpg,step,text`: what was completed rightly), `PSR_labels_with_errors.csv`
(the same with "incorrectly installed") and `PSR_labels_raw.csv` (`frame.jpg` and the state of each
part: 1 on, 0 off, -1 on and not as it should be). Frames of 30 a second; there is no video.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from industryasm.repairs import Repairs
from industryasm.sets.csv_file import Row, read_rows
from industryasm.sets.json_file import Published, read_json
from industryasm.sets.set_error import SetError
from models.procedure_metrics import MAX_STEP, Completion

RATE_HZ = 30.0
PARTS = ("train", "val")
STATES = {"-1": -1, "0": 0, "1": 1}
MAX_FRAME = 24 * 3600 * 30
_FRAME = re.compile(r"(\d{1,8})\.jpg")

Direction = Literal["assembly", "disassembly"]


class PublishedStep(Published):
    """One entry of `procedure_info_IMPACT.json`."""

    id: int
    description: str
    install: bool
    state_idx: int


@dataclass(frozen=True)
class Trial:
    """One trial; `states` are those of the parts at its end, in the file's order.

    `completions` are right ones; `with_errors` is the publisher's other list. Both in its order,
    which tells nothing among those of one frame.
    """

    id: str
    direction: Direction
    completions: tuple[Completion, ...]
    with_errors: tuple[Completion, ...]
    states: tuple[int, ...]
    end_frame: int

    @property
    def is_undone_somewhere(self) -> bool:
        """Whether a step was done twice, or a part went the other way than the trial does."""
        steps = [entry.step for entry in self.completions]
        return len(steps) > len(set(steps)) or any(
            step != self.step_of(part_of(step)) for step in steps
        )

    def step_of(self, part: int) -> int:
        """Return the step that brings a part to where it belongs at the end of this trial."""
        return 3 * part if self.direction == "assembly" else 3 * part + 2

    @property
    def missing(self) -> frozenset[int]:
        """The steps whose part is not where it belongs at the end, from the states alone."""
        wanted = 1 if self.direction == "assembly" else 0
        return frozenset(
            self.step_of(part) for part, state in enumerate(self.states) if state != wanted
        )


def part_of(step: int) -> int:
    """Return the part that a step is of: three steps each (right, wrong, removed)."""
    return step // 3


def read_steps(folder: Path) -> dict[int, PublishedStep]:
    """Return the steps by id; raise `SetError` unless they are three for each part, in order."""
    path = folder / "procedure_info_IMPACT.json"
    steps = read_json(path, TypeAdapter(list[PublishedStep]))
    if len(steps) > MAX_STEP + 1:
        raise SetError(f"{path}: {len(steps)} steps, expected at most {MAX_STEP + 1}")
    for index, step in enumerate(steps):
        if (step.id, step.state_idx, step.install) != (index, part_of(index), index % 3 < 2):
            raise SetError(f"{path}: {index}: is not step {index} of part {part_of(index)}")
    return {step.id: step for step in steps}


def read_trials(folder: Path, repairs: Repairs) -> list[Trial]:
    """Return the trials of the folder `psr`, by id; raise `SetError` for what is damaged."""
    steps = read_steps(folder)
    paths = sorted(
        (path for part in PARTS for path in (folder / part).glob("*") if path.is_dir()),
        key=lambda path: path.name,
    )
    if not paths:
        raise SetError(f"{folder}: holds no trial in train/ or val/")
    trials = [_read_trial(path, steps, repairs) for path in paths]
    return [trial for trial in trials if trial is not None]


def _read_trial(path: Path, steps: Mapping[int, PublishedStep], repairs: Repairs) -> Trial | None:
    states = _states(path / "PSR_labels_raw.csv", num_parts=len(steps) // 3, repairs=repairs)
    completions = _completions(path / "PSR_labels.csv", steps, repairs)
    if not completions:
        repairs.add("trial without a completion: left out", path.name)
        return None
    with_errors = _completions(path / "PSR_labels_with_errors.csv", steps, repairs)
    begun_with = states[0][1]
    return Trial(
        id=path.name,
        direction="disassembly" if 2 * sum(map(bool, begun_with)) > len(begun_with) else "assembly",
        completions=completions,
        with_errors=with_errors,
        states=states[-1][1],
        end_frame=max(states[-1][0], completions[-1].frame),
    )


def _completions(
    path: Path, steps: Mapping[int, PublishedStep], repairs: Repairs
) -> tuple[Completion, ...]:
    out: list[Completion] = []
    for row in read_rows(path, repairs):
        if len(row.cells) != 3:
            raise SetError(f"{row.place}: has {len(row.cells)} columns, expected frame,step,text")
        number, text = row.cells[1:]
        known = steps.get(int(number)) if number.isascii() and number.isdigit() else None
        if known is None or known.description != text:
            raise SetError(f"{row.place}: {number!r}, {text!r} is none of the {len(steps)} steps")
        entry = Completion(_frame(row), known.id)
        if out and entry.frame < out[-1].frame:
            raise SetError(f"{row.place}: frame {entry.frame} comes after frame {out[-1].frame}")
        out.append(entry)
    return tuple(out)


def _states(path: Path, *, num_parts: int, repairs: Repairs) -> list[tuple[int, tuple[int, ...]]]:
    out: list[tuple[int, tuple[int, ...]]] = []
    for row in read_rows(path, repairs):
        states = row.cells[1:]
        if len(states) != num_parts or not all(state in STATES for state in states):
            raise SetError(f"{row.place}: expected {num_parts} states -1, 0 or 1")
        out.append((_frame(row), tuple(STATES[state] for state in states)))
    if not out:
        raise SetError(f"{path}: holds no state")
    return out


def _frame(row: Row) -> int:
    match = _FRAME.fullmatch(row.cells[0])
    if match is None or int(match[1]) > MAX_FRAME:
        raise SetError(f"{row.place}: {row.cells[0]!r} is no frame 0.jpg to {MAX_FRAME}.jpg")
    return int(match[1])
