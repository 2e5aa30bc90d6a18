"""`linewatch calibrate`: what a model's alarms are worth, as a file beside it and in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.evaluation.cli import SplitChoice

if TYPE_CHECKING:
    from models.calibration import Calibration


def calibrate(
    model: Annotated[str, typer.Argument(help="Model folder, or a task for its shipped model.")],
    data: Annotated[
        list[Path],
        typer.Option(help="Data set; its --split must not have been trained on; may be repeated."),
    ],
    normal: Annotated[
        list[Path] | None,
        typer.Option(help="Data set of normal work alone, of all splits; may be repeated."),
    ] = None,
    split: Annotated[
        SplitChoice, typer.Option(help="Which recordings of --data.")
    ] = SplitChoice.validation,
    budget: Annotated[
        float, typer.Option(min=0.001, max=1000.0, help="False alarms that a shift may have.")
    ] = 1.0,
    shift_hours: Annotated[float, typer.Option(min=0.1, max=24.0, help="Hours of a shift.")] = 8.0,
    miss_rate: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="How often a step is done wrongly.")
    ] = 0.005,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find how far a model's alarms can be trusted, and which are too weak to be raised.

    Writes calibration.json and reliability.svg into the model's folder; stations take the first.
    """
    from edge.calibration import AlarmBudget
    from edge.calibration import calibrate as calibrate_model
    from edge.calibration_diagram import reliability_svg
    from models.card import shipped_model

    limits = AlarmBudget(budget=budget, shift_hours=shift_hours, miss_rate=miss_rate)
    found = calibrate_model(model, data, split.value, limits, normal=normal or ())
    folder = Path(model) if Path(model).is_dir() else shipped_model(model)
    write(found, reliability_svg(found), folder)
    typer.echo(found.model_dump_json(indent=1) if as_json else calibration_words(found, folder))


def write(found: Calibration, diagram: str, folder: Path) -> None:
    """Write both files into the model's folder; raise `UserFault` where it takes none."""
    from industryasm.fault import UserFault

    try:
        (folder / "reliability.svg").write_text(diagram, encoding="utf-8")
        found.write(folder)
    except OSError as error:
        raise UserFault(f"{folder}: cannot be written: {error.strerror or error}") from error


def calibration_words(found: Calibration, folder: Path) -> str:
    """Word a calibration for a person at a terminal."""
    sources = [f"{found.split} of {name}" for name in found.data]
    sources += [f"normal work of {name}" for name in found.normal_data]
    lines = [
        f"{found.task}, {'; '.join(sources)}: {found.num_recordings} recordings, "
        f"{found.num_units} units, {found.num_normal_units} of them normal",
        _hours_words(found),
        f"accusations: {found.num_real} of {found.num_deviations} known deviations, and "
        f"{found.num_false} false, {found.num_false_before} of these in normal units",
        f"threshold: {found.threshold:.3f}; an accusation less probable becomes unsure"
        if found.threshold
        else "threshold: none; every accusation is an alarm",
        f"false alarms in normal units: {found.num_false_before} before, {found.num_false_after} "
        f"after; {found.num_false_held_out} where each recording is judged by the others",
        f"known deviations that become unsure: {found.num_real_doubted} of {found.num_real}",
        _rate_words(found),
        _separation_words(found),
        _budget_words(found),
        "",
        f"{'step':26}  recognised  recall, 95 % interval  an alarm that it was missed is right",
    ]
    for step in found.steps:
        recall = f"{_percent(step.recall_low)} to {_percent(step.recall_high)}"
        right = f"{_percent(step.precision_low)} to {_percent(step.precision_high)}"
        lines.append(
            f"{step.step:26}  {step.num_recognised:3} of {step.num_done:3}  {recall:>21}  "
            f"{_percent(step.precision)} ({right})"
        )
    lines += [
        "",
        f"The last column holds where one step in {1 / found.miss_rate:.0f} is missed, and were an "
        "alarm raised for every step that is not recognised.",
        f"wrote {folder / 'calibration.json'} and reliability.svg",
    ]
    return "\n".join(lines)


def _hours_words(found: Calibration) -> str:
    units_hours = max(found.normal_hours - found.normal_data_hours, 0.0)
    return (
        f"normal work: {found.normal_hours:.2f} h, {units_hours:.2f} h of them units without a "
        f"known deviation in --data, {found.normal_data_hours:.2f} h from --normal"
    )


def _rate_words(found: Calibration) -> str:
    shift = f"{found.shift_hours:g} h"
    words = f"false alarms in {shift}: {found.false_alarms_per_shift:.1f} to be expected at most"
    if found.most_false_alarms_per_shift is None:
        return words
    return (
        f"{words}, and with 95 % certainty not above {found.most_false_alarms_per_shift:.1f} "
        f"(exact Poisson limit of {found.num_false_held_out} in {found.normal_hours:.2f} h, each "
        "recording judged by the others)"
    )


def _separation_words(found: Calibration) -> str:
    if found.separation is None:
        return "true and false accusations cannot be compared: there are not both"
    return (
        "a true accusation is held more probable than a false one in "
        f"{100 * found.separation:.0f} % of pairs (chance: 50 %), judged by the other recordings"
    )


def _budget_words(found: Calibration) -> str:
    alarms = f"{found.budget:g} false alarm{'' if found.budget == 1 else 's'}"
    goal = f"{alarms} in {found.shift_hours:g} h"
    if found.is_shown:
        return f"within the budget: {goal}, shown by {found.normal_hours:.1f} h of normal work"
    return (
        f"{goal} cannot be shown with {found.normal_hours:.1f} h of normal work: at least "
        f"{found.needed_hours:g} h are needed; the threshold is the strictest that this data asks "
        f"for"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
