"""What the pages show of a station, as the store reads it: plain values, no rows, no HTML."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from edge.messages import AlarmTrust

SILENT_AFTER_S = 10.0  # a station beats about once a second; one lost beat is not silence
AWAY_AFTER_S = 24 * 3600.0  # taken down, renamed, or its line rests

Health = Literal[
    "never_seen",
    "starting",
    "watching",
    "reconnecting",
    "camera_blind",
    "camera_moved",
    "finished",
    "failed",
    "silent",
]
"""The state that a station last told of itself, or that it tells nothing any more."""


@dataclass(frozen=True)
class Step:
    """A step of a task: its name on the wire and the sentence a person reads."""

    id: str
    text: str


@dataclass(frozen=True)
class SeenSegment:
    """A step done in the half-open time [started_at, ended_at)."""

    step: str
    started_at: datetime
    ended_at: datetime
    confidence: float


@dataclass(frozen=True)
class SeenDeviation:
    """A deviation in its newest state; `cycle_key` and `cycle_number` tell which unit it was.

    `probability` is None where nobody judged how likely it is.
    """

    id: str
    kind: str
    state: str
    step: str
    step_text: str
    cycle_key: int | None
    cycle_number: int | None
    started_at: datetime
    ended_at: datetime
    detected_at: datetime
    detail: str
    critical: str | None
    probability: float | None

    @property
    def counts(self) -> bool:
        """Whether the deviation stands: suspected or confirmed, not withdrawn."""
        return self.state != "withdrawn"

    @property
    def accuses(self) -> bool:
        """Whether it stands and is held to be so: `unsure` is shown and not counted."""
        return self.counts and self.kind != "unsure"


@dataclass(frozen=True)
class SeenCycle:
    """The assembly of one unit; `running` when it is going on now."""

    key: int
    number: int
    started_at: datetime
    ended_at: datetime | None
    complete: bool | None
    running: bool
    segments: tuple[SeenSegment, ...] = ()
    deviations: tuple[SeenDeviation, ...] = ()


@dataclass(frozen=True)
class Beat:
    """The last sign of life; `age_s` is counted by the hub's clock.

    `set_aside` events were not taken by the hub, and are only in the station's outbox.
    """

    state: Health
    detail: str
    step: str | None
    age_s: float
    sent_at: datetime
    rate_hz: float
    dropped: int
    set_aside: int
    runtime: str


@dataclass(frozen=True)
class StationStatus:
    """One station at a glance: what a card of the overview shows."""

    id: str
    site: str
    line: str
    name: str
    camera: str
    model: str
    task_name: str
    steps: tuple[Step, ...]
    beat: Beat | None
    cycle: SeenCycle | None
    cycles_today: int
    open_deviations: int
    open_in_cycle: int
    last_deviation: SeenDeviation | None
    alarm_trust: AlarmTrust | None = None
    """What its missed-step alarms are worth; None where its model was not calibrated."""

    @property
    def health(self) -> Health:
        """The state to show: what the station told last, or silence."""
        if self.beat is None:
            return "never_seen"
        if self.beat.state in ("finished", "failed") or self.beat.age_s <= SILENT_AFTER_S:
            return self.beat.state
        return "silent"

    @property
    def current_step(self) -> str | None:
        """The step being done now, None when nothing is or when nobody is looking."""
        return self.beat.step if self.beat and self.looks else None

    @property
    def looks(self) -> bool:
        """Whether the station looks for work in its pictures now."""
        return self.health in ("watching", "camera_moved")

    @property
    def is_away(self) -> bool:
        """Whether it has told nothing for so long that nobody waits for it."""
        return self.beat is not None and self.beat.age_s > AWAY_AFTER_S

    def step_text(self, step: str) -> str:
        """Return the sentence for `step`, or its bare name when the task does not have it."""
        return next((s.text for s in self.steps if s.id == step), step)


@dataclass(frozen=True)
class StationDetail:
    """One station in full: its last cycles with what was seen in them, newest first."""

    status: StationStatus
    cycles: tuple[SeenCycle, ...]
    deviations: tuple[SeenDeviation, ...]
