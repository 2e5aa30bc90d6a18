"""The fixed benchmark: its plan keeps people and stations apart; its bits are the same twice."""

from collections import defaultdict
from pathlib import Path

from industryasm.recording import DataSet
from industryasm.stations.rendered_47 import SPLITS, digest, known_digest, plan, render_benchmark
from industryasm.vocabulary import task_ids

SHORT = "relay-module"


def test_every_task_has_its_recordings_in_every_split() -> None:
    planned = plan()
    assert len(planned) == len(task_ids()) * len(SPLITS)
    assert len({one.recording_id for one in planned}) == len(planned)
    per_task = defaultdict(list)
    for one in planned:
        per_task[one.task].append(one.split)
    assert set(map(tuple, per_task.values())) == {SPLITS}


def test_no_operator_and_no_station_is_in_two_splits() -> None:
    seen = defaultdict(set)
    for one in plan():
        seen[one.operator].add(one.split)
        seen[one.station].add(one.split)
    assert {len(splits) for splits in seen.values()} == {1}


def test_the_plan_of_one_task_is_that_of_the_whole() -> None:
    assert plan([SHORT]) == [one for one in plan() if one.task == SHORT]


def test_the_benchmark_is_the_same_twice_whatever_the_number_of_processes(tmp_path: Path) -> None:
    for name, workers in (("a", 1), ("b", 2)):
        list(render_benchmark(tmp_path / name, tasks=[SHORT], workers=workers))
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    recordings = list(DataSet(tmp_path / "a").recordings())
    assert [r.id for r in recordings] == [one.recording_id for one in plan([SHORT])]
    (tmp_path / "a" / "videos" / f"{SHORT}-0.mp4").write_bytes(b"other")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")


def test_the_published_digest_is_a_sha256() -> None:
    assert len(bytes.fromhex(known_digest())) == 32
