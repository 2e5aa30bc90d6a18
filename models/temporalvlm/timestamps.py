"""The sentence that tells the image Q-Former when a frame was taken, as token ids.

One tokenizer object belongs to a model and is used in training and inference alike: TimeChat's
demo tokenized these sentences with LLaMA's tokenizer and its training with BERT's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

PAD = 0


def sentence(time_s: float) -> str:
    """Say when a frame was taken, to a tenth of a second.

    >>> sentence(12.34)
    'This frame is sampled at 12.3 second.'
    """
    return f"This frame is sampled at {time_s:.1f} second."


class TimestampTokenizer(Protocol):
    """Turns sentences into token ids below `vocabulary`."""

    vocabulary: int

    def __call__(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids int64 (N, L), `PAD` behind each sentence's end, and mask bool (N, L)."""
        ...


class DigitTimestamps:
    """One token for each digit of the time and for the words on either side; needs no files.

    The words are the same in every frame, so one token says as much as seven, at half the work.
    """

    vocabulary = 32
    _tokens = ("this frame is sampled at", "second.", ".", "-", *"0123456789")

    def __call__(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        ids = {token: position + 1 for position, token in enumerate(self._tokens)}
        token = "|".join(re.escape(t) for t in self._tokens)
        return _padded([[ids[found] for found in re.findall(token, s.lower())] for s in sentences])


class WordPieceTimestamps:
    """BERT's word pieces, as InstructBLIP's and TimeChat's Q-Formers were trained with.

    Takes a folder with bert-base-uncased's `vocab.txt`; ids go up to TimeChat's [DEC], 30522.
    """

    vocabulary = 30523

    def __init__(self, folder: Path) -> None:
        from transformers import BertTokenizer

        self._tokenizer: Any = BertTokenizer.from_pretrained(folder, local_files_only=True)
        if len(self._tokenizer) > self.vocabulary:
            raise ValueError(
                f"{folder}: {len(self._tokenizer)} word pieces, the Q-Former has {self.vocabulary}"
            )

    def __call__(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        return _padded([self._tokenizer(s)["input_ids"] for s in sentences])


def _padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    ids = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD
    )
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(ids.shape[1]) < lengths[:, None]
