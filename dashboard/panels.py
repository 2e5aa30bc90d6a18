"""A station's page as HTML: its state, what is done now, the steps, the timeline, deviations.

All text of the database is escaped here.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from html import escape

from dashboard.cards import empty_html, facts_html
from dashboard.charts import timeline_html
from dashboard.progress import StepProgress, foreign_work, step_progress
from dashboard.status import SeenDeviation, StationDetail, StationStatus
from dashboard.words import (
    KINDS,
    Sign,
    clock,
    doing,
    health_pill,
    icon,
    kind_pill,
    likely,
    pill,
    state_words,
    what,
)

MARKS = {
    "done": Sign("done", "ok", "Done"),
    "current": Sign("now", "info", "Now"),
    "left": Sign("left", "bad", "Started and left"),
    "missing": Sign("missed", "bad", "Missing"),
    "unsure": Sign("blind", "warn", "Not sure"),
    "to_do": Sign("open", "idle", "To do"),
    "not_seen": Sign("open", "idle", "Not seen"),
}

SAID_BY_MARK = ("missed", "unsure", "incomplete")


def station_html(detail: StationDetail, *, now: datetime, zone: tzinfo) -> str:
    """Return the whole page of one station, times of day in `zone`."""
    return (
        f'<div class="lw">{_head(detail.status)}'
        f'<div class="lw-two">{_now(detail)}{_steps(detail)}</div>'
        f"{_cycles(detail)}{_deviations(detail, now, zone)}{_trust(detail.status)}</div>"
    )


def _head(status: StationStatus) -> str:
    facts = [f"{status.site} · {status.line}", status.task_name, f"Camera {status.camera}"]
    if status.beat and status.beat.runtime:
        facts.append(f"{status.beat.rate_hz:.1f} frames/s, {status.beat.runtime}")
    if status.beat and status.beat.dropped:
        facts.append(f"{status.beat.dropped} frames dropped")
    if status.beat and status.beat.set_aside:
        facts.append(f"{status.beat.set_aside} findings not recorded: see the log")
    if status.beat and status.health == "camera_moved":
        facts.append(f"{status.beat.detail}: put the camera back, or restart the station")
    return (
        f'<div class="lw-head"><h1>{escape(status.name)}</h1>{health_pill(status)}'
        f"<p>{' &nbsp;·&nbsp; '.join(escape(fact) for fact in facts)}</p></div>"
    )


def _now(detail: StationDetail) -> str:
    status = detail.status
    number = next(
        (n for n, step in enumerate(status.steps, 1) if step.id == status.current_step), None
    )
    label = f"Now: step {number} of {len(status.steps)}" if number else "Now"
    muted = "" if status.current_step else " lw-muted"
    return (
        f'<section class="lw-panel lw-now"><h3>{label}</h3>'
        f'<div class="lw-big{muted}">{escape(doing(status))}</div>'
        f"{_newest(detail)}"
        f'<div class="lw-facts">{facts_html(status)}</div></section>'
    )


def _newest(detail: StationDetail) -> str:
    """Return the newest deviation of the shown cycle as a banner that is read from afar."""
    cycle = detail.status.cycle
    last = detail.status.last_deviation
    if cycle is None or last is None or last.cycle_key != cycle.key:
        return ""
    sign = KINDS[last.kind]
    return (
        f'<div class="lw-banner lw-{sign.tone}">{icon(sign)}'
        f"<span><b>{sign.words}</b> {escape(what(last))}</span></div>"
    )


def _steps(detail: StationDetail) -> str:
    cycle = detail.cycles[0] if detail.cycles else None
    title = f"Steps of cycle {cycle.number}" if cycle else "Steps"
    rows = "".join(_step(progress) for progress in step_progress(detail))
    foreign = "".join(
        f'<li class="lw-step-bad"><span class="lw-position">+</span>'
        f'<span class="lw-step-text">{escape(what(found))}</span>{kind_pill(found)}</li>'
        for found in foreign_work(detail)
    )
    return (
        f'<section class="lw-panel"><h3>{title}</h3><ol class="lw-steps">{rows}{foreign}</ol>'
        "</section>"
    )


def _step(progress: StepProgress) -> str:
    sign = MARKS[progress.mark]
    notes = "".join(kind_pill(d) for d in progress.deviations if d.kind not in SAID_BY_MARK)
    is_suspected = all(d.state == "suspected" for d in progress.deviations)
    if progress.mark in ("missing", "left") and is_suspected:
        sign = Sign(sign.icon, "warn", f"{sign.words}?")
    current = ' aria-current="step"' if progress.mark == "current" else ""
    return (
        f'<li class="lw-step-{progress.mark}"{current}>'
        f'<span class="lw-position lw-c{progress.position % 10}">{progress.position}</span>'
        f'<span class="lw-step-text">{escape(progress.step.text)}</span>{notes}{pill(sign)}</li>'
    )


def _cycles(detail: StationDetail) -> str:
    if not detail.cycles:
        return empty_html(
            "No cycle yet",
            "The first one begins when a unit is put to the station and its first step is seen.",
        )
    return f'<section class="lw-panel"><h3>Last cycles</h3>{timeline_html(detail)}</section>'


def _deviations(detail: StationDetail, now: datetime, zone: tzinfo) -> str:
    if not detail.deviations:
        return empty_html(
            "No deviation so far",
            "A step that is missed, swapped, done again, broken off or slow, and work that is "
            "not in the task, appear here at once.",
        )
    rows = "".join(_deviation(deviation, now, zone) for deviation in detail.deviations)
    return (
        '<section class="lw-panel"><h3>Deviations, newest first</h3><table class="lw-table">'
        f"<thead><tr><th>What</th><th>Step</th><th>Cycle</th><th>Time ({escape(str(zone))})</th>"
        f"<th>State</th><th>Detail</th></tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _deviation(deviation: SeenDeviation, now: datetime, zone: tzinfo) -> str:
    withdrawn = "" if deviation.counts else ' class="lw-withdrawn"'
    critical = ""
    if deviation.critical:
        critical = f' <span class="lw-critical">{escape(deviation.critical)}-critical</span>'
    number = "–" if deviation.cycle_number is None else deviation.cycle_number
    return (
        f"<tr{withdrawn}><td>{kind_pill(deviation)}</td>"
        f"<td><b>{escape(what(deviation))}</b>{critical}</td><td>{number}</td>"
        f'<td class="lw-clock">{clock(deviation.detected_at, zone, now)}</td>'
        f"<td>{escape(state_words(deviation))}</td>"
        f"<td>{escape(deviation.detail)}</td></tr>"
    )


def _trust(status: StationStatus) -> str:
    """Return what missed-step alarms are worth, where the station has told."""
    trust = status.alarm_trust
    if trust is None or not trust.steps:
        return ""
    rows = "".join(
        f"<tr><td><b>{escape(status.step_text(one.step))}</b></td>"
        f'<td class="lw-clock">{likely(one.right)}</td>'
        f'<td class="lw-clock">{likely(one.low)} to {likely(one.high)}</td></tr>'
        for one in trust.steps
    )
    return (
        '<section class="lw-panel"><h3>What an alarm is worth</h3>'
        f"<p>Where one step in {1 / trust.miss_rate:.0f} is missed, and were an alarm raised for "
        "every step that is not recognised. The model was calibrated on recordings whose truth is "
        "known.</p>"
        '<table class="lw-table"><thead><tr><th>Step</th><th>An alarm that it was missed is right '
        f"in</th><th>95 % interval</th></tr></thead><tbody>{rows}</tbody></table></section>"
    )
