"""`linewatch data import` and `linewatch data export`: to and from other tools and public sets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from industryasm.formats.transfer import PUBLIC_SETS, FormatChoice, SourceChoice

if TYPE_CHECKING:
    from industryasm.formats.foreign import ForeignRecording, Unit
    from industryasm.formats.importing import ImportChoices, ImportedSet
    from industryasm.formats.videos import LinkMode, Put
    from industryasm.repairs import Repairs
    from industryasm.vocabulary import Task


JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def import_annotations(
    kind: Annotated[SourceChoice, typer.Argument(metavar="FORMAT", help="Tool or public set.")],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="File or folder to read.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="New or empty folder.")],
    task: Annotated[
        str | None, typer.Option(help="Task of the steps: see `linewatch tasks`, or a YAML file.")
    ] = None,
    new_task: Annotated[
        str | None, typer.Option(help="Make a vocabulary of this id from the labels found.")
    ] = None,
    videos: Annotated[Path | None, typer.Option(help="Folder with the videos.")] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=240,
            help="Frame rate at which the tool counted; else the frames are the video's.",
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="YAML: their label to ours, null for background.")
    ] = None,
    about: Annotated[
        Path | None, typer.Option(help="CSV: recording,operator,station,camera.")
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option("--tier", "--track", help="Layer of the steps; others become tracks."),
    ] = None,
    annotator: Annotated[
        str | None, typer.Option(help="Whose annotation to take; else who made it.")
    ] = None,
    unknown_as_background: Annotated[
        bool, typer.Option("--unknown-as-background", help="Drop labels that are no steps.")
    ] = False,
    cut_overlaps: Annotated[
        bool, typer.Option("--cut-overlaps", help="End the earlier of two overlapping segments.")
    ] = False,
    clip: Annotated[
        bool, typer.Option("--clip", help="Cut what is longer than its video.")
    ] = False,
    drop_layers: Annotated[
        bool, typer.Option("--drop-layers", help="Leave layers beside the steps out.")
    ] = False,
    one_cycle: Annotated[
        bool, typer.Option("--one-cycle", help="Each recording is the assembly of one unit.")
    ] = False,
    copy: Annotated[
        bool | None,
        typer.Option("--copy/--link", help="Copy videos, or link; else link if possible."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Import annotations of another tool, or a public data set, as a data set of ours."""
    from industryasm.formats.about import read_about, with_about
    from industryasm.formats.importing import ImportChoices, import_foreign, write_imported
    from industryasm.formats.labels import read_label_file
    from industryasm.formats.transfer import import_public_set, read_foreign
    from industryasm.new_folder import check_new, new_folder
    from industryasm.repairs import Repairs

    check_new(target)
    repairs = Repairs()
    given = [task, new_task, videos, fps, labels, about, tier, annotator, copy]
    flags = [unknown_as_background, cut_overlaps, clip, drop_layers, one_cycle]
    if kind in PUBLIC_SETS:
        has_options = any(flags) or given != [None] * len(given)
        with new_folder(target) as folder:
            import_public_set(kind, source, folder, has_options, repairs)
        _report_set(target, repairs, as_json)
        return
    vocabulary, own_task = _vocabulary(task, new_task)
    known = vocabulary if not isinstance(vocabulary, str) else None
    choices = ImportChoices(
        videos=videos,
        fps=fps,
        labels=read_label_file(labels, known) if labels else {},
        layer=tier,
        annotator=annotator,
        unknown_as_background=unknown_as_background,
        cut_overlaps=cut_overlaps,
        clip=clip,
        drop_layers=drop_layers,
        one_cycle=one_cycle,
    )
    foreign = read_foreign(FormatChoice(kind.value), source, repairs)
    _check_choices(foreign, choices)
    imported = import_foreign(foreign, task=vocabulary, choices=choices, repairs=repairs)
    if about is not None:
        imported = with_about(imported, read_about(about, repairs), about)
    mode: LinkMode = "either" if copy is None else "copy" if copy else "link"
    with new_folder(target) as folder:
        done = write_imported(imported, folder, mode=mode, own_task=own_task)
    _report(imported, done, target, repairs, as_json)


def export_annotations(
    kind: Annotated[FormatChoice, typer.Argument(metavar="FORMAT", help="Tool to export for.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data set to read.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="New or empty folder.")],
    fps: Annotated[
        float | None,
        typer.Option(min=0.01, max=240, help="Rate where a recording has neither video nor rate."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Export a data set's segments for another tool; videos stay where they are."""
    from industryasm.formats.exporting import export_foreign, label_texts
    from industryasm.formats.transfer import write_foreign
    from industryasm.new_folder import check_new, new_folder
    from industryasm.recording import DataSet
    from industryasm.repairs import Repairs

    check_new(target)
    losses = Repairs()
    data_set = DataSet(data)
    in_seconds = kind in (FormatChoice.elan, FormatChoice.boris, FormatChoice.csv)
    unit: Unit = "seconds" if in_seconds else "frames"
    found = export_foreign(data_set, unit=unit, fps=fps, losses=losses)
    if kind != FormatChoice.ms_tcn and len(data_set.index.splits) > 1:
        losses.add("splits have no place in the format", str(data))
    with new_folder(target) as folder:
        write_foreign(kind, found, folder, label_texts(data_set), losses)
    rows = sum(len(recording.layers[0].rows) for recording in found)
    if as_json:
        facts = {"recordings": len(found), "segments": rows, "losses": losses.counts}
        typer.echo(json.dumps(facts, indent=1))
        return
    typer.echo(f"exported {len(found)} recordings, {rows} segments to {target}")
    for line in losses.lines():
        typer.echo(f"not exported as it is: {line}")


def _vocabulary(task: str | None, new_task: str | None) -> tuple[Task | str, bool]:
    """Return the task, or the id of one to be made, and whether the data set must hold it."""
    from industryasm.fault import UserFault
    from industryasm.vocabulary import find_task, task_ids

    if task is None and new_task is None:
        raise UserFault("say which steps these are: --task TASK, or --new-task ID to make one")
    if task is not None and new_task is not None:
        raise UserFault("--task and --new-task exclude each other")
    if new_task is not None:
        if new_task in task_ids():
            raise UserFault(f"--new-task {new_task}: a task of this name comes with Linewatch")
        return new_task, True
    assert task is not None
    return find_task(task), task not in task_ids()


def _check_choices(foreign: Sequence[ForeignRecording], choices: ImportChoices) -> None:
    from industryasm.fault import UserFault

    if choices.fps is not None and any(r.unit == "seconds" for r in foreign):
        raise UserFault("--fps: this format tells seconds, there are no frames to count")


def _report_set(target: Path, repairs: Repairs, as_json: bool) -> None:
    from industryasm.recording import DataSet

    data = DataSet(target)
    segments = [len(recording.segments) for recording in data.recordings()]
    splits = {name: len(ids) for name, ids in data.index.splits.items()}
    facts = {
        "recordings": len(segments),
        "segments": sum(segments),
        "splits": splits,
        "repairs": repairs.counts,
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    typer.echo(f"imported {len(segments)} recordings, {sum(segments)} segments into {target}")
    typer.echo("splits: " + ", ".join(f"{name} {number}" for name, number in splits.items()))
    _echo_repairs(repairs)


def _report(
    imported: ImportedSet,
    done: Mapping[Put, int],
    target: Path,
    repairs: Repairs,
    as_json: bool,
) -> None:
    recordings = imported.recordings()
    segments = sum(len(recording.segments) for recording in recordings)
    splits = {name: len(found) for name, found in imported.splits.items()}
    if as_json:
        facts = {
            "recordings": len(recordings),
            "segments": segments,
            "task": imported.task.id,
            "splits": splits,
            "videos": done,
            "repairs": repairs.counts,
        }
        typer.echo(json.dumps(facts, indent=1))
        return
    typer.echo(
        f"imported {len(recordings)} recordings, {segments} segments of task {imported.task.id} "
        f"into {target}"
    )
    typer.echo(f"videos: {done['linked']} hard-linked, {done['copied']} copied")
    if list(splits) == ["train"]:
        typer.echo("splits: all in train; split them with `linewatch data split`")
    else:
        typer.echo("splits: " + ", ".join(f"{name} {number}" for name, number in splits.items()))
    _echo_repairs(repairs)


def _echo_repairs(repairs: Repairs) -> None:
    for line in repairs.lines():
        typer.echo(f"repaired: {line}")
