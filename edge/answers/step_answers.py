"""Answers of a step model, by the segments that it streams: no language model, no PyTorch.

It knows the steps of its task and nothing else: it is asked about one of them by its text or name.
"""

from __future__ import annotations

from dataclasses import replace

from edge.answers.reply import AnswerModelError, Reply, read_answer
from edge.evaluation.opened import StepModel
from edge.evaluation.streamed import stream
from edge.features import Features
from industryasm.repairs import Repairs
from industryasm.vocabulary import Task
from models.card import ModelCard
from models.language.instructions import Question, write_instruction
from models.language.segment_answers import segment_answer
from models.language.step_phrases import StepPhrases
from models.temporalvlm.answer import Answer


class StepAnswers:
    """A step model that is asked about one video after the other."""

    def __init__(self, model: StepModel) -> None:
        self._model = model

    @property
    def task(self) -> Task:
        """The task whose steps it knows."""
        return self._model.task

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._model.temporal.card

    def ask(
        self, question: Question, features: Features, *, task: Task | None, duration_s: float
    ) -> Reply:
        """Put a question to a video with features (N, D); the same question, the same reply.

        Raises `AnswerModelError` for a task or features that are not the model's, and for what is
        none of its steps.
        """
        own, card = self._model.task, self.card
        if task is not None and task.vocabulary_hash() != own.vocabulary_hash():
            raise AnswerModelError(
                f"the model knows the steps of {own.id!r}, not of {task.id!r}; ask about such a "
                "recording, or name the model of that task"
            )
        if features.features.shape[1] != card.feature_dim:
            raise AnswerModelError(
                f"features of {features.features.shape[1]} numbers; the model takes "
                f"{card.feature_dim}: ask about a recording with such features"
            )
        if question.query is not None:
            question = replace(question, query=_step_text(own, question.query))
        found = stream(self._model.temporal, features, self._model.decoder()).segments
        text = segment_answer(
            question, found, own, Repairs(), duration_s=duration_s, longest_first=False
        )
        answer = Answer(text, is_finished=True)
        read = read_answer(question, answer, own, duration_s)
        return Reply(write_instruction(question), answer, read)


def _step_text(task: Task, query: str) -> str:
    """Return the text of the step that is meant; raise `AnswerModelError` where none is."""
    texts = {step.id: step.text for step in task.steps}
    found = StepPhrases.of(task).find(query).labels
    label = query if query in texts else next(iter(found), None)
    if label is None or label not in texts:
        known = "; ".join(texts.values())
        raise AnswerModelError(f"{query!r} is no step of task {task.id!r}; there are: {known}")
    return texts[label]
