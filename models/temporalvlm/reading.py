"""Before any video: adapters learn to read time lines, as video tokens are shown (`LinesConfig`).

A language model of 135 million parameters finds a step's times in 24 perfect lines one time in five
after a hundred videos (docs/log.md, 2026-11-23), as many as a system can be trained on without a
GPU. So it learns to read once, from made-up time lines whose tokens spell the steps of any
vocabulary, and every compared system starts from the same adapters. Not in the paper; TimeChat's
language model was tuned on 125 thousand questions (TimeIT, arXiv 2312.02051).

```
steps of a vocabulary, or of all --random order, lengths, gaps--> segments --examples--> questions
    equal or overlapping stretches --shares of the steps, blurred--> mixed spellings --> lines
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from industryasm.recording import AnnotatedSegment, Recording
from industryasm.repairs import Repairs
from industryasm.vocabulary import BACKGROUND, Step, Task
from models.language.examples import language_examples
from models.language.step_phrases import label_phrases
from models.temporalvlm.alignment import token_shares
from models.temporalvlm.config import LinesConfig
from models.temporalvlm.language_model import LanguageModel, Queries
from models.temporalvlm.language_training import asked_together
from models.temporalvlm.video_crops import LabelledVideo
from models.temporalvlm.video_tokens import VideoTokens
from models.training.loop import seed_of

Array = npt.NDArray[np.float64]

LINES = (8, 40)
STEPS = (3, 30)
DURATION_S = (20.0, 1200.0)
RATE_HZ = 5.0
MOST_FRAMES = 2000
GAP, REPEATED, MIXED_TASK, SHORT, UNTIMED, OVERLAPPING = 0.2, 0.15, 0.5, 0.4, 0.15, 0.5
ROUNDS = 0.4
"""Shares: of gaps between segments and of steps done again; of draws from all tasks' steps, of
those with short phrases, of those whose lines tell no times, as lines of systems that know none,
of those whose lines overlap, as TemporalVLM's windows do, and of those in which a few steps are
done round after round, as for each leg of a table."""
ROUND_STEPS = (2, 5)
SHORT_WORDS, QUERIES = (2, 5), (1, 5)
"""Words of a short phrase, at most as many as it has; lines that a window that overlaps gives."""
MOST_DOUBT = 0.7
"""Of what a token spells, so much at most is other steps."""


class Reader(nn.Module):
    """A language model that learns to read; its adapters are what is trained."""

    def __init__(self, language: LanguageModel) -> None:
        super().__init__()
        self.language = language

    def forward(
        self,
        shown: VideoTokens,
        instructions: Sequence[str],
        answers: Sequence[str],
        queries: Queries,
        lines: LinesConfig,
    ) -> Tensor:
        """Return the loss on the answers to questions about one time line, shown as `lines`."""
        self.language.config = self.language.config.model_copy(update={"lines": lines})
        return self.language.loss(shown, instructions, answers, queries)


@dataclass(frozen=True, eq=False)
class TimeLine:
    """What is done when: a recording that nobody made, with its labels at `RATE_HZ`."""

    task: Task
    recording: Recording
    frames: LabelledVideo


class TimeLines:
    """Draws time lines and questions about them by the number of the draw."""

    def __init__(self, tasks: Sequence[Task], language: LanguageModel, *, seed: int) -> None:
        self.tasks = tasks
        self.language = language
        self.seed = seed
        self._all = {step.text: step for task in tasks for step in task.steps}

    def loss(self, module: nn.Module, draw: int) -> Tensor:
        """Return the loss of `Reader` on a draw (what `run_loop` calls)."""
        rng = np.random.default_rng(seed_of(self.seed, "time line", draw))
        line = draw_time_line(self.tasks, tuple(self._all.values()), rng)
        repairs = Repairs()  # splinters of what is made up here are no fault of anybody's data
        found = language_examples(
            line.recording, line.task, repairs, seed=seed_of(self.seed, "wording", draw)
        )
        asked = asked_together(found, draw, rng, self.language)
        lines = LinesConfig(
            words=self.language.config.token_dim // self.language.config.dim,
            times=bool(rng.random() >= UNTIMED),
        )
        loss: Tensor = module(
            self.shown(line, rng),
            [example.instruction for example in asked],
            [example.answer for example in asked],
            [example.question.query for example in asked],
            lines,
        )
        return loss

    def shown(self, line: TimeLine, rng: np.random.Generator) -> VideoTokens:
        """Return the tokens of a time line: what is done, spelled, and blurred by other steps."""
        starts_s, ends_s = draw_stretches(line.recording, rng)
        count = torch.tensor([len(starts_s)])
        start_s, end_s = torch.from_numpy(starts_s)[None], torch.from_numpy(ends_s)[None]
        texts = self.language.as_tokens(label_phrases(line.task))
        plain = VideoTokens(torch.zeros(1, len(starts_s), 1), count, start_s, end_s)
        shares = token_shares(plain, line.frames, num_labels=len(texts))
        doubt = rng.uniform(0, rng.uniform(0, MOST_DOUBT), (len(shares), 1))
        others = rng.dirichlet(np.full(len(texts), 0.3), len(shares))
        mixed = (1 - doubt) * shares.numpy() + doubt * others
        tokens = torch.from_numpy(mixed.astype(np.float32)).to(texts) @ texts
        return VideoTokens(tokens[None], count, start_s, end_s)


def draw_stretches(recording: Recording, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the stretches that lines stand for: starts and ends in seconds, about `LINES` of them.

    Equal parts, or those of windows that overlap by half, each shared out among its queries.
    """
    fewest = min(max(LINES[0], len(recording.segments)), LINES[1])  # none is hidden in one
    count = int(rng.integers(fewest, LINES[1] + 1))
    queries = 0 if rng.random() >= OVERLAPPING else int(rng.integers(QUERIES[0], QUERIES[1] + 1))
    if queries == 0:
        edges = np.linspace(0, recording.duration_s, count + 1)
        return edges[:-1], edges[1:]
    windows = max(2, count // queries)
    stride_s = recording.duration_s / (windows + 1)
    offsets_s = np.arange(queries + 1) * 2 * stride_s / queries
    edges = np.arange(windows)[:, None] * stride_s + offsets_s
    return edges[:, :-1].ravel(), edges[:, 1:].ravel()


def draw_time_line(
    tasks: Sequence[Task], steps: Sequence[Step], rng: np.random.Generator
) -> TimeLine:
    """Draw a task, or one of any of the `steps`, and what is done of it when."""
    task = tasks[int(rng.integers(len(tasks)))]
    if rng.random() < MIXED_TASK:
        task = _mixed_task(task, steps, rng)
    if rng.random() < SHORT:
        task = _with_short_phrases(task, rng)
    names = [step.id for step in task.steps]
    order = list(rng.permutation(names)) if rng.random() < 0.5 else names
    done = [str(name) for name in order for _ in range(1 + (rng.random() < REPEATED))]
    first = int(rng.integers(0, max(1, len(done) - STEPS[0])))
    done = done[first : first + int(rng.integers(STEPS[0], STEPS[1] + 1))]
    if rng.random() < ROUNDS:
        of_round = done[: int(rng.integers(ROUND_STEPS[0], ROUND_STEPS[1] + 1))]
        again = [name for name in of_round * len(done) if rng.random() >= REPEATED]
        done = (again or of_round)[: len(done)]
    labels = [
        label for name in done for label in ((BACKGROUND, name) if rng.random() < GAP else (name,))
    ]
    duration_s = float(np.exp(rng.uniform(*np.log(DURATION_S))))
    lengths = rng.lognormal(0, 0.7, len(labels))
    ends_s = np.round(np.cumsum(lengths) / lengths.sum() * duration_s, 1)
    starts_s = np.concatenate([[0.0], ends_s[:-1]])
    segments = tuple(
        AnnotatedSegment(label=label, start_s=float(start_s), end_s=float(end_s))
        for label, start_s, end_s in zip(labels, starts_s, ends_s, strict=True)
        if label != BACKGROUND and end_s > start_s
    )
    recording = Recording(
        id="made-up",
        task=task.id,
        task_revision=task.revision,
        duration_s=float(ends_s[-1]),
        station="none",
        camera="none",
        operator="none",
        annotator="linewatch",
        review="generated",
        cycles=(),
        segments=segments,
        deviations=(),
    )
    return TimeLine(task, recording, _frames(recording, task))


def _mixed_task(task: Task, steps: Sequence[Step], rng: np.random.Generator) -> Task:
    """Return a task of steps that have nothing to do with each other."""
    chosen = rng.choice(len(steps), int(rng.integers(STEPS[0], STEPS[1] + 1)), replace=False)
    named = [
        steps[int(i)].model_copy(update={"id": f"step-{n}", "after": (), "parts": (), "tools": ()})
        for n, i in enumerate(chosen)
    ]
    return task.model_copy(update={"id": "mixed", "steps": tuple(named), "groups": ()})


def _with_short_phrases(task: Task, rng: np.random.Generator) -> Task:
    """Return a task whose steps are called by their first words, in small letters."""
    steps = []
    for step in task.steps:
        words = step.text.lower().split()[: int(rng.integers(SHORT_WORDS[0], SHORT_WORDS[1] + 1))]
        steps.append(step.model_copy(update={"text": " ".join(words).rstrip(",;:")}))
    return task.model_copy(update={"steps": tuple(steps)})


def _frames(recording: Recording, task: Task) -> LabelledVideo:
    """Return the labels of a recording at `RATE_HZ`, at most `MOST_FRAMES`."""
    count = min(MOST_FRAMES, max(2, round(recording.duration_s * RATE_HZ)))
    times_s = np.linspace(0, recording.duration_s, count, endpoint=False)
    labels = np.full(count, task.labels().index(BACKGROUND), np.int64)
    for segment in recording.segments:
        inside = (times_s >= segment.start_s) & (times_s < segment.end_s)
        labels[inside] = task.labels().index(segment.label)
    return LabelledVideo("made-up", task.id, np.zeros((count, 1), np.float32), times_s, labels)
