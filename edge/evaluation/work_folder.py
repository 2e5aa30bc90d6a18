"""The work folder of comparisons on one data set: whose it is, and judgements that lie in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.labelled_videos import LabelledSplits
from industryasm.fault import UserFault


class WorkFolderError(UserFault, ValueError):
    """A work folder cannot be used for this data."""


def claim(folder: Path, splits: LabelledSplits) -> None:
    """Make `folder` that of comparisons on this data, or see that it is.

    Trainings there are found by their row, seed and steps, so those on other data of the same
    folder's name would be taken for these. Raises `WorkFolderError` then, and when nothing can be
    written there.
    """
    path = folder / "data.json"
    ours = {"name": splits.name, "sha256": splits.sha256}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            write_json(path, ours)
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkFolderError(f"{path}: {error}; give another --work") from error
    if theirs != ours:
        raise WorkFolderError(
            f"{folder}: holds trainings on other recordings or features than {splits.name!r} has "
            f"now ({path.name}); give another --work, or remove it"
        )


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file that is there whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
