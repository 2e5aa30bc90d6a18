"""How well captions agree with several people's: CIDEr-D, by weighted n-grams.

Vedantam, Zitnick and Parikh, "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015,
section 3 and 6.1 (CIDEr-D), with the numbers of pycocoevalcap/cider/cider_scorer.py: n-grams of 1
to 4 words, each clipped to its count in the reference, cosine of their tf-idf, a Gaussian penalty
(sigma 6) for another length, times 10.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_WORDS = 4
SIGMA = 6.0

Words = Sequence[str]
Ngram = tuple[str, ...]
Weights = dict[Ngram, float]


@dataclass(frozen=True)
class _Caption:
    """A caption's tf-idf weights by length of the n-gram, and its length.

    The length is its number of pairs of words, one less than of its words: pycocoevalcap.
    """

    weights: tuple[Weights, ...]
    length: int


def cider(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """Return the CIDEr-D of each candidate, from 0 to 10, against its own references.

    An n-gram weighs less in how many more items' references it stands; so the scores are of this
    set of items and no other, and an n-gram of all items weighs nothing: of a single item the
    score is 0, whatever it says. An item without references scores 0 and counts as an item.

    >>> captions = [("take", "the", "screw"), ("turn", "the", "wheel", "on")]
    >>> [round(score, 2) for score in cider(captions, [[captions[0]], [captions[1]]])]
    [7.5, 10.0]
    """
    if len(candidates) != len(references):
        raise ValueError(f"{len(candidates)} candidates for {len(references)} lists of references")
    frequency = Counter(
        ngram for known in references for ngram in {n for words in known for n in _ngrams(words)}
    )
    log_items = math.log(max(len(references), 1))

    def idf(ngram: Ngram) -> float:
        return log_items - math.log(max(1, frequency[ngram]))

    scores = []
    for words, known in zip(candidates, references, strict=True):
        candidate = _caption(words, idf)
        similarity = sum(_similarity(candidate, _caption(reference, idf)) for reference in known)
        scores.append(10.0 * similarity / max(len(known), 1))
    return scores


def _ngrams(words: Words) -> list[Ngram]:
    return [
        tuple(words[i : i + n]) for n in range(1, MAX_WORDS + 1) for i in range(len(words) - n + 1)
    ]


def _caption(words: Words, idf: Callable[[Ngram], float]) -> _Caption:
    weights: tuple[Weights, ...] = tuple({} for _ in range(MAX_WORDS))
    for ngram, count in Counter(_ngrams(words)).items():
        weights[len(ngram) - 1][ngram] = count * idf(ngram)
    return _Caption(weights, max(len(words) - 1, 0))


def _similarity(candidate: _Caption, reference: _Caption) -> float:
    """Return the mean cosine over the lengths of n-gram, less for another length of caption."""
    cosines = [
        _clipped_cosine(*pair) for pair in zip(candidate.weights, reference.weights, strict=True)
    ]
    difference = candidate.length - reference.length
    return math.exp(-(difference**2) / (2 * SIGMA**2)) * sum(cosines) / MAX_WORDS


def _clipped_cosine(candidate: Weights, reference: Weights) -> float:
    norm = math.hypot(*candidate.values()) * math.hypot(*reference.values())
    common = candidate.keys() & reference.keys()
    # sorted: a sum in another order would differ in its last digit from run to run
    product = sum(min(candidate[n], reference[n]) * reference[n] for n in sorted(common))
    return product / norm if norm else 0.0
