"""What the steps of a task are called in answers, and which step a phrase of an answer names.

The phrase of a step is its text. Where several steps have the same text (CaptainCook4D: a clove
is peeled twice in a recipe) the second is called "TEXT (2)", so that every phrase names one step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from industryasm.vocabulary import BACKGROUND, UNEXPECTED, Task

UNEXPECTED_PHRASE = "work that is not part of the task"
BACKGROUND_PHRASE = "nothing of the task"


class StepPhraseError(ValueError):
    """A label has no phrase, since it is no step of the task."""


@dataclass(frozen=True)
class FoundStep:
    """The labels that a phrase may name: one if it is understood, several if it is ambiguous."""

    labels: tuple[str, ...]
    is_exact: bool


@dataclass(frozen=True)
class StepPhrases:
    """The phrase of each step of a task and of unexpected work, in the task's order."""

    phrases: Mapping[str, str]
    _labels: Mapping[str, str] = field(init=False, repr=False)
    _folded: Mapping[str, tuple[str, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        labels = {phrase: label for label, phrase in self.phrases.items()}
        if len(labels) != len(self.phrases):
            raise ValueError("two steps have the same phrase: which is meant cannot be told")
        folded: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for phrase, label in labels.items():
            folded[_fold(phrase)] += (label,)
        object.__setattr__(self, "_labels", labels)
        object.__setattr__(self, "_folded", dict(folded))

    @classmethod
    def of(cls, task: Task) -> StepPhrases:
        """Return the phrases of a task."""
        named = [(step.id, step.text) for step in task.steps] + [(UNEXPECTED, UNEXPECTED_PHRASE)]
        taken = {text for _, text in named}
        phrases: dict[str, str] = {}
        used: set[str] = set()
        for label, text in named:
            phrase, number = text, 1
            while phrase in used or (number > 1 and phrase in taken):
                number += 1
                phrase = f"{text} ({number})"
            used.add(phrase)
            phrases[label] = phrase
        return cls(phrases)

    def phrase(self, label: str) -> str:
        """Return what a step is called; raise `StepPhraseError` for what is no step."""
        if label not in self.phrases:
            raise StepPhraseError(f"label {label!r} is no step: it has no phrase in an answer")
        return self.phrases[label]

    def find(self, phrase: str) -> FoundStep:
        """Return which step a phrase names: as it is, else with case and blanks set aside."""
        if phrase in self._labels:
            return FoundStep((self._labels[phrase],), is_exact=True)
        return FoundStep(self._folded.get(_fold(phrase), ()), is_exact=False)


def label_phrases(task: Task) -> list[str]:
    """Return what the labels of a task mean, in words."""
    phrases = StepPhrases.of(task)
    return [
        BACKGROUND_PHRASE if label == BACKGROUND else phrases.phrase(label)
        for label in task.labels()
    ]


def _fold(phrase: str) -> str:
    return " ".join(phrase.casefold().split())
