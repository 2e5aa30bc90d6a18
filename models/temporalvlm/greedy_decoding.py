"""Greedy decoding of many answers at once, each behind a text that was read before.

What was read is kept as the keys and values of the language model's layers, so that questions about
one video share what stands before them. Rows that are over leave the batch: a batch costs what its
answers are long together, not its longest answer times its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache


@dataclass(frozen=True, eq=False)
class ReadText:
    """What a language model keeps of a text that it read, and which token it would say next.

    `layers` holds the keys and the values of each layer, (1, H, L, D).
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    next_id: int

    def __len__(self) -> int:
        return self.layers[0][0].shape[2]


class _Cache:
    """Keys and values of several texts that end at the same place, with room for what is said.

    Unlike transformers' own, it is not copied whole for each token more.
    """

    def __init__(self, read: Sequence[ReadText], *, room: int) -> None:
        self.length = max(len(text) for text in read)
        self.layers = [
            [
                torch.cat(
                    [
                        functional.pad(states, (0, 0, self.length - states.shape[2], room))
                        for states in (text.layers[layer][part] for text in read)
                    ]
                )
                for part in (0, 1)
            ]
            for layer in range(len(read[0].layers))
        ]

    def update(
        self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Add a token's keys and values (B, H, 1, D); return those of all there is by now."""
        if layer == 0:
            self.length += 1
        all_keys, all_values = (states[:, :, : self.length] for states in self.layers[layer])
        all_keys[:, :, -1:] = keys
        all_values[:, :, -1:] = values
        return all_keys, all_values

    def keep(self, rows: list[int]) -> None:
        """Drop the texts of all other rows."""
        self.layers = [[states[rows] for states in layer] for layer in self.layers]


def read_text(causal_lm: Any, embeddings: Tensor, before: ReadText | None = None) -> ReadText:
    """Read embeddings (L, E) that follow on what was read `before`, which stays as it is."""
    cache: Any = DynamicCache() if before is None else DynamicCache(before.layers)
    hidden = causal_lm.model(
        inputs_embeds=embeddings[None], past_key_values=cache, use_cache=True
    ).last_hidden_state
    layers = tuple((layer.keys, layer.values) for layer in cache.layers)
    return ReadText(layers, int(causal_lm.lm_head(hidden[0, -1]).argmax()))


def decode(
    causal_lm: Any,
    read: Sequence[ReadText],
    longest: Sequence[int],
    is_over: Callable[[list[int]], bool],
) -> list[list[int]]:
    """Return what is said after each text, up to the token at which it `is_over` or the longest.

    `longest` is the number of tokens at most, at least 1, for each text.
    """
    said = [[text.next_id] for text in read]

    def going_on(rows: Sequence[int]) -> list[int]:
        return [row for row in rows if len(said[row]) < longest[row] and not is_over(said[row])]

    rows = going_on(range(len(read)))
    if not rows:
        return said
    lengths = [len(text) for text in read]
    cache = _Cache([read[row] for row in rows], room=max(longest[row] for row in rows))
    while rows:
        words = [said[row][-1] for row in rows]
        positions = [lengths[row] + len(said[row]) - 1 for row in rows]
        for row, word in zip(rows, _next_words(causal_lm, words, positions, cache), strict=True):
            said[row].append(word)
        left = going_on(rows)
        if len(left) < len(rows):
            cache.keep([rows.index(row) for row in left])
            rows = left
    return said


def _next_words(causal_lm: Any, words: list[int], positions: list[int], cache: _Cache) -> list[int]:
    """Return what comes after each word, which stands at that position of its own text."""
    embed = causal_lm.get_input_embeddings()
    device = embed.weight.device
    place = torch.tensor(positions, device=device)[:, None]
    seen = torch.arange(cache.length + 1, device=device) >= cache.length - place  # (B, L)
    hidden = causal_lm.model(
        inputs_embeds=embed(torch.tensor(words, device=device)[:, None]),
        attention_mask=seen[:, None, None],
        position_ids=place,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    found: list[int] = causal_lm.lm_head(hidden[:, -1]).argmax(dim=-1).tolist()
    return found
