"""Public sets whose files were changed: refused in one line with the place, without a traceback."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from industryasm.recording import DataSet
from industryasm.repairs import Repairs
from industryasm.sets import assembly101, captaincook4d, ikea_asm
from industryasm.sets.npz_file import NpzFile
from industryasm.sets.set_error import SetError

STEPS = [
    {"step_id": 1, "start_time": 0.0, "end_time": 4.0, "description": "Pour 1 egg"},
    {"step_id": 2, "start_time": 4.0, "end_time": 8.0, "description": "stir it"},
]


def write_cooking(folder: Path, persons: dict[str, int], split: dict[str, list[str]]) -> Path:
    recordings = {
        name: {
            "recording_id": name,
            "activity_name": "Egg",
            "person_id": person,
            "environment": 1,
            "steps": STEPS,
        }
        for name, person in persons.items()
    }
    (folder / "data_splits").mkdir(parents=True)
    (folder / "step_annotations.json").write_text(json.dumps(recordings))
    path = folder / "data_splits" / "person_data_split_combined.json"
    path.write_text(json.dumps(split))
    return folder


def test_a_person_may_not_be_in_two_published_splits(tmp_path: Path) -> None:
    split = {"train": ["1_1"], "val": ["1_2"], "test": ["1_3"]}
    apart = write_cooking(tmp_path / "apart", {"1_1": 1, "1_2": 2, "1_3": 3}, split)
    captaincook4d.import_set(apart, tmp_path / "out", Repairs())
    assert DataSet(tmp_path / "out").index.splits["test"] == ("1_3",)
    shared = write_cooking(tmp_path / "shared", {"1_1": 1, "1_2": 2, "1_3": 1}, split)
    says = r"split_combined\.json: person 1 is in train, and in test with recording 1_3"
    with pytest.raises(SetError, match=says):
        captaincook4d.import_set(shared, tmp_path / "none", Repairs())


TOY = "nusar-2021_action_both_9011-b06b_9011_user_id_2021-02-01_154253.csv"


def write_toy(folder: Path, content: str, name: str = TOY) -> Path:
    folder.mkdir()
    (folder / name).write_text(content)
    return folder


def test_a_long_remark_is_cut_and_counted(tmp_path: Path) -> None:
    rows = "0,30,attach,a,b,correct,\n"
    rows += (
        f"30,60,detach,a,b,mistake,{'x' * 2000}\n60,90,attach,c,d,mistake,shouldn't have happened"
    )
    repairs = Repairs()
    assembly101.import_set(write_toy(tmp_path / "in", rows), tmp_path / "out", repairs)
    (recording,) = DataSet(tmp_path / "out").recordings()
    assert [len(deviation.note) for deviation in recording.deviations] == [1000, 35]
    assert repairs.counts["remark cut at 1000 characters"] == 1


def test_digits_of_other_scripts_name_no_file(tmp_path: Path) -> None:
    source = write_toy(tmp_path / "in", "1,2,attach,a,b,correct,\n", TOY.replace("9011", "٩٠١١"))
    with pytest.raises(SetError, match="its name is none of"):
        assembly101.import_set(source, tmp_path / "out", Repairs())


def test_what_the_models_refuse_is_told_with_file_place_and_key(tmp_path: Path) -> None:
    split = {"train": ["1_1"], "val": [], "test": []}
    source = write_cooking(tmp_path / "in", {"1_1": 1}, split)
    path = source / "step_annotations.json"
    path.write_text(path.read_text().replace("8.0", "1e300"))
    with pytest.raises(SetError, match=r"step_annotations\.json: 1_1: duration_s: Input should be"):
        captaincook4d.import_set(source, tmp_path / "out", Repairs())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('"person_id": 1', '"person_id": "1"'), "1_1.person_id: Input should be a valid integer"),
        (('"person_id": 1', '"person_id": 1, "person_id": 2'), "'person_id' is given twice"),
        (('"end_time": 8.0', '"end_time": true'), "end_time: Input should be a valid number"),
        (('"end_time": 8.0', '"end_time": 9'), ""),  # a whole number is one
    ],
)
def test_keys_given_twice_and_texts_for_numbers_are_refused(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    split = {"train": ["1_1"], "val": [], "test": []}
    source = write_cooking(tmp_path / "in", {"1_1": 1}, split)
    path = source / "step_annotations.json"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    if not says:
        captaincook4d.import_set(source, tmp_path / "out", Repairs())
        return
    with pytest.raises(SetError, match=f"step_annotations.json: .*{says}"):
        captaincook4d.import_set(source, tmp_path / "out", Repairs())


def evidence(folder: Path, **changes: np.ndarray) -> Path:
    folder.mkdir()
    arrays = {
        "labels": np.array(["NA", "spin leg", "flip table"]),
        "models": np.array(["c3d"]),
        "cases": np.array(["Lack/0031_oak_table_04_02_2019_08_20_14_13"]),
        "x0": np.ones((3, 3), np.float16),
        "y0": np.array([0, 1, 2]),
        **changes,
    }
    np.savez(folder / "evidence_5fps.npz", **arrays)
    return folder


def words(*codes: int) -> np.ndarray:
    """Return labels of which the last has characters that no text has."""
    labels = np.array(["NA", "spin leg", "flip table"])
    labels.view(np.uint32).reshape(3, -1)[2, : len(codes)] = codes
    return labels


def test_labels_that_are_no_text_are_refused(tmp_path: Path) -> None:
    for number, code in enumerate((0xD800, 0x110000)):
        source = evidence(tmp_path / f"in{number}", labels=words(code))
        with pytest.raises(SetError, match=r"labels: holds what is no character"):
            ikea_asm.import_set(source, tmp_path / "out", Repairs())


def test_a_case_of_a_name_too_long_is_told_or_given_another(tmp_path: Path) -> None:
    long = f"{'L' * 40}/00000031_{'a' * 20}_{'b' * 20}_04_02_2019_08_20_14_13"
    with pytest.raises(SetError, match=r"evidence_5fps.npz: cases\[0\]: id: String should match"):
        ikea_asm.import_set(evidence(tmp_path / "a", cases=np.array([long])), tmp_path, Repairs())
    longer = np.array([long.replace("aa", "a" * 300)])
    repairs = Repairs()
    ikea_asm.import_set(evidence(tmp_path / "b", cases=longer), tmp_path / "out", repairs)
    assert "case name of another form: a subject and a place of its own" in repairs.counts


def lzma_member() -> bytes:
    """Return an archive whose only member says that it is packed by LZMA and is not."""
    file, member = io.BytesIO(), io.BytesIO()
    np.save(member, np.ones(99))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", member.getvalue())
    content = bytearray(file.getvalue())
    content[40:60] = b"\xff" * 20
    return bytes(content)


@pytest.mark.parametrize("content", [lzma_member(), b"", b"PK"])
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(SetError, match=r"a\.npz: is no whole NPZ file"):
        NpzFile(tmp_path / "a.npz").numbers("x", dims=1)


Importer = Callable[[Path, Path, Repairs], None]


@pytest.mark.parametrize(
    ("importer", "name"),
    [
        (assembly101.import_set, TOY),
        (captaincook4d.import_set, "step_annotations.json"),
        (ikea_asm.import_set, "evidence_5fps.npz"),
    ],
)
def test_a_pipe_is_not_waited_for(tmp_path: Path, importer: Importer, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(SetError, match="is no regular file"):
        importer(tmp_path, tmp_path / "out", Repairs())
