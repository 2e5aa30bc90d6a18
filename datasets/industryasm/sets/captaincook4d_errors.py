"""What the error tags of CaptainCook4D are in our words.

| tag                                                    | kind                                    |
|--------------------------------------------------------|-----------------------------------------|
| Missing Step                                           | `missed`, if the step has no time       |
| Order Error                                            | `out_of_order`                          |
| Timing Error                                           | `too_long` where the text says longer,  |
|                                                        | else `wrong_execution`                  |
| Technique, Preparation, Measurement, Temperature Error,| `wrong_execution`                       |
| Other                                                  |                                         |
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import StringConstraints

from industryasm.deviation import KnownKind
from industryasm.sets.json_file import Published

Tag = Literal[
    "Missing Step",
    "Order Error",
    "Timing Error",
    "Technique Error",
    "Preparation Error",
    "Measurement Error",
    "Temperature Error",
    "Other",
]
MISSING: Tag = "Missing Step"
KINDS: dict[Tag, KnownKind] = {
    MISSING: "missed",
    "Order Error": "out_of_order",
    "Timing Error": "wrong_execution",
    "Technique Error": "wrong_execution",
    "Preparation Error": "wrong_execution",
    "Measurement Error": "wrong_execution",
    "Temperature Error": "wrong_execution",
    "Other": "wrong_execution",
}

_LONGER = re.compile(r"more than|longer|over ?cook|burn|additional", re.IGNORECASE)
_SHORTER = re.compile(r"less than|shorter|under-? ?cook|not enough|\bonly\b", re.IGNORECASE)
_INSTEAD = re.compile(r"instead of|rather than", re.IGNORECASE)
_AMOUNT = re.compile(r"(\d+)/(\d+)|(\d+(?:\.\d+)?)(?:\s*(sec|min))?", re.IGNORECASE)
_UNIT = re.compile(r"(sec|min)", re.IGNORECASE)


class ErrorTag(Published):
    """A tag with what the annotator wrote."""

    tag: Tag
    description: Annotated[str, StringConstraints(max_length=10_000)] = ""

    def note(self) -> str:
        """Return tag and description in one line."""
        return f"{self.tag}: {' '.join(self.description.split())}".rstrip(": ")


def kind_of(tag: ErrorTag, step_text: str) -> KnownKind:
    """Return the kind of departure that a tag on a step is."""
    if tag.tag == "Timing Error" and says_longer(tag.description, step_text):
        return "too_long"
    return KINDS[tag.tag]


def says_longer(description: str, step_text: str) -> bool:
    """Tell whether the text says that a step took longer than it should; in doubt it does not.

    >>> says_longer("Microwave for 3 minutes instead of 1.5 minutes", "")
    True
    >>> says_longer("20 secs", "Microwave on high for 30 seconds")
    False
    >>> says_longer("Time is set to 90 sec", "Microwave for 60 seconds, or 1 minute")
    True
    """
    if _SHORTER.search(description):
        return False
    if _LONGER.search(description):
        return True
    said, *wanted = _INSTEAD.split(description, maxsplit=1)
    target = _seconds(wanted[0] if wanted else step_text)
    unit = _UNIT.search(wanted[0] if wanted else description)
    taken = _seconds(said, unit[1].lower() if unit else None)
    return bool(taken and target) and taken[0] > max(target)


def _seconds(text: str, unit: str | None = None) -> list[float]:
    """Return the durations in a text; a bare number takes the next unit there is, else `unit`."""
    found: list[float] = []
    for match in _AMOUNT.finditer(text):
        top, bottom, plain, _ = match.groups()
        amount = float(plain) if plain else float(top) / max(float(bottom), 1.0)
        following = _UNIT.search(text, match.start())
        name = following[1].lower() if following else unit
        if name:
            found.append(amount * (60.0 if name == "min" else 1.0))
    return found
