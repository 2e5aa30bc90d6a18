"""The folder layout of MS-TCN, which most action-segmentation code reads.

```
mapping.txt                 `0 background`: number, blank, label
groundTruth/NAME.txt        one label per frame and line
splits/train.split1.bundle  one `NAME.txt` per line; likewise test.split1.bundle
```
Source: yabufarha/ms-tcn, main.py and batch_gen.py. A layout of one layer; touching segments of
one label cannot be told apart in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from industryasm.formats.foreign import (
    MAX_END,
    STEP_LAYER,
    ForeignFileError,
    ForeignLayer,
    ForeignRecording,
    ForeignRow,
)
from industryasm.formats.foreign_file import files_of, read_lines
from industryasm.recording import SplitName
from industryasm.repairs import Repairs
from industryasm.segment import runs
from industryasm.vocabulary import BACKGROUND

_SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


def read_ms_tcn(source: Path, repairs: Repairs) -> list[ForeignRecording]:
    """Read a folder in this layout; labels must be in its mapping.txt, if it has one."""
    truth = source / "groundTruth"
    if not truth.is_dir():
        raise ForeignFileError(f"{source}: has no folder groundTruth")
    known = _read_mapping(source / "mapping.txt", repairs)
    files = files_of(truth, ".txt")
    splits = _read_splits(source / "splits", {path.name for path in files}, repairs)
    return [_read_truth(path, known, splits.get(path.name), repairs) for path in files]


def _read_mapping(path: Path, repairs: Repairs) -> set[str] | None:
    if not path.is_file():
        repairs.add("mapping.txt is missing: labels taken as they stand", str(path))
        return None
    labels: set[str] = set()
    for number, line in enumerate(read_lines(path, repairs), start=1):
        index, _, label = line.strip().partition(" ")
        if not (index.isascii() and index.isdigit()) or not label.strip():
            raise ForeignFileError(f"{path}:{number}: {line[:40]!r} is not `NUMBER LABEL`")
        if label.strip() in labels:
            raise ForeignFileError(f"{path}:{number}: {label.strip()!r} is given twice")
        labels.add(label.strip())
    return labels


def _read_splits(folder: Path, names: set[str], repairs: Repairs) -> dict[str, SplitName]:
    found: dict[str, SplitName] = {}
    for split in _SPLITS:
        path = folder / f"{split}.split1.bundle"
        if not path.is_file():
            continue
        for number, line in enumerate(read_lines(path, repairs), start=1):
            name = line.strip()
            if name not in names:
                raise ForeignFileError(f"{path}:{number}: {name!r} is not in groundTruth")
            if name in found:
                raise ForeignFileError(f"{path}:{number}: {name!r} is in {found[name]} already")
            found[name] = split
    if found:
        for name in sorted(names - set(found)):
            repairs.add("in no bundle of split1: put in train", name)
            found[name] = "train"
    return found


def _read_truth(
    path: Path, known: set[str] | None, split: SplitName | None, repairs: Repairs
) -> ForeignRecording:
    labels: list[str] = []
    for number, line in enumerate(read_lines(path, repairs), start=1):
        label = line.strip()
        if label != line:
            repairs.add("stray blanks around a label", f"{path}:{number}")
        if not label:
            raise ForeignFileError(f"{path}:{number}: a frame has no label")
        if known is not None and label not in known:
            raise ForeignFileError(f"{path}:{number}: {label[:60]!r} is not in mapping.txt")
        labels.append(label)
    if not 0 < len(labels) <= MAX_END:
        raise ForeignFileError(f"{path}: holds {len(labels)} frames; 1 to {MAX_END} are possible")
    rows = tuple(
        ForeignRow(start, end, label, f"{path}:{start + 1}") for label, start, end in runs(labels)
    )
    return ForeignRecording(
        name=path.name.removesuffix(".txt"),
        unit="frames",
        layers=(ForeignLayer(STEP_LAYER, rows),),
        length=len(labels),
        split=split,
        place=str(path),
    )


def write_ms_tcn(
    recordings: Sequence[ForeignRecording],
    target: Path,
    labels: Mapping[str, str],
    losses: Repairs,
) -> None:
    """Write recordings counted in frames, of the step layer alone, with splits of number 1."""
    (target / "groundTruth").mkdir(parents=True)
    (target / "splits").mkdir()
    mapping = "".join(f"{index} {label}\n" for index, label in enumerate(labels))
    (target / "mapping.txt").write_text(mapping, encoding="utf-8")
    for recording in recordings:
        text = "\n".join(_frame_labels(recording, losses)) + "\n"
        (target / "groundTruth" / f"{recording.name}.txt").write_text(text, encoding="utf-8")
    for split in _SPLITS:
        names = [f"{r.name}.txt\n" for r in recordings if r.split == split]
        if names or split != "validation":  # which the layout's own code does not know
            path = target / "splits" / f"{split}.split1.bundle"
            path.write_text("".join(names), encoding="utf-8")


def _frame_labels(recording: ForeignRecording, losses: Repairs) -> list[str]:
    labels = [BACKGROUND] * int(recording.length or 0)
    rows = recording.layers[0].rows
    for row in rows:
        labels[int(row.start) : int(row.end)] = [row.label] * int(row.end - row.start)
    for before, after in pairwise(rows):
        if before.label == after.label and before.end == after.start:
            losses.add("touching segments of one label run together", after.place)
    for layer in recording.layers[1:]:
        losses.add("second layer left out: the format has one", f"{recording.name} {layer.name}")
    return labels
