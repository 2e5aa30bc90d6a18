"""Agreement of two annotators: percentages and Cohen's kappa as worked by hand, boundaries."""

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from industryasm.cli import data
from industryasm.inspection.agreement import AgreementError, compare, compare_paths, frame_agreement
from industryasm.recording import (
    AnnotatedSegment,
    DataSetIndex,
    Recording,
    RecordingError,
    write_index,
)

Row = tuple[float, float, str]


def recording(*rows: Row, name: str = "one", duration_s: float = 10.0, **changes: str) -> Recording:
    return Recording(
        id=name,
        task=changes.get("task", "toy"),
        task_revision=1,
        duration_s=duration_s,
        station="s",
        camera="c",
        operator="o",
        annotator=changes.get("annotator", "anna"),
        review="draft",
        cycles=(),
        segments=tuple(AnnotatedSegment(start_s=a, end_s=b, label=label) for a, b, label in rows),
        deviations=(),
    )


@pytest.mark.parametrize(
    ("confusion", "percent", "kappa"),
    [
        # Wikipedia, "Cohen's kappa", grant proposals: p_o 0.7, p_e 0.5
        ({("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}, 70.0, 0.4),
        # ibid., same percentage, different marginals: p_o 0.6 in both, kappa 0.1304 and 0.2593
        ({("y", "y"): 45, ("y", "n"): 15, ("n", "y"): 25, ("n", "n"): 15}, 60.0, 0.1304),
        ({("y", "y"): 25, ("y", "n"): 35, ("n", "y"): 5, ("n", "n"): 35}, 60.0, 0.2593),
        # p_o = 7 / 10, p_e = (4 * 4 + 3 * 3 + 3 * 3) / 100, kappa = 0.36 / 0.66
        (
            {("a", "a"): 3, ("a", "b"): 1, ("b", "b"): 2, ("b", "c"): 1, ("c", "c"): 2}
            | {("c", "a"): 1},
            70.0,
            0.5455,
        ),
        ({("a", "a"): 4, ("b", "b"): 6}, 100.0, 1.0),
        ({("a", "b"): 5, ("b", "a"): 5}, 0.0, -1.0),
        ({("a", "a"): 5, ("a", "b"): 5}, 50.0, 0.0),  # one annotator knows one label only
    ],
)
def test_kappa_is_the_one_worked_by_hand(
    confusion: dict[tuple[str, str], int], percent: float, kappa: float
) -> None:
    found = frame_agreement(confusion)
    assert found.percent == pytest.approx(percent)
    assert found.kappa == pytest.approx(kappa, abs=5e-5)
    assert found.undefined == ""


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=40)
)
def test_kappa_is_that_of_an_independent_formula(pairs: list[tuple[str, str]]) -> None:
    """Chance is how often frame i of A and frame j of B agree, over all i and j."""
    found = frame_agreement(Counter(pairs))
    observed = Fraction(sum(a == b for a, b in pairs), len(pairs))
    chance = Fraction(sum(a == b for a, _ in pairs for _, b in pairs), len(pairs) ** 2)
    if chance == 1:
        assert found.kappa is None
    else:
        assert found.kappa == pytest.approx(float((observed - chance) / (1 - chance)))
    assert found.percent == pytest.approx(float(100 * observed))


@pytest.mark.parametrize(
    ("confusion", "percent", "says"),
    [
        ({}, None, "there is no such frame"),
        ({("a", "a"): 7}, 100.0, "the same label"),
    ],
)
def test_what_is_undefined_says_so(
    confusion: dict[tuple[str, str], int], percent: float | None, says: str
) -> None:
    found = frame_agreement(confusion)
    assert (found.percent, found.kappa) == (percent, None)
    assert says in found.undefined


def test_frames_are_compared_with_and_without_background() -> None:
    # A: place 0-4, background 4-6, pack 6-10; B: place 0-5, pack 5-9, background 9-10
    a = recording((0, 4, "place"), (6, 10, "pack"))
    b = recording((0, 5, "place"), (5, 9, "pack"))
    found = compare([(a, b)], rate_hz=10).pooled
    assert (found.all_frames.num_frames, found.all_frames.percent) == (100, 70.0)
    assert (found.steps_of_either.num_frames, found.steps_of_either.percent) == (100, 70.0)
    assert (found.steps_of_both.num_frames, found.steps_of_both.percent) == (70, 100.0)
    # p_e = (0.4 * 0.5 + 0.4 * 0.4 + 0.2 * 0.1) = 0.38, kappa = 0.32 / 0.62
    assert found.all_frames.kappa == pytest.approx(0.32 / 0.62)
    place, pack = sorted(found.steps, key=lambda step: step.label, reverse=True)
    assert (place.frames_a, place.frames_b, place.frames_both) == (40, 50, 40)
    assert place.percent == pytest.approx(200 * 40 / 90)
    assert (pack.frames_a, pack.frames_b, pack.frames_both) == (40, 40, 30)


def test_two_that_see_nothing_agree_and_the_rest_is_undefined() -> None:
    found = compare([(recording(), recording())]).pooled
    assert found.all_frames.percent == 100.0
    assert found.all_frames.kappa is None
    assert found.steps_of_either.percent is None
    assert (found.boundaries.matched, found.boundaries.median_s) == (0, None)


def test_boundaries_of_equal_transitions_are_matched_and_measured() -> None:
    a = recording((1, 3, "place"), (3, 5, "turn"), (7, 9, "pack"))
    b = recording((1.2, 3.1, "place"), (3.1, 5, "turn"), (5, 9.4, "pack"))
    found = compare([(a, b)]).pooled.boundaries
    # into place 0.2, place to turn 0.1, out of pack 0.4; A turns to background and from it to
    # pack, B turns to pack at once
    assert (found.matched, found.unmatched_a, found.unmatched_b) == (3, 2, 1)
    assert found.median_s == pytest.approx(0.2)
    assert found.p95_s == pytest.approx(0.2 + 0.9 * 0.2)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # a gap shorter than a frame is none
        ([(0, 3, "p"), (3.01, 10, "q")], [(0, 3, "p"), (3, 10, "q")], (1, 0, 0)),
        # two A, one B: the nearer one matches
        ([(1, 2, "p"), (4, 5, "p")], [(4.1, 5.1, "p")], (2, 2, 0)),
        # too far apart to be the same moment
        ([(1, 2, "p")], [(7, 8, "p")], (0, 2, 2)),
        # a step that is there from the beginning to the end has no boundary
        ([(0, 10, "p")], [(0, 10, "p")], (0, 0, 0)),
    ],
)
def test_boundaries_that_have_no_equal_one_are_counted(
    a: list[Row], b: list[Row], expected: tuple[int, int, int]
) -> None:
    found = compare([(recording(*a), recording(*b))]).pooled.boundaries
    assert (found.matched, found.unmatched_a, found.unmatched_b) == expected


def test_segments_that_only_one_has_are_told() -> None:
    a = recording((0, 2, "place"), (2, 4, "turn"), (8, 9, "place"))
    b = recording((1, 2, "place"), (2, 4, "pack"))
    found = compare([(a, b)]).pooled.lone_segments
    assert [(s.annotation, s.label, s.start_s) for s in found] == [
        ("a", "turn", 2),
        ("a", "place", 8),
        ("b", "pack", 2),
    ]


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from("pqr"), st.booleans()), max_size=12),
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from("pqr"), st.booleans()), max_size=12),
)
def test_agreement_is_the_same_from_both_sides_and_whole_with_oneself(
    first: list[tuple[int, str, bool]], second: list[tuple[int, str, bool]]
) -> None:
    def laid_out(rows: list[tuple[int, str, bool]]) -> Recording:
        segments, end = [], 0
        for length, label, is_step in rows:
            if is_step:
                segments.append((end / 10, (end + length) / 10, label))
            end += length
        return recording(*segments, duration_s=40.0)

    a, b = laid_out(first), laid_out(second)
    there, back = (compare([pair]).pooled for pair in ((a, b), (b, a)))
    assert there.all_frames == back.all_frames
    assert there.steps_of_either == back.steps_of_either
    assert there.boundaries.matched == back.boundaries.matched
    assert there.boundaries.unmatched_a == back.boundaries.unmatched_b
    alone = compare([(a, a)]).pooled
    assert alone.all_frames.percent == 100
    assert (alone.boundaries.unmatched_a, alone.boundaries.unmatched_b) == (0, 0)
    assert alone.lone_segments == ()


def test_recordings_are_pooled_by_frame_and_labels_told_apart_by_task() -> None:
    right = recording((0, 10, "place"))
    wrong = recording((0, 30, "place"), name="two", duration_s=30, task="other")
    other = recording((0, 30, "pack"), name="two", duration_s=30, task="other")
    found = compare([(right, right), (wrong, other)])
    assert [row.agreement.all_frames.percent for row in found.recordings] == [100, 0]
    assert found.pooled.all_frames.percent == 25
    assert [(s.task, s.label) for s in found.pooled.steps] == [
        ("other", "pack"),
        ("other", "place"),
        ("toy", "place"),
    ]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (recording(task="car"), "one is of task 'toy', the other of 'car'"),
        (recording(duration_s=12), "one is 10.0 s long, the other 12.0 s"),
    ],
)
def test_annotations_of_different_recordings_are_refused(other: Recording, says: str) -> None:
    with pytest.raises(AgreementError, match=says):
        compare([(recording(), other)])


def test_a_recording_without_end_is_refused() -> None:
    endless = recording(duration_s=1e7)
    with pytest.raises(AgreementError, match="too many frames"):
        compare([(endless, endless)])


def write_set(folder: Path, *recordings: Recording) -> None:
    for one in recordings:
        one.write(folder)
    write_index(
        folder, DataSetIndex(name="toys", splits={"train": tuple(r.id for r in recordings)})
    )


def test_two_data_sets_are_compared_where_both_have_a_recording(tmp_path: Path) -> None:
    a = recording((0, 4, "place"), (6, 10, "pack"))
    b = recording((0, 5, "place"), (5, 9, "pack"), annotator="ben")
    write_set(tmp_path / "a", a, recording(name="left"))
    write_set(tmp_path / "b", b, recording(name="right"))
    found = compare_paths(tmp_path / "a", tmp_path / "b")
    assert [(r.recording, r.annotator_a, r.annotator_b) for r in found.recordings] == [
        ("one", "anna", "ben")
    ]
    assert (found.only_a, found.only_b) == (("left",), ("right",))
    files = (tmp_path / "a/recordings/one.json", tmp_path / "b/recordings/one.json")
    assert compare_paths(*files).pooled == found.pooled
    printed = CliRunner().invoke(data, ["agree", str(tmp_path / "a"), str(tmp_path / "b")]).output
    for words in ("70.0 %", "0.516", "92 %", "only in A: left", "anna", "ben"):
        assert words in printed
    told = CliRunner().invoke(data, ["agree", *map(str, files), "--rate", "10", "--json"]).output
    assert json.loads(told)["pooled"]["all_frames"]["num_frames"] == 100


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    write_set(tmp_path / "a", recording(name="left"))
    write_set(tmp_path / "b", recording(name="right"))
    with pytest.raises(AgreementError, match="no recording of one"):
        compare_paths(tmp_path / "a", tmp_path / "b")
    with pytest.raises(AgreementError, match="two data sets or two"):
        compare_paths(tmp_path / "a", tmp_path / "b" / "recordings" / "right.json")
    with pytest.raises(AgreementError, match="no such file"):
        compare_paths(tmp_path / "a", tmp_path / "c")
    with pytest.raises(RecordingError, match=r"dataset\.json"):
        compare_paths(tmp_path, tmp_path)
