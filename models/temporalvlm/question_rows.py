"""Rows that the language model learns from: what questions share, then each with its answer.

```
before_video video tokens | question answer | question answer | ...
shared, seen by all       | sees shared and itself, its positions go on from shared
```
So several questions about one video cost its tokens once, and each learns as if it were alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

NOT_LEARNED = -100


@dataclass(frozen=True, eq=False)
class QuestionRow:
    """Ids of each question, int64 (Q,), and of its answer (A,), behind `num_shared` embeddings."""

    num_shared: int
    questions: tuple[tuple[Tensor, Tensor], ...]

    @property
    def ids(self) -> Tensor:
        """Int64 (L - num_shared,): everything that is not shared, in order."""
        return torch.cat([part for pair in self.questions for part in pair])

    @property
    def parts(self) -> tuple[int, ...]:
        """The length of what is shared, then of each question with its answer."""
        return (self.num_shared, *(len(asked) + len(said) for asked, said in self.questions))

    @property
    def longest(self) -> int:
        """Tokens of the longest question and answer with what is shared before them."""
        return self.num_shared + max(self.parts[1:])

    @property
    def positions(self) -> Tensor:
        """Int64 (L,): each question's go on from those of what is shared."""
        own = [self.num_shared + torch.arange(length) for length in self.parts[1:]]
        return torch.cat([torch.arange(self.num_shared), *own])

    @property
    def targets(self) -> Tensor:
        """Int64 (L,): the answers' ids, and `NOT_LEARNED` where there is none."""
        parts = [torch.full((self.num_shared,), NOT_LEARNED)]
        for asked, said in self.questions:
            parts += [torch.full_like(asked, NOT_LEARNED), said]
        return torch.cat(parts)


def positions_of(rows: Sequence[QuestionRow]) -> Tensor:
    """Return the positions of all rows, int64 (B, L)."""
    return pad_sequence([row.positions for row in rows], batch_first=True)


def targets_of(rows: Sequence[QuestionRow]) -> Tensor:
    """Return the targets of all rows, int64 (B, L)."""
    return pad_sequence([r.targets for r in rows], batch_first=True, padding_value=NOT_LEARNED)


def mean_of_answers(logits: Tensor, rows: Sequence[QuestionRow]) -> Tensor:
    """Return the mean over the answers of the mean cross-entropy of each one's tokens.

    `logits` (N, V) are those of all answers' tokens, in the order of rows and questions.
    """
    answers = [said for row in rows for _, said in row.questions]
    weights = torch.cat([torch.full((len(said),), 1 / len(said)) for said in answers])
    targets = torch.cat(answers).to(logits.device)
    each = functional.cross_entropy(logits.float(), targets, reduction="none")
    return (each * weights.to(each.device)).sum() / len(answers)
