"""Published segments that overlap are brought into one layer, and none is lost without need."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from industryasm.formats.foreign import ForeignRow
from industryasm.formats.timeline import without_overlaps
from industryasm.repairs import Repairs
from industryasm.sets.layer import PublishedSegment, cut_overlaps

CUT = "step cut where the next one begins"
BEGINNING = "step that begins with a shorter one: its beginning cut"
SAME = "step with another one's span: no segment of its own"

Spans = dict[str, tuple[float, float]]


def cut(spans: Spans) -> tuple[Spans, dict[str, int]]:
    repairs = Repairs()
    found = cut_overlaps(
        [PublishedSegment(*span, name, name) for name, span in spans.items()], repairs
    )
    return {one.label: (one.start_s, one.end_s) for one in found}, repairs.counts


@pytest.mark.parametrize(
    ("spans", "wanted", "counts"),
    [
        ({}, {}, {}),
        ({"a": (0, 2), "b": (2, 3)}, {"a": (0, 2), "b": (2, 3)}, {}),
        ({"a": (0, 2), "b": (1, 3)}, {"a": (0, 1), "b": (1, 3)}, {CUT: 1}),
        ({"a": (0, 9), "b": (1, 3)}, {"a": (0, 1), "b": (1, 3)}, {CUT: 1}),
        ({"a": (0, 2), "b": (0, 9)}, {"a": (0, 2), "b": (2, 9)}, {BEGINNING: 1}),
        ({"a": (0, 2), "b": (0, 2)}, {"a": (0, 2)}, {SAME: 1}),
        (  # one in the beginning of the longer one
            {"a": (0, 2), "b": (0, 10), "c": (1, 3)},
            {"a": (0, 1), "c": (1, 2), "b": (2, 10)},
            {BEGINNING: 1, CUT: 2},
        ),
        (  # and one that ends behind it
            {"a": (0, 2), "b": (0, 10), "c": (1, 12)},
            {"a": (0, 1), "c": (1, 2), "b": (2, 10)},
            {BEGINNING: 1, CUT: 2},
        ),
        (
            {"a": (0, 1), "b": (0, 2), "c": (0, 9)},
            {"a": (0, 1), "b": (1, 2), "c": (2, 9)},
            {BEGINNING: 3},
        ),
        (  # what is left of the longer one has the span of another, which is not lost for it
            {"a": (0, 1), "b": (0, 2), "c": (1, 2)},
            {"a": (0, 1), "c": (1, 2)},
            {BEGINNING: 1, SAME: 1},
        ),
    ],
)
def test_each_is_cut_where_the_next_one_begins(
    spans: Spans, wanted: Spans, counts: dict[str, int]
) -> None:
    assert cut(spans) == (wanted, counts)
    assert cut(dict(reversed(spans.items()))) == (wanted, counts)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), max_size=6))
def test_each_keeps_to_its_span_and_only_one_with_the_span_of_another_is_lost(
    rows: list[tuple[int, int]],
) -> None:
    spans = {str(number): (start, start + length) for number, (start, length) in enumerate(rows)}
    found, counts = cut(spans)
    assert len(found) == len(spans) - counts.get(SAME, 0)
    assert all(
        spans[name][0] <= start < end <= spans[name][1] for name, (start, end) in found.items()
    )
    ordered = sorted(found.values())
    assert all(before[1] <= after[0] for before, after in pairwise(ordered))
    assert cut(dict(reversed(spans.items())))[1] == counts


def test_a_segment_of_which_nothing_is_left_is_not_counted_as_cut() -> None:
    rows = [ForeignRow(0, 2, "a", "1"), ForeignRow(0, 5, "b", "2"), ForeignRow(4, 6, "c", "3")]
    repairs = Repairs()
    kept = without_overlaps(rows, cut=True, repairs=repairs, remedy="")
    assert [(row.label, row.start, row.end) for row in kept] == [("b", 0, 4), ("c", 4, 6)]
    assert repairs.counts == {
        "overlap of two that begin together: the shorter one left out": 1,
        "overlap: the earlier segment cut": 1,
    }
