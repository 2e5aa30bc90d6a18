"""Importers of public sets: real folders keep their totals, hostile ones are refused or mended.

What a real folder holds is counted again here, straight from its files.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from industryasm.recording import DataSet, Recording
from industryasm.repairs import Repairs
from industryasm.sets import assembly101, captaincook4d, ikea_asm, impact
from industryasm.sets.npz_file import NpzFile
from industryasm.sets.set_error import SetError
from industryasm.sets.splitting import split_by_group

REAL = Path(__file__).parents[2] / "shared" / "data"
COOKING, FURNITURE = REAL / "captaincook4d", REAL / "ikea_asm"
TOYS, GRINDER = REAL / "assembly101_mistakes", REAL / "impact"
Importer = Callable[[Path, Path, Repairs], None]

needs_cooking = pytest.mark.skipif(not COOKING.is_dir(), reason=f"{COOKING} is not there")
needs_furniture = pytest.mark.skipif(not FURNITURE.is_dir(), reason=f"{FURNITURE} is not there")
needs_toys = pytest.mark.skipif(not TOYS.is_dir(), reason=f"{TOYS} is not there")
needs_grinder = pytest.mark.skipif(not GRINDER.is_dir(), reason=f"{GRINDER} is not there")


def imported(importer: Importer, source: Path, target: Path) -> tuple[list[Recording], Repairs]:
    """Import, and check what holds of every set: labels known, splits apart, features fitting."""
    repairs = Repairs()
    importer(source, target, repairs)
    data = DataSet(target)
    recordings = list(data.recordings())
    assert recordings
    for recording in recordings:
        labels = set(data.task(recording.task).labels())
        assert {segment.label for segment in recording.segments} <= labels
        assert {deviation.step for deviation in recording.deviations} <= labels
        if recording.features:
            with np.load(target / recording.features, allow_pickle=False) as stored:
                times_s, features = stored["times_s"], stored["features"]
            assert times_s.dtype == np.float64
            assert features.ndim == 2
            assert features.shape[0] == len(times_s)
            spacing_s = np.median(np.diff(times_s)) if len(times_s) > 1 else recording.duration_s
            assert times_s[-1] + spacing_s == pytest.approx(recording.duration_s)
    operators = {
        name: {recording.operator for recording in data.split(name)} for name in data.index.splits
    }
    assert sum(map(len, operators.values())) == len(set().union(*operators.values()))
    return recordings, repairs


def kinds(recordings: list[Recording]) -> Counter[str]:
    return Counter(d.kind for recording in recordings for d in recording.deviations)


def num_segments(recordings: list[Recording]) -> int:
    return sum(len(recording.segments) for recording in recordings)


# --- the real sets -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cooking(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Recording], Repairs]:
    target = tmp_path_factory.mktemp("captaincook4d")
    return target, *imported(captaincook4d.import_set, COOKING, target)


@needs_cooking
def test_captaincook4d_keeps_every_step_and_every_missed_one(
    cooking: tuple[Path, list[Recording], Repairs],
) -> None:
    _, recordings, repairs = cooking
    raw = json.loads((COOKING / "step_annotations.json").read_text())
    with np.load(next(COOKING.glob("*.npz")), allow_pickle=False) as features:
        taken = {name: len(features[name]) for name in features.files}
    steps = [(name, step) for name in taken for step in raw[name]["steps"]]
    assert {recording.id for recording in recordings} == set(taken) & set(raw)
    assert kinds(recordings)["missed"] == sum(step["start_time"] == -1 for _, step in steps)
    same_span = repairs.counts.get("step with another one's span: no segment of its own", 0)
    done = sum(step["start_time"] >= 0 for _, step in steps)
    assert num_segments(recordings) == done - same_span
    for recording in recordings:
        assert recording.duration_s == taken[recording.id]
        uncut = sum(len(track.segments) for track in recording.tracks)
        known = sum(step["start_time"] >= 0 for step in raw[recording.id]["steps"])
        assert uncut in (0, known), "where steps overlap, all of them lie uncut on tracks"


@needs_cooking
def test_captaincook4d_keeps_every_error_tag_in_a_note(
    cooking: tuple[Path, list[Recording], Repairs],
) -> None:
    _, recordings, _ = cooking
    raw = {
        r["recording_id"]: r for r in json.loads((COOKING / "error_annotations.json").read_text())
    }
    for recording in recordings:
        tags = Counter(
            error["tag"]
            for step in raw[recording.id]["step_annotations"]
            for error in step.get("errors", [])
        )
        notes = [deviation.note for deviation in recording.deviations]
        for tag, number in tags.items():
            assert sum(note.count(tag) for note in notes) >= number, (recording.id, tag)


@needs_cooking
def test_captaincook4d_orders_steps_as_the_graph_does(
    cooking: tuple[Path, list[Recording], Repairs],
) -> None:
    graph = json.loads((COOKING / "task_graphs" / "pinwheels.json").read_text())
    task = DataSet(cooking[0]).task("pinwheels")
    inner = [
        edge for edge in graph["edges"] if 0 not in edge and len(graph["steps"]) - 1 not in edge
    ]
    assert len(task.steps) == len(graph["steps"]) - 2
    assert sum(len(step.after) for step in task.steps) == len(inner)
    texts = [step.text for step in task.steps]
    assert len(set(texts)) < len(texts), "three slices are cut with the same words"


@needs_cooking
def test_captaincook4d_without_features_gives_every_annotated_recording(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(COOKING, source, ignore=shutil.ignore_patterns("*.npz"))
    recordings, repairs = imported(captaincook4d.import_set, source, tmp_path / "out")
    raw = json.loads((COOKING / "step_annotations.json").read_text())
    assert len(recordings) == len(raw)
    missed = sum(step["start_time"] == -1 for r in raw.values() for step in r["steps"])
    assert kinds(recordings)["missed"] == missed
    assert repairs.counts["step text that is not in the task graph: taken by its step_id"] == 1


@needs_cooking
def test_a_part_of_captaincook4d_is_taken_without_the_files_beside_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with np.load(next(COOKING.glob("*.npz")), allow_pickle=False) as features:
        some = {name: features[name] for name in features.files[::20]}
    np.savez(source / "features_1fps_768d.npz", **some, **{"99_1": np.zeros((4, 768))})
    shutil.copy(COOKING / "step_annotations.json", source)
    recordings, repairs = imported(captaincook4d.import_set, source, tmp_path / "out")
    assert {recording.id for recording in recordings} == set(some)
    assert repairs.counts["features without annotation: left out"] == 1
    assert any("without a task graph" in line for line in repairs.lines())
    assert any("no published split" in line for line in repairs.lines())


@needs_furniture
def test_ikea_asm_keeps_the_truth_of_every_frame(tmp_path: Path) -> None:
    recordings, repairs = imported(ikea_asm.import_set, FURNITURE, tmp_path)
    with np.load(FURNITURE / "evidence_5fps.npz", allow_pickle=False) as raw:
        truth = [raw[f"y{index}"] for index in range(len(raw["cases"]))]
        background = list(raw["labels"]).index("NA")
    assert len(recordings) == len(truth)
    assert kinds(recordings) == Counter()
    expected = sum(int((np.diff(y, prepend=background) != 0)[y != background].sum()) for y in truth)
    assert num_segments(recordings) == expected
    busy_s = sum(float((y != background).sum()) / 5 for y in truth)
    assert sum(s.end_s - s.start_s for r in recordings for s in r.segments) == pytest.approx(busy_s)
    assert sum(repairs.counts.values()) == 1, repairs.lines()


@needs_furniture
def test_no_name_of_a_person_is_taken_over(tmp_path: Path) -> None:
    imported(ikea_asm.import_set, FURNITURE, tmp_path)
    with np.load(FURNITURE / "evidence_5fps.npz", allow_pickle=False) as raw:
        named = [case for case in raw["cases"] if case.rsplit("_", 1)[1].isalpha()]
    assert named, "there is a case with a name behind its date"
    surname = named[0].rsplit("_", 1)[1]
    for path in (*tmp_path.rglob("*.json"), *tmp_path.rglob("*.npz")):
        assert surname not in path.name
        assert path.suffix == ".npz" or surname not in path.read_text()


@needs_furniture
def test_a_part_of_ikea_asm_is_taken(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with np.load(FURNITURE / "evidence_5fps.npz", allow_pickle=False) as raw:
        some = {name: raw[name] for name in ("labels", "models", "cases", "x3", "y3", "x7", "y7")}
    np.savez(source / "evidence_5fps.npz", **some)
    recordings, repairs = imported(ikea_asm.import_set, source, tmp_path / "out")
    assert len(recordings) == 2
    assert repairs.counts["case without features or truth: left out"] == len(some["cases"]) - 2


def toy_rows() -> Iterator[list[str]]:
    for path in TOYS.glob("*.csv"):
        with path.open(newline="") as file:
            yield from csv.reader(file)


@needs_toys
def test_assembly101_keeps_every_mistake_and_correction(tmp_path: Path) -> None:
    recordings, repairs = imported(assembly101.import_set, TOYS, tmp_path)
    rows = list(toy_rows())
    labels = Counter(row[5] for row in rows)
    found = kinds(recordings)
    assert len(recordings) == len(list(TOYS.glob("*.csv")))
    assert found["rework"] == labels["correction"]
    assert sum(found.values()) == labels["mistake"] + labels["correction"]
    order = sum("order" in row[-1] or row[-1].startswith("previous") for row in rows)
    assert found["out_of_order"] == order
    assert found["wrong_execution"] == sum("position" in row[-1] for row in rows)
    same_span = repairs.counts["step with another one's span: no segment of its own"]
    assert num_segments(recordings) == len(rows) - same_span
    ended = sum(path.read_bytes().count(b"\r\n") for path in TOYS.glob("*.csv"))
    assert repairs.counts["line ends with CRLF"] == ended
    assert repairs.counts["row without its remark's column"] == sum(len(r) == 6 for r in rows)


@needs_toys
def test_a_part_of_assembly101_is_taken(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in sorted(TOYS.glob("*.csv"))[::60]:
        shutil.copy(path, source)
    recordings, _ = imported(assembly101.import_set, source, tmp_path / "out")
    assert {recording.id for recording in recordings} == {p.stem for p in source.iterdir()}


def grinder_runs() -> list[dict[str, str]]:
    with (GRINDER / "label_runs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@needs_grinder
def test_impact_keeps_every_run_of_every_stream(tmp_path: Path) -> None:
    recordings, _ = imported(impact.import_set, GRINDER, tmp_path)
    runs = [run for run in grinder_runs() if run["label"] != "NULL"]
    streams = Counter(run["stream"] for run in runs)
    assert len(recordings) == len({run["trial"] for run in runs})
    assert num_segments(recordings) == streams["CAS"]
    on_tracks = Counter(t.name for r in recordings for t in r.tracks for _ in t.segments)
    assert on_tracks == {
        "fine-left": streams["FAS_L"],
        "fine-right": streams["FAS_R"],
        "state-left": streams["PPR_L"],
        "state-right": streams["PPR_R"],
    }
    states = Counter(run["label"] for run in runs if run["stream"].startswith("PPR"))
    assert kinds(recordings) == {
        "wrong_execution": states["ANOMALY"],
        "rework": states["RECOVERY"],
    }


@needs_grinder
def test_impact_tells_assembly_from_disassembly_as_the_states_do(tmp_path: Path) -> None:
    recordings, _ = imported(impact.import_set, GRINDER, tmp_path)
    compared = 0
    for recording in recordings:
        for path in (GRINDER / "psr").glob(f"*/{recording.id}_*/PSR_labels_raw.csv"):
            states = csv.reader(path.read_text().splitlines())
            first, *_, last = ([int(cell) for cell in row[1:]] for row in states)
            expected = "grinder-assembly" if sum(last) > sum(first) else "grinder-disassembly"
            assert recording.task == expected, recording.id
            compared += 1
    assert compared > 10


@needs_grinder
def test_a_part_of_impact_is_taken_without_psr(tmp_path: Path) -> None:
    runs = grinder_runs()
    trials = sorted({run["trial"] for run in runs})[::16]
    lines = [",".join(impact.HEADER)]
    lines += [",".join(run.values()) for run in runs if run["trial"] in trials]
    (tmp_path / "label_runs.csv").write_text("\n".join(lines))
    recordings, _ = imported(impact.import_set, tmp_path, tmp_path / "out")
    assert sorted(recording.id for recording in recordings) == trials
    assert len(DataSet(tmp_path / "out").task(recordings[0].task).steps) == 25, "whatever is there"


# --- small folders written here: captaincook4d --------------------------------------------------

GRAPH = {
    "steps": {
        "0": "START",
        "1": "Pour-Pour 1 egg",
        "2": "stir-stir it",
        "3": "stir-stir it",
        "4": "END",
    },
    "edges": [[0, 1], [1, 2], [2, 3], [3, 4]],
}


def cooked(
    number: int, start_s: float, end_s: float, text: str, **more: object
) -> dict[str, object]:
    return {
        "step_id": number,
        "start_time": start_s,
        "end_time": end_s,
        "description": text,
        "has_errors": False,
        **more,
    }


def write_cooking(folder: Path, steps: list[dict[str, object]], **changes: object) -> Path:
    recording = {
        "recording_id": "1_2",
        "activity_name": "Egg",
        "person_id": 3,
        "environment": 4,
        "steps": steps,
        **changes,
    }
    (folder / "task_graphs").mkdir(parents=True, exist_ok=True)
    (folder / "task_graphs" / "egg.json").write_text(json.dumps(GRAPH))
    (folder / "step_annotations.json").write_text(json.dumps({"1_2": recording}))
    np.savez(folder / "features_1fps_4d.npz", **{"1_2": np.ones((20, 4), np.float16)})
    return folder


STEPS = [
    cooked(1, 0.0, 4.0, "Pour-Pour 1 egg"),
    cooked(2, 3.0, 8.0, "stir-stir it", has_errors=True),
    cooked(2, -1, -1, "stir-stir it"),
]


def test_a_cooked_egg_has_a_missed_step_and_a_cut_one(tmp_path: Path) -> None:
    recordings, repairs = imported(
        captaincook4d.import_set, write_cooking(tmp_path / "in", STEPS), tmp_path / "out"
    )
    (recording,) = recordings
    assert [(s.label, s.start_s, s.end_s) for s in recording.segments] == [
        ("pour-1-egg", 0.0, 3.0),
        ("stir-it", 3.0, 8.0),
    ]
    assert [(d.kind, d.step, d.start_s, d.end_s) for d in recording.deviations] == [
        ("wrong_execution", "stir-it", 3.0, 8.0),
        ("missed", "stir-it-2", 0.0, 20.0),
    ]
    assert [[s.end_s for s in track.segments] for track in recording.tracks] == [[4.0], [8.0]]
    assert repairs.counts["step cut where the next one begins"] == 1
    assert repairs.counts["step with errors that are not named: wrong_execution"] == 1


def test_an_annotation_longer_than_its_features_is_cut_and_told_by_how_much(tmp_path: Path) -> None:
    steps = [cooked(1, 12.0, 25.5, "Pour-Pour 1 egg"), cooked(2, 30.0, 40.0, "stir-stir it")]
    recordings, repairs = imported(
        captaincook4d.import_set, write_cooking(tmp_path / "in", steps), tmp_path / "out"
    )
    assert [s.end_s for s in recordings[0].segments] == [20.0]
    assert "1_2.steps.0 by 5.5 s" in "\n".join(repairs.lines())
    assert repairs.counts["step after the end of the features: left out"] == 1


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([cooked(1, 0, 4, "Fry-Fry it")], "1_2.steps.0: 'Fry-Fry it' is no step of recipe 'Egg'"),
        ([cooked(1, -3, 4, "stir-stir it")], r"steps.0: \[-3.0, 4.0\) begins or ends before 0"),
        ([cooked(1, float("nan"), 4, "stir-stir it")], "start_time"),
        ([{"step_id": 1}], "1_2.steps.0.start_time: Field required"),
    ],
)
def test_a_step_that_cannot_be_is_refused_by_file_and_place(
    tmp_path: Path, steps: list[dict[str, object]], says: str
) -> None:
    source = write_cooking(tmp_path / "in", steps)
    with pytest.raises(SetError, match=says) as raised:
        captaincook4d.import_set(source, tmp_path / "out", Repairs())
    assert "step_annotations.json" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("step_annotations.json", b"", "step_annotations.json: the whole file"),
        ("step_annotations.json", b'{"1_2": [1', "step_annotations.json: the whole file"),
        ("step_annotations.json", b"\xff\xfe{}", "step_annotations.json"),
        ("step_annotations.json", b"[" * 100_000, "step_annotations.json"),
        ("step_annotations.json", b'{"../../etc": {"recording_id": "../../etc"}}', "recording_id"),
        ("step_annotations.json", b"{}", "features of no recording"),
        ("error_annotations.json", b"{}", "error_annotations.json: the whole file"),
        (
            "error_annotations.json",
            b'[{"recording_id": "1_2", "step_annotations": [{"step_id": 1, "start_time": 0, '
            b'"end_time": 4, "errors": [{"tag": "Mood Error"}]}]}]',
            "errors.0.tag",
        ),
        ("task_graphs/egg.json", b'{"steps": {"1": "a", "2": "b"}, "edges": [[1, 9]]}', "1, 9"),
        (
            "task_graphs/egg.json",
            b'{"steps": {"1": "a-a b", "2": "b-b c"}, "edges": [[1, 2], [2, 1]]}',
            "cycle",
        ),
        ("data_splits/person_data_split_combined.json", b'{"train": ["1_2"]}', "val"),
        (
            "data_splits/person_data_split_combined.json",
            b'{"train": ["1_2"], "val": ["1_2"], "test": []}',
            "two splits",
        ),
        ("features_1fps_4d.npz", b"PK\x03\x04 no zip", "is no whole NPZ file"),
        ("features_1fps_5d.npz", b"", "2 files"),
    ],
)
def test_a_damaged_file_of_captaincook4d_is_refused(
    tmp_path: Path, file: str, content: bytes, says: str
) -> None:
    source = write_cooking(tmp_path / "in", STEPS)
    (source / file).parent.mkdir(exist_ok=True)
    (source / file).write_bytes(content)
    with pytest.raises(SetError, match=says) as raised:
        captaincook4d.import_set(source, tmp_path / "out", Repairs())
    assert str(source) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "longer"),
    [
        ("3 minutes instead of 1.5 minutes", True),
        ("60 instead of 30 seconds", True),
        ("45 seconds instead of 90 seconds", False),
        ("1/2 minute rather than 1 minute", False),
        ("Microwave for 90 seconds", True),
        ("35 seconds. Started from 7 minutes", False),
        ("burnt it", True),
        ("Undercook, for less than 2 minutes", False),
        ("something else", False),
    ],
)
def test_a_timing_error_is_too_long_only_where_its_text_says_so(text: str, longer: bool) -> None:
    from industryasm.sets.captaincook4d_errors import says_longer

    assert says_longer(text, "Microwave for 60 seconds") is longer


# --- hostile NPZ --------------------------------------------------------------------------------


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode().ljust(118 - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9000000000000, 9)}"), "more than"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2)}", b"\0" * 9), "truncated"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\0" * 8), "pickled"),
        (npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}"), "no NumPy array"),
        (b"<html>", "no NumPy array"),
        (b"", "no NumPy array"),
    ],
)
def test_an_array_is_judged_by_its_header_before_it_is_unpacked(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(SetError, match=says) as raised:
        NpzFile(path)
    assert f"{path}: x" in str(raised.value)


def test_a_truncated_archive_and_infinite_numbers_are_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.savez(whole, x=np.array([[1.0, np.inf]]), words=np.array(["a"]))
    path = tmp_path / "a.npz"
    path.write_bytes(whole.getvalue())
    with pytest.raises(SetError, match="not finite"):
        NpzFile(path).numbers("x", dims=2)
    with pytest.raises(SetError, match="expected numbers"):
        NpzFile(path).numbers("words", dims=1)
    with pytest.raises(SetError, match="no array 'y'"):
        NpzFile(path).texts("y")
    path.write_bytes(whole.getvalue()[:-30])
    with pytest.raises(SetError, match="no whole NPZ"):
        NpzFile(path)


# --- small folders written here: ikea_asm -------------------------------------------------------

CASE = "Lack_Side_Table/0031_oak_table_04_02_2019_08_20_14_13"


def write_furniture(folder: Path, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    arrays: dict[str, object] = {
        "labels": np.array(["NA", "spin leg", "flip table"]),
        "models": np.array(["c3d", "i3d"]),
        "cases": np.array([CASE]),
        "x0": np.ones((10, 6), np.float16),
        "y0": np.array([0, 1, 1, 1, 2, 2, 0, 1, 1, 0], np.int16),
        **changes,
    }
    np.savez(folder / "evidence_5fps.npz", **arrays)  # type: ignore[arg-type]
    return folder


def test_the_labels_of_frames_become_segments(tmp_path: Path) -> None:
    recordings, repairs = imported(
        ikea_asm.import_set, write_furniture(tmp_path / "in"), tmp_path / "out"
    )
    (recording,) = recordings
    assert [(s.label, s.start_s, s.end_s) for s in recording.segments] == [
        ("spin-leg", 0.2, 0.8),
        ("flip-table", 0.8, 1.2),
        ("spin-leg", 1.4, 1.8),
    ]
    assert (recording.operator, recording.station) == ("subject-0031", "table-04_02")
    assert repairs.lines() == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"y0": np.array([0, 3])}, "none of the 3 labels"),
        ({"y0": np.array([0, -1])}, "none of the 3 labels"),
        ({"y0": np.array([0.5])}, "none of the 3 labels"),
        ({"x0": np.ones((10, 5))}, "expected 1 or more rows of 6"),
        ({"x0": np.ones((0, 6))}, "expected 1 or more rows of 6"),
        ({"x0": np.full((10, 6), np.nan)}, "not finite"),
        ({"labels": np.array(["spin leg", "flip table", "push"])}, "0 of .* are background"),
        ({"labels": np.array([1, 2, 3])}, "expected texts"),
        ({"x7": np.ones((1, 6))}, "x7 has no name"),
        ({"cases": np.array([CASE, CASE])[:0]}, "x0 has no name"),
        ({"cases": np.array([CASE], dtype=object)}, "pickled"),
    ],
)
def test_evidence_that_does_not_hold_together_is_refused(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    source = write_furniture(tmp_path / "in", **change)
    with pytest.raises(SetError, match=says) as raised:
        ikea_asm.import_set(source, tmp_path / "out", Repairs())
    assert "evidence_5fps.npz" in str(raised.value)


def test_truth_longer_than_its_evidence_is_cut_and_told_by_how_much(tmp_path: Path) -> None:
    source = write_furniture(tmp_path / "in", y0=np.ones(13, np.int16), cases=np.array(["who?"]))
    recordings, repairs = imported(ikea_asm.import_set, source, tmp_path / "out")
    assert [(s.start_s, s.end_s) for s in recordings[0].segments] == [(0.0, 2.0)]
    assert "by 3 frames" in "\n".join(repairs.lines())
    assert repairs.counts["case name of another form: a subject and a place of its own"] == 1


def test_a_folder_without_evidence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="holds 0 files"):
        ikea_asm.import_set(tmp_path, tmp_path / "out", Repairs())


# --- small folders written here: assembly101 ----------------------------------------------------

TOY = "nusar-2021_action_both_9011-b06b_9011_user_id_2021-02-01_154253.csv"


def write_toy(folder: Path, content: str | bytes, name: str = TOY) -> Path:
    folder.mkdir(exist_ok=True)
    raw = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(raw)
    return folder


def test_typos_gaps_and_overlaps_of_a_toy_are_mended_and_counted(tmp_path: Path) -> None:
    content = (
        "\ufeff30,60,attach,cabin,chassis,correct\r\n"
        "60,120,attach, dumpbed ,chassis,mistake,wrong ordr\r\n"
        "90,150,detach,cabin,chassis,Mistake,shouln\u2019t have happened\r\n"
        "150,150,detach,dump bed,chassis,corection,\r\n"
        "200,180,attach,cabin,chassis,correct,\r\n"
        "\r\n"
        "180,240,attach,cabin,chassis,mistake,upside down\r\n"
    )
    recordings, repairs = imported(
        assembly101.import_set, write_toy(tmp_path / "in", content), tmp_path / "out"
    )
    (recording,) = recordings
    assert [(s.label, s.start_s, s.end_s) for s in recording.segments] == [
        ("attach-cabin-chassis", 1.0, 2.0),
        ("attach-dump-bed-chassis", 2.0, 3.0),
        ("detach-cabin-chassis", 3.0, 5.0),
        ("detach-dump-bed-chassis", 5.0, 151 / 30),
        ("attach-cabin-chassis", 6.0, 8.0),
    ]
    assert [(d.kind, d.step) for d in recording.deviations] == [
        ("out_of_order", "attach-dump-bed-chassis"),
        ("unexpected", "unexpected"),
        ("rework", "detach-dump-bed-chassis"),
        ("wrong_execution", "attach-cabin-chassis"),
    ]
    assert repairs.counts == {
        "byte order mark at the beginning of a file": 1,
        "line ends with CRLF": 7,
        "empty line": 1,
        "space around a cell": 1,
        "row without its remark's column": 1,
        "'dumpbed' taken for 'dump bed'": 1,
        "'wrong ordr' taken for 'wrong order'": 1,
        "'shouln\u2019t have happened' taken for \"shouldn't have happened\"": 1,
        "'corection' taken for 'correction'": 1,
        "row without length: given one frame": 1,
        "row that ends before it begins: left out": 1,
        "mistake with another remark or none: wrong_execution": 1,
        "step cut where the next one begins": 1,
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("1,2,attach,cabin,chassis,perhaps,\n", f"{TOY}:1: label 'perhaps' is none of correct"),
        ("1,2,attach,a,b,correct,\n-5,2,attach,a,b,correct,\n", f"{TOY}:2: '-5' is no frame"),
        ("1,2,attach,a,b,correct,\nx,2,attach,a,b,correct,\n", f"{TOY}:2: 'x' is no frame"),
        ("1,99999999,attach,a,b,correct,\n", "99999999"),
        ("1,2,attach,cabin\n", "has 4 columns"),
        ('1,2,"attach,a,b,correct,\n', "cannot be read as CSV"),
        ("1,2,attach,,b,correct,\n", "no verb, this, that"),
        (b"1,2,attach,a,b,correct,\n1,2,\xe4,a,b,correct,\n", f"{TOY}:2: is not UTF-8"),
        (b"\x00" * 40, "is none|CSV|columns"),
        ("", "no toy has two steps"),
    ],
)
def test_a_toy_that_cannot_be_read_is_refused_by_file_and_line(
    tmp_path: Path, content: str | bytes, says: str
) -> None:
    source = write_toy(tmp_path / "in", content)
    with pytest.raises(SetError, match=says) as raised:
        assembly101.import_set(source, tmp_path / "out", Repairs())
    assert str(source) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_mislabelled_file_of_toys_is_refused(tmp_path: Path) -> None:
    source = write_toy(tmp_path / "in", "1,2,attach,a,b,correct,\n", name="notes.csv")
    with pytest.raises(SetError, match="its name is none of"):
        assembly101.import_set(source, tmp_path / "out", Repairs())
    with pytest.raises(SetError, match="holds no file"):
        assembly101.import_set(tmp_path, tmp_path / "out", Repairs())


# --- small folders written here: impact ---------------------------------------------------------

RUNS = """\
trial,stream,start_frame,end_frame_exclusive,label
20250407_1405,CAS,0,30,START_ANGLE_GRINDER_ASSEMBLY
20250407_1405,CAS,30,60,NULL
20250407_1405,CAS,60,120,DETACH_ADAPTER_PLATE
20250407_1405,PPR_L,0,40,NORMAL
20250407_1405,PPR_L,40,50,ANOMALY
20250407_1405,PPR_R,70,90,RECOVERY
20250407_1405,FAS_L,0,90,HOLD_LEVER
"""


def write_grinder(folder: Path, content: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    raw = content.encode() if isinstance(content, str) else content
    (folder / "label_runs.csv").write_bytes(raw)
    return folder


def test_the_streams_of_a_trial_become_steps_tracks_and_deviations(tmp_path: Path) -> None:
    content = RUNS + "20250407_1405,CAS,110,150,POLISH_IT\n20250407_1405,CAS,9,9,STORE_TOOL\n"
    content += "20250408_1405,FAS_L,0,9,HOLD_LEVER\n"
    recordings, repairs = imported(
        impact.import_set, write_grinder(tmp_path / "in", content), tmp_path / "out"
    )
    (recording,) = recordings
    assert recording.task == "grinder-disassembly"
    assert [(s.label, s.start_s, s.end_s) for s in recording.segments] == [
        ("start-angle-grinder-assembly", 0.0, 1.0),
        ("detach-adapter-plate", 2.0, 110 / 30),
        ("polish-it", 110 / 30, 5.0),
    ]
    assert [(d.kind, d.step, d.note) for d in recording.deviations] == [
        ("wrong_execution", "unexpected", "ANOMALY, left hand"),
        ("rework", "detach-adapter-plate", "RECOVERY, right hand"),
    ]
    assert repairs.counts == {
        "run without length: left out": 1,
        "trial without the stream CAS: left out": 1,
        "step cut where the next one begins": 1,
        "ANOMALY while no step goes on: of `unexpected`": 1,
        "coarse step that we did not know: added to both tasks": 1,
    }


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("20250407_1405,CAX,0,1,NULL", "label_runs.csv:9: stream 'CAX' is none of CAS"),
        ("20250407_1405,PPR_L,90,91,ODD", "label_runs.csv:9: label 'ODD' is none of NORMAL"),
        ("20250407_1405,CAS,200,201,../../x", "not of the form VERB_OBJECT"),
        ("../20250407,CAS,0,1,NULL", "trial '../20250407'"),
        ("20250407_1405,CAS,-1,1,NULL", "'-1' is no frame number"),
        ("20250407_1405,CAS,1", "has 3 columns"),
    ],
)
def test_a_run_that_cannot_be_is_refused_by_file_and_line(
    tmp_path: Path, row: str, says: str
) -> None:
    source = write_grinder(tmp_path / "in", f"{RUNS}{row}\n")
    with pytest.raises(SetError, match=says):
        impact.import_set(source, tmp_path / "out", Repairs())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "label_runs.csv:1: expected the columns"),
        ("a,b\n1,2\n", "label_runs.csv:1: expected the columns"),
        (RUNS.splitlines()[0], "no trial with the stream CAS"),
        (b"\xff\xfet\x00r\x00", "label_runs.csv:1: is not UTF-8"),
    ],
)
def test_a_table_of_runs_that_is_none_is_refused(
    tmp_path: Path, content: str | bytes, says: str
) -> None:
    with pytest.raises(SetError, match=says):
        impact.import_set(write_grinder(tmp_path / "in", content), tmp_path / "out", Repairs())


# --- splits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3, 30])
def test_a_split_is_repeatable_whole_and_never_empty_without_need(number: int) -> None:
    items = [f"{group}-{item}" for group in range(number) for item in range(4)]
    splits = split_by_group(items, lambda item: item.split("-")[0])
    again = split_by_group(items[::-1], lambda item: item.split("-")[0])
    groups = {name: {item.split("-")[0] for item in of} for name, of in splits.items()}
    assert {name: sorted(of) for name, of in splits.items()} == {
        name: sorted(of) for name, of in again.items()
    }
    assert sum(map(len, groups.values())) == number
    assert sum(bool(of) for of in groups.values()) == min(number, 3)
    assert splits["train"]
