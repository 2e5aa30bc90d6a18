"""PREGO's protocol: its metric by hand and by published counts, hostile files, real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge.protocols.prego import SYSTEMS, PregoReport, report
from edge.protocols.prego_bound import find_bound, needed_area
from edge.protocols.prego_files import SETS, TENT, TOYS, read_set
from edge.protocols.prego_metric import AlarmCounts, AlarmScore, count_alarms, count_videos
from industryasm.fault import UserFault
from industryasm.sets.set_error import SetError
from linewatch import app

REAL = Path(__file__).parents[2] / "shared" / "data" / "prego"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not there")
VIDEO = "nusar-2021_action_both_9011-a01_9011_user_id_2021-02-01_16000{}"
EXAMPLE = "Input Sequence:\n -1, 0, 1, 1\nNext Symbol:\n 2\n---\n"


def rounded(score: AlarmScore) -> tuple[float, ...]:
    return tuple(
        round(v, 1) for v in (score.precision, score.recall, score.f1, score.false_alarm_rate)
    )


# ---- the metric


def test_alarms_are_counted_with_the_last_step_as_the_mistake() -> None:
    videos = [[True, False, True], [False], [True, False], [False, True]]
    assert count_alarms(videos) == AlarmCounts(hits=2, mistakes=4, false_alarms=2, correct_steps=4)
    found = count_videos(videos)
    assert (found.found, found.alarmed_early, found.missed) == (1, 2, 1)


@pytest.mark.parametrize(
    ("counts", "balanced", "clean", "reason"),
    [
        (AlarmCounts(4, 4, 8, 8), (50, 100, 66.7, 100), (33.3, 100, 50, 100), "always"),
        (AlarmCounts(0, 4, 0, 8), (0, 0, 0, 0), (0, 0, 0, 0), "never"),
        (AlarmCounts(4, 4, 0, 8), (100, 100, 100, 0), (100, 100, 100, 0), "perfect"),
        (AlarmCounts(2, 4, 2, 8), (66.7, 50, 57.1, 25), (50, 50, 50, 25), "half of them"),
        (AlarmCounts(1, 1, 0, 0), (100, 100, 100, 0), (100, 100, 100, 0), "no correct step"),
    ],
)
def test_scores_by_hand(
    counts: AlarmCounts, balanced: tuple[float, ...], clean: tuple[float, ...], reason: str
) -> None:
    assert rounded(counts.balanced()) == pytest.approx(balanced), reason
    assert rounded(counts.clean()) == pytest.approx(clean), reason


@pytest.mark.parametrize(
    ("counts", "published"),
    [
        (AlarmCounts(177, 182, 422, 461), (51.5, 97.2, 67.4)),  # TI-PREGO, MiniROAD
        (AlarmCounts(68, 182, 148, 461), (53.77, 37.3, 44.05)),  # TGML-DO, MiniROAD
        (AlarmCounts(182, 182, 461, 461), (50, 100, 66.7)),
    ],
)
def test_whole_numbers_of_the_published_videos_give_the_published_figures(
    counts: AlarmCounts, published: tuple[float, ...]
) -> None:
    """182 videos and 461 correct steps are MiniROAD's file; the figures fit no other reading."""
    score = counts.balanced()
    assert (score.precision, score.recall, score.f1) == pytest.approx(published, abs=0.08)


def test_the_published_code_exchanges_precision_and_recall() -> None:
    """`precision_score(preds, gts)`, worked by hand for preds 1 1 1 0 and gts 0 0 1 1."""
    counts = count_alarms([[True], [True, True, False]])
    assert counts == AlarmCounts(hits=1, mistakes=2, false_alarms=2, correct_steps=2)
    assert rounded(counts.as_coded())[:3] == (50, 33.3, 40)
    assert rounded(counts.clean())[:3] == (33.3, 50, 40)


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="video 1 has no step"):
        count_alarms([[True], []])
    with pytest.raises(ValueError, match="more alarms than steps"):
        AlarmCounts(2, 1, 0, 0)


# ---- the bound


def test_the_bound_of_a_detector_that_knows_is_100_and_that_of_one_that_does_not_is_low() -> None:
    knows = [np.array([0.1, 0.2, 0.9]), np.array([0.3, 0.8])]
    alarms = [[False, False, True], [False, True]]
    bound = find_bound(knows, alarms, [True, False])
    assert (bound.ranked, bound.ranked_at_place, bound.f1) == (100, 100, 100)
    assert bound.mistakes_reported == 50
    blind = find_bound([np.full(4, 0.5)] * 3, [[False] * 4] * 3, [True, False, False])
    assert (blind.ranked, blind.ranked_at_place) == (50, 50)
    assert blind.f1 == pytest.approx(100 * 2 / 3 / (4 / 3))  # the granted third, nothing else
    with pytest.raises(ValueError, match="correct steps"):
        find_bound([np.array([0.5])], [[True]], [True])


def test_the_bound_grants_what_was_reported() -> None:
    probabilities = [np.array([0.9, 0.1])] * 4
    alarms = [[False, False]] * 4
    assert find_bound(probabilities, alarms, [True] * 4).f1 == 100
    assert find_bound(probabilities, alarms, [False] * 4).f1 == 0


def test_the_needed_area_is_a_half_where_recall_is_the_false_alarm_rate() -> None:
    assert needed_area(2 * 0.45 / 1.9, 0.45) == pytest.approx(0.5)


# ---- the files


def published_folder(folder: Path) -> Path:
    """A small folder as published: 12 videos of a toy and of the tent."""
    labels = {str(i): name for i, name in enumerate(["base", "wheel", "roof", "arm"])}
    toys = {
        VIDEO.format(i): {"pred": [0, 1, 2][: 1 + i % 3], "gt": [0, 2, 3][: 2 + i % 2]}
        for i in range(12)
    }
    tents = {f"annotations_{i}": {"pred": [0, 1, 2], "gt": [0, 1, 2 + i % 2]} for i in range(12)}
    for recogniser in ("miniROAD", "OadTR"):
        write(folder / f"output_{recogniser}_Assembly101-O.json", toys)
        write(folder / f"output_{recogniser}_Epic-tent-O.json", tents)
    write(folder / "Assembly101-O_action_dict.json", labels)
    write(folder / "toy2class.json", {"a01": "excavator"})
    prompt = f"Sequence type: a01\n{EXAMPLE}" * 3
    write(folder / "assembly_context_prompt_train.json", {"excavator": {"num": prompt}})
    write(folder / "epictent_context_prompt_train.json", {"num": EXAMPLE * 3})
    (folder / "test_split.txt").write_text("\n".join(toys))
    return folder


def write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def test_a_folder_as_published_is_read_in_the_order_of_the_names(tmp_path: Path) -> None:
    found = read_set(published_folder(tmp_path), "MiniROAD", TOYS)
    assert [video.name for video in found.videos] == sorted(VIDEO.format(i) for i in range(12))
    assert found.videos[1].procedure == "excavator"
    assert found.videos[1].reported == ("base", "wheel")
    assert found.videos[1].true == ("base", "roof", "arm")
    assert found.transcripts == {"excavator": (("base", "wheel", "roof"),) * 3}  # 1, 1 is one step
    tent = read_set(tmp_path, "OadTR", TENT)
    assert tent.transcripts == {TENT: (("0", "1", "2"),) * 3}


def test_a_small_folder_is_judged_and_the_same_twice(tmp_path: Path) -> None:
    folder = published_folder(tmp_path)
    assert report(folder).plain() == report(folder).plain()


Spoil = Callable[[Path], object]


def changed(name: str, change: Callable[[dict], object]) -> Spoil:  # type: ignore[type-arg]
    def spoil(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        write(folder / name, content)

    return spoil


OUTPUT, PROMPTS = "output_miniROAD_Assembly101-O.json", "assembly_context_prompt_train.json"
LABELS = "Assembly101-O_action_dict.json"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / OUTPUT).unlink(), OUTPUT),
        (lambda f: (f / OUTPUT).write_bytes(b"\xff\xfe{"), OUTPUT),
        (lambda f: (f / OUTPUT).write_text("[]"), OUTPUT),
        (lambda f: (f / OUTPUT).write_text("{}"), "no video"),
        (changed(OUTPUT, lambda c: c[VIDEO.format(3)].update(pred=[])), r"3\.pred"),
        (changed(OUTPUT, lambda c: c[VIDEO.format(3)].update(pred=[0] * 201)), r"3\.pred"),
        (changed(OUTPUT, lambda c: c[VIDEO.format(3)].update(gt=[0, -1])), r"3\.gt\.1"),
        (changed(OUTPUT, lambda c: c[VIDEO.format(3)].update(gt=["0"])), r"3\.gt\.0"),
        (changed(OUTPUT, lambda c: c[VIDEO.format(3)].update(gt=[True])), r"3\.gt\.0"),
        (changed(OUTPUT, lambda c: c[VIDEO.format(3)].pop("gt")), r"3\.gt"),
        (changed(OUTPUT, lambda c: c[VIDEO.format(3)].update(gt=[0, 4])), "step 1 is 4, no label"),
        (changed(OUTPUT, lambda c: c[VIDEO.format(3)].update(pred=[1, 1])), "same label"),
        (changed(OUTPUT, lambda c: c.update({"../a": {"pred": [0], "gt": [0]}})), "no test video"),
        (changed(LABELS, lambda c: c.pop("1")), "numbers from 0"),
        (changed(LABELS, lambda c: c.update({"1": "base"})), "two of one name"),
        (changed(LABELS, lambda c: c.update({"1": ""})), "without a name"),
        (changed("toy2class.json", lambda c: c.clear()), "'a01' is no 'excavator'"),
        (changed(PROMPTS, lambda c: c["excavator"].update(num="")), r"excavator\.num"),
        (changed(PROMPTS, lambda c: c["excavator"].update(num="x---\n")), "example 0 is none: 'x"),
        (changed(PROMPTS, lambda c: c["excavator"].update(num=EXAMPLE)), "toy ''"),
        (lambda f: (f / "test_split.txt").write_bytes(b"\xff"), r"test_split\.txt"),
        (lambda f: (f / "test_split.txt").write_bytes(b"a" * 1_000_001), "larger"),
    ],
)
def test_a_hostile_file_is_refused_with_its_name_and_place(
    tmp_path: Path, spoil: Spoil, message: str
) -> None:
    spoil(published_folder(tmp_path))
    with pytest.raises(SetError, match=message):
        read_set(tmp_path, "MiniROAD", TOYS)


def test_an_example_of_a_toy_is_none_of_the_tent(tmp_path: Path) -> None:
    prompt = {"num": f"Sequence type: a01\n{EXAMPLE}"}
    write(published_folder(tmp_path) / "epictent_context_prompt_train.json", prompt)
    with pytest.raises(SetError, match="names a toy"):
        read_set(tmp_path, "MiniROAD", TENT)


def test_videos_too_few_to_cross_validate_are_refused(tmp_path: Path) -> None:
    videos = {VIDEO.format(i): {"pred": [0], "gt": [0, 1]} for i in range(12)}
    write(published_folder(tmp_path) / OUTPUT, videos)
    with pytest.raises(SetError, match="0 of 12 videos have a step before their mistake"):
        report(tmp_path)


# ---- the command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "prego"], "needs --data"),
        (["a-model", "--protocol", "prego", "--data", "."], "takes no MODEL"),
        ([], "needs MODEL"),
    ],
)
def test_the_command_says_what_it_needs(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["evaluate", "deviations", *arguments])
    assert isinstance(result.exception, UserFault)
    assert message in str(result.exception)


def test_the_command_prints_the_promised_json(tmp_path: Path) -> None:
    arguments = ["--protocol", "prego", "--data", str(published_folder(tmp_path)), "--json"]
    result = CliRunner().invoke(app, ["evaluate", "deviations", *arguments])
    printed = json.loads(result.stdout)
    for recogniser in ("MiniROAD", "OadTR"):
        assert set(printed[recogniser]) == set(SETS)
        for score in printed[recogniser].values():
            assert list(score) == ["precision", "recall", "f1", "false_alarm_rate"]
    assert set(printed["baselines"]) == set(SYSTEMS) - {"detector"}
    assert printed["baselines"]["always alarm"]["MiniROAD"][TOYS]["f1"] == 66.67
    assert printed["published"]["MiniROAD"][TOYS]["TI-PREGO"]["f1"] == 67.4


# ---- the published outputs


@pytest.fixture(scope="module")
def real() -> PregoReport:
    return report(REAL)


@needs_real
def test_the_real_files_hold_what_is_known_of_them() -> None:
    """Videos, correct reported steps, correct true steps and transcripts."""
    for recogniser, name, totals in (
        ("MiniROAD", TOYS, (182, 461, 482, 135)),
        ("OadTR", TOYS, (156, 625, 464, 135)),
        ("MiniROAD", TENT, (15, 147, 153, 14)),
        ("OadTR", TENT, (15, 182, 153, 14)),
    ):
        found = read_set(REAL, recogniser, name)
        assert totals == (
            len(found.videos),
            sum(len(video.reported) - 1 for video in found.videos),
            sum(len(video.true) - 1 for video in found.videos),
            sum(len(runs) for runs in found.transcripts.values()),
        )


@needs_real
def test_always_alarm_has_the_published_figures(real: PregoReport) -> None:
    for sets in real.judgements.values():
        for judgement in sets.values():
            always = count_alarms(judgement.reported["always alarm"]).balanced()
            assert rounded(always) == (50, 100, 66.7, 100)


@needs_real
@pytest.mark.parametrize(
    ("recogniser", "name", "reported", "true"),
    [
        ("MiniROAD", TOYS, (56.2, 49.5, 52.6, 38.6), (69.0, 77.5, 73.0, 34.9)),
        ("OadTR", TOYS, (54.1, 43.6, 48.3, 37.0), (68.1, 81.4, 74.2, 38.1)),
        ("MiniROAD", TENT, (64.6, 73.3, 68.7, 40.1), (71.8, 73.3, 72.6, 28.8)),
        ("OadTR", TENT, (46.9, 26.7, 34.0, 30.2), (71.8, 73.3, 72.6, 28.8)),
    ],
)
def test_the_detector_does_as_documented(
    real: PregoReport,
    recogniser: str,
    name: str,
    reported: tuple[float, ...],
    true: tuple[float, ...],
) -> None:
    """In docs/prego.md; one video or step more or less is what another BLAS may make of it."""
    judgement = real.judgements[recogniser][name]
    off = 7.0 if name == TENT else 1.1  # a video in percent
    for alarms, documented in ((judgement.reported, reported), (judgement.true, true)):
        assert rounded(count_alarms(alarms["detector"]).balanced()) == pytest.approx(
            documented, abs=off
        )


@needs_real
def test_the_goal_is_out_of_the_reach_of_what_the_recognisers_reported(real: PregoReport) -> None:
    for recogniser, reported in (("MiniROAD", 23 / 182), ("OadTR", 19 / 156)):
        bound = real.judgements[recogniser][TOYS].bound
        assert bound.mistakes_reported == pytest.approx(100 * reported)
        assert bound.ranked_high < bound.ranked_needed
        assert bound.f1 < 60
        assert 42 < bound.ranked_at_place < 58
