"""What states, kinds and times are called on the pages, and the sign that goes with each.

A sign is an icon and a tone of style.css; the words always stand beside it, colour never alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from html import escape

from dashboard.status import Health, SeenDeviation, StationStatus

BACKGROUND, UNEXPECTED = "background", "unexpected"  # labels of no step, see industryasm


@dataclass(frozen=True)
class Sign:
    """An icon (class `lw-i-<icon>`), a tone (class `lw-<tone>`) and the words beside it."""

    icon: str
    tone: str
    words: str


HEALTH: dict[Health, Sign] = {
    "never_seen": Sign("wait", "idle", "No sign of life yet"),
    "starting": Sign("wait", "info", "Starting"),
    "watching": Sign("eye", "ok", "Watching"),
    "reconnecting": Sign("again", "warn", "Reconnecting to the camera"),
    "camera_blind": Sign("blind", "bad", "Camera blind"),
    "camera_moved": Sign("blind", "warn", "Camera moved"),
    "finished": Sign("stop", "idle", "Finished"),
    "failed": Sign("alert", "bad", "Failed"),
    "silent": Sign("silent", "bad", "Silent"),
}

KINDS = {
    "missed": Sign("missed", "bad", "Missed"),
    "out_of_order": Sign("swap", "bad", "Out of order"),
    "repeated": Sign("again", "warn", "Done again"),
    "rework": Sign("again", "warn", "Undone and done again"),
    "incomplete": Sign("left", "bad", "Started and left"),
    "too_short": Sign("wait", "warn", "Too short"),
    "too_long": Sign("wait", "warn", "Took too long"),
    "unexpected": Sign("alert", "bad", "Not in this task"),
    "wrong_part": Sign("swap", "bad", "Something else in its place"),
    "unsure": Sign("blind", "warn", "Not sure"),
}

DEVIATION_STATES = {
    "suspected": Sign("wait", "warn", "Suspected"),
    "confirmed": Sign("alert", "bad", "Confirmed"),
    "withdrawn": Sign("stop", "idle", "Withdrawn"),
}


def icon(sign: Sign) -> str:
    """Return the sign's icon as HTML; it says nothing that the words do not."""
    return f'<i class="lw-icon lw-i-{sign.icon}" aria-hidden="true"></i>'


def pill(sign: Sign, words: str | None = None) -> str:
    """Return icon and words on the sign's tone."""
    return f'<span class="lw-pill lw-{sign.tone}">{icon(sign)}{escape(words or sign.words)}</span>'


def health_pill(status: StationStatus) -> str:
    """Return the station's state, for a silent one since when."""
    sign = HEALTH[status.health]
    if status.health == "silent" and status.beat:
        return pill(sign, f"Silent for {duration(status.beat.age_s)}")
    return pill(sign)


def kind_pill(deviation: SeenDeviation) -> str:
    """Return the kind of the deviation, toned down when it was withdrawn."""
    sign = KINDS[deviation.kind]
    return pill(sign if deviation.counts else Sign(sign.icon, "idle", sign.words))


def what(deviation: SeenDeviation) -> str:
    """Return what the deviation is about, as plain text: its step's sentence."""
    if deviation.step == UNEXPECTED:
        return deviation.detail or "Work that is not in this task"
    return deviation.step_text


def likely(probability: float) -> str:
    """Return a probability as a person says it, never as a certainty.

    >>> likely(0.872), likely(0.999), likely(0.0)
    ('87 %', 'over 99 %', 'under 1 %')
    """
    if not 0.01 <= probability <= 0.99:
        return "over 99 %" if probability > 0.5 else "under 1 %"
    return f"{100 * probability:.0f} %"


def state_words(deviation: SeenDeviation) -> str:
    """Return the deviation's state, with how likely it is where that was judged."""
    words = DEVIATION_STATES[deviation.state].words
    if deviation.probability is None:
        return words
    return f"{words}, {likely(deviation.probability)}"


def doing(status: StationStatus) -> str:
    """Return what is going on at the station now, as plain text."""
    step = status.current_step
    if step == UNEXPECTED:
        return "Work that is not in this task"
    if step and step != BACKGROUND:
        return status.step_text(step)
    if status.looks:
        running = status.cycle is not None and status.cycle.running
        return "Between two steps" if running else "Waiting for the next unit"
    if status.beat and status.beat.detail and status.health != "silent":
        return status.beat.detail
    return NOBODY_LOOKS[status.health]


NOBODY_LOOKS: dict[Health, str] = {
    "never_seen": "This station has introduced itself and not been heard since",
    "starting": "Loading the model and opening the camera",
    "watching": "",
    "reconnecting": "No picture now: steps done meanwhile are not seen",
    "camera_blind": "The camera sees nothing: check lens, light and view",
    "camera_moved": "",
    "finished": "The recording has been watched to its end",
    "failed": "The station has stopped: see its log",
    "silent": "No word from this station: check its power and network",
}


def duration(seconds: float) -> str:
    """Return a length of time, coarse enough that a page does not flicker.

    >>> [duration(s) for s in (3, 42, 95, 7300, 200_000)]
    ['3 s', '40 s', '1 min', '2 h', '2 days']
    """
    if seconds < 60:
        return f"{int(seconds) if seconds < 10 else int(seconds // 5 * 5)} s"
    for size, name in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if name == 'day' and count > 1 else ''}"
    return ""


def ago(time: datetime, now: datetime) -> str:
    """Return how long before `now` the `time` was."""
    seconds = (now - time).total_seconds()
    return "just now" if seconds < 20 else f"{duration(seconds)} ago"


def clock(time: datetime, zone: tzinfo, now: datetime) -> str:
    """Return the time of day in `zone`, with the date when it was not today."""
    local = time.astimezone(zone)
    today = local.date() == now.astimezone(zone).date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def counted(number: int, thing: str) -> str:
    """Return `number` with its thing in singular or plural.

    >>> counted(0, "deviation"), counted(1, "deviation")
    ('0 deviations', '1 deviation')
    """
    return f"{number} {thing}{'' if number == 1 else 's'}"
