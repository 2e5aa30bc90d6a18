"""Step evidence of every recording by a model that never saw its person, kept to go on with.

The folds are the persons; one whose evidence lies in the work folder is not trained again.
"""

from __future__ import annotations

import logging
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from edge.evaluation.work_folder import WorkFolderError, claim
from edge.labelled_videos import LabelledSplits
from edge.protocols.captaincook4d_probe import CONTEXT_S, probe_evidence
from industryasm.fault import UserFault
from models.decoder import Floats
from models.temporalvlm.video_crops import LabelledVideo

logger = logging.getLogger(__name__)

FOLDER = f"probe-{CONTEXT_S:g}s"


def held_out_evidence(splits: LabelledSplits, work: Path) -> dict[str, Floats]:
    """Return by recording the probabilities (T, K) of the labels of its task.

    Raises `UserFault` for a person without whom a recipe has no recording, `WorkFolderError` where
    `work` holds evidence of other data, or damaged evidence.
    """
    people = folds(splits)
    claim(work / splits.name, splits)
    folder = work / splits.name / FOLDER
    folder.mkdir(exist_ok=True)
    for person, videos in people.items():
        if not all(_path(folder, video).is_file() for video in videos):
            for name, rows in probe_evidence(splits, person).items():
                _write(folder, name, rows)
            logger.info("%s: the %d recordings of %s", folder, len(videos), person)
    return {v.name: _read(folder, splits, v) for videos in people.values() for v in videos}


def folds(splits: LabelledSplits) -> dict[str, list[LabelledVideo]]:
    """Return the recordings of each person, persons by name; raise `UserFault` as above."""
    people: dict[str, list[LabelledVideo]] = {}
    for video in sorted(all_videos(splits), key=lambda video: video.name):
        people.setdefault(splits.recordings[video.name].operator, []).append(video)
    of_task = Counter(video.task for videos in people.values() for video in videos)
    for person, videos in people.items():
        for task, number in Counter(video.task for video in videos).items():
            if number == of_task[task]:
                raise UserFault(
                    f"all {number} recordings of {task!r} are of {person!r}: a model that judges "
                    f"them needs recordings of others; add some, or leave {task!r} out"
                )
    return dict(sorted(people.items()))


def all_videos(splits: LabelledSplits) -> list[LabelledVideo]:
    """Return the recordings of all splits."""
    return [video for videos in splits.videos.values() for video in videos]


def _path(folder: Path, video: LabelledVideo) -> Path:
    return folder / f"{video.name}.npz"


def _write(folder: Path, name: str, rows: Floats) -> None:
    part = folder / f"{name}.part.npz"
    np.savez(part, rows=rows.astype(np.float32))
    part.replace(folder / f"{name}.npz")


def _read(folder: Path, splits: LabelledSplits, video: LabelledVideo) -> Floats:
    path = _path(folder, video)
    try:
        # NumPy leaves a file open that it opened itself and found to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            rows: Floats = stored["rows"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WorkFolderError(f"{path}: cannot be read: {error}; remove it") from error
    expected = len(video.labels), len(splits.label_names(video.task))
    if rows.shape != expected or rows.dtype.kind != "f" or not np.isfinite(rows).all():
        raise WorkFolderError(
            f"{path}: rows {rows.dtype} {rows.shape} must be finite floats {expected}; remove it, "
            "to train again"
        )
    return rows
