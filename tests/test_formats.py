"""Formats of annotation tools: read as the tools write them, hostile files refused by place."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from industryasm.fault import UserFault
from industryasm.formats.boris import NO_SUBJECT, read_boris, write_boris
from industryasm.formats.cvat import read_cvat, write_cvat
from industryasm.formats.elan import read_elan, write_elan
from industryasm.formats.foreign import (
    ForeignFileError,
    ForeignLayer,
    ForeignRecording,
    ForeignRow,
)
from industryasm.formats.label_studio import read_label_studio, write_label_studio
from industryasm.formats.ms_tcn import read_ms_tcn, write_ms_tcn
from industryasm.formats.plain_csv import read_csv, write_csv
from industryasm.repairs import Repairs

EXAMPLES = Path(__file__).parent / "annotations"
Reader = Callable[[Path, Repairs], list[ForeignRecording]]

READERS: dict[str, tuple[Reader, str]] = {
    "elan": (read_elan, "bench.eaf"),
    "boris": (read_boris, "bench.boris"),
    "label-studio": (read_label_studio, "label-studio.json"),
    "cvat": (read_cvat, "cvat-for-video.xml"),
    "cvat-images": (read_cvat, "cvat-for-images.xml"),
    "csv": (read_csv, "bench.csv"),
}


def read(kind: str, repairs: Repairs | None = None) -> list[ForeignRecording]:
    reader, name = READERS[kind]
    return reader(EXAMPLES / name, Repairs() if repairs is None else repairs)


def spans(layer: ForeignLayer) -> list[tuple[float, float, str]]:
    return [(row.start, row.end, row.label) for row in layer.rows]


def test_elan_tiers_are_read_with_slots_that_have_no_time_between_their_neighbours() -> None:
    repairs = Repairs()
    (bench,) = read("elan", repairs)
    assert (bench.name, bench.unit, bench.video) == ("bench", "seconds", "bench.mp4")
    steps, hand = bench.layers
    assert (steps.name, steps.annotator) == ("Steps", "RW")
    assert spans(steps) == [
        (0.4, 1.36, "place base"),
        (1.36, 2.12, "insert gear "),
        (2.4, 3.28, "place base"),
    ]
    assert spans(hand) == [(0.4, 0.72, "reach"), (0.72, 1.04, "grasp"), (1.04, 1.36, "carry")]
    assert repairs.counts == {
        "time slot without a time set between its neighbours": 2,
        "tier without times of its own left out": 1,
    }


def test_boris_events_are_paired_by_subject_code_and_modifiers() -> None:
    repairs = Repairs()
    bench, live = read("boris", repairs)
    assert (bench.video, bench.rate_hz, bench.length) == ("bench.mp4", 25.0, 4.0)
    nobody, left = bench.layers
    assert nobody.name == NO_SUBJECT
    assert spans(nobody) == [
        (0.4, 1.36, "place base"),
        (1.36, 2.12, "insert gear [small]"),
        (2.4, 3.28, "place base"),
    ]
    assert (left.name, spans(left)) == ("left hand", [(0.6, 2.0, "hold")])
    assert (live.name, live.video) == ("observation #1", None)
    assert repairs.counts == {"point event left out: it has no duration": 1}


def boris_with(media: str, folder: Path, *, name: str = "bench", **info: object) -> Path:
    """Write the first observation of `bench.boris` under another name, of another file."""
    project = json.loads((EXAMPLES / "bench.boris").read_text())
    observation = project["observations"]["bench"]
    observation["file"]["1"] = [media]
    facts = {key: {media: value} for key, value in info.items()}
    observation["media_info"] = {**facts, "offset": {"1": 0.0}}
    project["observations"] = {name: observation}
    path = folder / "one.boris"
    path.write_text(json.dumps(project))
    return path


@pytest.mark.parametrize("media", ["/home/x/takes/bench.mp4", "C:\\takes\\bench.mp4", "bench.mp4"])
def test_a_boris_observation_named_by_the_path_of_its_video_is_named_as_the_video(
    tmp_path: Path, media: str
) -> None:
    (found,) = read_boris(boris_with(media, tmp_path, name=media), Repairs())
    assert (found.name, found.video) == ("bench", "bench.mp4")


@pytest.mark.parametrize(
    ("fps", "rate_hz", "repair"),
    [
        (25.0, 25.0, None),
        (4.0, None, "frame rate left out: it is the video's length in seconds"),  # BORIS 8
        (0.0, None, "frame rate left out: no camera has it"),
        (3600.5, None, "frame rate left out: no camera has it"),
    ],
)
def test_a_boris_frame_rate_that_is_none_is_left_out_and_counted(
    tmp_path: Path, fps: float, rate_hz: float | None, repair: str | None
) -> None:
    repairs = Repairs()
    (found,) = read_boris(boris_with("a.mp4", tmp_path, fps=fps, length=4.0), repairs)
    assert found.rate_hz == rate_hz
    assert repairs.counts.get(repair or "", 0) == (1 if repair else 0)


def test_a_boris_project_is_written_so_that_every_system_reads_it(tmp_path: Path) -> None:
    rows = (ForeignRow(0, 1, "拧螺丝"),)
    recording = ForeignRecording("one", "seconds", (ForeignLayer("Hände", rows),), "ä.mp4")
    write_boris([recording], tmp_path, {}, Repairs())
    text = (tmp_path / "project.boris").read_bytes().decode("ascii")
    assert list(json.loads(text)["observations"]["one"]["file"]["1"]) == ["ä.mp4"]
    (again,) = read_boris(tmp_path, Repairs())
    assert {layer.name: spans(layer) for layer in again.layers} == {"Hände": [(0, 1, "拧螺丝")]}


@pytest.mark.parametrize("size", [(640, 480), None])
def test_a_cvat_file_holds_the_size_of_the_picture_where_it_is_known(
    tmp_path: Path, size: tuple[int, int] | None
) -> None:
    layer = ForeignLayer("steps", (ForeignRow(0, 2, "place"),))
    recording = ForeignRecording("one", "frames", (layer,), "one.mp4", 25.0, 5, size=size)
    write_cvat([recording], tmp_path, LABELS, Repairs())
    task = ElementTree.parse(tmp_path / "one.xml").find("meta/task")
    found = tuple(task.findtext(f"original_size/{key}") for key in ("width", "height"))
    assert found == (("640", "480") if size else (None, None))


def test_label_studio_counts_frames_from_one_and_holds_both_ends() -> None:
    repairs = Repairs()
    (bench,) = read("label-studio", repairs)
    assert (bench.name, bench.unit, bench.video) == ("bench", "frames", "bench.mp4")
    first, second = bench.layers
    assert [layer.annotator for layer in bench.layers] == ["user 1", "user 2"]
    assert spans(first) == [(10, 34, "place base"), (34, 53, "insert gear"), (60, 82, "place base")]
    assert spans(second) == [(8, 36, "place base")]
    assert repairs.counts == {"result that is no timeline left out": 1}


@pytest.mark.parametrize(
    ("span", "frames", "repaired"),
    [
        ({"start": 61, "end": 61}, (60, 61), 0),  # one click is one frame
        ({"start": 0, "end": 9}, (0, 9), 1),  # a program's half-open range from 0
    ],
)
def test_label_studio_ranges_of_one_frame_and_from_zero(
    tmp_path: Path, span: dict[str, int], frames: tuple[int, int], repaired: int
) -> None:
    result = {"id": "a", "value": {"ranges": [span], "timelinelabels": ["x"]}, "from_name": "t"}
    task = {
        "data": {"video": "/data/local-files/?d=a/b.mp4"},
        "annotations": [{"result": [result]}],
    }
    (tmp_path / "a.json").write_text(json.dumps([task]))
    repairs = Repairs()
    (found,) = read_label_studio(tmp_path, repairs)
    assert (found.name, found.layers[0].rows[0].start, found.layers[0].rows[0].end) == (
        "b",
        *frames,
    )
    assert sum(repairs.counts.values()) == repaired


def test_a_cvat_export_is_read_with_the_frames_of_its_video() -> None:
    (found,) = read("cvat")
    assert (found.name, found.video, found.length) == ("t", "t.mp4", None)
    (tracks,) = found.layers
    assert spans(tracks) == [
        (10, 13, "hammer"),
        (10, 13, "wire"),
        (13, 16, "hammer"),
        (10, 19, "hand"),  # to the end: every third frame, the last is 16
    ]


def test_cvat_tags_are_read_as_runs_of_frames() -> None:
    (found,) = read("cvat-images")
    (tags,) = found.layers
    assert sorted(spans(tags)) == [
        (1, 3, "place base"),
        (3, 4, "insert gear"),
        (5, 6, "place base"),
    ]
    assert found.length == 6


def test_an_ms_tcn_folder_is_read_with_its_splits() -> None:
    bench, other = read_ms_tcn(EXAMPLES / "ms-tcn", Repairs())
    assert (bench.name, bench.split, bench.length) == ("bench", "test", 100)
    assert (other.name, other.split) == ("other", "train")
    assert [row for row in spans(bench.layers[0]) if row[2] != "background"] == [
        (10, 34, "place_base"),
        (34, 53, "insert_gear"),
        (60, 82, "place_base"),
    ]


def test_csv_layers_are_read() -> None:
    (bench,) = read("csv")
    assert {layer.name: len(layer.rows) for layer in bench.layers} == {"steps": 3, "left hand": 1}


def test_a_break_in_a_csv_cell_parts_its_words(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text('recording,start_s,end_s,label\r\none,0,1,"fit\r\nshaft"\r\none,1,2,"a\n\nb"\n')
    (one,) = read_csv(path, Repairs())
    assert spans(one.layers[0]) == [(0, 1, "fit\nshaft"), (1, 2, "a\n\nb")]
    assert [row.place for row in one.layers[0].rows] == [f"{path}:3", f"{path}:6"]


@pytest.mark.parametrize("name", ["one.csv", "one.eaf", "one.boris", "one.json", "one.xml"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    kinds = {".csv": "csv", ".eaf": "elan", ".boris": "boris", ".json": "label-studio"}
    reader, _ = READERS[kinds.get(Path(name).suffix, "cvat")]
    with pytest.raises(ForeignFileError, match=f"{name}: cannot be read: is no regular file"):
        reader(tmp_path, Repairs())


def test_marks_blanks_and_line_ends_of_other_systems_are_repaired_and_counted(
    tmp_path: Path,
) -> None:
    text = "\ufeffrecording,start_s,end_s,label\r\none, 0.5 ,1,x\r\n\r\n"
    (tmp_path / "a.csv").write_bytes(text.encode())
    repairs = Repairs()
    (found,) = read_csv(tmp_path / "a.csv", repairs)
    assert spans(found.layers[0]) == [(0.5, 1.0, "x")]
    assert repairs.counts == {
        "byte-order mark dropped": 1,
        "line ends with CRLF": 3,
        "stray blanks in a row": 1,
        "blank line at the end dropped": 1,
    }


def altered(kind: str, old: str, new: str, folder: Path) -> tuple[Reader, Path]:
    reader, name = READERS[kind]
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert old in text
    path = folder / name
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return reader, path


BOMB = '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>\n<ANNOTATION_DOCUMENT '


@pytest.mark.parametrize(
    ("kind", "old", "new", "says"),
    [
        ("elan", "<ANNOTATION_DOCUMENT ", BOMB, r"bench.eaf:2: <!DOCTYPE is not allowed"),
        ("elan", "</ANNOTATION_DOCUMENT>", "", r"bench.eaf:\d+: is not XML: no element found"),
        ("elan", 'TIME_VALUE="400"', 'TIME_VALUE="-400"', "begins before 0"),
        ("elan", 'TIME_VALUE="400"', 'TIME_VALUE="4e2"', "time slot ts1: '4e2' is no whole"),
        ("elan", 'TIME_VALUE="400"', 'TIME_VALUE="99999999999999999999"', "no whole number"),
        ("elan", 'TIME_VALUE="3280"', 'TIME_VALUE="999999999999"', "annotation a3.*later than"),
        ("elan", 'REF2="ts5"', 'REF2="ts77"', "annotation a1: there is no time slot 'ts77'"),
        ("elan", 'REF2="ts5"', 'REF2="ts1"', r"annotation a1.*must end after it starts"),
        ("elan", 'TIER_ID="Left hand"', 'TIER_ID="Steps"', "two tiers of this name"),
        ("elan", 'SLOT_ID="ts2"', 'SLOT_ID="ts1"', "two time slots"),
        ("elan", '"milliseconds"', '"PAL-frames"', "TIME_UNITS are 'PAL-frames'"),
        ("elan", 'MIME_TYPE="video/mp4"', 'MIME_TYPE="video/mp4" TIME_ORIGIN="5"', "offset"),
        ("boris", '[3.28, ""', '[3.28, "left hand"', "'place base' at .* is not paired"),
        ("boris", "[3.28,", "[-1,", "observation 'bench', event 9: is before 0"),
        ("boris", "[3.28,", "[NaN,", "bench.boris: NaN is no number"),
        ("boris", "[3.28,", "[1e999,", "event 9: inf is no number"),
        ("boris", "[3.28,", f"[{10**400},", "event 9: 10+ is no number"),
        ("boris", "[3.28,", "[true,", "event 9: True is no number"),
        ("boris", "[3.28,", "[2.4,", r"must end after it starts, not \[2.4, 2.4\)"),
        ("boris", '"beep", "", ""', '"boop", "", ""', "event 5: 'boop' is not in the ethogram"),
        ("boris", '"left hand", "desc', '"\\ud800", "desc', r"'.ud800' after .* is half a char"),
        ("boris", '"time offset": 0.0', '"time offset": 3.0', "has a time offset"),
        ("boris", '"observation #1"', '"bench"', "key 'bench' is given twice"),
        ("boris", '.mp4"], "2"', '.mp4", "b.mp4"], "2"', "player 1 plays 2 files"),
        ("boris", '"observations"', '"things"', "observations: Field required"),
        ("label-studio", '"start": 11, "end": 34', '"start": 34, "end": 11', "region 'jyHrc'"),
        ("label-studio", '"start": 11', '"start": -11', "begins before 0"),
        ("label-studio", '"start": 11', '"start": null', "ranges.0.start: Input should be"),
        ("label-studio", '"start": 11', '"start": 1.5', "ranges.0.start: Input should be"),
        ("label-studio", '"end": 34', f'"end": {10**30}', "later than"),
        ("label-studio", '"end": 34', f'"end": {10**400}', "10 to 10+ is no span of time"),
        ("label-studio", '"annotations"', '"labels"', "not as JSON-MIN"),
        ("label-studio", '"video": ', '"a": "a.mp4", "b": ', "its data names 2 videos"),
        ("cvat", "<version>1.1", "<version>2.0", "is of version '2.0'"),
        ("cvat", "annotations>\n  <v", "pictures>\n  <v", "not XML: mismatched tag"),
        ("cvat", 'frame="10"', 'frame="-1"', "track 0, frame -1: is before the first frame"),
        ("cvat", 'frame="16"', 'frame="11"', "track 0, frame 11: comes after frame 13"),
        ("cvat", 'outside="1"', 'outside="yes"', "outside is 'yes'"),
        ("cvat", "step=3", "step=0", "frame_filter 'step=0'"),
        ("cvat", 'frame="16"', 'frame="' + "9" * 50 + '"', "is no whole number"),
        ("cvat-images", "<size>6", "<size>999999999999", "length is 999999999999 frames"),
        ("cvat-images", 'id="3"', 'id="2"', "image 2: comes after 2"),
        ("csv", "start_s", "start", "bench.csv:1: the header is 'recording,start,end_s"),
        ("csv", "0.4", "nan", "bench.csv:2: 'nan' is no number"),
        ("csv", "0.4", "-0.4", "bench.csv:2: 'place base' begins before 0"),
        ("csv", "0.4", "1e300", "bench.csv:2: 'place base' must end after"),
        ("csv", "1.36", "0,4", "bench.csv:2: has 6 columns"),
        ("csv", '"insert gear"', '"insert gear', "bench.csv:5: is not CSV"),
        ("csv", "bench,0.4", ",0.4", "bench.csv:2: the recording has no name"),
    ],
)
def test_a_hostile_file_is_refused_in_one_line_with_its_place(
    tmp_path: Path, kind: str, old: str, new: str, says: str
) -> None:
    reader, path = altered(kind, old, new, tmp_path)
    with pytest.raises(ForeignFileError, match=says) as raised:
        reader(path, Repairs())
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfea\0", b"\x93\xfa\n" * 9, b"a\0b", b"[" * 99_999]
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, kind: str, content: bytes) -> None:
    reader, name = READERS[kind]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ForeignFileError, match=name):
        reader(path, Repairs())


def test_a_top_element_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.eaf").write_text("<html/>")
    with pytest.raises(ForeignFileError, match="is <html>, not <ANNOTATION_DOCUMENT>"):
        read_elan(tmp_path, Repairs())


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("mapping.txt", "0 background\nplace_base\n", "mapping.txt:2: 'place_base' is not"),
        ("mapping.txt", "0 background\n1 background\n", "mapping.txt:2: 'background' is given"),
        ("mapping.txt", "0 background\n1 place_base\n", "bench.txt:35: 'insert_gear' is not"),
        (
            "groundTruth/bench.txt",
            "background\n\nbackground\n",
            "bench.txt:2: a frame has no label",
        ),
        ("groundTruth/bench.txt", "", "bench.txt: holds 0 frames"),
        ("splits/test.split1.bundle", "../../x.txt\n", "bundle:1: '../../x.txt' is not in"),
        ("splits/test.split1.bundle", "other.txt\n", "bundle:1: 'other.txt' is in train"),
    ],
)
def test_a_hostile_ms_tcn_folder_is_refused(
    tmp_path: Path, file: str, content: str, says: str
) -> None:
    copy_ms_tcn(tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(ForeignFileError, match=says):
        read_ms_tcn(tmp_path, Repairs())


def copy_ms_tcn(target: Path) -> None:
    for path in (EXAMPLES / "ms-tcn").rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(EXAMPLES / "ms-tcn")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_only_a_user_fault_escapes_from_damaged_files(tmp_path: Path, data: st.DataObject) -> None:
    reader, name = READERS[data.draw(st.sampled_from(sorted(READERS)))]
    content = bytearray((EXAMPLES / name).read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    end = data.draw(st.one_of(st.none(), st.integers(0, len(content))))
    path = tmp_path / name
    path.write_bytes(bytes(content[:end]))
    said = ""
    try:
        reader(path, Repairs())
    except UserFault as error:
        said = str(error)
    assert "\n" not in said


LABELS = {"background": "No step", "place": "Place it", "screw-a": "Screw & tighten <M4>"}


@st.composite
def recordings(draw: st.DrawFn, unit: str, *, layers: bool) -> ForeignRecording:
    """Layers of segments that neither overlap nor touch with equal labels, in ms or in frames."""
    end = draw(st.integers(20, 400))
    names = ["steps", "left-hand"] if layers and draw(st.booleans()) else ["steps"]
    found = []
    for name in names:
        bounds = sorted(draw(st.sets(st.integers(0, end), max_size=12)))
        rows: list[ForeignRow] = []
        for start, stop in pairwise(bounds):
            label = draw(st.sampled_from(["place", "screw-a", None]))
            if label and not (rows and rows[-1].end == start and rows[-1].label == label):
                rows.append(ForeignRow(start, stop, label))
        found.append(ForeignLayer(name, tuple(rows)))
    recording = ForeignRecording("take.1", "frames", tuple(found), "take.1.mp4", 25.0, end)
    if unit == "frames":
        return recording
    scaled = tuple(
        replace(
            layer,
            rows=tuple(replace(r, start=r.start / 1000, end=r.end / 1000) for r in layer.rows),
        )
        for layer in found
    )
    return replace(recording, unit="seconds", layers=scaled, length=end / 1000)


def filled(recording: ForeignRecording) -> dict[str, list[tuple[float, float, str]]]:
    return {
        layer.name: [row for row in spans(layer) if row[2] != "background"]
        for layer in recording.layers
        if any(row.label != "background" for row in layer.rows)
    }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    losses = Repairs()
    target = tmp_path_factory.mktemp("written")
    timed = data.draw(recordings("seconds", layers=True))
    framed = data.draw(recordings("frames", layers=True))
    single = replace(framed, layers=framed.layers[:1])
    write_elan([timed], target / "elan", losses)
    write_boris([timed], target / "boris", LABELS, losses)
    write_csv([timed], target / "csv", losses)
    write_label_studio([framed], target / "label-studio", LABELS)
    write_cvat([single], target / "cvat", LABELS, losses)
    write_ms_tcn([single], target / "ms-tcn", LABELS, losses)
    cases: list[tuple[Reader, str, ForeignRecording]] = [
        (read_elan, "elan", timed),
        (read_boris, "boris", timed),
        (read_csv, "csv", timed),
        (read_label_studio, "label-studio", framed),
        (read_cvat, "cvat", single),
        (read_ms_tcn, "ms-tcn", single),
    ]
    for reader, kind, written in cases:
        found = reader(target / kind, Repairs())
        if kind == "csv" and not filled(written):
            assert found == []
            continue
        (again,) = found
        again_spans = filled(again)
        if kind == "cvat" and "tracks" in again_spans:
            again_spans = {"steps": again_spans["tracks"]}
        assert again_spans == filled(written), kind
        assert again.name == "take.1"
    assert set(losses.counts) <= {"recording without segments has no row"}


def test_an_eaf_file_has_the_elements_of_the_schema_in_its_order(tmp_path: Path) -> None:
    rows = (ForeignRow(0.5, 1.25, "place"), ForeignRow(1.25, 2.0004, "screw-a"))
    recording = ForeignRecording("one", "seconds", (ForeignLayer("steps", rows),), "one.mp4")
    write_elan([recording], tmp_path, Repairs())
    top = ElementTree.parse(tmp_path / "one.eaf").getroot()
    assert [child.tag for child in top] == [
        "HEADER",
        "TIME_ORDER",
        "TIER",
        "LINGUISTIC_TYPE",
        *["CONSTRAINT"] * 4,
    ]
    slots = {s.get("TIME_SLOT_ID"): s.get("TIME_VALUE") for s in top.iter("TIME_SLOT")}
    assert list(slots.values()) == ["500", "1250", "2000"]
    assert {a.get("TIME_SLOT_REF2") for a in top.iter("ALIGNABLE_ANNOTATION")} <= set(slots)
    assert top.find("TIER").get("LINGUISTIC_TYPE_REF") == top.find("LINGUISTIC_TYPE").get(
        "LINGUISTIC_TYPE_ID"
    )


def test_what_a_format_cannot_hold_is_counted(tmp_path: Path) -> None:
    touching = (ForeignRow(0, 2, "place"), ForeignRow(2, 4, "place"))
    hand = ForeignLayer("left-hand", (ForeignRow(1, 2, "reach"),))
    recording = ForeignRecording("one", "frames", (ForeignLayer("steps", touching), hand), length=5)
    losses = Repairs()
    write_ms_tcn([recording], tmp_path / "a", LABELS, losses)
    assert losses.counts == {
        "touching segments of one label run together": 1,
        "second layer left out: the format has one": 1,
    }
    short = replace(
        recording, unit="seconds", layers=(ForeignLayer("s", (ForeignRow(0, 1e-4, "x"),)),)
    )
    losses = Repairs()
    write_elan([short], tmp_path / "b", losses)
    assert losses.counts == {"segment shorter than a millisecond left out": 1}
