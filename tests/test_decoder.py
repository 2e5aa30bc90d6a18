"""Frame-wise probabilities to segments: online, whatever the chunking, as the offline optimum."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from industryasm.segment import Segment, frame_labels, runs
from industryasm.vocabulary import BACKGROUND
from models.decoder import DecoderConfig, DecoderError, StreamDecoder
from models.viterbi import OnlineViterbi

LABELS = ("background", "place", "screw")
PERIOD_S = 0.2
PLAIN = DecoderConfig(merge_gap_s=0.0, max_lag_s=1000.0)


def probabilities_of(text: str, certainty: float = 0.99) -> np.ndarray:
    """Frames of `.` background, `p` place, `s` screw, each `certainty` sure of its label."""
    rows = np.full((len(text), 3), (1 - certainty) / 2, np.float32)
    rows[np.arange(len(text)), [".ps".index(letter) for letter in text]] = certainty
    return rows


def times_of(num_frames: int, start_s: float = 0.0) -> np.ndarray:
    return start_s + PERIOD_S * np.arange(num_frames)


def decode(text: str, config: DecoderConfig | None = None) -> list[tuple[str, float, float]]:
    decoder = StreamDecoder(LABELS, config=config)
    segments = decoder.push(probabilities_of(text), times_of(len(text))) + decoder.close()
    return [(s.label, round(s.start_s, 6), round(s.end_s, 6)) for s in segments]


def best_offline_path(evidence: np.ndarray, penalty: float) -> np.ndarray:
    """Plain Viterbi over the whole sequence, written apart from the online one."""
    num_frames, num_classes = evidence.shape
    switch = penalty * (1 - np.eye(num_classes))
    score, back = evidence[0], np.zeros((num_frames, num_classes), int)
    for t in range(1, num_frames):
        candidates = score[:, np.newaxis] - switch
        back[t] = candidates.argmax(axis=0)
        score = candidates.max(axis=0) + evidence[t]
    path = [int(score.argmax())]
    for t in range(num_frames - 1, 0, -1):
        path.append(int(back[t][path[-1]]))
    return np.array(path[::-1])


def path_score(path: tuple[int, ...] | np.ndarray, evidence: np.ndarray, penalty: float) -> float:
    changes = sum(a != b for a, b in itertools.pairwise(path))
    return float(evidence[np.arange(len(path)), list(path)].sum() - penalty * changes)


def random_stream(seed: int, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.repeat(random.integers(0, 3, num_frames), random.integers(1, 9, num_frames))
    logits = random.normal(0, 1.5, (num_frames, 3)) + 2.0 * np.eye(3)[truth[:num_frames]]
    rows = np.exp(logits)
    rows = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    gaps = np.where(random.random(num_frames) < 0.03, random.uniform(0.1, 5, num_frames), 0)
    return rows, np.cumsum(PERIOD_S + gaps)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (".....", []),
        ("ppppp", [("place", 0.0, 1.0)]),
        ("....pppppp....", [("place", 0.8, 2.0)]),  # boundaries are where they were, not the lag
        ("ppppppssssss", [("place", 0.0, 1.2), ("screw", 1.2, 2.4)]),  # touching
        ("pppppp.pppppp", [("place", 0.0, 2.6)]),  # one odd frame is no evidence
        ("pppppps.pppppp", [("place", 0.0, 2.8)]),
        ("p", [("place", 0.0, 0.2)]),  # one frame
    ],
)
def test_steps_are_found_where_they_are(text: str, expected: list[object]) -> None:
    assert decode(text) == expected


@pytest.mark.parametrize(
    ("text", "config", "expected"),
    [
        # a worker pauses inside a step
        ("pppppp....pppppp", DecoderConfig(merge_gap_s=1.0), [("place", 0.0, 3.2)]),
        # a pause of just the gap is two segments
        (
            "pppppp.....pppppp",
            DecoderConfig(merge_gap_s=1.0),
            [("place", 0.0, 1.2), ("place", 2.2, 3.4)],
        ),
        # another step between them
        (
            "ppppppsssspppppp",
            DecoderConfig(merge_gap_s=1.0),
            [("place", 0.0, 1.2), ("screw", 1.2, 2.0), ("place", 2.0, 3.2)],
        ),
        # too short a step is background, and here background inside a step
        (
            "ppppppsssspppppp",
            DecoderConfig(merge_gap_s=1.0, min_dwell_s=1.0),
            [("place", 0.0, 3.2)],
        ),
        ("....ssss....", DecoderConfig(min_dwell_s=1.0), []),
        ("....ssss....", DecoderConfig(min_dwell_s=0.8), [("screw", 0.8, 1.6)]),
    ],
)
def test_pauses_are_bridged_and_short_runs_dropped(
    text: str, config: DecoderConfig, expected: list[object]
) -> None:
    assert decode(text, config) == expected


def test_confidence_is_the_mean_probability_of_the_label() -> None:
    decoder = StreamDecoder(LABELS)
    rows = np.array([[0.2, 0.8, 0], [0.4, 0.6, 0], [0.1, 0.9, 0], [0, 1, 0]], np.float32)
    decoder.push(rows, times_of(4))
    (segment,) = decoder.close()
    assert segment.confidence == pytest.approx((0.8 + 0.6 + 0.9 + 1) / 4)


def test_a_step_is_returned_at_once_when_another_begins_and_else_after_the_merge_gap() -> None:
    def frames_until_returned(text: str, config: DecoderConfig) -> int:
        decoder = StreamDecoder(LABELS, config=config)
        for index, time_s in enumerate(times_of(len(text))):
            if decoder.push(probabilities_of(text[index]), np.array([time_s])):
                return index
        raise AssertionError("never returned")

    no_merge = DecoderConfig(merge_gap_s=0.0)
    merge = DecoderConfig(merge_gap_s=2.0)
    step_after = "pppppp" + "s" * 30
    nothing_after = "pppppp" + "." * 30
    assert frames_until_returned(step_after, merge) == frames_until_returned(step_after, no_merge)
    num_waited = frames_until_returned(nothing_after, merge) - 6
    assert num_waited >= 2.0 / PERIOD_S
    assert num_waited <= frames_until_returned(nothing_after, no_merge) - 6 + 2.0 / PERIOD_S


def test_running_is_the_step_that_goes_on_back_dated() -> None:
    decoder = StreamDecoder(LABELS)
    assert (decoder.running, decoder.seen_until_s) == (None, 0.0)
    decoder.push(probabilities_of("....."), times_of(5))
    assert (decoder.running, decoder.seen_until_s) == (None, pytest.approx(1.0))
    decoder.push(probabilities_of("pppppppppppp"), times_of(12, 1.0))
    running = decoder.running
    assert running is not None
    assert (running.label, running.start_s) == ("place", 1.0)
    assert running.end_s == pytest.approx(1.0 + 12 * PERIOD_S)
    assert running.confidence == pytest.approx(0.99)


def test_running_begins_before_a_pause_that_is_bridged() -> None:
    decoder = StreamDecoder(LABELS, config=DecoderConfig(merge_gap_s=1.5))
    text = "pppppp....pppppp"
    decoder.push(probabilities_of(text), times_of(len(text)))
    running = decoder.running
    assert running is not None
    assert (running.label, running.start_s) == ("place", 0.0)


def test_closing_returns_what_was_running() -> None:
    decoder = StreamDecoder(LABELS, config=PLAIN)
    rows, times = random_stream(3, 200)
    decoder.push(rows, times)
    decoder.push(probabilities_of("sssssss"), times_of(7, times[-1] + PERIOD_S))
    running = decoder.running
    assert running is not None
    assert decoder.close()[-1] == running
    assert decoder.running is None
    assert decoder.close() == []


def test_a_gap_in_the_stream_ends_the_step_at_the_last_frame_seen() -> None:
    decoder = StreamDecoder(LABELS, config=DecoderConfig(max_gap_s=2.0, merge_gap_s=60.0))
    assert decoder.push(probabilities_of("pppppp"), times_of(6)) == []
    (before,) = decoder.push(probabilities_of("p"), np.array([30.0]))
    assert (before.start_s, before.end_s) == (0.0, pytest.approx(1.2))
    (after,) = decoder.close()
    assert (after.start_s, after.end_s) == (30.0, pytest.approx(30.2))


def test_frames_lost_within_the_allowed_gap_do_not_cut_a_step() -> None:
    decoder = StreamDecoder(LABELS)
    decoder.push(probabilities_of("pppppp"), np.array([0, 0.2, 0.4, 2.4, 2.6, 2.8]))
    (segment,) = decoder.close()
    assert (segment.start_s, segment.end_s) == (0.0, pytest.approx(3.0))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_the_chunks_of_a_stream_do_not_matter(seed: int, data: st.DataObject) -> None:
    config = DecoderConfig(
        switch_penalty=data.draw(st.sampled_from([0.0, 0.5, 2.0])),
        max_lag_s=data.draw(st.sampled_from([0.0, 0.6, 3.0])),
        min_dwell_s=data.draw(st.sampled_from([0.0, 0.6])),
        merge_gap_s=data.draw(st.sampled_from([0.0, 1.0])),
    )
    rows, times = random_stream(seed, 120)
    whole = StreamDecoder(LABELS, config=config)
    expected = whole.push(rows, times) + whole.close()

    cuts = sorted(data.draw(st.lists(st.integers(0, 120), max_size=8)))
    chunked, single = (StreamDecoder(LABELS, config=config) for _ in range(2))
    in_chunks: list[Segment] = []
    for start, end in itertools.pairwise([0, *cuts, 120]):
        in_chunks += chunked.push(rows[start:end], times[start:end])
    one_by_one: list[Segment] = []
    for row, time_s in zip(rows, times, strict=True):
        one_by_one += single.push(row[np.newaxis], np.array([time_s]))
        _ = single.running  # looking changes nothing
    assert in_chunks + chunked.close() == expected
    assert one_by_one + single.close() == expected
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(expected))
    assert all(0 < s.confidence <= 1 for s in expected)
    assert all(s.duration_s >= config.min_dwell_s for s in expected)


@settings(max_examples=30, deadline=None)
def segments_of(labels: list[str], times: list[float]) -> list[Segment]:
    """The runs of frame-wise labels that are no background; the last frame lasts a period."""
    ends = [*times[1:], times[-1] + PERIOD_S] if times else []
    return [
        Segment(times[start], ends[end - 1], label)
        for label, start, end in runs(labels)
        if label != BACKGROUND
    ]


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.7, 3.0]))
def test_streamed_equals_the_offline_optimum_when_the_lag_is_no_limit(
    seed: int, penalty: float
) -> None:
    rows, _ = random_stream(seed, 150)
    times = times_of(150)
    config = DecoderConfig(switch_penalty=penalty, max_lag_s=1000.0, merge_gap_s=0.0)
    decoder = StreamDecoder(LABELS, config=config)
    segments = decoder.push(rows, times) + decoder.close()
    path = best_offline_path(config.temper * np.log(np.maximum(rows, 1e-6)), penalty)
    expected = segments_of([LABELS[k] for k in path], list(times))
    assert [(s.label, s.start_s, s.end_s) for s in segments] == [
        (s.label, s.start_s, s.end_s) for s in expected
    ]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 2.0]))
def test_the_committed_path_is_the_best_of_all_paths(seed: int, penalty: float) -> None:
    evidence = np.random.default_rng(seed).normal(size=(7, 3))
    viterbi = OnlineViterbi(3, switch_penalty=penalty)
    committed = [index for row in evidence for index in viterbi.push(row)]
    committed += viterbi.force(viterbi.num_undecided)
    best = max(
        path_score(path, evidence, penalty) for path in itertools.product(range(3), repeat=7)
    )
    assert path_score(tuple(committed), evidence, penalty) == pytest.approx(best)


def test_no_frame_waits_longer_than_the_lag() -> None:
    config = DecoderConfig(max_lag_s=1.0, switch_penalty=50.0, merge_gap_s=0.0)
    decoder = StreamDecoder(LABELS, config=config)
    text = "ps" * 100  # no path ever wins clearly
    for index, time_s in enumerate(times_of(len(text))):
        decoder.push(probabilities_of(text[index], 0.5), np.array([time_s]))
        assert len(decoder._frames) <= 1.0 / PERIOD_S + 1
    (segment,) = decoder.close()  # and the decided path is still one path
    assert segment.duration_s == pytest.approx(len(text) * PERIOD_S)


def test_an_endless_stream_takes_no_more_memory() -> None:
    decoder = StreamDecoder(LABELS)
    text = "....pppppppp..ssssss"

    def run(rounds: range) -> None:
        for number in rounds:
            decoder.push(probabilities_of(text), times_of(20, 4.0 * number))

    run(range(50))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    run(range(50, 550))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000


@pytest.mark.parametrize(
    ("rows", "times", "message"),
    [
        ([[0.5, 0.5, np.nan]], [0.0], "row 0 is no distribution"),
        ([[1, 0, 0], [0.5, 0.5, np.inf]], [0.0, 0.2], "row 1 is no distribution"),
        ([[np.inf, -np.inf, 1]], [0.0], "row 0 is no distribution"),
        ([[1.5, -0.5, 0.0]], [0.0], "row 0 is no distribution"),
        ([[2.0, 1.0, 0.3]], [0.0], "softmax"),
        ([[0, 0, 0]], [0.0], "row 0 is no distribution"),
        ([[1e308, 1e308, 1e308]], [0.0], "row 0 is no distribution"),
        ([[0.5, 0.5]], [0.0], r"shape \(1, 2\), not \(T, 3\)"),
        ([1, 0, 0], [0.0], r"shape \(3,\)"),
        ([[1, 0, 0]], [0.0, 0.2], r"times have shape \(2,\), not \(1,\)"),
        ([[1, 0, 0]], [np.nan], "finite seconds"),
        ([[1, 0, 0]], [-1.0], "finite seconds"),
        ([[1, 0, 0]] * 3, [0.0, 0.4, 0.2], "does not go on at row 2"),
        ([[1, 0, 0]] * 2, [0.4, 0.4], "does not go on at row 1"),
    ],
)
def test_what_is_no_stream_of_probabilities_is_refused(
    rows: list[object], times: list[float], message: str
) -> None:
    with pytest.raises(DecoderError, match=message):
        StreamDecoder(LABELS).push(np.array(rows), np.array(times))


def test_a_refused_push_changes_nothing() -> None:
    decoder = StreamDecoder(LABELS)
    decoder.push(probabilities_of("pppp"), times_of(4))
    with pytest.raises(DecoderError, match="row 0"):
        decoder.push(probabilities_of("ss"), times_of(2, 0.6))
    with pytest.raises(DecoderError, match="row 1"):
        decoder.push(np.array([[0, 0, 1], [3, 0, 0]]), times_of(2, 0.8))
    (segment,) = decoder.close()
    assert (segment.label, segment.end_s) == ("place", pytest.approx(0.8))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("temper", 0.0),
        ("temper", 1.1),
        ("switch_penalty", -1.0),
        ("min_dwell_s", -0.1),
        ("merge_gap_s", float("nan")),
        ("max_lag_s", float("inf")),
        ("period_s", 0.0),
        ("period_s", 3.0),
    ],
)
def test_a_setting_out_of_bounds_is_refused(setting: str, value: float) -> None:
    with pytest.raises(DecoderError, match=setting):
        DecoderConfig(**{setting: value})


@pytest.mark.parametrize("labels", [(), ("a", "b", "a")])
def test_labels_must_be_there_and_differ(labels: tuple[str, ...]) -> None:
    with pytest.raises(DecoderError, match="labels"):
        StreamDecoder(labels)


def test_one_class_is_decided_at_once() -> None:
    decoder = StreamDecoder(("place",))
    assert decoder.push(np.ones((5, 1)), times_of(5)) == []
    assert [s.duration_s for s in decoder.close()] == [pytest.approx(1.0)]


@given(st.lists(st.sampled_from(LABELS), max_size=30))
def test_labels_to_segments_and_back_is_the_identity(labels: list[str]) -> None:
    times = [PERIOD_S * index for index in range(len(labels))]
    segments = segments_of(labels, times)
    assert frame_labels(segments, times) == labels
