"""`linewatch data import` and `export`: foreign annotations become a data set and come back."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from industryasm.cli import data
from industryasm.fault import UserFault
from industryasm.recording import (
    AnnotatedCycle,
    AnnotatedSegment,
    DataSet,
    Recording,
    Track,
    write_data_set,
)
from industryasm.vocabulary import load_task
from tests.clip import write_clip

EXAMPLES = Path(__file__).parent / "annotations"
BENCH = Path(__file__).parent.parent.parent / "shared" / "data" / "video" / "bench"
ASSEMBLY101 = Path(__file__).parent.parent.parent / "shared" / "data" / "assembly101_mistakes"
STEPS_30FPS = BENCH / "P016_balloon2_steps_30fps.txt"
FORMATS = ("ms-tcn", "elan", "boris", "label-studio", "cvat", "csv")

LABELS = """\
place base: place-base
place_base: place-base
insert gear: insert-gear
insert_gear: insert-gear
insert gear [small]: insert-gear
"""
STORY = [("place-base", 10, 34), ("insert-gear", 34, 53), ("place-base", 60, 82)]


def run(*arguments: object) -> str:
    """Run `linewatch data ...`; a fault of the user is raised as the program's main shows it."""
    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(data, words, catch_exceptions=True)
    if isinstance(result.exception, UserFault):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bench.mp4`, 100 frames at 25 Hz, and `uneven.mp4`, whose frames are not even."""
    folder = tmp_path_factory.mktemp("videos")
    write_clip(folder / "bench.mp4", [index / 25 for index in range(100)])
    write_clip(folder / "uneven.mp4", [0, 0.04, 0.1, 0.3, 0.34, 0.9, 1.0, 1.04])
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.yaml"
    path.write_text(LABELS)
    return path


@pytest.fixture
def task(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    step = "{{id: {0}, text: {0}, primitive: other, expected_s: 2, limit_s: 5}}"
    steps = "".join(f"  - {step.format(name)}\n" for name in ("place-base", "insert-gear"))
    path.write_text(f"id: toy\nname: Toy\nproduct: Toy\nfamily: toys\nparts: []\nsteps:\n{steps}")
    return path


def story(recording: Recording) -> list[tuple[str, int, int]]:
    """The segments in frames of the even video; fails where one is not on a frame."""
    frames = [(s.label, s.start_s * 25, s.end_s * 25) for s in recording.segments]
    for _, start, end in frames:
        assert [start, end] == pytest.approx([round(start), round(end)], abs=1e-6)
    return [(label, round(start), round(end)) for label, start, end in frames]


@pytest.mark.parametrize(
    ("kind", "source", "more"),
    [
        ("elan", "bench.eaf", ["--tier", "Steps"]),
        ("label-studio", "label-studio.json", ["--annotator", "user 1"]),
        ("csv", "bench.csv", []),
    ],
)
def test_every_format_tells_the_same_story(
    tmp_path: Path, videos: Path, labels: Path, task: Path, kind: str, source: str, more: list[str]
) -> None:
    target = tmp_path / "out"
    said = run(
        *("import", kind, EXAMPLES / source, target, "--task", task, "--labels", labels),
        *("--videos", videos, *more),
    )
    assert "imported 1 recordings, 3 segments of task toy" in said
    (recording,) = DataSet(target).recordings()
    assert story(recording) == STORY
    assert recording.video == "videos/bench.mp4"
    assert (recording.width, recording.height, recording.rate_hz) == (64, 48, 25)
    assert DataSet(target).video(recording).is_file()
    assert DataSet(target).task("toy").id == "toy"


def test_ms_tcn_keeps_its_splits_and_needs_a_rate_without_videos(
    tmp_path: Path, labels: Path, task: Path
) -> None:
    common = ("--task", task, "--labels", labels)
    with pytest.raises(UserFault, match=r"counts frames.*--videos.*--fps"):
        run("import", "ms-tcn", EXAMPLES / "ms-tcn", tmp_path / "a", *common)
    said = run("import", "ms-tcn", EXAMPLES / "ms-tcn", tmp_path / "b", *common, "--fps", 25)
    assert "splits: train 1, test 1" in said
    imported = DataSet(tmp_path / "b")
    (bench,) = imported.split("test")
    assert story(bench) == STORY
    assert (bench.duration_s, bench.rate_hz, bench.video) == (4.0, 25.0, None)


def test_boris_takes_a_subject_as_steps_and_the_other_as_a_track(
    tmp_path: Path, labels: Path, task: Path
) -> None:
    source = tmp_path / "one.boris"
    project = json.loads((EXAMPLES / "bench.boris").read_text())
    del project["observations"]["observation #1"]
    source.write_text(json.dumps(project))
    common = ("import", "boris", source, tmp_path / "out", "--task", task, "--labels", labels)
    with pytest.raises(UserFault, match=r"2 layers: 'no focal subject' \(3 rows\).*--tier"):
        run(*common)
    run(*common, "--tier", "no focal subject")
    (recording,) = DataSet(tmp_path / "out").recordings()
    assert story(recording) == STORY
    assert [(t.name, t.segments[0].label) for t in recording.tracks] == [("left-hand", "hold")]
    assert (recording.duration_s, recording.annotator) == (4.0, "unknown")


@pytest.mark.parametrize("kind", ["elan", "boris"])
def test_an_empty_layer_of_steps_makes_no_other_one_the_steps(tmp_path: Path, kind: str) -> None:
    hand = Track(
        name="left-hand",
        segments=(AnnotatedSegment(start_s=1, end_s=2, label=STEPS[0]),),
    )
    write_data_set(
        tmp_path / "a", name="a", splits={"train": [make_recording("one", (), tracks=(hand,))]}
    )
    run("export", kind, tmp_path / "a", tmp_path / "b")
    run("import", kind, tmp_path / "b", tmp_path / "c", "--task", "relay-module")
    (again,) = DataSet(tmp_path / "c").recordings()
    assert again.segments == ()
    assert again.tracks == (hand,)


def test_the_only_layer_is_taken_for_the_steps_and_counted_where_it_has_another_name(
    tmp_path: Path,
) -> None:
    source = tmp_path / "one.csv"
    words = ("import", "csv", source, tmp_path / "out", "--task", "relay-module", "--json")
    source.write_text(f"recording,start_s,end_s,label,layer\none,1,2,{STEPS[0]},left-hand\n")
    counted = json.loads(run(*words))["repairs"]
    assert counted == {"only layer with rows taken for the steps": 1}
    shutil.rmtree(tmp_path / "out")
    assert json.loads(run(*words, "--tier", "left-hand"))["repairs"] == {}


def test_a_label_with_a_break_is_of_two_words(tmp_path: Path) -> None:
    source = write_csv(tmp_path, 'a,0,1,"fit\nshaft"', "a,1,2,pack")
    run("import", "csv", source, tmp_path / "out", "--new-task", "work")
    assert DataSet(tmp_path / "out").task("work").labels()[1:3] == ("fit-shaft", "pack")


def test_a_name_that_is_no_id_is_made_one_and_counted(tmp_path: Path) -> None:
    said = run(
        *(
            "import",
            "boris",
            EXAMPLES / "bench.boris",
            tmp_path / "out",
            "--new-task",
            "bench-work",
        ),
        *("--drop-layers", "--tier", "no focal subject", "--one-cycle"),
    )
    imported = DataSet(tmp_path / "out")
    assert {r.id for r in imported.recordings()} == {"bench", "observation-1"}
    assert "1 x name made an id" in said
    assert "1 x second layer left out" in said
    assert [len(r.cycles) for r in imported.recordings()] == [1, 1]
    made = imported.task("bench-work")
    assert {step.id for step in made.steps} == {"place-base", "insert-gear-small"}
    assert {step.primitive for step in made.steps} == {"other"}
    place = next(step for step in made.steps if step.id == "place-base")
    assert (place.expected_s, place.limit_s) == (0.96, 6.0)  # 0.96, 0.88 and 2.0 s
    assert made.procedure().predecessors("place-base") == frozenset()


def write_csv(folder: Path, *rows: str) -> Path:
    path = folder / "rows.csv"
    path.write_text("recording,start_s,end_s,label\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_unknown_labels_are_listed_with_place_and_way_out(tmp_path: Path, task: Path) -> None:
    source = write_csv(tmp_path, "a,0,1,place-base", "a,1,2,dance", "a,2,3,dance", "a,3,4,sing")
    common = ("import", "csv", source, tmp_path / "out", "--task", task)
    with pytest.raises(UserFault) as raised:
        run(*common)
    said = str(raised.value)
    assert f"'dance' (2 x, first {source}:3); 'sing' (1 x, first {source}:5)" in said
    assert "--labels" in said
    said = run(*common, "--unknown-as-background")
    assert "2 x unknown label 'dance' made background" in said
    (recording,) = DataSet(tmp_path / "out").recordings()
    assert [s.label for s in recording.segments] == ["place-base"]


def test_overlaps_are_named_with_both_rows_or_cut(tmp_path: Path, task: Path) -> None:
    source = write_csv(tmp_path, "a,0,3,place-base", "a,2,4,insert-gear")
    common = ("import", "csv", source, tmp_path / "out", "--task", task)
    with pytest.raises(UserFault, match=r"rows.csv:3: 'insert-gear' .*until 3 s \(.*rows.csv:2\)"):
        run(*common)
    assert "1 x overlap: the earlier segment cut" in run(*common, "--cut-overlaps")
    (recording,) = DataSet(tmp_path / "out").recordings()
    assert [(s.start_s, s.end_s) for s in recording.segments] == [(0, 2), (2, 4)]


def test_what_is_longer_than_its_video_is_refused_or_clipped(
    tmp_path: Path, videos: Path, task: Path
) -> None:
    source = write_csv(tmp_path, "bench,0,3,place-base", "bench,3,5,insert-gear")
    common = ("import", "csv", source, tmp_path / "out", "--task", task, "--videos", videos)
    with pytest.raises(
        UserFault, match=r"rows.csv:3: 'insert-gear' ends at 5, the recording has 4"
    ):
        run(*common)
    assert "1 x longer than the recording: cut at its end" in run(*common, "--clip")
    (recording,) = DataSet(tmp_path / "out").recordings()
    assert recording.segments[-1].end_s == recording.duration_s == 4


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a\\b", ".hidden"])
def test_a_recording_named_as_a_path_is_refused(tmp_path: Path, task: Path, name: str) -> None:
    source = write_csv(tmp_path, f"{name},0,1,place-base")
    with pytest.raises(UserFault, match="cannot name a recording"):
        run("import", "csv", source, tmp_path / "out", "--task", task)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "more", "says"),
    [
        (["a b,0,1,x", "a-b,0,1,y"], [], "recording 'a-b' is there already"),
        (["a,0,1,Turn it", "a,1,2,turn-it"], [], "would both be 'turn-it'"),
        (["a,0,1,Background", "a,1,2,x"], [], "'Background' and 'background' would both be"),
        (["a,0,1,拧螺丝", "a,1,2,x"], [], "no step id can be made of '拧螺丝'"),
        (["a,0,1,x"], [], "a task has 2 to 400 steps"),
        (["a,0,1,x", "a,1,2,y"], ["--fps", "5"], "tells seconds"),
        (["a,0,1,x", "a,1,2,y"], ["--tier", "z"], "no layer 'z'; there are 'steps'"),
        (["a,0,1,x", "a,1,2,y"], ["--task", "relay-module"], "exclude each other"),
        (["a,0,1,x", "a,1,2,y"], ["--videos", "."], "needs one video a.mp4"),
        (["a,0,1,x", "a,1,2,y"], ["--videos", "nowhere"], "no folder of videos"),
    ],
)
def test_what_cannot_be_imported_leaves_nothing_behind(
    tmp_path: Path, rows: list[str], more: list[str], says: str
) -> None:
    source = write_csv(tmp_path, *rows)
    with pytest.raises(UserFault, match=says):
        run("import", "csv", source, tmp_path / "out", "--new-task", "work", *more)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("x: place-bose\n", "labels.yaml:1: x: 'place-bose' is no step"),
        ("x: [1]\n", r"labels.yaml:1: x: \[1\] is no label"),
        ("- x\n", "must be `their label: ours`"),
    ],
)
def test_a_wrong_label_file_is_named_by_line(
    tmp_path: Path, task: Path, content: str, says: str
) -> None:
    (tmp_path / "labels.yaml").write_text(content)
    source = write_csv(tmp_path, "a,0,1,x")
    with pytest.raises(UserFault, match=says):
        run(
            *("import", "csv", source, tmp_path / "out", "--task", task),
            *("--labels", tmp_path / "labels.yaml"),
        )


def test_a_target_that_is_not_empty_is_left_alone(tmp_path: Path, task: Path) -> None:
    source = write_csv(tmp_path, "a,0,1,place-base")
    with pytest.raises(UserFault, match="is not empty"):
        run("import", "csv", source, tmp_path, "--task", task)
    with pytest.raises(UserFault, match="is not empty"):
        run("export", "csv", tmp_path, tmp_path)


@pytest.mark.parametrize(("flag", "linked"), [("--link", 1), ("--copy", 0)])
def test_a_video_is_linked_or_copied_as_wished(
    tmp_path: Path, task: Path, flag: str, linked: int
) -> None:
    video = write_clip(tmp_path / "a.mp4", [0, 0.5, 1])
    source = write_csv(tmp_path, "a,0,1,place-base")
    said = run(
        *("import", "csv", source, tmp_path / "out", "--task", task),
        *("--videos", tmp_path, flag),
    )
    assert f"videos: {linked} hard-linked, {1 - linked} copied" in said
    assert video.samefile(tmp_path / "out" / "videos" / "a.mp4") == bool(linked)


def test_a_tool_that_counted_at_another_rate_than_its_video_is_found_out(
    tmp_path: Path, videos: Path, task: Path, labels: Path
) -> None:
    tasks = json.loads((EXAMPLES / "label-studio.json").read_text())
    tasks[0]["data"]["fps"] = 24
    source = tmp_path / "tasks.json"
    source.write_text(json.dumps(tasks))
    common = (
        *("import", "label-studio", source, tmp_path / "out", "--task", task, "--labels", labels),
        *("--videos", videos, "--annotator", "user 1"),
    )
    with pytest.raises(UserFault, match="counts 24 frames a second, its video has 25"):
        run(*common)
    run(*common, "--fps", 24)
    (recording,) = DataSet(tmp_path / "out").recordings()
    assert recording.segments[0].start_s == pytest.approx(10 / 24)
    assert recording.duration_s == 4


def test_two_annotators_are_told_apart(tmp_path: Path, task: Path) -> None:
    common = ("import", "label-studio", EXAMPLES / "label-studio.json", tmp_path / "out")
    with pytest.raises(UserFault, match=r"annotated twice, by user 1 and user 2.*--annotator"):
        run(*common, "--task", task, "--fps", 25)
    with pytest.raises(UserFault, match="nothing is by annotator 'user 9'; there are user 1"):
        run(*common, "--task", task, "--fps", 25, "--annotator", "user 9")


def test_frames_of_an_uneven_video_are_told_by_their_pts(tmp_path: Path, videos: Path) -> None:
    (tmp_path / "in" / "groundTruth").mkdir(parents=True)
    text = "background\nx\nx\ny\ny\ny\nbackground\nbackground\n"
    (tmp_path / "in" / "groundTruth" / "uneven.txt").write_text(text)
    run(
        *("import", "ms-tcn", tmp_path / "in", tmp_path / "out", "--new-task", "work"),
        *("--videos", videos),
    )
    (recording,) = DataSet(tmp_path / "out").recordings()
    bounds = [(s.start_s, s.end_s) for s in recording.segments]
    assert bounds == [pytest.approx(pair, abs=1e-4) for pair in [(0.04, 0.3), (0.3, 1.0)]]


def test_a_recording_of_unknown_length_is_left_out_and_counted(tmp_path: Path) -> None:
    full = make_recording("full", (AnnotatedSegment(start_s=1, end_s=2, label=STEPS[0]),))
    empty = make_recording("empty", ())
    write_data_set(tmp_path / "a", name="a", splits={"train": [full], "test": [empty]})
    said = run("export", "elan", tmp_path / "a", tmp_path / "b")
    assert "1 x splits have no place in the format" in said
    said = run("import", "elan", tmp_path / "b", tmp_path / "c", "--task", "relay-module")
    assert "1 x recording without row, length and video left out" in said
    assert [r.id for r in DataSet(tmp_path / "c").recordings()] == ["full"]


def test_json_output_holds_the_counts(tmp_path: Path) -> None:
    source = write_csv(tmp_path, "a,0,1,x", "a,1,2, y")
    facts = json.loads(
        run("import", "csv", source, tmp_path / "out", "--new-task", "work", "--json")
    )
    assert facts["recordings"] == 1
    assert facts["repairs"] == {"stray blanks in a row": 1}
    facts = json.loads(run("export", "elan", tmp_path / "out", tmp_path / "back", "--json"))
    assert facts == {"recordings": 1, "segments": 2, "losses": {}}


def make_recording(name: str, segments: tuple[AnnotatedSegment, ...], **more: object) -> Recording:
    values: dict[str, object] = {
        "id": name,
        "task": "relay-module",
        "task_revision": 1,
        "duration_s": 40.0,
        "station": "s",
        "camera": "c",
        "operator": "o",
        "annotator": "a",
        "review": "draft",
        "cycles": (),
        "segments": segments,
        "deviations": (),
    }
    return Recording.model_validate(values | more)


STEPS = load_task("relay-module").labels()[1:]


@st.composite
def random_recordings(draw: st.DrawFn) -> Recording:
    """A recording on a 25 Hz grid (whole milliseconds), with one or no second layer."""

    def layer(words: tuple[str, ...]) -> tuple[AnnotatedSegment, ...]:
        bounds = sorted(draw(st.sets(st.integers(0, 1000), max_size=14)))
        rows: list[AnnotatedSegment] = []
        for start, end in pairwise(bounds):
            label = draw(st.sampled_from((*words, "")))
            touches = bool(rows) and rows[-1].end_s == start / 25 and rows[-1].label == label
            if label and not touches:
                rows.append(AnnotatedSegment(start_s=start / 25, end_s=end / 25, label=label))
        return tuple(rows)

    hand = layer(("reach", "grasp"))
    tracks = (Track(name="left-hand", segments=hand),) if hand and draw(st.booleans()) else ()
    first = AnnotatedSegment(start_s=0.0, end_s=0.04, label=STEPS[0])
    segments = layer(STEPS)
    if not segments:
        segments = (first,)
    return make_recording("take.1", segments, rate_hz=25.0, tracks=tracks)


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=15, deadline=None)
@given(recording=random_recordings())
def test_what_is_exported_is_imported_equal(
    tmp_path_factory: pytest.TempPathFactory, kind: str, recording: Recording
) -> None:
    folder = tmp_path_factory.mktemp("round")
    write_data_set(folder / "a", name="a", splits={"train": [recording]})
    run("export", kind, folder / "a", folder / "b")
    rate = ("--fps", 25) if kind in ("ms-tcn", "label-studio", "cvat") else ()
    run("import", kind, folder / "b", folder / "c", "--task", "relay-module", *rate)
    (again,) = DataSet(folder / "c").recordings()
    assert again.id == recording.id
    assert again.segments == recording.segments
    if kind not in ("ms-tcn", "cvat"):
        assert again.tracks == recording.tracks


def test_what_an_export_cannot_keep_is_said(tmp_path: Path) -> None:
    segments = (AnnotatedSegment(start_s=0, end_s=0.001, label=STEPS[0]),)
    cycle = AnnotatedCycle(start_s=0, end_s=40, number=1)
    recording = make_recording("one", segments, rate_hz=10, cycles=(cycle,))
    write_data_set(tmp_path / "a", name="a", splits={"train": [recording]})
    said = run("export", "cvat", tmp_path / "a", tmp_path / "b")
    assert "exported 1 recordings, 0 segments" in said
    assert "1 x segment shorter than a frame left out (one at 0 s)" in said
    assert "1 x no video: frames counted on a grid of 10 Hz (one)" in said
    assert "1 x cycles have no place in the format (one)" in said


def test_a_video_goes_to_boris_with_a_rate_though_none_was_noted(
    tmp_path: Path, videos: Path
) -> None:
    segments = (AnnotatedSegment(start_s=0.04, end_s=0.3, label=STEPS[0]),)
    recording = make_recording("uneven", segments, video="videos/uneven.mp4", duration_s=1.08)
    write_data_set(tmp_path / "a", name="a", splits={"train": [recording]})
    (tmp_path / "a" / "videos").mkdir()
    (tmp_path / "a" / "videos" / "uneven.mp4").hardlink_to(videos / "uneven.mp4")
    run("export", "boris", tmp_path / "a", tmp_path / "b")
    project = json.loads((tmp_path / "b" / "project.boris").read_text())
    (rate_hz,) = project["observations"]["uneven"]["media_info"]["fps"].values()
    assert rate_hz == pytest.approx(8 / 1.08, rel=0.05)


def test_a_format_of_frames_needs_frames(tmp_path: Path) -> None:
    write_data_set(tmp_path / "a", name="a", splits={"test": [make_recording("one", ())]})
    with pytest.raises(UserFault, match="neither a video nor a rate"):
        run("export", "ms-tcn", tmp_path / "a", tmp_path / "b")
    run("export", "ms-tcn", tmp_path / "a", tmp_path / "b", "--fps", 5)
    assert (tmp_path / "b" / "splits" / "test.split1.bundle").read_text() == "one.txt\n"
    assert len((tmp_path / "b" / "groundTruth" / "one.txt").read_text().splitlines()) == 200


@pytest.mark.skipif(not BENCH.is_dir(), reason=f"real bench video is not in {BENCH}")
@pytest.mark.parametrize("kind", FORMATS)
def test_the_real_bench_annotation_goes_through_every_format(tmp_path: Path, kind: str) -> None:
    rows = [line.split() for line in STEPS_30FPS.read_text().splitlines()]
    labels = [name for start, end, name in rows for _ in range(int(start), int(end) + 1)]
    (tmp_path / "in" / "groundTruth").mkdir(parents=True)
    truth = tmp_path / "in" / "groundTruth" / "P016_balloon2.txt"
    truth.write_text("\n".join(labels) + "\n")
    names = sorted(set(labels))
    mapping = "".join(f"{index} {name}\n" for index, name in enumerate(names))
    (tmp_path / "in" / "mapping.txt").write_text(mapping)
    (tmp_path / "labels.yaml").write_text("G0: null\n")
    common = (
        *("import", "ms-tcn", tmp_path / "in", tmp_path / "a", "--new-task", "suturing"),
        *("--videos", BENCH, "--labels", tmp_path / "labels.yaml"),
    )
    with pytest.raises(UserFault, match="has 3911 frames, its video 3910"):
        run(*common)  # the published last frame is one too many
    run(*common, "--clip")
    run("export", kind, tmp_path / "a", tmp_path / "b")
    run(
        *("import", kind, tmp_path / "b", tmp_path / "c"),
        *("--task", tmp_path / "a" / "tasks" / "suturing.yaml", "--videos", BENCH),
    )
    (first,), (again,) = DataSet(tmp_path / "a").recordings(), DataSet(tmp_path / "c").recordings()
    assert len(first.segments) == 37
    same = 0.0 if kind in ("ms-tcn", "label-studio", "cvat", "csv") else 0.0005 + 1e-9
    for before, after in zip(first.segments, again.segments, strict=True):
        assert before.label == after.label
        assert abs(before.start_s - after.start_s) <= same
        assert abs(before.end_s - after.end_s) <= same


@pytest.mark.skipif(not ASSEMBLY101.is_dir(), reason=f"real annotations are not in {ASSEMBLY101}")
@pytest.mark.parametrize("kind", FORMATS)
def test_a_public_set_goes_through_every_format(
    tmp_path_factory: pytest.TempPathFactory, assembly101: Path, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("public")
    run("export", kind, assembly101, folder / "b")
    rate = ("--fps", 30) if kind in ("ms-tcn", "label-studio", "cvat") else ()
    run("import", kind, folder / "b", folder / "c", "--new-task", "toys", *rate)
    again = {recording.id: recording for recording in DataSet(folder / "c").recordings()}
    before = {r.id: r for r in DataSet(assembly101).recordings() if r.segments or kind != "csv"}
    assert set(again) == set(before)
    for name, recording in before.items():
        assert_same_frames(recording, again[name], merged=kind == "ms-tcn")


def assert_same_frames(first: Recording, again: Recording, *, merged: bool) -> None:
    """The same segments on a 30 Hz grid; `merged` where touching ones of a label run together."""

    def frames(recording: Recording) -> list[tuple[str, int, int]]:
        found: list[tuple[str, int, int]] = []
        for segment in recording.segments:
            start, end = round(segment.start_s * 30), round(segment.end_s * 30)
            if merged and found and found[-1][0] == segment.label and found[-1][2] == start:
                found[-1] = (segment.label, found[-1][1], end)
            else:
                found.append((segment.label, start, end))
        return found

    assert frames(first) == frames(again)


@pytest.fixture(scope="module")
def assembly101(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("public") / "assembly101"
    run("import", "assembly101-mistakes", ASSEMBLY101, target)
    return target


def test_a_public_set_takes_no_options(tmp_path: Path) -> None:
    with pytest.raises(UserFault, match="brings its own task"):
        run("import", "impact", tmp_path, tmp_path / "out", "--clip")


def write_two(folder: Path) -> Path:
    rows = "one,0,1,place base\ntwo,0,1,insert gear\n"
    (folder / "labels.csv").write_text("recording,start_s,end_s,label\n" + rows)
    return folder / "labels.csv"


def test_who_is_seen_where_comes_from_a_file_beside_the_annotations(tmp_path: Path) -> None:
    source, about = write_two(tmp_path), tmp_path / "who.csv"
    about.write_text("recording,operator,station,camera\none,p1,s1,c1\ntwo,p2,s2,c2\n")
    run("import", "csv", source, tmp_path / "out", "--new-task", "toy", "--about", about)
    found = {
        r.id: (r.operator, r.station, r.camera) for r in DataSet(tmp_path / "out").recordings()
    }
    assert found == {"one": ("p1", "s1", "c1"), "two": ("p2", "s2", "c2")}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("recording,operator\none,p1\n", "who.csv:1: the header is"),
        ("recording,operator,station,camera\none,p1,s1\n", "who.csv:2: has 3 columns"),
        ("recording,operator,station,camera\none,p1,s1,c1\n", "'two' is in no row"),
        ("recording,operator,station,camera\none,../x,s1,c1\n", "who.csv:2: '../x': a name"),
        (
            "recording,operator,station,camera\none,p,s,c\none,p,s,c\n",
            "who.csv:3: recording 'one' has a row already",
        ),
        (
            "recording,operator,station,camera\none,p,s,c\ntwo,p,s,c\nsix,p,s,c\n",
            "'six' is not among those imported",
        ),
    ],
)
def test_a_fault_in_that_file_is_told_and_nothing_is_imported(
    tmp_path: Path, rows: str, says: str
) -> None:
    source, about = write_two(tmp_path), tmp_path / "who.csv"
    about.write_text(rows)
    with pytest.raises(UserFault, match=says):
        run("import", "csv", source, tmp_path / "out", "--new-task", "toy", "--about", about)
    assert not (tmp_path / "out").exists()
