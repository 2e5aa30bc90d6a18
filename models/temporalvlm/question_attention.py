"""How the language model attends to rows of questions, and with a single word while it answers.

Has a `NAME` in transformers; what else is attended goes to the scaled dot-product attention whose
place it takes. Two things that the latter does slowly on a CPU (2026-11-23): with a mask over a row
of questions it computes what a question does not see of the others, too, a fifth of a training step
on 620 tokens; and it reads long keys for one word at half the speed of a product of matrices (24
answers behind 600 tokens: 8.0 and 3.5 ms a layer).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "linewatch_questions"


def use_question_attention(model: Any) -> None:
    """Let a LLaMA attend by this module."""
    model.set_attn_implementation(NAME)


def question_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    parts: tuple[int, ...] | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Attend, query (B, H, L, D) and keys and values (B, G, T, D); return (B, L, H, D).

    `parts` are the lengths of what is shared and of each question in a row of them.
    """
    if parts is not None:
        return _to_questions(query, key, value, parts, scaling).transpose(1, 2), None
    if query.shape[2] == 1 and attention_mask is not None and query.device.type == "cpu":
        return _of_a_word(query, key, value, attention_mask, scaling).transpose(1, 2), None
    attended, _ = sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, **more
    )
    return attended, None


def _to_questions(
    query: Tensor, key: Tensor, value: Tensor, parts: tuple[int, ...], scaling: float
) -> Tensor:
    """Attend to what is shared and to the own question, each token to none behind it."""
    same = query.shape[1] // key.shape[1]
    keys, values = (states.repeat_interleave(same, dim=1) for states in (key, value))
    num_shared, *lengths = parts
    first, *own_queries = torch.split(query, list(parts), dim=2)
    shared_keys, *own_keys = torch.split(keys, list(parts), dim=2)
    shared_values, *own_values = torch.split(values, list(parts), dim=2)
    attended = [
        scaled_dot_product_attention(
            first, shared_keys, shared_values, is_causal=True, scale=scaling
        )
    ]
    for length, q, k, v in zip(lengths, own_queries, own_keys, own_values, strict=True):
        seen = torch.ones(length, num_shared + length, dtype=torch.bool, device=q.device)
        attended.append(
            scaled_dot_product_attention(
                q,
                torch.cat([shared_keys, k], dim=2),
                torch.cat([shared_values, v], dim=2),
                attn_mask=seen.tril(num_shared),
                scale=scaling,
            )
        )
    return torch.cat(attended, dim=2)


def _of_a_word(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, scaling: float) -> Tensor:
    """Attend with one query (B, H, 1, D) to the keys that are `seen`, bool (B, 1, 1, T)."""
    grouped = query.reshape(len(query), key.shape[1], -1, query.shape[3])  # (B, G, H / G, D)
    scores = (grouped * scaling) @ key.transpose(2, 3)
    attended = scores.masked_fill(~seen, -torch.inf).softmax(dim=-1) @ value
    return attended.reshape(query.shape)


AttentionInterface.register(NAME, question_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
