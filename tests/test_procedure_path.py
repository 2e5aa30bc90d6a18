"""A path that knows the order: the best of all where none is cut off, and evidence has the word."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from industryasm.procedure import Procedure, ProcedureStep
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, UNEXPECTED
from models.decoder import DecoderConfig, StreamDecoder
from models.procedure_path import ProcedureCosts, ProcedurePath
from models.viterbi import OnlineViterbi

PERIOD_S = 0.2
CHAIN = Procedure(
    (
        ProcedureStep("place", expected_s=2.0),
        ProcedureStep("press", frozenset({"place"}), expected_s=2.0),
        ProcedureStep("screw", frozenset({"press"}), expected_s=2.0),
    )
)
LABELS = (BACKGROUND, UNEXPECTED, "place", "press", "screw")
ALL = 10_000  # no path is cut off


def evidence_of(text: str, certainty: float = 0.9) -> np.ndarray:
    """Frames of `.` background, `u` unexpected, `p` place, `r` press, `s` screw."""
    rows = np.full((len(text), len(LABELS)), (1 - certainty) / (len(LABELS) - 1))
    rows[np.arange(len(text)), [".uprs".index(letter) for letter in text]] = certainty
    return rows


def unclear(likelier: str, other: str) -> np.ndarray:
    """Ten frames that may be either step."""
    rows = np.full((10, len(LABELS)), 0.04)
    rows[:, LABELS.index(likelier)] = 0.46
    rows[:, LABELS.index(other)] = 0.42
    return rows


def decode(rows: np.ndarray, *, done: tuple[str, ...] = ()) -> list[str]:
    config = DecoderConfig(temper=0.2, period_s=PERIOD_S, min_dwell_s=0.6, max_lag_s=6.0)
    decoder = StreamDecoder(LABELS, config=config, procedure=CHAIN)
    decoder.resume(done)
    segments = decoder.push(rows, PERIOD_S * np.arange(len(rows))) + decoder.close()
    return [segment.label for segment in segments]


def price(
    path: tuple[int, ...], costs: ProcedureCosts, recall: dict[str, float] | None = None
) -> float:
    """What a whole path pays without haste, told another way than the decoder does it.

    A step may belong to the unit or begin the next one, whichever is less: all ways are tried.
    """
    unseen = {step: -np.log(1 - share) for step, share in (recall or {}).items()}
    cheap = {step for step, cost in unseen.items() if cost < costs.skip}
    before = {"place": set(), "press": {"place"}, "screw": {"place", "press"}}
    after = {"place": {"press", "screw"}, "press": {"screw"}, "screw": set()}

    def skipped(steps: set[str] | frozenset[str]) -> float:
        return sum(unseen[step] if step in cheap else costs.skip for step in steps)

    def rest(
        place: int, label: int, done: frozenset[str], newest: str, passed: frozenset[str]
    ) -> float:
        if place == len(path):
            return 0.0
        if path[place] == label:
            return rest(place + 1, label, done, newest, passed)
        name = LABELS[path[place]]
        if name in (BACKGROUND, UNEXPECTED):
            paid = costs.switch + (costs.insert if name == UNEXPECTED else 0)
            return paid + rest(place + 1, path[place], done, newest, passed)
        overtaken = bool(after[name] & done)
        if name not in done:
            here = skipped(before[name] - done - passed) + costs.late * overtaken
        else:
            here = 0.0 if name == newest else costs.repeat + costs.undo * overtaken
        there = costs.next_unit + skipped(before[name])
        there += min(skipped(before.keys() - done - passed), costs.abandon)
        paid = costs.switch + here
        if done and there < here:
            paid, done, passed = costs.switch + there, frozenset(), frozenset()
        passed = (passed | before[name] & cheap - done) - {name}
        return paid + rest(place + 1, path[place], done | {name}, name, passed)

    return rest(0, 0, frozenset(), "", frozenset())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_it_finds_the_best_of_all_paths(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.normal(0, 2.5, (5, len(LABELS)))
    names = ("switch", "skip", "late", "repeat", "undo", "insert", "next_unit", "abandon")
    prices = dict(zip(names, random.uniform(0, 3, len(names)).tolist(), strict=True))
    costs = ProcedureCosts(**prices, haste=0.0)
    path = ProcedurePath(LABELS, CHAIN, period_s=PERIOD_S, costs=costs, width=ALL, certain=np.inf)
    decided = [index for row in rows for index in path.push(row)]
    found = (*decided, *path.best_path().tolist())

    def score(labels: tuple[int, ...]) -> float:
        return float(rows[np.arange(5), list(labels)].sum()) - price(labels, costs)

    best = max(itertools.product(range(len(LABELS)), repeat=5), key=score)
    assert score(found) == pytest.approx(score(best))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_it_finds_the_best_of_all_paths_where_steps_are_often_not_seen(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.normal(0, 2.5, (5, len(LABELS)))
    names = ("switch", "skip", "late", "repeat", "undo", "insert", "next_unit", "abandon")
    prices = dict(zip(names, random.uniform(0, 3, len(names)).tolist(), strict=True))
    costs = ProcedureCosts(**prices, haste=0.0)
    recall = random.uniform(0.05, 0.99, len(LABELS))
    path = ProcedurePath(
        LABELS, CHAIN, period_s=PERIOD_S, costs=costs, recall=recall, width=ALL, certain=np.inf
    )
    decided = [index for row in rows for index in path.push(row)]
    found = (*decided, *path.best_path().tolist())

    def score(labels: tuple[int, ...]) -> float:
        paid = price(labels, costs, dict(zip(LABELS, recall.tolist(), strict=True)))
        return float(rows[np.arange(5), list(labels)].sum()) - paid

    best = max(itertools.product(range(len(LABELS)), repeat=5), key=score)
    assert score(found) == pytest.approx(score(best))


def test_a_recogniser_that_sees_every_step_is_as_one_nobody_measured() -> None:
    rows = np.random.default_rng(2).normal(0, 2.0, (200, len(LABELS)))
    sure, plain = (
        ProcedurePath(LABELS, CHAIN, period_s=PERIOD_S, recall=recall)
        for recall in (np.ones(len(LABELS)), None)
    )
    for row in rows:
        assert sure.push(row) == plain.push(row)
        assert sure._scores.tolist() == plain._scores.tolist()


@pytest.mark.parametrize(
    ("text", "done", "passed"),
    [
        ("rrrrrrrr", {"press"}, {"place"}),
        ("rrrrrrrr....ssssssss", {"press", "screw"}, {"place"}),
        ("ssssssss", {"screw"}, {"place"}),  # press is always seen: not done then
        ("rrrrrrrr....pppppppp", {"press", "place"}, set()),  # it was late
    ],
)
def test_a_step_often_not_seen_is_believed_done_once_what_needs_it_is(
    text: str, done: set[str], passed: set[str]
) -> None:
    recall = np.array([1.0, 1.0, 0.5, 1.0, 1.0])
    path = ProcedurePath(LABELS, CHAIN, period_s=PERIOD_S, recall=recall)
    for row in np.log(evidence_of(text, 0.97)):
        path.push(row)
    assert path.done == done
    assert path.passed == passed
    path.restart(path.done, path.passed)
    assert path.done == done
    assert path.passed == passed


def test_decided_frames_are_those_of_the_best_path_that_is_left() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(0, 1.0, (200, len(LABELS)))
    early, late = (
        ProcedurePath(LABELS, CHAIN, period_s=PERIOD_S, width=64, certain=certain)
        for certain in (12.0, np.inf)
    )
    soon = [index for row in rows for index in early.push(row)]
    whole = [index for row in rows for index in late.push(row)] + late.best_path().tolist()
    assert late.num_undecided > early.num_undecided
    assert soon == whole[: len(soon)]


def test_without_prices_it_is_plain_viterbi() -> None:
    free = ProcedureCosts(2.0, skip=0, late=0, repeat=0, undo=0, insert=0, next_unit=0, haste=0)
    rows = np.random.default_rng(1).normal(0, 2.0, (60, len(LABELS)))
    path = ProcedurePath(LABELS, CHAIN, period_s=PERIOD_S, costs=free, width=ALL)
    plain = OnlineViterbi(len(LABELS), switch_penalty=2.0)
    plain.push(np.array([0.0, *[-1e3] * (len(LABELS) - 1)]))  # which begins with background too
    found = [index for row in rows for index in path.push(row)] + path.best_path().tolist()
    expected = [index for row in rows for index in plain.push(row)] + plain.best_path().tolist()
    assert found == expected[len(expected) - len(rows) :]


def test_weak_evidence_is_read_as_the_order_has_it() -> None:
    before, after = evidence_of("p" * 10 + "..."), evidence_of("..." + "s" * 12)
    rows = np.vstack([before, unclear("screw", "press"), after])
    assert decode(rows) == ["place", "press", "screw"]
    config = DecoderConfig(temper=0.2, period_s=PERIOD_S, min_dwell_s=0.6)
    plain = StreamDecoder(LABELS, config=config)
    segments = plain.push(rows, PERIOD_S * np.arange(len(rows))) + plain.close()
    assert [segment.label for segment in segments] == ["place", "screw"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pppppppppp...ssssssssss..." + "rrrrrrrrrr", ["place", "screw", "press"]),
        ("pppppppppp...rrrrrrrrrr...pppppppppp...ssssssssss", ["place", "press", "place", "screw"]),
        (
            "pppppppppp...uuuuuuuuuu...rrrrrrrrrr...ssssssssss",
            ["place", UNEXPECTED, "press", "screw"],
        ),
        ("rrrrrrrrrr...ssssssssss", ["press", "screw"]),
    ],
)
def test_strong_evidence_against_the_order_wins(text: str, expected: list[str]) -> None:
    assert decode(evidence_of(text, 0.99)) == expected


def test_the_next_unit_begins_anew() -> None:
    path = ProcedurePath(LABELS, CHAIN, period_s=PERIOD_S)
    for row in np.log(evidence_of("pppppprrrrrrssssss....pppppp", 0.95)):
        path.push(row)
    assert path.done == {"place"}


def test_a_unit_goes_on_behind_a_gap() -> None:
    config = DecoderConfig(temper=0.2, period_s=PERIOD_S, max_gap_s=2.0)
    decoder = StreamDecoder(LABELS, config=config, procedure=CHAIN)
    before, after = evidence_of("p" * 12 + "r" * 12), unclear("place", "screw")
    found = decoder.push(before, PERIOD_S * np.arange(24))
    found += decoder.push(after, 60 + PERIOD_S * np.arange(10)) + decoder.close()
    assert [segment.label for segment in found] == ["place", "press", "screw"]


def test_a_unit_of_before_a_restart_goes_on() -> None:
    rows = unclear("place", "screw")
    assert decode(rows, done=("place", "press")) == ["screw"]
    assert decode(rows) == ["place"]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_segments_do_not_depend_on_how_the_stream_is_cut(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.dirichlet(np.full(len(LABELS), 0.3), 120)
    times = np.cumsum(PERIOD_S + 5 * (random.random(120) < 0.03))

    def found(cuts: list[int]) -> list[Segment]:
        decoder = StreamDecoder(LABELS, procedure=CHAIN)
        ends = [*cuts, 120]
        starts = [0, *cuts]
        pushed = (decoder.push(rows[a:b], times[a:b]) for a, b in zip(starts, ends, strict=True))
        return [segment for some in pushed for segment in some] + decoder.close()

    assert found(list(range(size, 120, size))) == found([])


def test_memory_is_the_same_however_long_the_stream() -> None:
    path = ProcedurePath(LABELS, CHAIN, period_s=PERIOD_S)
    rows = np.log(np.random.default_rng(0).dirichlet(np.full(len(LABELS), 0.3), 500))

    def push_all() -> int:
        tracemalloc.start()
        for row in rows:
            path.push(row)
            if path.num_undecided > 30:
                path.force(path.num_undecided - 30)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size

    push_all()
    assert push_all() < 100_000


@pytest.mark.parametrize("wrong", [{"skip": -1.0}, {"repeat": np.nan}, {"spread": 0.0}])
def test_impossible_prices_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ProcedureCosts(**wrong)
