"""Words and tables for a terminal: what validation, statistics and agreement found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from industryasm.inspection import published
from industryasm.inspection.agreement import Agreement, Comparison, FrameAgreement
from industryasm.inspection.data_statistics import Statistics, TaskStatistics
from industryasm.inspection.problem import Problem
from industryasm.inspection.splitting import Split
from industryasm.inspection.time_canvas import minutes
from industryasm.inspection.validation import Validation

MOST_OF_A_KIND = 10
MOST_ROWS = 30
LEAST_WIDTH = 120  # without a terminal rich takes 80 columns, which cuts names off


def console() -> Console:
    """Return where tables are printed: standard output, without colours when it is a file."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = LEAST_WIDTH
    return out


def print_validation(out: Console, found: Validation) -> None:
    """Print errors, then warnings, of each kind the first few, then what was gone through."""
    _print_problems(out, "error", found.errors)
    _print_problems(out, "warning", found.warnings)
    share = 100 * found.background_s / found.duration_s if found.duration_s else 0.0
    out.print(
        f"{found.num_recordings} recordings ({found.num_videos} with video, {found.num_features} "
        f"with features), {found.num_segments} segments, {found.duration_s / 3600:.2f} h, "
        f"{share:.1f} % background"
    )
    if found.longest_gap is not None:
        gap = found.longest_gap
        out.print(
            f"longest gap: {gap.end_s - gap.start_s:.1f} s in {escape(gap.recording)} at "
            f"{minutes(gap.start_s)}"
        )
    out.print(f"{len(found.errors)} errors, {len(found.warnings)} warnings")


def _print_problems(out: Console, level: str, problems: Sequence[Problem]) -> None:
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind].append(problem)
    for kind, of_kind in kinds.items():
        for problem in of_kind[:MOST_OF_A_KIND]:
            out.print(escape(f"{level}: {_plain(str(problem))}"), soft_wrap=True)
        hidden = len(of_kind) - MOST_OF_A_KIND
        if hidden > 0:
            out.print(f"{level}: and {hidden} more of the kind {kind} (--json tells all)")


def print_statistics(out: Console, found: Statistics) -> None:
    """Print a data set's figures, then a table of the steps of each task."""
    table = _table("", "")
    for name, value in _facts(found):
        table.add_row(name, escape(_plain(value)))
    out.print(table)
    for task in found.tasks:
        _print_task(out, task)


def _facts(found: Statistics) -> list[tuple[str, str]]:
    return [
        ("name", found.name),
        ("clips", f"{found.clips} ({found.videos} with video, {found.features} with features)"),
        ("hours", f"{found.hours:.2f}"),
        (
            "length",
            f"mean {found.mean_s:.1f} s, median {found.median_s:.1f} s, {found.shortest_s:.1f} to "
            f"{found.longest_s:.1f} s",
        ),
        ("splits", ", ".join(_split_words(found))),
        ("frames a second", _counts(found.rates_hz)),
        ("size", _counts(found.sizes)),
        (
            "people and places",
            f"{found.operators} operators, {found.stations} stations, {found.cameras} cameras",
        ),
        ("tasks", str(len(found.tasks))),
        ("units, segments", f"{found.cycles}, {found.segments}"),
        ("background", f"{found.background_share:.1%} of the time"),
        ("deviations", _counts(found.deviations)),
        ("review", _counts(found.reviews)),
    ]


def _split_words(found: Statistics) -> list[str]:
    return [f"{name} {n} ({found.split_hours[name]:.2f} h)" for name, n in found.splits.items()]


def _counts(counts: dict[str, int]) -> str:
    words = [f"{name} ({number})" for name, number in counts.items()]
    hidden = len(words) - MOST_ROWS
    return ", ".join([*words[:MOST_ROWS], *([f"{hidden} more"] if hidden > 0 else [])]) or "none"


def _print_task(out: Console, task: TaskStatistics) -> None:
    out.print(
        f"\n{escape(task.task)}: {task.clips} clips, {task.hours:.2f} h, {task.cycles} units, "
        f"{task.segments} segments, {task.background_share:.1%} background, deviations: "
        f"{_counts(task.deviations)}"
    )
    table = _table("step", "number", "mean s", "median s", "p5 s", "p95 s", "time")
    for step in task.steps:
        lengths = (step.mean_s, step.median_s, step.p5_s, step.p95_s)
        words = [f"{length:.2f}" if step.number else "-" for length in lengths]
        name = escape(_plain(step.label))
        table.add_row(name, str(step.number), *words, f"{step.time_share:.1%}")
    out.print(table)


def print_card(out: Console, found: Statistics) -> None:
    """Print the figures that the paper gives of IndustryASM beside those of this data set."""
    table = _table("", escape(_plain(found.name)), "IndustryASM as published")
    published_hours = published.NUM_VIDEOS * published.MEAN_S / 3600
    table.add_row("videos", str(found.clips), f"{published.NUM_VIDEOS:,}")
    table.add_row("mean length", f"{found.mean_s:.1f} s", f"{published.MEAN_S} s")
    table.add_row("hours", f"{found.hours:.2f}", f"about {published_hours:.0f} (videos x length)")
    table.add_row("tasks", str(len(found.tasks)), str(published.NUM_TASKS))
    table.add_row(
        "annotators agree",
        "not told by one annotation; see `linewatch data agree`",
        f"{published.AGREEMENT_PERCENT} %",
    )
    out.print(table)
    out.print(f"{published.CAVEAT} Its figures are from {published.SOURCE}.")


def print_splits(out: Console, splits: Sequence[Split]) -> None:
    """Print how many recordings, people, places and hours each split has."""
    table = _table(
        "split", "recordings", "groups", "operators", "stations", "hours", "share", "wanted"
    )
    for part in splits:
        numbers = (len(part.recordings), part.groups, part.operators, part.stations)
        shares = (f"{part.hours:.2f}", f"{part.share:.1%}", f"{part.wanted_share:.1%}")
        table.add_row(part.name, *map(str, numbers), *shares)
    out.print(table)


def print_comparison(out: Console, found: Comparison) -> None:
    """Print how far two annotators agree, pooled and in each recording."""
    pooled = found.pooled
    table = _table("frames", "number", "agreement", "Cohen's kappa")
    rows = {
        "all, background among them": pooled.all_frames,
        "that either calls a step": pooled.steps_of_either,
        "that both call a step": pooled.steps_of_both,
    }
    for name, figures in rows.items():
        table.add_row(name, str(figures.num_frames), *_figures(figures))
    out.print(table)
    out.print(
        f"{len(found.recordings)} recordings, {found.rate_hz:g} frames a second. The annotators of "
        f"IndustryASM agreed by {published.AGREEMENT_PERCENT} % ({published.SOURCE})."
    )
    _print_boundaries(out, pooled)
    _print_steps(out, pooled)
    _print_recordings(out, found)
    _print_lone(out, pooled)
    for annotation, names in (("A", found.only_a), ("B", found.only_b)):
        if names:
            some = ", ".join(names[:MOST_OF_A_KIND])
            out.print(f"{len(names)} recordings are only in {annotation}: {some}", soft_wrap=True)


def _figures(found: FrameAgreement) -> tuple[str, str]:
    if found.percent is None:
        return f"undefined: {found.undefined}", "undefined"
    kappa = f"{found.kappa:.3f}" if found.kappa is not None else f"undefined ({found.undefined})"
    return f"{found.percent:.1f} %", kappa


def _print_boundaries(out: Console, pooled: Agreement) -> None:
    found = pooled.boundaries
    apart = (
        f"median {found.median_s:.3f} s, 95th percentile {found.p95_s:.3f} s apart"
        if found.median_s is not None
        else "so how far apart they are is undefined"
    )
    out.print(
        f"boundaries: {found.matched} match, {apart}; {found.unmatched_a} of A and "
        f"{found.unmatched_b} of B match none"
    )


def _print_steps(out: Console, pooled: Agreement) -> None:
    table = _table("step", "frames A", "frames B", "both", "agreement")
    num_tasks = len({step.task for step in pooled.steps})
    for step in sorted(pooled.steps, key=lambda s: s.percent)[:MOST_ROWS]:
        name = step.label if num_tasks == 1 else f"{step.task}: {step.label}"
        numbers = (step.frames_a, step.frames_b, step.frames_both)
        table.add_row(escape(_plain(name)), *map(str, numbers), f"{step.percent:.1f} %")
    out.print(table)
    if len(pooled.steps) > MOST_ROWS:
        out.print(f"and {len(pooled.steps) - MOST_ROWS} steps with more agreement (--json)")


def _print_recordings(out: Console, found: Comparison) -> None:
    table = _table("recording", "A", "B", "all frames", "kappa", "either calls a step")
    ordered = sorted(found.recordings, key=lambda r: r.agreement.all_frames.percent or 0.0)
    for row in ordered[:MOST_ROWS]:
        names = (row.recording, row.annotator_a, row.annotator_b)
        percent, _ = _figures(row.agreement.steps_of_either)
        figures = (*_figures(row.agreement.all_frames), percent)
        table.add_row(*(escape(_plain(name)) for name in names), *figures)
    out.print(table)
    if len(ordered) > MOST_ROWS:
        out.print(f"and {len(ordered) - MOST_ROWS} recordings with more agreement (--json)")


def _print_lone(out: Console, pooled: Agreement) -> None:
    for segment in pooled.lone_segments[:MOST_OF_A_KIND]:
        text = (
            f"only {segment.annotation.upper()} has {segment.label!r} in {segment.recording}, "
            f"{segment.start_s:.2f} to {segment.end_s:.2f} s"
        )
        out.print(escape(text), soft_wrap=True)
    hidden = len(pooled.lone_segments) - MOST_OF_A_KIND
    if hidden > 0:
        out.print(f"and {hidden} more segments that only one has (--json)")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        is_number = index > 0 and len(columns) > 3
        table.add_column(column, justify="right" if is_number else "left")
    return table


def _plain(text: str) -> str:
    """Keep control characters, which labels and file names may hold, from the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
