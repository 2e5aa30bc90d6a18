"""What a recogniser misses and mixes up: counted, weighed, and told where an alarm hangs on it."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.calibration import AlarmBudget, calibrate
from edge.pipeline import load_pipeline
from industryasm.deviation import FoundKind
from industryasm.procedure import Procedure, ProcedureStep
from industryasm.recording import write_data_set
from industryasm.segment import Segment
from industryasm.stations.rendering import named_looks, render_recording
from industryasm.vocabulary import BACKGROUND, load_task
from models.alarm_judge import AlarmJudge, doubted_kind
from models.calibration import AS_SCORED, AlarmScale, read_calibration
from models.card import ModelError, read_card, shipped_model
from models.confusion import Confusion, ConfusionError, fit_confusion, pooled
from models.decoder import DecoderConfig, DecoderError, StreamDecoder
from models.findings import CycleStarted, Deviation, DeviationState, Finding

PERIOD_S = 0.2
LABELS = (BACKGROUND, "fit-base", "fit-gasket", "fit-cover", "fit-cap")
ORDER = Procedure(
    tuple(
        ProcedureStep(label, frozenset({before}) if before != BACKGROUND else frozenset())
        for before, label in itertools.pairwise(LABELS)
    )
)
GASKET, COVER = LABELS.index("fit-gasket"), LABELS.index("fit-cover")


def rows_of(text: str, sure: float = 0.9) -> np.ndarray:
    """Frames said to be `.` background, `b` base, `g` gasket, `c` cover, `t` cap."""
    rows = np.full((len(text), 5), (1 - sure) / 4)
    rows[np.arange(len(text)), [".bgct".index(letter) for letter in text]] = sure
    return rows


def truth_of(text: str) -> list[str]:
    return [LABELS[".bgct".index(letter)] for letter in text]


def runs_of(num_seen: tuple[int, ...], num_runs: int = 20) -> tuple[tuple[int, ...], ...]:
    """Counts of runs of which so many were seen; the others were said to be background."""
    said = np.diag(num_seen)
    said[:, 0] += num_runs - np.array(num_seen)
    return tuple(tuple(row) for row in said.tolist())


def confusion_of(mixed: float, frames: float = 2000.0) -> Confusion:
    """A recogniser that takes gasket and cover for each other with this probability."""
    said = np.full((5, 5), 0.01) + 0.95 * np.eye(5)
    for one, other in ((GASKET, COVER), (COVER, GASKET)):
        said[one, other] += mixed
        said[one, one] -= mixed
    return Confusion(
        labels=LABELS,
        said_frames=tuple(tuple(row) for row in (frames * said).tolist()),
        said_runs=runs_of((20,) * 5),
    )


ALIKE, APART = confusion_of(0.4), confusion_of(0.0)


def test_counts_are_sums_of_probability_and_runs_that_were_seen() -> None:
    said = rows_of("bbbb.gggcccc", sure=1.0)
    found = fit_confusion(
        LABELS, [(said, truth_of("bbbb.ggggccc")), (rows_of("cc"), truth_of("gg"))]
    )
    assert found.num_runs == (1, 1, 2, 1, 0)
    assert found.num_seen == (1, 1, 1, 1, 0)
    assert found.said_frames[GASKET] == pytest.approx((0.05, 0.05, 3.05, 2.8, 0.05))
    assert [sum(row) for row in found.said_frames] == pytest.approx([1, 4, 6, 3, 0])


def test_few_frames_make_no_certainty_and_many_do() -> None:
    sure = [(rows_of("b" * 4000 + "." * 4000, 1.0), truth_of("b" * 4000 + "." * 4000))]
    few = (rows_of("gg", 1.0), truth_of("cc"))
    shares = fit_confusion(LABELS, [*sure, few]).shares()
    assert np.allclose(shares.sum(axis=1), 1)
    assert shares[COVER, COVER] > 0.9  # two frames do not outweigh what is known of the others
    assert shares[1, 1] > 0.99
    many = [few] * 400
    assert fit_confusion(LABELS, [*sure, *many]).shares()[COVER, GASKET] > 0.9


def test_a_label_that_was_never_done_is_taken_for_the_mean_one() -> None:
    found = fit_confusion(LABELS, [(rows_of("bbg."), truth_of("bbgg"))])
    assert np.isfinite(found.shares()).all()
    assert found.shares()[4].sum() == pytest.approx(1)
    assert 0 < found.recall()[4] < 1


def test_recall_is_the_share_of_times_a_step_was_seen() -> None:
    seen = [(rows_of("ggg"), truth_of("ggg"))] * 30
    unseen = [(rows_of("..."), truth_of("ggg"))] * 30
    recall = fit_confusion(LABELS, seen + unseen).recall()
    assert recall[GASKET] == pytest.approx(0.5, abs=0.01)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_pooled_less_one_part_is_the_others(seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(3):
        truth = random.integers(0, 5, 20)
        rows = random.dirichlet(np.ones(5), 20)
        parts.append(fit_confusion(LABELS, [(rows, [LABELS[k] for k in truth])]))
    left, others = pooled(parts).without(parts[0]), pooled(parts[1:])
    assert (left.num_runs, left.num_seen) == (others.num_runs, others.num_seen)
    assert np.allclose(left.said_frames, others.said_frames, atol=5e-3)


def test_nothing_is_left_of_one_recording_without_itself() -> None:
    only = fit_confusion(LABELS, [(rows_of("bb"), truth_of("bb"))])
    with pytest.raises(ValueError, match="no frame"):
        only.without(only)


@pytest.mark.parametrize(
    ("rows", "truth", "message"),
    [
        (rows_of("bb"), truth_of("b"), r"shape \(2, 5\), not \(1, 5\)"),
        (rows_of("b"), ["fit-lid"], "'fit-lid' is none of the labels"),
        (np.full((1, 5), np.nan), truth_of("b"), "row 0 is no distribution"),
        (2 * rows_of("b"), truth_of("b"), "row 0 is no distribution"),
        (rows_of(""), [], "no labelled frame"),
    ],
)
def test_what_does_not_fit_is_refused(rows: np.ndarray, truth: list[str], message: str) -> None:
    with pytest.raises(ConfusionError, match=message):
        fit_confusion(LABELS, [(rows, truth)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("a",) * 5}, "given twice"),
        ({"said_frames": ((1.0,) * 5,) * 4}, "5 rows of 5"),
        ({"said_frames": ((1.0,) * 4,) * 5}, "5 rows of 5"),
        ({"said_frames": ((-1.0,) * 5,) * 5}, "greater than or equal to 0"),
        ({"said_frames": ((math.nan,) * 5,) * 5}, "finite"),
        ({"said_frames": ((0.0,) * 5,) * 5}, "no frame"),
        ({"said_runs": ((1,) * 5,) * 4}, "said_runs: must be 5 rows of 5"),
        ({"said_runs": ((1,) * 4,) * 5}, "said_runs: must be 5 rows of 5"),
        ({"said_runs": ((-1,) * 5,) * 5}, "greater than or equal to 0"),
    ],
)
def test_counts_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Confusion.model_validate(ALIKE.model_dump() | change)


def test_a_file_gives_back_the_same_counts() -> None:
    found = fit_confusion(LABELS, [(rows_of("bb.gg", 0.7), truth_of("bbggg"))])
    assert Confusion.model_validate_json(found.model_dump_json()) == found


def test_what_was_said_speaks_for_all_that_it_may_have_been() -> None:
    alike, apart = (one.likelihoods(rows_of("g", 0.99))[0] for one in (ALIKE, APART))
    assert alike[COVER] / alike[GASKET] > 0.5
    assert apart[COVER] / apart[GASKET] < 0.05
    assert alike.sum() == pytest.approx(1)
    assert np.allclose(ALIKE.likelihoods(np.zeros(5)), 0.2)  # where nothing was said


def test_look_alikes_need_both_directions() -> None:
    assert ALIKE.look_alikes()["fit-gasket"] == ("fit-cover",)
    assert ALIKE.look_alikes()["fit-base"] == ()
    assert not any(APART.look_alikes().values())
    said = np.array(APART.said_frames)
    said[GASKET, COVER] += 1000
    one_way = APART.model_copy(update={"said_frames": tuple(tuple(row) for row in said.tolist())})
    assert not any(one_way.look_alikes().values())


def decoded(said: np.ndarray, confusion: Confusion | None) -> list[str]:
    config = DecoderConfig(temper=0.2, period_s=PERIOD_S, min_dwell_s=0.6, max_lag_s=6.0)
    decoder = StreamDecoder(LABELS, config=config, procedure=ORDER, confusion=confusion)
    segments = decoder.push(said, PERIOD_S * np.arange(len(said))) + decoder.close()
    return [segment.label for segment in segments]


def test_the_order_decides_between_steps_that_look_alike() -> None:
    said = rows_of("b" * 20 + "..." + "c" * 20 + "..." + "c" * 20 + "..." + "t" * 20, 0.97)
    assert decoded(said, ALIKE) == ["fit-base", "fit-gasket", "fit-cover", "fit-cap"]
    assert "fit-gasket" not in decoded(said, APART)
    assert "fit-gasket" not in decoded(said, None)


def test_a_confusion_of_other_labels_is_refused() -> None:
    with pytest.raises(DecoderError, match="calibrate the model again"):
        StreamDecoder(LABELS[::-1], confusion=ALIKE)


def test_a_calibration_with_the_confusion_of_other_labels_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(shipped_model("gear-reducer"), folder)
    path, card = folder / "calibration.json", read_card(folder)
    procedure = load_task("gear-reducer").procedure()
    plain = json.loads(path.read_text())
    own = fit_confusion(card.labels, [(np.eye(len(card.labels)), list(card.labels))])
    path.write_text(json.dumps(plain | {"confusion": own.model_dump()}))
    calibration = read_calibration(folder, card, procedure)
    assert calibration is not None
    assert calibration.confusion == own
    path.write_text(json.dumps(plain | {"confusion": ALIKE.model_dump()}))
    with pytest.raises(ModelError, match=r"confusion\.labels: .*make it again"):
        read_calibration(folder, card, procedure)


def test_calibrating_counts_the_confusion_by_which_the_station_then_decodes(
    tmp_path: Path,
) -> None:
    task, data, folder = load_task("gear-reducer"), tmp_path / "data", tmp_path / "model"
    shutil.copytree(shipped_model(task.id), folder)
    recording = render_recording(
        task, data, recording_id="one", **named_looks("o", "s", 5), planted=[None], seed=5
    )
    write_data_set(data, name="one", splits={"validation": [recording]})
    found = calibrate(str(folder), [data], "validation", AlarmBudget())
    confusion = found.confusion
    assert confusion is not None
    num_frames = sum(sum(row) for row in confusion.said_frames)
    assert num_frames == pytest.approx(5 * recording.duration_s, rel=0.02)
    done = dict(zip(confusion.labels, confusion.num_runs, strict=True))
    assert all(done[segment.label] >= 1 for segment in recording.segments)
    assert np.trace(confusion.shares()) > 0.8 * len(confusion.labels)
    found.write(folder)
    assert load_pipeline(task, folder)._decoder._confusion == confusion


def scale(confusion: Confusion | None) -> AlarmScale:
    return AS_SCORED.model_copy(update={"confusion": confusion})


def judged(
    kind: FoundKind,
    step: str,
    span: tuple[float, float],
    *,
    evidence: tuple[float, float],
    confusion: Confusion | None,
    state: DeviationState = "confirmed",
) -> list[Finding]:
    """Judge an accusation where cover was done at 4 s clearly, and at 10 s by `evidence`.

    Those are the probabilities of gasket and of cover then.
    """
    judge = AlarmJudge(ORDER, LABELS, scale(confusion), period_s=PERIOD_S)
    times = PERIOD_S * np.arange(100)
    rows = np.repeat(rows_of(".", 1.0), 100, axis=0)
    rows[(times >= 4) & (times < 8)] = rows_of("c", 1.0)
    rows[(times >= 10) & (times < 14)] = 0.0
    rows[(times >= 10) & (times < 14), GASKET] = evidence[0]
    rows[(times >= 10) & (times < 14), COVER] = evidence[1]
    judge.see(rows, times)
    judge.judge([CycleStarted(1, 0.0, 1.0)], 1.0)
    for start_s in (4.0, 10.0):
        judge.take(Segment(start_s, start_s + 4, "fit-cover", 0.9))
    accusation = Deviation(f"1-{kind}-{step}-1", kind, state, step, 1, *span, span[1], "because")
    return judge.judge([accusation], 20.0)


ACCUSATIONS: list[tuple[FoundKind, str, tuple[float, float]]] = [
    ("missed", "fit-gasket", (4.0, 18.0)),
    ("repeated", "fit-cover", (10.0, 14.0)),
    ("out_of_order", "fit-cover", (10.0, 14.0)),
]
MIXED = confusion_of(0.15)


@pytest.mark.parametrize(("kind", "step", "span"), ACCUSATIONS)
def test_an_accusation_that_hangs_on_steps_that_look_alike_is_unsure(
    kind: FoundKind, step: str, span: tuple[float, float]
) -> None:
    (found,) = judged(kind, step, span, evidence=(0.45, 0.55), confusion=MIXED)
    assert isinstance(found, Deviation)
    assert (found.kind, found.state) == ("unsure", "confirmed")
    assert doubted_kind(found) == kind
    both = {"fit gasket and fit cover look alike here", "fit cover and fit gasket look alike here"}
    assert found.detail.removeprefix("because; ") in both


@pytest.mark.parametrize(("kind", "step", "span"), ACCUSATIONS[1:])
@pytest.mark.parametrize(
    ("evidence", "confusion"),
    [
        ((0.05, 0.95), MIXED),  # they are clearly apart here
        ((0.45, 0.55), APART),  # and these are not taken for each other
        ((0.45, 0.55), None),
    ],
)
def test_an_accusation_that_does_not_is_an_alarm(
    kind: FoundKind,
    step: str,
    span: tuple[float, float],
    evidence: tuple[float, float],
    confusion: Confusion | None,
) -> None:
    (found,) = judged(kind, step, span, evidence=evidence, confusion=confusion)
    assert isinstance(found, Deviation)
    assert (found.kind, found.state, found.detail) == (kind, "confirmed", "because")


def test_other_kinds_do_not_hang_on_look_alikes() -> None:
    (found,) = judged("too_long", "fit-cover", (10.0, 14.0), evidence=(0.5, 0.5), confusion=MIXED)
    assert isinstance(found, Deviation)
    assert found.kind == "too_long"


def test_a_step_often_not_seen_is_accused_less_surely() -> None:
    runs = MIXED.model_copy(update={"said_runs": runs_of((20, 20, 5, 20, 20))})
    blind, sighted = (
        judged("missed", "fit-gasket", (4.0, 18.0), evidence=(0.0, 1.0), confusion=one)[-1]
        for one in (runs, MIXED)
    )
    assert isinstance(blind, Deviation)
    assert isinstance(sighted, Deviation)
    assert blind.probability is not None
    assert sighted.probability is not None
    assert blind.probability < 0.4 < 0.9 < sighted.probability


def taken(*pairs: tuple[str, str], times: int = 3) -> Confusion:
    """A recogniser that took whole times of one step for another, so often of 100."""
    said = 100 * np.eye(5, dtype=np.int64)
    for one, other in pairs:
        said[LABELS.index(one), LABELS.index(other)] += times
    return APART.model_copy(update={"said_runs": tuple(tuple(row) for row in said.tolist())})


def test_a_step_is_taken_for_another_if_that_was_seen_twice() -> None:
    one_way = taken(("fit-gasket", "fit-cover"))
    assert one_way.taken_for()["fit-gasket"] == ("fit-cover",)
    assert one_way.taken_for()["fit-cover"] == ()
    assert not any(taken(("fit-gasket", "fit-cover"), times=1).taken_for().values())


def test_runs_of_more_recordings_are_counted_without_their_frames() -> None:
    both = APART.with_runs_of(taken(("fit-gasket", "fit-cover")))
    assert both.said_frames == APART.said_frames
    assert both.num_runs == (120, 120, 123, 120, 120)


@pytest.mark.parametrize(("kind", "step", "span"), ACCUSATIONS)
def test_a_step_done_twice_may_be_the_other_that_it_is_taken_for(
    kind: FoundKind, step: str, span: tuple[float, float]
) -> None:
    clear = (0.01, 0.99)
    for pair, is_sure in (
        (("fit-gasket", "fit-cover"), False),
        (("fit-cover", "fit-gasket"), True),  # the other way round says nothing of this
        (("fit-cap", "fit-base"), True),
    ):
        (found,) = judged(kind, step, span, evidence=clear, confusion=taken(pair))
        assert isinstance(found, Deviation)
        # that the cover is done again where the gasket is missed is doubted whatever the pair
        assert found.kind == (kind if is_sure and kind != "missed" else "unsure")
