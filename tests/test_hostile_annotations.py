"""Data sets and annotation files that are damaged or meant to harm: told in one line, never run."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from industryasm.formats.foreign import MAX_END, ForeignFileError
from industryasm.formats.timeline import grid
from industryasm.inspection.validation import validate_data_set
from industryasm.recording import DataSet, RecordingError, read_recording

SECONDS = np.arange(10.0)
VECTORS = np.zeros((10, 4), np.float32)


def annotation(**changes: Any) -> dict[str, Any]:
    return {
        "id": "one",
        "task": "relay-module",
        "task_revision": 1,
        "duration_s": 10.0,
        "station": "station",
        "camera": "front",
        "operator": "operator",
        "annotator": "anna",
        "review": "reviewed",
        "cycles": [],
        "segments": [{"start_s": 0, "end_s": 2, "label": "unexpected"}],
        "deviations": [],
    } | changes


def write_set(folder: Path, one: str) -> None:
    (folder / "recordings").mkdir(parents=True)
    (folder / "recordings" / "one.json").write_text(one)
    (folder / "dataset.json").write_text('{"name": "toys", "splits": {"train": ["one"]}}')


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def features_problems(folder: Path, content: bytes) -> list[str]:
    write_set(folder, json.dumps(annotation(features="one.npz")))
    (folder / "one.npz").write_bytes(content)
    problems = validate_data_set(folder).problems
    assert {problem.kind for problem in problems} <= {"features"}, problems
    return [problem.message for problem in problems]


def archive(compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytearray:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as written:
        for name, content in members.items():
            written.writestr(name.replace("_npy", ".npy"), content)
    return bytearray(file.getvalue())


def damaged(compression: int) -> bytes:
    """Return an archive whose first member cannot be unpacked."""
    content = archive(compression, features_npy=npy(VECTORS), times_s_npy=npy(SECONDS))
    start = 34 + len("features.npy")  # behind the header that LZMA has of its own
    content[start : start + 20] = b"\xff" * 20
    return bytes(content)


def with_flag(offset: int, value: int) -> bytes:
    """Return an archive with a field of its first member changed, here and in the directory."""
    content = archive(features_npy=npy(VECTORS), times_s_npy=npy(SECONDS))
    content[4 + offset] = content[content.index(b"PK\x01\x02") + 6 + offset] = value
    return bytes(content)


def asking_for(shape: str) -> bytes:
    """Return an archive whose vectors are said to be of this shape."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    said = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    return bytes(archive(features_npy=said, times_s_npy=npy(SECONDS)))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(damaged(zipfile.ZIP_DEFLATED), id="zlib.error"),
        pytest.param(damaged(zipfile.ZIP_LZMA), id="LZMAError"),
        pytest.param(damaged(zipfile.ZIP_BZIP2), id="OSError"),
        pytest.param(with_flag(2, 1), id="RuntimeError: encrypted"),
        pytest.param(with_flag(4, 99), id="NotImplementedError: method 99"),
        pytest.param(asking_for("(999999999999, 999999)"), id="MemoryError"),
        pytest.param(asking_for("(9" + "0" * 40 + ", 4)"), id="OverflowError"),
        pytest.param(asking_for("(-1, 4)"), id="negative"),
        pytest.param(
            bytes(archive(features=npy(VECTORS), times_s_npy=b"text")), id="bytes for an array"
        ),
        pytest.param(
            bytes(archive(features_npy=npy(VECTORS), times_s=b"text")), id="bytes for times"
        ),
    ],
)
def test_a_features_file_that_cannot_be_unpacked_is_one_error(
    tmp_path: Path, content: bytes
) -> None:
    (message,) = features_problems(tmp_path, content)
    assert message.startswith("one.npz: cannot be read as features: ")
    assert "\n" not in message


@pytest.mark.parametrize("videos", [True, False])
@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_a_file_whose_name_cannot_be_is_not_there(tmp_path: Path, name: str, videos: bool) -> None:
    write_set(tmp_path, json.dumps(annotation(video=name, features=name)))
    problems = validate_data_set(tmp_path, videos=videos).problems
    assert [problem.place for problem in problems] == ["video", "features"]


@pytest.mark.parametrize("name", ["recordings/one.json", "one.npz"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    write_set(tmp_path, json.dumps(annotation(features="one.npz")))
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    (problem,) = validate_data_set(tmp_path).problems
    assert "is no regular file" in problem.message


def test_times_without_a_sign_are_found_to_descend(tmp_path: Path) -> None:
    times_s = np.array([0, 1, 2, 3, 2, 5, 6, 7, 8, 9], np.uint8)
    content = archive(features_npy=npy(VECTORS), times_s_npy=npy(times_s))
    assert features_problems(tmp_path, bytes(content)) == ["times_s: must be finite and ascending"]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (('"id": "one"', '"id": "one", "id": "one"'), "id"),
        (('"start_s": 0', '"start_s": 1, "start_s": 0'), "start_s"),
        (('"segments": [', '"segments": [], "segments": ['), "segments"),
    ],
)
def test_a_key_given_twice_in_an_annotation_is_an_error(
    tmp_path: Path, change: tuple[str, str], key: str
) -> None:
    text = json.dumps(annotation())
    assert change[0] in text
    write_set(tmp_path, text.replace(*change))
    with pytest.raises(RecordingError, match=f"one.json: '{key}' is given twice"):
        read_recording(tmp_path / "recordings" / "one.json")
    (problem,) = validate_data_set(tmp_path).problems
    assert (problem.kind, problem.place) == ("annotation", key)
    assert "is given twice" in problem.message


def test_a_key_given_twice_in_an_index_is_an_error(tmp_path: Path) -> None:
    write_set(tmp_path, json.dumps(annotation()))
    index = '{"name": "a", "splits": {"train": ["gone"], "train": ["one"]}}'
    (tmp_path / "dataset.json").write_text(index)
    with pytest.raises(RecordingError, match=r"dataset\.json: 'train' is given twice"):
        DataSet(tmp_path)
    (problem,) = validate_data_set(tmp_path).problems
    assert (problem.kind, problem.place) == ("index", "train")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("duration_s", "10"),
        ("duration_s", True),
        ("rate_hz", "25"),
        ("duration_s", 10**400),
        ("duration_s", 10_000_001),
        ("task_revision", "1"),
        ("task_revision", True),
        ("width", 64.5),
    ],
)
def test_what_is_no_number_or_of_no_recording_is_told(
    tmp_path: Path, place: str, value: object
) -> None:
    write_set(tmp_path, json.dumps(annotation(**{place: value})))
    with pytest.raises(RecordingError, match=place):
        read_recording(tmp_path / "recordings" / "one.json")
    (problem,) = validate_data_set(tmp_path).problems
    assert (problem.kind, problem.place) == ("annotation", place)


def test_a_whole_number_is_a_time(tmp_path: Path) -> None:
    write_set(tmp_path, json.dumps(annotation(duration_s=10, rate_hz=25)))
    (recording,) = DataSet(tmp_path).recordings()
    assert (recording.duration_s, recording.rate_hz) == (10.0, 25.0)
    assert validate_data_set(tmp_path).problems == ()


def test_times_too_large_for_a_number_are_told(tmp_path: Path) -> None:
    rows = [{"start_s": start, "end_s": 10**400, "label": "unexpected"} for start in (0, 1)]
    write_set(tmp_path, json.dumps(annotation(segments=rows)))
    places = [problem.place for problem in validate_data_set(tmp_path).problems]
    assert places == ["segments.0.end_s", "segments.1.end_s"]


@pytest.mark.parametrize("end_s", [None, 1e12])
def test_a_grid_of_more_frames_than_there_can_be_is_refused(end_s: float | None) -> None:
    assert len(grid(3, 2.0)) == 3
    with pytest.raises(ForeignFileError, match="are more than 10000000"):
        grid(MAX_END + 1, 30.0, end_s)
