"""How the four tasks are asked for: several wordings each, one form of answer.

The wordings are ours, as many as TimeChat and VTG-LLM have (six a task; RenShuhuai-Andy/TimeChat,
utils/construct_it_data/; gyxxyg/VTG-LLM, utils/construct_it_data/prompts/*.json). Theirs name the
form of the answer in some wordings and not in others; here one sentence for each task says it in
all of them, in training and in use, so that what the parser reads is what the model was asked for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from models.language.caption_text import is_caption, write_caption
from models.language.target_text import NONE
from models.language.timestamps import write_time

LanguageTask = Literal["dense_captioning", "grounding", "highlights", "segmentation"]
LANGUAGE_TASKS: tuple[LanguageTask, ...] = (
    "dense_captioning",
    "grounding",
    "highlights",
    "segmentation",
)

WORDINGS: dict[LanguageTask, tuple[str, ...]] = {
    "dense_captioning": (
        "Describe everything that is done in the video, and when.",
        "List the events of this recording with their start and end times.",
        "What happens in the video? Describe each event and give its times.",
        "Find all events in the video, and say what each is, when it starts and when it ends.",
        "Go through the recording and caption each activity with its time interval.",
        "Write a description of each thing that the worker does, with start and end times.",
        "Divide the video into events, and describe each of them in a sentence.",
        "Which activities does the video show, and from when to when?",
    ),
    "grounding": (
        "When does this happen in the video: '{query}'?",
        "Find the part of the video in which '{query}' is done.",
        "From when to when does the recording show '{query}'?",
        "Give the start and end times of '{query}'.",
        "Locate the moments that match the description '{query}'.",
        "The text '{query}' describes a part of this video. Say which.",
        "At what time is '{query}' started, and when is it finished?",
        "Search the recording for '{query}', and report its times.",
    ),
    "highlights": (
        "Find the highlights of the video for '{query}', and score each.",
        "Which moments of the video show '{query}', and how well?",
        "Rate the moments of this recording by how well they show '{query}'.",
        "Pick out the moments that are about '{query}', with a score for each.",
        "Say at which times '{query}' can be seen, and how clearly.",
        "Select the moments that best fit '{query}', and give their scores.",
        "Where are the highlights for '{query}' in the recording? Score them.",
        "List the moments that matter for '{query}', each with its score.",
    ),
    "segmentation": (
        "Divide the recording into the steps of the task.",
        "Which step is done when? Give all steps of the video in order.",
        "Segment the video into steps, with the start and end time of each.",
        "Name the steps that the worker does, and from when to when.",
        "Give the sequence of steps in this recording with their times.",
        "Label each part of the video with the step that is done in it.",
        "Find where each step of the work begins and ends.",
        "Report every step in the video with its time interval.",
    ),
}
_FORMS: dict[LanguageTask, str] = {
    "dense_captioning": "a line 'description: start - end seconds' for each event",
    "grounding": "a line 'start - end seconds' for each time that it happens",
    "highlights": (
        "a line 'time seconds, score 1.0 to 5.0' for each clip of {clip} seconds that shows it"
    ),
    "segmentation": "a line 'step: start - end seconds' for each step that is done",
}
_ASKS_FOR_SOMETHING: frozenset[LanguageTask] = frozenset({"grounding", "highlights"})


@dataclass(frozen=True)
class Question:
    """What is asked of a recording.

    `query` is the text that grounding and highlights are about. `clip_s` is the length of the clips
    that highlights are scored by. `steps` are the phrases to choose from in a segmentation, none
    where the model has to know them. Raises `ValueError` for what the task needs and is not given,
    or is given and not needed.
    """

    task: LanguageTask
    query: str | None = None
    clip_s: float | None = None
    steps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.query is not None) != (self.task in _ASKS_FOR_SOMETHING):
            raise ValueError(f"{self.task}: query {self.query!r}; grounding, highlights need one")
        if self.query is not None and not is_caption(self.query):
            raise ValueError(
                f"{self.task}: query {self.query!r} is empty or has blanks at its ends"
            )
        if (self.clip_s is not None) != (self.task == "highlights"):
            raise ValueError(f"{self.task}: clip_s {self.clip_s}; highlights alone need it")
        if self.steps and self.task != "segmentation":
            raise ValueError(f"{self.task}: steps are listed for a segmentation alone")


def pick_wording(question: Question, *, seed: int, key: str) -> int:
    """Return the number of the wording for a question about the recording `key`.

    It depends on nothing but its parameters: not on the order of examples, the process or the
    version of Python.
    """
    parts = (str(seed), key, question.task, question.query or "")
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % len(WORDINGS[question.task])


def write_instruction(question: Question, *, wording: int = 0) -> str:
    """Write a question in one of its wordings; raise `IndexError` when there is none such.

    >>> print(write_instruction(Question("grounding", query="Fit the cap")))
    When does this happen in the video: 'Fit the cap'?
    Answer with a line 'start - end seconds' for each time that it happens, or 'none'.
    """
    if not 0 <= wording < len(WORDINGS[question.task]):
        raise IndexError(f"{question.task} has no wording {wording}")
    asked = WORDINGS[question.task][wording]
    if question.query is not None:
        asked = asked.format(query=write_caption(question.query))
    form = _FORMS[question.task]
    if question.clip_s is not None:
        form = form.format(clip=write_time(question.clip_s))
    steps = ["The steps are:", *map(write_caption, question.steps)] if question.steps else []
    return "\n".join([asked, *steps, f"Answer with {form}, or '{NONE}'."])
