"""Rendered recordings: the same seed gives the same file, and the truth is that of the frames."""

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import pytest

from industryasm.fault import UserFault
from industryasm.recording import (
    DataSet,
    DataSetIndex,
    Recording,
    RecordingError,
    read_recording,
    write_index,
)
from industryasm.stations.rendering import RATE_HZ, named_looks, render_data_set, render_recording
from industryasm.stations.script import PLANTABLE
from industryasm.vocabulary import load_task


def render(folder: Path, planted: list, seed: int = 3) -> Recording:
    return render_recording(
        load_task("relay-module"),
        folder,
        recording_id="one",
        **named_looks("o", "s", seed),
        planted=planted,
        seed=seed,
    )


def video_hash(folder: Path) -> str:
    return hashlib.sha256((folder / "videos" / "one.mp4").read_bytes()).hexdigest()


def test_a_seed_gives_the_same_video_and_truth_bit_for_bit(tmp_path: Path) -> None:
    first, second = (render(tmp_path / name, ["missed"]) for name in "ab")
    other = render(tmp_path / "c", ["missed"], seed=4)
    assert first == second
    assert video_hash(tmp_path / "a") == video_hash(tmp_path / "b")
    assert video_hash(tmp_path / "c") != video_hash(tmp_path / "a")
    assert other.segments != first.segments


def test_times_in_the_video_are_those_of_the_truth(tmp_path: Path) -> None:
    recording = render(tmp_path, [None])
    with av.open(str(tmp_path / recording.video)) as container:
        times = [float(f.pts * f.time_base) for f in container.decode(video=0)]
    assert len(times) == round(recording.duration_s * RATE_HZ)
    assert times[0] == 0
    assert all(abs(b - a - 1 / RATE_HZ) < 1e-6 for a, b in pairwise(times))
    on_grid = [s.start_s * RATE_HZ for s in recording.segments]
    assert on_grid == pytest.approx([round(v) for v in on_grid])


def test_each_kind_of_departure_is_in_the_cycle_it_was_planted_in(tmp_path: Path) -> None:
    kinds = list(PLANTABLE)
    recording = render(tmp_path, [None, *kinds])
    assert [(d.kind, d.cycle) for d in sorted(recording.deviations, key=lambda d: d.cycle)] == [
        (kind, number) for number, kind in enumerate(kinds, start=2)
    ]
    procedure = load_task("relay-module").procedure()
    for deviation in recording.deviations:
        cycle = recording.cycles[deviation.cycle - 1]
        inside = [s for s in recording.segments if cycle.start_s <= s.start_s < cycle.end_s]
        labels = [s.label for s in inside]
        match deviation.kind:
            case "missed":
                assert deviation.step not in labels
            case "out_of_order":
                assert procedure.missing_before(
                    deviation.step, labels[: labels.index(deviation.step)]
                )
            case "repeated":
                assert labels.count(deviation.step) == 2
            case "too_long":
                assert deviation.end_s - deviation.start_s > procedure.step(deviation.step).limit_s
            case "unexpected":
                assert "unexpected" in labels
            case "wrong_part":
                parts = {part.id for part in load_task("relay-module").parts}
                assert deviation.note.removeprefix("took ") in parts
            case "incomplete":
                assert labels.count(deviation.step) == 1
            case "rework":
                begun = next(i for i, s in enumerate(inside) if s.start_s == deviation.start_s)
                assert labels[begun - 1 : begun + 2] == [
                    deviation.step,
                    "unexpected",
                    deviation.step,
                ]
                assert inside[begun + 1].end_s == deviation.end_s
            case _:
                pytest.fail(f"nothing is asserted of {deviation.kind}")


def test_operators_and_cameras_of_one_split_are_in_no_other(tmp_path: Path) -> None:
    rendered = list(
        render_data_set(load_task("gear-reducer"), tmp_path, num_recordings=4, cycles=1, seed=1)
    )
    data = DataSet(tmp_path)
    assert len(rendered) == 4
    looks = {
        split: {name for r in data.split(split) for name in (r.operator, r.station)}
        for split in data.index.splits
    }
    assert len(looks["train"]) == 6
    assert not looks["train"] & looks["validation"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('"start_s":', '"start":'), "start"),
        (('"duration_s": ', '"duration_s": -'), "greater than 0"),
        (("videos/one.mp4", "../../etc/passwd"), "inside the data set"),
        (('"version": 1', '"version": 9'), "version"),
    ],
)
def test_a_wrong_annotation_is_refused_with_its_place(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    render(tmp_path, [None])
    path = tmp_path / "recordings" / "one.json"
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(change[0], change[1], 1))
    with pytest.raises(RecordingError, match=says):
        read_recording(path)


def test_a_rendering_that_was_stopped_goes_on_and_a_finished_one_is_done_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = load_task("relay-module")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"

    def rendered(folder: Path, *, cycles: int = 1) -> Iterator[Recording]:
        return render_data_set(task, folder, num_recordings=2, cycles=cycles, seed=3)

    names = [recording.id for recording in rendered(whole)]
    next(rendered(stopped))
    done = stopped / "videos" / f"{names[0]}.mp4"
    (stopped / "videos" / f"{names[1]}.part.mp4").write_bytes(b"half a picture")
    written_ns = done.stat().st_mtime_ns
    list(rendered(stopped))
    assert done.stat().st_mtime_ns == written_ns
    files = {path.relative_to(whole): path.read_bytes() for path in sorted(whole.rglob("*.*"))}
    again = {path.relative_to(stopped): path.read_bytes() for path in sorted(stopped.rglob("*.*"))}
    assert again == files
    next(rendered(stopped))
    assert done.stat().st_mtime_ns > written_ns, "it has its index, and is done anew"
    assert not (stopped / "dataset.json").exists(), "until it is whole again"
    assert [path.stem for path in (stopped / "recordings").iterdir()] == [names[0]]
    other = next(rendered(stopped, cycles=2))
    assert len(other.cycles) == 2, "what lies there is of other work"

    kept = done.read_bytes()

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("industryasm.stations.rendering.Drawing.draw", fails)
    with pytest.raises(KeyboardInterrupt):
        next(rendered(stopped))
    assert done.read_bytes() == kept, "a video is there whole or not at all"
    assert not list(stopped.rglob("*.part.*"))


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("somebody's work", {"train": ("a", "b")}),
        ("rendered relay-module, seed 4", {"train": ("relay-module-4-0000",)}),
        ("rendered relay-module, seed 3", {"test": ("relay-module-3-0000",)}),  # was split anew
    ],
)
def test_the_index_of_another_data_set_is_left_alone(
    tmp_path: Path, name: str, splits: dict
) -> None:
    write_index(tmp_path, DataSetIndex(name=name, splits=splits))
    kept = (tmp_path / "dataset.json").read_bytes()
    with pytest.raises(UserFault, match=f"holds the data set .{name}.*name another folder"):
        next(
            render_data_set(load_task("relay-module"), tmp_path, num_recordings=1, cycles=1, seed=3)
        )
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]
    assert (tmp_path / "dataset.json").read_bytes() == kept


def test_a_video_that_is_made_anew_has_no_annotation_until_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(tmp_path, [None])

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("industryasm.recording.Recording.write", fails)
    with pytest.raises(KeyboardInterrupt):
        render(tmp_path, ["missed"])
    assert (tmp_path / "videos" / "one.mp4").is_file()
    assert list((tmp_path / "recordings").iterdir()) == []


def test_an_annotation_and_an_index_are_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = render(tmp_path, [None])
    path = tmp_path / "recordings" / "one.json"
    kept = path.read_bytes()

    def fails_half_way(self: Path, text: str, **_: object) -> None:
        self.write_bytes(text[:9].encode())
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", fails_half_way)
    with pytest.raises(KeyboardInterrupt):
        recording.write(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        write_index(tmp_path, DataSetIndex(name="one", splits={"train": ("one",)}))
    assert path.read_bytes() == kept
    assert not (tmp_path / "dataset.json").exists()
