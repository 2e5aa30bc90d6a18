"""Files that the annotation tools' own code wrote are imported, exported and imported again.

`make test-tools` lets that code write them anew and read our exports (scripts/annotation-tools).
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pympi import Eaf
from typer.testing import CliRunner

from industryasm.cli import data
from industryasm.formats.elan import read_elan, write_elan
from industryasm.formats.foreign import ForeignLayer, ForeignRecording, ForeignRow
from industryasm.recording import DataSet, Recording
from industryasm.repairs import Repairs
from tests.clip import write_clip

FILES = Path(__file__).parent / "annotations" / "tools"
STORY = [("place-base", 10, 34), ("insert-gear", 34, 53), ("place-base", 60, 82)]


@dataclass(frozen=True)
class Written:
    """A file that a tool wrote: its format, whether it names its video, what is repaired in it."""

    file: str
    kind: str
    names_video: bool = True
    repairs: tuple[str, ...] = ()


WRITTEN = [
    Written("elan-pympi.eaf", "elan"),
    Written(
        "boris-8.boris",
        "boris",
        repairs=("1 x frame rate left out: it is the video's length in seconds",),
    ),
    Written("boris-10.boris", "boris"),
    Written("label-studio.json", "label-studio"),
    Written("cvat-datumaro-tracks.xml", "cvat", names_video=False),
    Written("cvat-datumaro-tags.xml", "cvat", names_video=False),
]
EACH = pytest.mark.parametrize("written", WRITTEN, ids=lambda written: written.file)


def run(*arguments: object) -> str:
    """Run `linewatch data ...`."""
    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(data, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def story(recording: Recording) -> list[tuple[str, int, int]]:
    """The segments in frames at 25 Hz; fails where one is not on a frame."""
    frames = [(s.label, s.start_s * 25, s.end_s * 25) for s in recording.segments]
    for _, start, end in frames:
        assert [start, end] == pytest.approx([round(start), round(end)], abs=1e-6)
    return [(label, round(start), round(end)) for label, start, end in frames]


def only(folder: Path) -> Recording:
    (recording,) = DataSet(folder).recordings()
    return recording


def test_every_kept_file_is_tried() -> None:
    assert {written.file for written in WRITTEN} == {path.name for path in FILES.iterdir()}


@EACH
def test_a_tools_own_file_comes_in_goes_out_and_comes_in_the_same(
    tmp_path: Path, written: Written
) -> None:
    rate = ("--fps", 25) if written.kind in ("label-studio", "cvat") else ()
    first, out, again = tmp_path / "first", tmp_path / "out", tmp_path / "again"
    said = run("import", written.kind, FILES / written.file, first, "--new-task", "toy", *rate)
    assert "imported 1 recordings, 3 segments of task toy" in said
    repaired = [line for line in said.splitlines() if line.startswith("repaired: ")]
    assert len(repaired) == len(written.repairs)
    for line, repair in zip(repaired, written.repairs, strict=True):
        assert repair in line
    assert story(only(first)) == STORY
    run("export", written.kind, first, out, "--fps", 25)
    task = first / "tasks" / "toy.yaml"
    run("import", written.kind, out, again, "--task", task, *rate)
    assert story(only(again)) == STORY


@EACH
def test_a_tools_own_file_finds_its_video(tmp_path: Path, written: Written) -> None:
    name = "bench" if written.names_video else Path(written.file).stem
    (tmp_path / "videos").mkdir()
    write_clip(tmp_path / "videos" / f"{name}.mp4", [index / 25 for index in range(100)])
    first, out, again = tmp_path / "first", tmp_path / "out", tmp_path / "again"
    videos = ("--videos", tmp_path / "videos")
    run("import", written.kind, FILES / written.file, first, "--new-task", "toy", *videos)
    assert (story(only(first)), only(first).duration_s, only(first).rate_hz) == (STORY, 4, 25)
    run("export", written.kind, first, out)
    task = first / "tasks" / "toy.yaml"
    more = () if written.names_video else ("--fps", 25)
    videos = ("--videos", first / "videos")
    run("import", written.kind, out, again, "--task", task, *videos, *more)
    assert story(only(again)) == STORY


def test_boris_8_and_its_wrong_frame_rate_leave_the_recording_without_one(tmp_path: Path) -> None:
    for name, rate_hz in (("boris-8", None), ("boris-10", 25)):
        run("import", "boris", FILES / f"{name}.boris", tmp_path / name, "--new-task", "toy")
        recording = only(tmp_path / name)
        assert (recording.id, recording.duration_s, recording.rate_hz) == ("bench", 4, rate_hz)


Span = tuple[int, int, str]


@st.composite
def tiers(draw: st.DrawFn) -> dict[str, list[Span]]:
    """One or two tiers of annotations in milliseconds that do not overlap."""
    found: dict[str, list[Span]] = {}
    for name in draw(st.sampled_from([["steps"], ["steps", "left hand & <right>"]])):
        bounds = sorted(draw(st.sets(st.integers(0, 100_000), min_size=2, max_size=12)))
        words = st.sampled_from(["place base", "Schräge öffnen", '拧 <M4> & "fest"', None])
        drawn = [(start, end, draw(words)) for start, end in pairwise(bounds)]
        found[name] = [(start, end, word) for start, end, word in drawn if word] or [
            (bounds[0], bounds[1], "place base")
        ]
    return found


def in_ms(recording: ForeignRecording) -> dict[str, list[Span]]:
    return {
        layer.name: [(round(r.start * 1000), round(r.end * 1000), r.label) for r in layer.rows]
        for layer in recording.layers
    }


@settings(max_examples=60, deadline=None)
@given(tiers())
def test_pympi_reads_what_is_written_and_what_it_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, list[Span]]
) -> None:
    folder = tmp_path_factory.mktemp("elan")
    layers = tuple(
        ForeignLayer(name, tuple(ForeignRow(s / 1000, e / 1000, word) for s, e, word in rows))
        for name, rows in wanted.items()
    )
    write_elan([ForeignRecording("take", "seconds", layers, "take.mp4")], folder, Repairs())
    theirs = Eaf(str(folder / "take.eaf"))
    found = {name: sorted(theirs.get_annotation_data_for_tier(name)) for name in wanted}
    assert found == wanted
    assert list(theirs.get_tier_names()) == list(wanted)
    assert [media["RELATIVE_MEDIA_URL"] for media in theirs.get_linked_files()] == ["./take.mp4"]
    theirs.to_file(str(folder / "again.eaf"))
    fresh = Eaf()
    fresh.remove_tier("default")
    for name, rows in wanted.items():
        fresh.add_tier(name)
        for start, end, word in rows:
            fresh.add_annotation(name, start, end, word)
    fresh.to_file(str(folder / "fresh.eaf"))
    for written in ("again", "fresh"):
        (ours,) = read_elan(folder / f"{written}.eaf", Repairs())
        assert {name: sorted(rows) for name, rows in in_ms(ours).items()} == wanted
