"""`linewatch evaluate`: models, and data sets themselves, judged on recordings with known truth.

PyTorch, which the probes are fitted with, is imported when a command needs it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from industryasm.fault import UserFault

if TYPE_CHECKING:
    from industryasm.recording import SplitName

evaluate = typer.Typer(
    help="Judge models and data sets on recordings whose truth is known.",
    invoke_without_command=True,
)


class TablePart(StrEnum):
    """The parts of the comparison, as a choice on the command line."""

    frames = "frames"
    language = "language"


class SplitChoice(StrEnum):
    """The splits of a data set, as a choice on the command line."""

    train = "train"
    validation = "validation"
    test = "test"


class Protocol(StrEnum):
    """How deviations are judged, as a choice on the command line."""

    oracle = "oracle"
    prego = "prego"
    captaincook4d = "captaincook4d"
    impact = "impact"
    rendered = "rendered"


class DecoderName(StrEnum):
    """What makes segments of a network's probabilities, as a choice on the command line."""

    order = "order"
    plain = "plain"


@evaluate.callback()
def comparison(
    context: typer.Context,
    table: Annotated[
        bool, typer.Option("--table", help="Train and compare TemporalVLM and other systems.")
    ] = False,
    data: Annotated[
        list[Path] | None, typer.Option(help="Data set of the table; may be repeated.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the trainings; goes on with what is there.")
    ] = None,
    part: Annotated[
        list[TablePart] | None, typer.Option(help="Which tables [both]; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Trainings of each row.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 800,
    answer_steps: Annotated[
        int, typer.Option(min=1, help="Steps of each training to answer questions, some 4 a step.")
    ] = 64,
    processes: Annotated[int, typer.Option(min=1, help="Trainings side by side.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
) -> None:
    """Judge models and data sets on recordings whose truth is known."""
    if context.invoked_subcommand is not None:
        if table:
            raise UserFault(f"--table and {context.invoked_subcommand}: call one after the other")
        return
    if not table:
        typer.echo(context.get_help())
        return
    if not data or work is None:
        raise UserFault("--table needs --data DIR (may be repeated) and --work DIR")
    from edge.evaluation.frame_table import frame_table, frame_table_rows
    from edge.evaluation.language_table import language_table, language_table_rows
    from industryasm.repairs import Repairs

    parts = part or list(TablePart)
    found: dict[str, dict[str, Any]] = {folder.resolve().name: {} for folder in data}
    for folder in (given.resolve() for given in data):  # `.` has no name
        if TablePart.frames in parts:
            frames = frame_table(folder, work=work, seeds=seeds, steps=steps, processes=processes)
            head = f"{folder.name}: frame-wise, {seeds} seeds, {steps} steps\n"
            found[folder.name]["frames"] = {
                row: [judgement.as_dict() for judgement in of_row] for row, of_row in frames.items()
            }
            _say([head, *frame_table_rows(frames), ""], unless=as_json)
        if TablePart.language in parts:
            both, repairs = (steps, answer_steps), Repairs()
            answers = language_table(
                folder, work=work, seeds=seeds, steps=both, processes=processes, repairs=repairs
            )
            head = f"{folder.name}: answers, {seeds} seeds, {steps} and {answer_steps} steps\n"
            left_out = [f"Left out: {line}" for line in repairs.lines()]
            found[folder.name] |= {"language": answers, "left_out": left_out}
            _say([head, *language_table_rows(answers), "", *left_out], unless=as_json)
    if as_json:
        typer.echo(json.dumps(found, indent=1))


def _say(lines: list[str], *, unless: bool) -> None:
    """Print lines as soon as they are known, unless all is printed at the end."""
    if not unless:
        typer.echo("\n".join(lines))


@evaluate.command()
def segmentation(
    model: Annotated[str, typer.Argument(help="Model folder, or a task for its shipped model.")],
    data: Annotated[Path, typer.Option(help="Data set.")],
    split: Annotated[SplitChoice, typer.Option(help="Which recordings.")] = SplitChoice.test,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score streamed segments against the truth, beside the probes and the majority class."""
    from edge.evaluation.segmentation_table import score_table
    from edge.evaluation.streamed import evaluate_segmentation

    evaluation = evaluate_segmentation(model, data, split.value)
    if as_json:
        typer.echo(json.dumps(asdict(evaluation), indent=1))
        return
    typer.echo(score_table(evaluation))


@evaluate.command()
def deviations(
    model: Annotated[
        str | None, typer.Argument(help="Model folder, or a task for its shipped model.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Data set; for rendered, may be repeated.")
    ] = None,
    protocol: Annotated[
        Protocol, typer.Option(help="Whose steps, and what counts as found; MODEL for rendered.")
    ] = Protocol.rendered,
    split: Annotated[
        SplitChoice, typer.Option(help="Which recordings, of rendered.")
    ] = SplitChoice.test,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the probes' evidence, of captaincook4d.")
    ] = None,
    decoder: Annotated[
        DecoderName,
        typer.Option(help="A station's, or a plain one that knows no order; of rendered."),
    ] = DecoderName.order,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count the known deviations that are found, those that are not, and those invented.

    Several data sets are counted as one.
    """
    if work is not None and protocol is not Protocol.captaincook4d:
        raise UserFault(f"--protocol {protocol} takes no --work: leave {str(work)!r} out")
    if protocol is not Protocol.rendered:
        if decoder is not DecoderName.order:
            raise UserFault(f"--protocol {protocol} takes no --decoder: leave {decoder!s} out")
        if split is not SplitChoice.test:
            raise UserFault(f"--protocol {protocol} takes no --split: leave {split!s} out")
        if len(data or ()) > 1:
            raise UserFault(f"--protocol {protocol} takes one --data, not {len(data or ())}")
        folder = data[0] if data else None
        typer.echo(protocol_report(protocol, model, folder, work=work, as_json=as_json))
        return
    if model is None or not data:
        raise UserFault("--protocol rendered needs MODEL and --data DIR")
    from edge.evaluation.deviation_table import plain, table
    from edge.evaluation.streamed import evaluate_deviations

    evaluation = evaluate_deviations(model, data, split.value, decoder=decoder.value)
    typer.echo(json.dumps(plain(evaluation), indent=1) if as_json else table(evaluation))


@evaluate.command()
def baselines(
    data: Annotated[Path, typer.Option(help="Data set.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell how hard a data set is: what no model of time gets on its test split, task by task.

    The majority class and linear probes of single frames, fitted on the training split.
    """
    from edge.evaluation.difficulty import label_by_baselines, pooled_scores
    from edge.evaluation.segmentation_table import score_rows
    from industryasm.recording import DataSet

    found = []
    for task in label_by_baselines(DataSet(data)):
        found.append(task)
        if not as_json:
            one_frame = task.scores()["linear probe"]
            typer.echo(
                f"{task.task:28} {len(task.truth):3} recordings, linear probe: "
                f"accuracy {one_frame.accuracy:5.1f}  edit {one_frame.edit:5.1f}  "
                f"F1@50 {one_frame.f1_50:5.1f}"
            )
    pooled = pooled_scores(found)
    if as_json:
        tasks = {task.task: task.scores() for task in found} | {"all": pooled}
        plain = {
            task: {name: asdict(score) for name, score in scores.items()}
            for task, scores in tasks.items()
        }
        typer.echo(json.dumps(plain, indent=1))
        return
    typer.echo("\n".join(score_rows(pooled)))


@evaluate.command()
def delay(
    data: Annotated[list[Path], typer.Option(help="Data set; may be repeated.")],
    work: Annotated[Path, typer.Option(help="Folder for what is judged; goes on with it.")],
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Trainings of each row.")] = 1,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the recordings.")] = 30,
    processes: Annotated[int, typer.Option(min=1, help="Trainings side by side.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
) -> None:
    """Tell what waiting for the future brings: accuracy by look-ahead, beside all and none of it.

    One network is trained for each look-ahead, and judged on the test split.
    """
    from edge.evaluation.delay_curve import delay_curve, delay_curve_rows

    plain: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for folder in (given.resolve() for given in data):  # `.` has no name
        found = delay_curve(folder, work=work, seeds=seeds, epochs=epochs, processes=processes)
        plain[folder.name] = {
            row: [score.as_dict() for score in scores] for row, scores in found.items()
        }
        head = f"{folder.name}: by look-ahead, {seeds} seeds, {epochs} epochs\n"
        _say([head, *delay_curve_rows(found), ""], unless=as_json)
    if as_json:
        typer.echo(json.dumps(plain, indent=1))


def protocol_report(
    protocol: Protocol, model: str | None, data: Path | None, *, work: Path | None, as_json: bool
) -> str:
    """Word what a protocol that brings its own steps, and so takes no model, has to say."""
    if model is not None:
        raise UserFault(f"--protocol {protocol} takes no MODEL: leave {model!r} out")
    if protocol is Protocol.prego:
        from edge.protocols import prego

        if data is None:
            raise UserFault("--protocol prego needs --data DIR, the folder of PREGO's outputs")
        prego_report = prego.report(data)
        return json.dumps(prego_report.plain(), indent=1) if as_json else prego_report.table()
    if protocol is Protocol.oracle:
        from edge.protocols import oracle

        oracle_report = oracle.report(_sets_folder(protocol, data))
        return json.dumps(oracle_report.plain(), indent=1) if as_json else oracle_report.table()
    if protocol is Protocol.impact:
        from edge.protocols import impact

        impact_report = impact.report(_sets_folder(protocol, data))
        return json.dumps(impact_report.plain(), indent=1) if as_json else impact_report.table()
    if data is None or work is None:
        raise UserFault(f"--protocol {protocol} needs --data DIR, the imported set, and --work DIR")
    from edge.protocols import captaincook4d

    cook_report = captaincook4d.report(data, work)
    return json.dumps(cook_report.plain(), indent=1) if as_json else cook_report.table()


def _sets_folder(protocol: Protocol, data: Path | None) -> Path:
    if data is None:
        raise UserFault(f"--protocol {protocol} needs --data DIR, the folder that holds the sets")
    return data


def predict(
    model: Annotated[str, typer.Argument(help="Model folder, or a task for its shipped model.")],
    data: Annotated[Path, typer.Option(help="Data set.")],
    out: Annotated[Path, typer.Option(help="File to write, one JSON object a line.")],
    split: Annotated[SplitChoice | None, typer.Option(help="Which recordings [all].")] = None,
) -> None:
    """Write the segments that the model streams for each recording; the truth is not looked at."""
    from edge.evaluation.streamed import predict as predict_recordings
    from models.whole_files import open_for_lines

    which: SplitName | None = None if split is None else split.value
    num_segments = 0
    with open_for_lines(out) as file:
        for recording, said in predict_recordings(model, data, which):
            segments = [asdict(segment) for segment in said.segments]
            file.write(json.dumps({"recording": recording, "segments": segments}) + "\n")
            num_segments += len(segments)
    typer.echo(f"{out}: {num_segments} segments")
