"""How much a caption says what another says: METEOR by equal words and equal stems.

Denkowski and Lavie, "Meteor Universal: Language Specific Translation Evaluation for Any Target
Language", WMT 2014, with the settings of METEOR 1.5 for English (alpha, beta, gamma, delta; weights
of the modules). Full METEOR also matches synonyms (WordNet) and paraphrases (a table of 60 MB); it
needs Java. What stands here is `-l en -norm -m "exact stem"` of it: of 25,339 pairs of real
captions (YouCook2 and TimeChat's answers) all but one, which ends in `etc.`, give the score of the
published program.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from models.language.english_stem import stem

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.20, 0.60, 0.75
STEM_WEIGHT = 0.6
BEAM = 40

_COMMONEST = (
    "the , . to of and a in that for \" is on 's it with was as said at he by be from have has are "
    "his but an this not i will ’ they ) -rrb- ( -lrb- who their had we which were been more or s "
    "its would about new one after you : also up when there than $ all out her people she year two "
    "- can if last first “ over other ” into some what so -- no time years could ? 't — '"
)
FUNCTION_WORDS = frozenset(_COMMONEST.split())
"""What METEOR 1.5 counts 0.25 and not 0.75 (its function/english.words)."""

_HYPHEN = re.compile(r"(?<=[\w.])-(?=\w)")
_SIGN = re.compile(r"([^\w\s.,'`-])")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])(?='\w)|(?<=^')(?=\w)")


@dataclass(frozen=True)
class _Match:
    """A word of the reference and the word of the candidate that it is matched with."""

    reference: int
    candidate: int
    is_exact: bool

    @property
    def distance(self) -> int:
        return abs(self.reference - self.candidate)


@dataclass(frozen=True)
class _Path:
    """An alignment of the first words of the reference; `end` follows the last match, if any."""

    matches: tuple[_Match, ...] = ()
    num_chunks: int = 0
    distance: int = 0
    end: int | None = None

    @property
    def rank(self) -> tuple[int, int, int]:
        """More equal words are better, then fewer chunks, then a shorter way.

        Equal stems count nothing here: METEOR 1.5 adds their 0.5 to an integer.
        """
        return -sum(match.is_exact for match in self.matches), self.num_chunks, self.distance

    def with_match(self, match: _Match, distance: int) -> _Path:
        is_new = self.end is not None and self.end != match.candidate
        return _Path(
            (*self.matches, match), self.num_chunks + is_new, distance, match.candidate + 1
        )

    def without_match(self, distance: int) -> _Path:
        return _Path(self.matches, self.num_chunks + (self.end is not None), distance, None)


def meteor_exact_stem(candidate: Sequence[str], reference: Sequence[str]) -> float:
    """Return the METEOR score from 0 to 1 of the words of a caption against those of a reference.

    It is not symmetric: recall of the reference counts 0.85. Where one has no words it is 0. The
    words are those of `caption_words`.

    >>> round(meteor_exact_stem("tighten the screw".split(), "tighten the screws".split()), 4)
    0.8286
    >>> meteor_exact_stem(["tighten"], ["tighten"]), meteor_exact_stem(["tighten"], ["loosen"])
    (1.0, 0.0)
    """
    candidate, reference = _words(candidate), _words(reference)
    path = _best_path(_possible_matches(candidate, reference))
    if not path.matches:
        return 0.0
    precision = _covered(candidate, [(m.candidate, m.is_exact) for m in path.matches])
    recall = _covered(reference, [(m.reference, m.is_exact) for m in path.matches])
    mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall)
    num_matches = len(path.matches)
    is_whole = num_matches == len(candidate) == len(reference) and path.num_chunks == 1
    fragmentation = 0.0 if is_whole else path.num_chunks / num_matches
    return mean * (1.0 - GAMMA * math.pow(fragmentation, BETA))


def _words(words: Sequence[str]) -> list[str]:
    """Return the words as METEOR's own tokenizer (`-norm`) takes them further apart.

    >>> _words(["15-20", "1/2", "it", "'s", "do", "n't"])
    ['15', '20', '1', '/', '2', 'it', "'", 's', 'do', 'n', "'t"]
    """
    text = _SIGN.sub(r" \1 ", _HYPHEN.sub(" ", " ".join(words)))
    return [part for word in text.split() for part in _APOSTROPHE.split(word)]


def _covered(words: Sequence[str], matched: Sequence[tuple[int, bool]]) -> float:
    """Return the weighted part of the words that is matched."""
    weights = [1.0 - DELTA if word in FUNCTION_WORDS else DELTA for word in words]
    return sum(weights[i] * (1.0 if exact else STEM_WEIGHT) for i, exact in matched) / sum(weights)


def _possible_matches(candidate: Sequence[str], reference: Sequence[str]) -> list[list[_Match]]:
    """Return all matches of each word of the reference, equal words before equal stems."""
    by_word = [
        [_Match(i, j, True) for j, word in enumerate(candidate) if word == known]
        for i, known in enumerate(reference)
    ]
    if list(candidate) == list(reference):
        return by_word
    stems = [stem(word) for word in candidate]
    return [
        matches
        + [
            _Match(i, j, False)
            for j, word in enumerate(candidate)
            if word != known and stems[j] == stem(known)
        ]
        for i, (known, matches) in enumerate(zip(reference, by_word, strict=True))
    ]


def _best_path(possible: Sequence[Sequence[_Match]]) -> _Path:
    """Return the best alignment that the beam search of METEOR 1.5 finds (Aligner.resolve)."""
    num_uses = Counter(match.candidate for matches in possible for match in matches)
    paths = [_Path()]
    for matches in possible:
        is_sure = len(matches) == 1 and num_uses[matches[0].candidate] == 1
        grown: list[_Path] = []
        for path in sorted(paths, key=lambda path: path.rank)[:BEAM]:
            if is_sure:
                grown.append(path.with_match(matches[0], path.distance + matches[0].distance))
                continue
            # As published, a match adds its way to those tried after it and not to itself.
            distance, used = path.distance, {match.candidate for match in path.matches}
            for match in matches:
                if match.candidate not in used:
                    grown.append(path.with_match(match, distance))
                    distance += match.distance
            grown.append(path.without_match(distance))
        paths = grown
    closed = [path.without_match(path.distance) for path in sorted(paths, key=lambda p: p.rank)]
    return min(closed[:BEAM], key=lambda path: path.rank)
