"""`linewatch data validate`, `stats`, `split`, `show`, `agree`: what a data set holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

DataFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the data set.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Share = Annotated[float, typer.Option(min=0, max=1, help="Share of the time that it is to have.")]


class TraitChoice(StrEnum):
    """By what a data set can be split, as a choice on the command line."""

    operator = "operator"
    station = "station"


def validate(
    folder: DataFolder,
    no_videos: Annotated[
        bool, typer.Option("--no-videos", help="Do not open videos and features.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a data set and tell everything that is wrong in it; exit status 1 for errors."""
    from industryasm.inspection.inspect_tables import console, print_validation
    from industryasm.inspection.validation import validate_data_set

    found = validate_data_set(folder, videos=not no_videos)
    if as_json:
        numbers = {"num_errors": len(found.errors), "num_warnings": len(found.warnings)}
        _print_json(asdict(found) | numbers)
    else:
        print_validation(console(), found)
    if found.errors:
        raise typer.Exit(1)


def stats(
    folder: DataFolder,
    card: Annotated[
        bool, typer.Option("--card", help="Set beside the published figures of IndustryASM.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Count what a data set holds: clips, hours, steps and their lengths, deviations."""
    from industryasm.inspection import published
    from industryasm.inspection.data_statistics import describe
    from industryasm.inspection.inspect_tables import console, print_card, print_statistics
    from industryasm.recording import DataSet

    found = describe(DataSet(folder))
    if as_json:
        _print_json(asdict(found) | ({"published": published.figures()} if card else {}))
    elif card:
        print_card(console(), found)
    else:
        print_statistics(console(), found)


def split(
    folder: DataFolder,
    by: Annotated[
        list[TraitChoice] | None, typer.Option(help="Keep whole; may be given twice [both].")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same split.")] = 0,
    train: Share = 0.7,
    validation: Share = 0.15,
    test: Share = 0.15,
    write: Annotated[bool, typer.Option("--write", help="Replace dataset.json.")] = False,
    as_json: AsJson = False,
) -> None:
    """Split a data set so that no operator and no station is in two splits; show or write it."""
    from industryasm.inspection.inspect_tables import console, print_splits
    from industryasm.inspection.splitting import split_recordings, write_splits
    from industryasm.recording import DataSet

    data = DataSet(folder)
    splits = split_recordings(
        list(data.recordings()),
        by=tuple(dict.fromkeys(trait.value for trait in by or TraitChoice)),
        shares={"train": train, "validation": validation, "test": test},
        seed=seed,
    )
    if write:
        write_splits(data, splits)
    if as_json:
        _print_json({"written": write, "splits": [asdict(part) for part in splits]})
        return
    print_splits(console(), splits)
    typer.echo(f"{folder / 'dataset.json'}: written" if write else "not written; add --write")


def show(
    folder: DataFolder,
    recording_id: Annotated[str, typer.Argument(metavar="ID", help="Name of the recording.")],
    out: Annotated[Path | None, typer.Option(help="Picture to write [ID.png].")] = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="Put pictures of the video above.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw what was done when in a recording, as a picture."""
    from industryasm.fault import UserFault
    from industryasm.inspection.thumbnails import thumbnails
    from industryasm.inspection.timeline import THUMBNAIL_HEIGHT, draw_timeline, thumbnail_times
    from industryasm.recording import DataSet

    data = DataSet(folder)
    known = [name for names in data.index.splits.values() for name in names]
    if recording_id not in known:
        some = ", ".join(known[:5]) + (", .." if len(known) > 5 else "")
        raise UserFault(f"{folder}: there is no recording {recording_id!r}; there are {some}")
    recording = data.recording(recording_id)
    times_s = thumbnail_times(recording) if frames else []
    strip = thumbnails(data.video(recording), times_s, height=THUMBNAIL_HEIGHT) if frames else ()
    picture = draw_timeline(recording, data.task(recording.task), thumbnails=list(strip))
    path = out or Path(f"{recording_id}.png")
    try:
        picture.save(path)
    except (OSError, ValueError) as error:
        raise UserFault(f"{path}: cannot be written as a picture: {error}") from error
    if as_json:
        size = {"width": picture.width, "height": picture.height}
        _print_json({"recording": recording_id, "picture": str(path), **size})
    else:
        typer.echo(f"{path}: {picture.width}x{picture.height}")


def agree(
    a: Annotated[Path, typer.Argument(metavar="A", help="Data set or annotation file.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The same, annotated by another.")],
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Frames a second.")] = 25.0,
    as_json: AsJson = False,
) -> None:
    """Tell how far two annotations of the same recordings agree."""
    from industryasm.inspection.agreement import compare_paths
    from industryasm.inspection.inspect_tables import console, print_comparison

    found = compare_paths(a, b, rate_hz=rate)
    if as_json:
        _print_json(asdict(found))
    else:
        print_comparison(console(), found)


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=1, allow_nan=False))
