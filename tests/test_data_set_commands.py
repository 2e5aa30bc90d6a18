"""The commands over a data set: what is wrong in it, what it holds, a picture of a recording."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from industryasm.cli import data
from industryasm.fault import UserFault
from industryasm.frame_times import read_frame_times
from industryasm.inspection.data_statistics import describe
from industryasm.inspection.problem import Problem
from industryasm.inspection.step_style import PAPER, contrast, style_of_position
from industryasm.inspection.thumbnails import thumbnails
from industryasm.inspection.timeline import draw_timeline
from industryasm.inspection.validation import validate_data_set
from industryasm.recording import DataSet, Recording, RecordingError
from tests.clip import number_of, write_clip

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"

TASK = """\
id: toy
name: Toy
product: Toy car
family: toys
revision: 2
parts: []
steps:
  - {id: place, text: Place it, primitive: place, expected_s: 2, limit_s: 5}
  - {id: turn, text: Turn it, primitive: other, after: [place], expected_s: 2, limit_s: 5}
  - {id: pack, text: Pack it, primitive: pack, after: [turn], expected_s: 2, limit_s: 5}
"""

Annotation = dict[str, Any]


def annotation(recording_id: str = "one", **changes: Any) -> Annotation:
    return {
        "id": recording_id,
        "task": "toy",
        "task_revision": 2,
        "duration_s": 10.0,
        "rate_hz": 10,
        "width": 64,
        "height": 48,
        "station": f"station-{recording_id}",
        "camera": "front",
        "operator": f"operator-{recording_id}",
        "annotator": "anna",
        "review": "reviewed",
        "cycles": [
            {"number": 1, "start_s": 0, "end_s": 5},
            {"number": 2, "start_s": 5, "end_s": 9},
        ],
        "segments": [
            {"start_s": 0, "end_s": 2, "label": "place"},
            {"start_s": 2, "end_s": 3, "label": "turn"},
            {"start_s": 3, "end_s": 5, "label": "pack"},
            {"start_s": 5, "end_s": 7, "label": "place"},
            {"start_s": 8, "end_s": 9, "label": "pack"},
        ],
        "deviations": [{"kind": "missed", "step": "turn", "cycle": 2, "start_s": 5, "end_s": 9}],
    } | changes


def write_set(
    folder: Path, *annotations: Annotation, splits: dict[str, list[str]] | None = None
) -> None:
    (folder / "tasks").mkdir(parents=True, exist_ok=True)
    (folder / "recordings").mkdir(exist_ok=True)
    (folder / "tasks" / "toy.yaml").write_text(TASK)
    for one in annotations:
        (folder / "recordings" / f"{one['id']}.json").write_text(json.dumps(one))
    index = {"name": "toys", "splits": splits or {"train": [one["id"] for one in annotations]}}
    (folder / "dataset.json").write_text(json.dumps(index))


def told(folder: Path, *, videos: bool = True) -> list[tuple[str, str, str]]:
    return [(p.level, p.file, p.place) for p in validate_data_set(folder, videos=videos).problems]


def only(folder: Path) -> Problem:
    problems = validate_data_set(folder).problems
    assert len(problems) == 1, problems
    return problems[0]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(data, list(arguments))


def test_a_data_set_that_is_right_has_no_problem(tmp_path: Path) -> None:
    write_set(tmp_path, annotation("one"), annotation("two"))
    found = validate_data_set(tmp_path)
    assert found.problems == ()
    assert (found.num_recordings, found.num_segments) == (2, 10)
    assert found.background_s == pytest.approx(4.0)
    assert found.longest_gap is not None
    assert (found.longest_gap.start_s, found.longest_gap.end_s) == (7, 8)
    assert run("validate", str(tmp_path)).exit_code == 0


def change(place: str, value: Any) -> Callable[[Annotation], None]:
    """Return what sets the value at a dotted place."""

    def apply(one: Annotation) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in place.split(".")]
        target: Any = one
        for part in parents:
            target = target[part]
        target[last] = value

    return apply


@pytest.mark.parametrize(
    ("place", "value", "level", "at", "says"),
    [
        ("segments.1.label", "trun", "error", "segments.1.label", "'trun' is no step of 'toy'"),
        ("segments.1.label", "background", "warning", "segments.1.label", "leave the segment out"),
        ("segments.1.end_s", 1.5, "error", "segments.1", "must end after it starts"),
        ("segments.1.start_s", -1, "error", "segments.1.start_s", "greater than or equal to 0"),
        ("segments.1.start_s", "soon", "error", "segments.1.start_s", "valid number"),
        ("segments.1.start_s", 1.25, "error", "segments.1", "before segments.0 ends, at 2.0 s"),
        ("segments.1.color", "red", "error", "segments.1.color", "not permitted"),
        ("segments.4.end_s", 12, "error", "", "a span ends at 12.0 s, the recording at 10.0 s"),
        ("duration_s", float("inf"), "error", "duration_s", "finite"),
        ("id", "other", "error", "id", "must be the file's name"),
        ("task", "no-such-task", "error", "task", "neither in tasks/ nor comes with Linewatch"),
        ("task_revision", 1, "error", "task_revision", "is 1, the vocabulary of 'toy' has 2"),
        ("video", "/etc/passwd", "error", "", "must lie inside"),
        ("video", "videos/none.mp4", "error", "video", "there is no such file"),
        ("features", "features/none.npz", "error", "features", "No such file"),
        ("cycles.1.number", 1, "error", "cycles.1.number", "1 is given twice"),
        (
            "cycles.1.start_s",
            4.5,
            "error",
            "cycles",
            "cycle 2 begins at 4.5 s, before cycle 1 ends",
        ),
        ("cycles.1.end_s", 11, "error", "cycles.1.end_s", "after the recording's end"),
        ("deviations.0.step", "trun", "error", "deviations.0.step", "'trun' is no step"),
        ("deviations.0.cycle", 3, "error", "deviations.0.cycle", "there is no cycle 3"),
        ("deviations.0.end_s", 10, "", "", ""),  # reaches beyond its cycle, which is not outside
        ("deviations.0.kind", "repeated", "error", "deviations.0", "no segment 'turn' in its span"),
        ("deviations.0.step", "pack", "error", "deviations.0", "was done in cycle 2, at 8.0 s"),
        ("segments", [], "warning", "segments", "there are none"),
    ],
)
def test_a_fault_in_an_annotation_is_told_with_its_place(
    tmp_path: Path, place: str, value: Any, level: str, at: str, says: str
) -> None:
    one = annotation()
    change(place, value)(one)
    write_set(tmp_path, one)
    if place == "id":
        (tmp_path / "recordings" / "other.json").rename(tmp_path / "recordings" / "one.json")
        write_set(tmp_path, splits={"train": ["one"]})
    if not level:
        assert validate_data_set(tmp_path).problems == ()
        return
    problems = validate_data_set(tmp_path).problems
    matching = [p for p in problems if p.level == level and p.place == at and says in p.message]
    assert len(matching) == 1, problems
    assert matching[0].file == "recordings/one.json"


def test_a_deviation_outside_its_cycle_is_an_error(tmp_path: Path) -> None:
    one = annotation()
    one["deviations"] = [
        {"kind": "rework", "step": "place", "cycle": 1, "start_s": 5.5, "end_s": 6},
        {"kind": "unexpected", "step": "unexpected", "cycle": 2, "start_s": 7.2, "end_s": 7.8},
    ]
    write_set(tmp_path, one)
    assert [(p.place, p.message[:12]) for p in validate_data_set(tmp_path).problems] == [
        ("deviations.0", "lies outside"),
        ("deviations.1", "no segment '"),
    ]


def test_a_deviation_may_be_seen_on_a_track(tmp_path: Path) -> None:
    track = {"name": "uncut", "segments": [{"start_s": 7, "end_s": 8, "label": "turn"}]}
    deviation = {"kind": "wrong_execution", "step": "turn", "cycle": 2, "start_s": 7, "end_s": 8}
    write_set(tmp_path, annotation(tracks=[track], deviations=[deviation]))
    assert validate_data_set(tmp_path).problems == ()


def test_every_problem_of_every_file_is_told(tmp_path: Path) -> None:
    one, two = annotation("one"), annotation("two")
    one["segments"][1]["label"] = "trun"
    one["segments"][2]["label"] = "pakc"
    one["task_revision"] = 7
    two["segments"][0]["start_s"] = "x"
    two["segments"][2]["start_s"] = 2.5
    two["segments"][3]["start_s"] = 4.5
    two["operator"] = "no spaces please"
    write_set(tmp_path, one, two)
    assert sorted(told(tmp_path)) == [
        ("error", "recordings/one.json", "segments.1.label"),
        ("error", "recordings/one.json", "segments.2.label"),
        ("error", "recordings/one.json", "task_revision"),
        ("error", "recordings/two.json", "operator"),
        ("error", "recordings/two.json", "segments.0.start_s"),
        ("error", "recordings/two.json", "segments.2"),
        ("error", "recordings/two.json", "segments.3"),
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe{}", b"[" * 100_000, b"[]", b"null", b"{}", b'{"segments": [1, null, {}]}'],
)
def test_a_hostile_annotation_is_told_and_the_others_are_gone_through(
    tmp_path: Path, content: bytes
) -> None:
    write_set(tmp_path, annotation("one"), annotation("two"))
    (tmp_path / "recordings" / "one.json").write_bytes(content)
    found = validate_data_set(tmp_path)
    assert found.num_recordings == 1
    assert found.errors
    assert {problem.file for problem in found.problems} == {"recordings/one.json"}


def test_index_and_folder_must_hold_the_same(tmp_path: Path) -> None:
    write_set(tmp_path, annotation("one"), annotation("two"), splits={"train": ["one", "three"]})
    (tmp_path / "recordings" / "notes.txt").touch()
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "left.mp4").touch()
    assert sorted(told(tmp_path)) == [
        ("error", "dataset.json", "splits.train"),
        ("error", "recordings/two.json", ""),
        ("warning", "recordings/notes.txt", ""),
        ("warning", "videos/left.mp4", ""),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "Invalid JSON"),
        ('{"name": "x", "splits": {"tarin": []}}', "train"),
        ('{"name": "x", "splits": {"train": ["one", "one"]}}', "recording 'one' is given 2 times"),
        ('{"name": "x", "splits": [1]}', "should be an object"),
    ],
)
def test_a_broken_index_does_not_hide_the_annotations(
    tmp_path: Path, content: str, says: str
) -> None:
    one = annotation()
    one["segments"][1]["label"] = "trun"
    write_set(tmp_path, one)
    (tmp_path / "dataset.json").write_text(content)
    found = validate_data_set(tmp_path)
    assert any(says in p.message for p in found.errors if p.file == "dataset.json"), found.errors
    assert any(p.place == "segments.1.label" for p in found.errors)


def test_a_folder_that_is_no_data_set_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="neither"):
        validate_data_set(tmp_path)


def test_a_vocabulary_with_faults_is_told_by_line(tmp_path: Path) -> None:
    write_set(tmp_path, annotation())
    (tmp_path / "tasks" / "toy.yaml").write_text(TASK.replace("after: [turn]", "after: [trun]"))
    assert sorted(told(tmp_path)) == [
        ("error", "recordings/one.json", "task"),
        ("error", "tasks/toy.yaml:10", "steps.2.after"),
    ]


@pytest.mark.parametrize(
    ("key", "value", "level"),
    [("operator", "o", "error"), ("video", "v.mp4", "error"), ("station", "s", "warning")],
)
def test_nobody_may_be_in_two_splits(tmp_path: Path, key: str, value: str, level: str) -> None:
    rows = [annotation("a", **{key: value}), annotation("b", **{key: value}), annotation("c")]
    if key == "video":
        write_clip(tmp_path / value, [i / 10 for i in range(100)])
        rows[2]["video"] = "w.mp4"
        write_clip(tmp_path / "w.mp4", [i / 10 for i in range(100)])
    write_set(tmp_path, *rows, splits={"train": ["a"], "test": ["b", "c"]})
    problem = only(tmp_path)
    assert (problem.level, problem.kind) == (level, "split-leak")
    assert f"{key} {value!r} is in train, test" in problem.message


@pytest.mark.parametrize("key", ["video", "features"])
def test_one_file_under_two_names_may_not_be_in_two_splits(tmp_path: Path, key: str) -> None:
    names = ["one.bin", "two.bin"]
    (tmp_path / names[0]).write_bytes(b"")
    (tmp_path / names[1]).hardlink_to(tmp_path / names[0])
    rows = [annotation(name[:3], **{key: name}) for name in names]
    write_set(tmp_path, *rows, splits={"train": ["one"], "test": ["two"]})
    (problem,) = validate_data_set(tmp_path, videos=False).problems
    assert (problem.level, problem.kind) == ("error", "split-leak")
    assert f"{key} 'one.bin' is in train, test" in problem.message


TENTHS = [index / 10 for index in range(100)]


@pytest.mark.parametrize(
    ("times_s", "changes", "level", "place", "says"),
    [
        (TENTHS, {"width": 32}, "error", "width", "32x48, the video is 64x48"),
        (
            TENTHS,
            {"duration_s": 10.3},
            "error",
            "duration_s",
            "0.360 s longer than the video, 9.940",
        ),
        (TENTHS, {"duration_s": 9.5}, "error", "duration_s", "0.440 s shorter than the video"),
        (TENTHS, {"rate_hz": 11}, "error", "rate_hz", "11, the video has 10.000 frames"),
        (TENTHS[:60] + TENTHS[65:], {}, "warning", "", "1 gaps of more than 3 frame spacings"),
        (TENTHS[:60] + TENTHS[65:], {}, "warning", "", "the longest is 0.600 s, at 5.900 s"),
        (TENTHS[:60] + TENTHS[65:], {}, "warning", "rate_hz", "has 95 frames; 9.940 s at 10 Hz"),
        ([0.04 + t for t in TENTHS], {}, "", "", ""),  # times count from the first frame
    ],
)
def test_a_video_must_be_what_its_annotation_says(
    tmp_path: Path, times_s: list[float], changes: Annotation, level: str, place: str, says: str
) -> None:
    write_clip(tmp_path / "one.mp4", times_s)
    write_set(tmp_path, annotation(video="one.mp4", **changes))
    problems = validate_data_set(tmp_path).problems
    if not level:
        assert problems == ()
        return
    matching = [(p.level, p.place) for p in problems if says in p.message]
    assert matching == [(level, place)], problems
    assert validate_data_set(tmp_path, videos=False).problems == ()


def test_boundaries_between_frames_are_counted_and_no_error(tmp_path: Path) -> None:
    write_clip(tmp_path / "one.mp4", TENTHS)
    one = annotation(video="one.mp4")
    one["segments"][3]["end_s"] = 6.96
    one["segments"][4]["start_s"] = 8.03
    write_set(tmp_path, one)
    problem = only(tmp_path)
    assert (problem.level, problem.kind) == ("warning", "boundary-off-grid")
    assert "2 of 7 boundaries" in problem.message
    assert "at 6.960 s, is 40 ms away" in problem.message


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_a_video_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one.mp4").write_bytes(content)
    write_set(tmp_path, annotation(video="one.mp4"))
    assert (only(tmp_path).kind, only(tmp_path).place) == ("video", "video")


SECONDS = np.arange(10.0)
VECTORS = np.zeros((10, 4), np.float32)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"features": VECTORS, "times_s": SECONDS}, ""),
        ({"features": VECTORS[:, 0], "times_s": SECONDS}, "must be (T, D) and (T,)"),
        ({"features": VECTORS[:9], "times_s": SECONDS}, "must be (T, D) and (T,)"),
        ({"features": VECTORS.astype(int), "times_s": SECONDS}, "must be floats"),
        ({"features": VECTORS, "times_s": SECONDS[::-1]}, "finite and ascending"),
        ({"features": VECTORS + np.float32(np.nan), "times_s": SECONDS}, "10 of 10 vectors"),
        ({"features": VECTORS, "times_s": SECONDS / 2}, "0.000 to 4.500 s do not cover"),
        ({"features": VECTORS, "times_s": SECONDS + 3}, "after the recording's end"),
        ({"vectors": VECTORS}, "features is not a file in the archive"),
        ({"features": np.array([{}], object), "times_s": SECONDS[:1]}, "cannot be read"),
    ],
)
def test_features_must_have_their_shape_and_cover_the_recording(
    tmp_path: Path, arrays: dict[str, np.ndarray], says: str
) -> None:
    np.savez(tmp_path / "one.npz", **arrays)  # type: ignore[arg-type]
    write_set(tmp_path, annotation(features="one.npz"))
    problems = [p for p in validate_data_set(tmp_path).problems if p.kind == "features"]
    assert bool(problems) == bool(says), problems
    assert all(problem.level == "error" for problem in problems)
    assert says in "".join(problem.message for problem in problems)


def test_validate_exits_with_1_for_errors_and_prints_no_control_characters(tmp_path: Path) -> None:
    one = annotation()
    one["segments"][1]["label"] = "\x1b[31mred [bold]"
    write_set(tmp_path, one)
    done = run("validate", str(tmp_path))
    assert done.exit_code == 1
    assert "\x1b" not in done.output
    assert "[bold]" in done.output
    assert "1 errors, 0 warnings" in done.output
    found = json.loads(run("validate", str(tmp_path), "--json").output)
    assert found["problems"][0]["place"] == "segments.1.label"
    assert (found["num_errors"], found["num_warnings"]) == (1, 0)


def test_only_the_first_of_many_problems_of_a_kind_are_printed(tmp_path: Path) -> None:
    one = annotation(duration_s=100.0)
    one["segments"] = [{"start_s": i, "end_s": i + 1, "label": f"x{i}"} for i in range(40)]
    write_set(tmp_path, one)
    printed = run("validate", str(tmp_path)).output
    assert printed.count("is no step") == 10
    assert "and 30 more of the kind label" in printed


def test_statistics_are_those_counted_by_hand(tmp_path: Path) -> None:
    two = annotation("two", duration_s=20.0, rate_hz=None, width=None, height=None)
    write_set(tmp_path, annotation("one"), two, splits={"train": ["one"], "test": ["two"]})
    found = describe(DataSet(tmp_path))
    assert (found.clips, found.mean_s, found.median_s) == (2, 15.0, 15.0)
    assert found.hours == pytest.approx(30 / 3600)
    assert found.splits == {"train": 1, "test": 1}
    assert found.rates_hz == {"10": 1, "unknown": 1}
    assert found.sizes == {"64x48": 1, "?x?": 1}
    assert (found.operators, found.stations, found.cameras) == (2, 2, 1)
    assert found.background_share == pytest.approx((2 + 12) / 30)
    assert found.deviations == {"missed": 2}
    (task,) = found.tasks
    assert (task.task, task.clips, task.cycles, task.segments) == ("toy", 2, 4, 10)
    place, turn, pack = task.steps
    assert (place.label, place.number, place.mean_s) == ("place", 4, 2.0)
    assert place.time_share == pytest.approx(8 / 30)
    assert (turn.number, turn.median_s) == (2, 1.0)
    assert (pack.number, pack.mean_s, pack.median_s) == (4, 1.5, 1.5)
    assert (pack.p5_s, pack.p95_s) == (1.0, 2.0)


def test_stats_print_a_table_json_and_a_card_that_says_what_it_is_not(tmp_path: Path) -> None:
    write_set(tmp_path, annotation())
    assert "place" in run("stats", str(tmp_path)).output
    assert json.loads(run("stats", str(tmp_path), "--json").output)["clips"] == 1
    card = run("stats", str(tmp_path), "--card").output
    for words in ("4,851", "105 s", "47", "92 %", "not the same data", "arXiv 2412.02930"):
        assert words in card
    published = json.loads(run("stats", str(tmp_path), "--card", "--json").output)["published"]
    assert published["videos"] == 4851


def test_the_picture_shows_each_segment_in_the_colour_of_its_step(tmp_path: Path) -> None:
    write_set(tmp_path, annotation())
    done = run("show", str(tmp_path), "one", "--out", str(tmp_path / "one.png"), "--json")
    told_size = json.loads(done.output)
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == (told_size["width"], told_size["height"])
        colours = {colour for _, colour in picture.getcolors(1 << 24) or []}
    assert {style_of_position(position).colour for position in range(3)} <= colours


def test_a_picture_of_anything_that_is_read_can_be_drawn(tmp_path: Path) -> None:
    one = annotation(duration_s=30_000.0, cycles=[], deviations=[], segments=[])
    one["segments"] = [{"start_s": 5, "end_s": 5.001, "label": "line\nbreak " + "x" * 80}]
    one["deviations"] = [
        {"kind": "missed", "step": f"\t{i}", "cycle": 9, "start_s": 0, "end_s": 30_000}
        for i in range(50)
    ]
    one["tracks"] = [{"name": "hand", "segments": one["segments"]}]
    write_set(tmp_path, one)
    picture = draw_timeline(DataSet(tmp_path).recording("one"), DataSet(tmp_path).task("toy"))
    assert picture.height > 50 * 20


def test_steps_differ_in_look_and_their_text_can_be_read() -> None:
    styles = [style_of_position(position) for position in range(27)]
    assert len(set(styles)) == 27
    assert all(contrast(style.text, style.colour) >= 4 for style in styles)
    assert contrast((184, 18, 18), PAPER) >= 4.5


def test_pictures_are_those_on_screen_by_pts(tmp_path: Path) -> None:
    times_s = [5 + t for t in (0.0, 0.1, 0.2, 1.5, 1.6, 3.0, 3.1)]  # begins at 5 s, with holes
    video = write_clip(tmp_path / "one.mkv", times_s)
    wanted = [0.0, 0.14, 1.4, 1.55, 2.9, 3.0, 99.0]
    found = list(thumbnails(video, wanted, height=24))
    assert [number_of(picture) for _, picture in found] == [0, 1, 2, 3, 4, 5, 6]
    assert [time for time, _ in found] == pytest.approx([0, 0.1, 0.2, 1.5, 1.6, 3.0, 3.1])
    assert found[0][1].shape == (24, 32, 3)


def test_frames_before_the_cut_of_a_trimmed_video_are_no_frames(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", [i / 25 for i in range(25)])
    trimmed = tmp_path / "trimmed.mp4"
    options = {"avoid_negative_ts": "disabled"}  # an edit list hides what is before 0
    with av.open(str(whole)) as read, av.open(str(trimmed), "w", options=options) as written:
        source = read.streams.video[0]
        target = written.add_stream_from_template(source)
        for packet in read.demux(source):
            if packet.dts is not None:
                packet.pts -= round(0.4 / source.time_base)
                packet.dts -= round(0.4 / source.time_base)
                packet.stream = target
                written.mux(packet)
    times = read_frame_times(trimmed)
    assert (len(times), times.starts_s[0], times.end_s) == (15, 0, pytest.approx(0.6))
    found = list(thumbnails(trimmed, [0.0, 0.2, 9.0], height=24))
    assert [number_of(picture) for _, picture in found] == [10, 15, 24]
    one = annotation(video="trimmed.mp4", duration_s=0.6, rate_hz=25, cycles=[], deviations=[])
    one["segments"] = [{"start_s": 0, "end_s": 0.4, "label": "place"}]
    (tmp_path / "set").mkdir()
    trimmed.rename(tmp_path / "set" / "trimmed.mp4")
    write_set(tmp_path / "set", one)
    assert validate_data_set(tmp_path / "set").problems == ()


def test_show_puts_pictures_above_or_says_why_not(tmp_path: Path) -> None:
    write_clip(tmp_path / "one.mp4", TENTHS)
    write_set(tmp_path, annotation(video="one.mp4"), annotation("two"))
    plain, framed = tmp_path / "plain.png", tmp_path / "framed.png"
    run("show", str(tmp_path), "one", "--out", str(plain))
    run("show", str(tmp_path), "one", "--frames", "--out", str(framed))
    with Image.open(plain) as first, Image.open(framed) as second:
        assert second.height > first.height + 100
    faults = [
        (("show", str(tmp_path), "two", "--frames"), "has no video"),
        (("show", str(tmp_path), "../one"), "there are one, two"),
        (("show", str(tmp_path), "one", "--out", str(tmp_path / "x.what")), "x.what"),
        (("show", str(tmp_path), "one", "--out", str(tmp_path / "no" / "x.png")), "x.png"),
    ]
    for arguments, says in faults:
        exception = run(*arguments).exception
        assert isinstance(exception, UserFault), arguments
        assert says in str(exception)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not on this machine")
def test_a_real_set_that_was_imported_has_no_errors(tmp_path: Path) -> None:
    from industryasm.repairs import Repairs
    from industryasm.sets.ikea_asm import import_set

    import_set(SHARED / "ikea_asm", tmp_path, Repairs())
    found = validate_data_set(tmp_path)
    assert found.num_recordings == found.num_features == 79
    assert found.errors == ()
    assert describe(DataSet(tmp_path)).clips == 79


def test_a_step_with_a_wrong_part_is_shown_to_a_recogniser_as_unexpected_work() -> None:
    wrong = {"kind": "wrong_part", "step": "turn", "cycle": 1, "start_s": 2, "end_s": 3}
    kept = {**wrong, "kind": "incomplete", "step": "place", "start_s": 0, "end_s": 2}
    recording = Recording.model_validate(
        annotation(
            segments=[
                {"start_s": 0, "end_s": 2, "label": "place"},
                {"start_s": 2, "end_s": 3, "label": "turn"},
                {"start_s": 4, "end_s": 5, "label": "turn"},
            ],
            deviations=[kept, wrong],
        )
    )
    assert [span.label for span in recording.visible_work()] == ["place", "unexpected", "turn"]
    assert [span.label for span in recording.spans()] == ["place", "turn", "turn"]
