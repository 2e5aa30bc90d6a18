"""Splits: nobody is in two, every recording in one, the same seed gives the same."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from industryasm.cli import data
from industryasm.inspection.splitting import SplitError, Trait, split_recordings, write_splits
from industryasm.recording import DataSet, DataSetIndex, Recording, SplitName, write_index

SHARES: dict[SplitName, float] = {"train": 0.7, "validation": 0.15, "test": 0.15}
BOTH: tuple[Trait, ...] = ("operator", "station")


def recording(
    number: int, operator: str, station: str, *, duration_s: float = 60.0, task: str = "toy"
) -> Recording:
    return Recording(
        id=f"r{number}",
        task=task,
        task_revision=1,
        duration_s=duration_s,
        station=station,
        camera="c",
        operator=operator,
        annotator="a",
        review="draft",
        cycles=(),
        segments=(),
        deviations=(),
    )


people = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.floats(1, 600), st.sampled_from("ab")),
    min_size=3,
    max_size=40,
)


@given(people, st.integers(0, 5), st.sampled_from([BOTH, ("operator",), ("station",)]))
def test_nobody_is_ever_in_two_splits_and_every_recording_is_in_one(
    rows: list[tuple[int, int, float, str]], seed: int, by: tuple[Trait, ...]
) -> None:
    recordings = [
        recording(i, f"o{operator}", f"s{station}", duration_s=duration, task=task)
        for i, (operator, station, duration, task) in enumerate(rows)
    ]
    try:
        splits = split_recordings(recordings, by=by, shares=SHARES, seed=seed)
    except SplitError as error:
        assert "too few for 3 splits" in str(error)  # noqa: PT017
        return
    of = {name: split.name for split in splits for name in split.recordings}
    assert sorted(name for split in splits for name in split.recordings) == sorted(
        r.id for r in recordings
    )
    assert all(split.recordings for split in splits)
    for trait in by:
        homes = {(getattr(r, trait), of[r.id]) for r in recordings}
        assert max(Counter(value for value, _ in homes).values()) == 1
    assert sum(split.share for split in splits) == pytest.approx(1)
    assert splits == split_recordings(recordings, by=by, shares=SHARES, seed=seed)


def test_shares_come_near_in_time_and_in_each_task() -> None:
    recordings = [
        recording(i, f"o{i}", f"s{i}", duration_s=30 + i % 7 * 20, task="ab"[i % 4 == 0])
        for i in range(100)
    ]
    splits = split_recordings(recordings, by=BOTH, shares=SHARES, seed=0)
    assert [split.share for split in splits] == pytest.approx([0.7, 0.15, 0.15], abs=0.01)
    by_id = {r.id: r for r in recordings}
    for task in "ab":
        total = sum(r.duration_s for r in recordings if r.task == task)
        shares = [
            sum(by_id[name].duration_s for name in split.recordings if by_id[name].task == task)
            / total
            for split in splits
        ]
        assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.04)


def test_another_seed_deals_otherwise() -> None:
    recordings = [recording(i, f"o{i}", f"s{i}") for i in range(30)]
    first, second = (
        split_recordings(recordings, by=BOTH, shares=SHARES, seed=seed) for seed in (1, 2)
    )
    assert first != second


def test_recordings_tied_over_others_stay_together() -> None:
    rows = [("a", "x"), ("a", "y"), ("b", "y"), ("c", "z"), ("d", "w")]
    recordings = [recording(i, operator, station) for i, (operator, station) in enumerate(rows)]
    splits = split_recordings(recordings, by=BOTH, shares=SHARES, seed=0)
    assert sorted(split.recordings for split in splits) == [("r0", "r1", "r2"), ("r3",), ("r4",)]
    assert splits[0].recordings == ("r0", "r1", "r2"), "the largest group is for training"


@pytest.mark.parametrize(
    ("rows", "by", "says"),
    [
        ([], BOTH, "0 recordings make 0 group"),
        ([("a", "x"), ("b", "y")], BOTH, "record more"),
        (
            [("a", "hall"), ("b", "hall"), ("c", "hall")],
            BOTH,
            "station 'hall' ties 3 recordings together; split by operator alone",
        ),
        ([("a", "x"), ("a", "y"), ("a", "z")], ("operator",), "operator 'a' ties 3"),
        # `b` alone bridges two stations: without it there would be two groups
        (
            [("a", "x"), ("c", "x"), ("b", "x"), ("b", "y"), ("d", "y"), ("e", "y")],
            BOTH,
            "operator 'b' ties 2|station '[xy]' ties 3",
        ),
    ],
)
def test_too_few_groups_are_refused_and_what_ties_them_is_named(
    rows: list[tuple[str, str]], by: tuple[Trait, ...], says: str
) -> None:
    recordings = [recording(i, operator, station) for i, (operator, station) in enumerate(rows)]
    with pytest.raises(SplitError, match=says):
        split_recordings(recordings, by=by, shares=SHARES, seed=0)


@pytest.mark.parametrize(
    ("shares", "says"),
    [
        ({"train": 0.7, "validation": 0.15, "test": 0.2}, "their sum is 1.05"),
        ({"train": 1.5, "test": -0.5}, "each must be from 0 to 1"),
        ({"train": float("nan"), "test": 0.5}, "each must be from 0 to 1"),
    ],
)
def test_shares_that_are_none_are_refused(shares: dict[SplitName, float], says: str) -> None:
    recordings = [recording(i, f"o{i}", f"s{i}") for i in range(9)]
    with pytest.raises(SplitError, match=says):
        split_recordings(recordings, by=BOTH, shares=shares, seed=0)


def test_a_split_without_a_share_is_left_out() -> None:
    recordings = [recording(i, f"o{i}", f"s{i}") for i in range(9)]
    shares: dict[SplitName, float] = {"train": 0.8, "validation": 0.0, "test": 0.2}
    splits = split_recordings(recordings, by=BOTH, shares=shares, seed=0)
    assert [split.name for split in splits] == ["train", "test"]


def make_set(folder: Path) -> None:
    recordings = [recording(i, f"o{i}", f"s{i}") for i in range(10)]
    for one in recordings:
        one.write(folder)
    ids = tuple(one.id for one in recordings)
    write_index(folder, DataSetIndex(name="toys", splits={"train": ids}))


def test_the_index_is_replaced_only_when_it_is_asked_for(tmp_path: Path) -> None:
    make_set(tmp_path)
    before = (tmp_path / "dataset.json").read_bytes()
    command = ["split", str(tmp_path), "--by", "operator", "--by", "station"]
    shown = CliRunner().invoke(data, [*command, "--json"])
    assert (tmp_path / "dataset.json").read_bytes() == before
    by_default = CliRunner().invoke(data, ["split", str(tmp_path), "--json"])
    assert json.loads(by_default.output)["splits"] == json.loads(shown.output)["splits"]
    assert "not written" in CliRunner().invoke(data, command).output
    CliRunner().invoke(data, [*command, "--write"])
    index = DataSet(tmp_path).index
    assert index.name == "toys"
    told = {part["name"]: tuple(part["recordings"]) for part in json.loads(shown.output)["splits"]}
    assert index.splits == told
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset.json", "recordings"]


def test_an_index_that_cannot_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    make_set(tmp_path)
    before = DataSet(tmp_path)
    splits = split_recordings(list(before.recordings()), by=BOTH, shares=SHARES, seed=0)
    (tmp_path / "dataset.json").unlink()
    (tmp_path / "dataset.json").mkdir()
    (tmp_path / "dataset.json" / "x").touch()
    with pytest.raises(SplitError, match="cannot be written"):
        write_splits(before, splits)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset.json", "recordings"]
