"""Writes CVAT XML 1.1 with Datumaro and reads ours with it: `cvat_datumaro.py OURS VIDEOS OUT`.

CVAT exports most formats through a fork of Datumaro, whose writer of CVAT's XML is built as CVAT's
own is. It is not CVAT: that is a server of several containers.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from datumaro.components.annotation import Bbox, Label
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image
from story import NUM_FRAMES, STORY, write_read

LABELS = list(dict.fromkeys(label for label, _, _ in STORY))


def write(path: Path, *, use_track: bool) -> None:
    """Write the story as tracks of boxes or as tags on images."""
    items = [_item(frame, use_track=use_track) for frame in range(NUM_FRAMES)]
    data = Dataset.from_iterable(items, categories=LABELS)
    with tempfile.TemporaryDirectory() as folder:
        data.export(folder, "cvat", save_media=False, use_track=use_track)
        (written,) = Path(folder).glob("*.xml")
        shutil.copyfile(written, path)


def _item(frame: int, *, use_track: bool) -> DatasetItem:
    found: list[Bbox | Label] = []
    for number, (label, start, end) in enumerate(STORY):
        if not use_track and start <= frame < end:
            found.append(Label(LABELS.index(label)))
        if use_track and frame in (start, end):
            # as an editor would leave it: seen from the first frame on, gone at the first after
            more = {"track_id": number, "keyframe": True, "outside": frame == end}
            found.append(Bbox(4, 4, 20, 10, label=LABELS.index(label), attributes=more))
    media = Image.from_numpy(data=np.zeros((48, 64, 3), np.uint8))
    return DatasetItem(
        f"frame_{frame:06d}", media=media, annotations=found, attributes={"frame": frame}
    )


def read(path: Path) -> list[tuple[str, float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(path, Path(folder) / "annotations.xml")
        data = Dataset.import_from(folder, "cvat")
        names = [label.name for label in next(iter(data.categories().values())).items]
        starts: dict[int, float] = {}
        found: list[tuple[str, float, float]] = []
        for item in sorted(data, key=lambda item: item.attributes["frame"]):
            for box in item.annotations:
                track, frame = box.attributes["track_id"], item.attributes["frame"]
                if box.attributes["outside"]:
                    found.append((names[box.label], starts.pop(track), frame))
                else:
                    starts.setdefault(track, frame)
    if starts:
        raise SystemExit(f"Datumaro saw no end of tracks {sorted(starts)}")
    return found


if __name__ == "__main__":
    ours, _, out = map(Path, sys.argv[1:])
    write(out / "cvat-datumaro-tracks.xml", use_track=True)
    write(out / "cvat-datumaro-tags.xml", use_track=False)
    write_read(out, f"datumaro {version('datumaro')}", read(ours / "bench.xml"))
