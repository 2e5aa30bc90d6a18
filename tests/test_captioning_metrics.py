"""Captioning figures against the published programs, run once, and against others written here.

The constants come from pycocoevalcap 1.2 (METEOR 1.5 and Stanford's PTBTokenizer, both Java, and
CIDEr-D) and Snowball's Java stemmer, run on 2026-11-22; none of them is needed here.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.language.answers import CaptionedSpan, TimeSpan
from models.language.caption_words import caption_words
from models.language.captioning_metrics import CaptioningScore, captioning_score, soda_c
from models.language.cider import cider
from models.language.english_stem import stem
from models.language.meteor import meteor_exact_stem

TIMECHAT = Path(__file__).parents[2] / "shared" / "data" / "metrics_golden" / "timechat"

needs_timechat = pytest.mark.skipif(
    not TIMECHAT.is_dir(), reason=f"no published answers, {TIMECHAT}"
)

sentences = st.lists(st.sampled_from(["nut", "bolt", "peg", "the"]), max_size=4)
long_sentences = st.lists(st.sampled_from(["nut", "bolt", "peg", "rod", "the"]), max_size=7)


def captioned(start_s: float, end_s: float, caption: str) -> CaptionedSpan:
    return CaptionedSpan(TimeSpan(start_s, end_s), caption)


# Words and stems


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("Pick up the side panel (left).", "pick up the side panel -lrb- left -rrb-"),
        ("Don't over-tighten; it's 1.5 Nm!", "do n't over-tighten it 's 1.5 nm"),
        ("Tighten 4 screws, then: are they tight?", "tighten 4 screws then are they tight"),
        ("The hand can't reach the 1/2-inch nut...", "the hand ca n't reach the 1/2-inch nut"),
        ("Use a thread / M4 screw & 50% torque", "use a thread / m4 screw & 50 % torque"),
        ('"Align" the leg -- slowly - then, etc.', "align the leg slowly then etc."),
        ("They're done at 10:30 a.m. and cannot", "they 're done at 10:30 a.m. and can not"),
        ("I'd say we’ve 1,000 parts", "i 'd say we 've 1,000 parts"),
        ("naïve café [sic]", "naïve café -lsb- sic -rsb-"),
        ("", ""),
        (" .,!? ", ""),
    ],
)
def test_words_are_those_of_the_java_tokenizer(caption: str, words: str) -> None:
    assert caption_words(caption) == tuple(words.split())


@given(st.text(max_size=40))
def test_any_text_has_words_without_blanks(caption: str) -> None:
    words = caption_words(caption)
    assert all(word and not re.search(r"\s", word) for word in words)
    assert 0.0 <= meteor_exact_stem(words, words) <= 1.0


def test_stems_are_those_of_snowball() -> None:
    words = (
        "tightening screws assembled assemblies carefully generation communism sky dying its skis "
        "hopping hoped agreed feed argument relational happily monkeys cries ties gas gaps this "
        "exceed proceedingly controlling roll youth enjoyment adjustable nationalize is 's"
    )
    stems = (
        "tighten screw assembl assembl care generat communism sky die it ski "
        "hop hope agre feed argument relat happili monkey cri tie gas gap this "
        "exceed proceed control roll youth enjoy adjust nation is 's"
    )
    assert [stem(word) for word in words.split()] == stems.split()


# METEOR


@pytest.mark.parametrize(
    ("candidate", "reference", "score"),
    [  # java -jar meteor-1.5.jar - - -stdio -l en -norm -m "exact stem"
        ("tighten the screw", "tighten the screw", 1.0),
        ("tighten the screw", "tighten the screws", 0.8285714285714284),
        (
            "tighten the screws with the driver",
            "the driver tightens a screw",
            0.2955121926901567,
        ),
        ("take screw", "loosen nut", 0.0),
        ("the the the", "the", 0.3076923076923077),  # each word is matched once
        ("the", "the the the", 0.14814814814814814),  # recall counts more
        (
            "attach the left wheel then the right wheel",
            "attach the right wheel then the left wheel",
            0.4776696620223255,  # in pieces
        ),
        (
            "she picks up the cut wood and cuts the wood",
            "cut cut the woods",
            0.3156773418582325,
        ),
        (
            "pick up the leg",
            "pick up the leg and put it on the table",
            0.2643806206287906,
        ),
        (
            "do n't use the 15-20 mm bit",
            "it 's a 20 mm bit do not use 1/2",
            0.24462903690295704,
        ),
        ("turned turning turns", "turn turn turning", 0.2547571530785736),
        ("a", "a", 1.0),
        ("", "", 0.0),
        ("", "a", 0.0),
        ("a", "", 0.0),
    ],
)
def test_meteor_is_that_of_the_published_program(
    candidate: str, reference: str, score: float
) -> None:
    assert meteor_exact_stem(candidate.split(), reference.split()) == pytest.approx(
        score, abs=1e-12
    )


def meteor_by_trying_all(candidate: Sequence[str], reference: Sequence[str]) -> float:
    """METEOR of words without common stems, over every way to match them."""
    best = (0, 0)
    for chosen in itertools.product([None, *range(len(candidate))], repeat=len(reference)):
        used = [c for c in chosen if c is not None]
        if len(set(used)) < len(used) or any(
            c is not None and candidate[c] != reference[r] for r, c in enumerate(chosen)
        ):
            continue
        starts = sum(
            c is not None and (r == 0 or chosen[r - 1] is None or chosen[r - 1] != c - 1)
            for r, c in enumerate(chosen)
        )
        best = max(best, (len(used), -starts))
    matches, chunks = best[0], -best[1]
    if not matches:
        return 0.0
    weight = {"the": 0.25}
    common = sum(
        weight.get(word, 0.75) * min(candidate.count(word), reference.count(word))
        for word in set(candidate)
    )
    precision = common / sum(weight.get(word, 0.75) for word in candidate)
    recall = common / sum(weight.get(word, 0.75) for word in reference)
    penalty = 0.6 * (chunks / matches) ** 0.2
    if matches == len(candidate) == len(reference) and chunks == 1:
        penalty = 0.0
    return (1 - penalty) * precision * recall / (0.15 * recall + 0.85 * precision)


@settings(deadline=None)
@given(sentences, sentences)
def test_meteor_finds_the_best_of_all_matchings(candidate: list[str], reference: list[str]) -> None:
    expected = meteor_by_trying_all(candidate, reference)
    assert meteor_exact_stem(candidate, reference) == pytest.approx(expected)


# CIDEr


def cider_by_matrices(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> list[float]:
    """CIDEr-D from matrices of counts, one for each length of n-gram."""
    scores = np.zeros(len(candidates))
    for n in range(1, 5):

        def grams(words: Sequence[str], n: int = n) -> list[str]:
            return [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]

        texts = [*candidates, *(words for known in references for words in known)]
        vocabulary = sorted({gram for words in texts for gram in grams(words)})

        def counts(words: Sequence[str], vocabulary: list[str] = vocabulary) -> np.ndarray:
            return np.array([grams(words).count(gram) for gram in vocabulary], float)

        documents = np.array(
            [np.any([counts(words) > 0 for words in known], axis=0) for known in references]
        )
        idf = np.log(len(candidates)) - np.log(np.maximum(documents.sum(axis=0), 1))
        for item, (words, known) in enumerate(zip(candidates, references, strict=True)):
            given_weights = counts(words) * idf
            for reference in known:
                weights = counts(reference) * idf
                product = np.minimum(given_weights, weights) @ weights
                norms = np.linalg.norm(given_weights) * np.linalg.norm(weights)
                gap = max(len(words) - 1, 0) - max(len(reference) - 1, 0)
                penalty = np.exp(-(gap**2) / 72)
                if norms > 0:
                    scores[item] += penalty * product / norms / len(known) * 10 / 4
    return [float(score) for score in scores]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(long_sentences, st.lists(long_sentences, min_size=1, max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_cider_is_that_of_matrices(items: list[tuple[list[str], list[list[str]]]]) -> None:
    candidates, references = (list(part) for part in zip(*items, strict=True))
    assert cider(candidates, references) == pytest.approx(
        cider_by_matrices(candidates, references), abs=1e-9
    )


def test_cider_by_hand() -> None:
    # Two items. "the" is in both and weighs nothing; "nut", "bolt" weigh log 2; no pair is common.
    first, second = cider([["the", "nut"], ["the", "peg"]], [[["the", "nut"]], [["the", "bolt"]]])
    assert first == pytest.approx(10 * (1 + 1) / 4)  # alone and as a pair; no three words
    assert second == 0.0
    # One word more than the reference: Gaussian of 1 with sigma 6.
    longer, _ = cider([["nut", "peg"], ["bolt"]], [[["nut"]], [["bolt"]]])
    assert longer == pytest.approx(10 / 4 * math.exp(-1 / 72) / math.sqrt(2))


def test_cider_knows_nothing_of_a_single_item_and_of_no_reference() -> None:
    assert cider([], []) == []
    assert cider([["nut"]], [[["nut"]]]) == [0.0]
    assert cider([["nut"], ["peg"]], [[], [["peg"]]]) == [0.0, 2.5]
    with pytest.raises(ValueError, match="1 candidates for 2 lists of references"):
        cider([["nut"]], [[], []])


# SODA_c, F1 and the whole


@settings(deadline=None)
@given(st.integers(0, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_soda_c_is_the_best_of_all_matchings_in_order(
    num_predicted: int, num_true: int, seed: int
) -> None:
    num_predicted = max(num_predicted, 1)
    random = np.random.default_rng(seed)
    overlaps = random.random((num_predicted, num_true)) * (
        random.random((num_predicted, num_true)) < 0.7
    )
    similarity = random.random((num_predicted, num_true))
    best = max(
        sum(overlaps[p, t] * similarity[p, t] for p, t in zip(rows, columns, strict=True))
        for size in range(min(num_predicted, num_true) + 1)
        for rows in itertools.combinations(range(num_predicted), size)
        for columns in itertools.combinations(range(num_true), size)
    )
    found = soda_c(
        overlaps,
        [[str(p)] for p in range(num_predicted)],
        [[str(t)] for t in range(num_true)],
        lambda true, predicted: float(similarity[int(predicted[0]), int(true[0])]),
    )
    assert found == pytest.approx(2 * best / (num_predicted + num_true))


spans = st.tuples(st.integers(0, 20), st.integers(1, 20)).map(
    lambda pair: TimeSpan(pair[0], pair[0] + pair[1])
)


@settings(deadline=None)
@given(st.lists(spans, min_size=1, max_size=4), st.lists(spans, min_size=1, max_size=4))
def test_f1_is_that_of_precision_and_recall_over_the_thresholds(
    predicted: list[TimeSpan], truth: list[TimeSpan]
) -> None:
    def found_among(span: TimeSpan, others: list[TimeSpan], threshold: float) -> bool:
        for other in others:
            common = min(span.end_s, other.end_s) - max(span.start_s, other.start_s)
            lengths = span.end_s - span.start_s + other.end_s - other.start_s
            if common > 0 and common / (lengths - common + 1e-8) > threshold:
                return True
        return False

    precision, recall = (
        np.mean([[found_among(a, others, x) for a in these] for x in (0.3, 0.5, 0.7, 0.9)])
        for these, others in ((predicted, truth), (truth, predicted))
    )
    score = captioning_score(
        predicted=[[CaptionedSpan(span, "nut") for span in predicted]],
        truth=[[CaptionedSpan(span, "nut") for span in truth]],
    )
    assert (score.precision, score.recall) == pytest.approx((100 * precision, 100 * recall))
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert score.f1 == pytest.approx(100 * f1)


TRUTH = [captioned(0, 4, "take the screw"), captioned(4, 9, "tighten the nut")]


@pytest.mark.parametrize(
    ("predicted", "truth", "soda", "matched_cider", "f1"),
    [
        (TRUTH, TRUTH, 100, 750, 100),  # three words have no four: a quarter of CIDEr is missing
        (TRUTH[::-1], TRUTH, 100, 750, 100),  # in any order
        ([], TRUTH, 0, 0, 0),  # nothing said
        (TRUTH[:1], TRUTH, 200 / 3, 0, 200 / 3),  # one pair: CIDEr knows nothing of it
        (TRUTH[:1], TRUTH[:1], 100, 0, 100),
        ([captioned(0, 4, ""), captioned(4, 9, "")], TRUTH, 0, 0, 100),  # without words
        ([captioned(20, 24, "take the screw")], TRUTH, 0, 0, 0),  # at another time
        ([captioned(0, 2, "take the screw")], TRUTH[:1], 50, 0, 25),  # an overlap of just 0.5
        (TRUTH[:1] * 2, TRUTH[:1], 200 / 3, 0, 100),  # told twice: F1 does not mind, SODA does
    ],
)
def test_small_cases(
    predicted: list[CaptionedSpan],
    truth: list[CaptionedSpan],
    soda: float,
    matched_cider: float,
    f1: float,
) -> None:
    score = captioning_score(predicted=[predicted], truth=[truth])
    found = (score.soda_c_exact_stem, score.cider, score.f1)
    assert found == pytest.approx((soda, matched_cider, f1))


def test_recordings_of_which_nothing_is_known_count_for_nothing() -> None:
    nothing = CaptioningScore(0.0, 0.0, 0.0, 0.0, 0.0, 0)
    assert captioning_score(predicted=[], truth=[]) == nothing
    assert captioning_score(predicted=[TRUTH, []], truth=[[], []]) == nothing
    some = captioning_score(predicted=[TRUTH, TRUTH], truth=[TRUTH, []])
    assert some == captioning_score(predicted=[TRUTH], truth=[TRUTH])


def test_figures_are_the_mean_of_the_recordings() -> None:
    score = captioning_score(predicted=[TRUTH, []], truth=[TRUTH, TRUTH])
    assert (score.soda_c_exact_stem, score.f1, score.num_recordings) == (50.0, 50.0, 2)


def test_other_numbers_of_recordings_are_refused() -> None:
    with pytest.raises(ValueError, match="1 predicted recordings for 0 true ones"):
        captioning_score(predicted=[[]], truth=[])


def timechat_recordings() -> tuple[list[list[CaptionedSpan]], list[list[CaptionedSpan]]]:
    """TimeChat's answers about 415 recordings of YouCook2, and the truth."""
    truth = json.loads((TIMECHAT / "dvc_example_gt_file.json").read_text())["annotations"]
    answers = json.loads((TIMECHAT / "dvc_example_pred_file.json").read_text())

    def known(item: dict[str, Any]) -> list[CaptionedSpan]:
        captions = item["pure_cap"].split(". ")
        pairs = zip(item["segments"], captions, strict=True)
        return [captioned(start, end, f"{caption}.") for (start, end), caption in pairs]

    def said(item: dict[str, Any]) -> list[CaptionedSpan]:  # 15 of 3,210 end before they start
        return [
            captioned(*sorted(answer["timestamp"]), answer["caption"])
            for answer in answers[item["image_id"]]
        ]

    return [said(item) for item in truth], [known(item) for item in truth]


@needs_timechat
def test_timechats_answers_score_as_by_the_published_programs() -> None:
    predicted, truth = timechat_recordings()
    score = captioning_score(predicted=predicted, truth=truth)
    assert score.num_recordings == 415
    # METEOR 1.5 -m "exact stem" and SODA_c in order of time; with all of METEOR it is 0.83744
    assert score.soda_c_exact_stem == pytest.approx(0.7966073148617915)
    assert score.cider == pytest.approx(2.703623241125703)
    expected = (12.544783031580836, 13.103014956930628, 11.976427031602971)
    assert (score.precision, score.recall, score.f1) == pytest.approx(expected)


@needs_timechat
def test_cider_of_whole_paragraphs_is_that_of_pycocoevalcap() -> None:
    predicted, truth = timechat_recordings()

    def paragraph(captions: list[CaptionedSpan], between: str) -> list[str]:
        text = between.join(caption.caption for caption in captions)
        return re.sub("[^a-zA-Z]", " ", text).lower().split()

    scores = cider(
        [paragraph(captions, ". ") for captions in predicted],
        [[paragraph(captions, " ")] for captions in truth],
    )
    assert np.mean(scores) == pytest.approx(0.02543401794118786)
