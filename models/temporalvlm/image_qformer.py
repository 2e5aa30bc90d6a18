"""Time-aware image Q-Former: what a frame shows, told when it was taken."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel

from models.temporalvlm.config import QFormerConfig, initial_spread


class TimeAwareImageQFormer(nn.Module):
    """Learned queries that read a frame's tokens beside "This frame is sampled at {t} second."

    Queries and sentence attend to each other; only the queries read the picture, and only they
    leave (TimeChat handed the sentence's tokens on as if they were pictures).
    """

    def __init__(
        self,
        config: QFormerConfig,
        *,
        dim: int,
        feature_dim: int,
        vocabulary: int,
        normalise: bool,
    ) -> None:
        super().__init__()
        # Ready features come in any scale; the ViT of paper scale ends in a norm of its own.
        self.norm: nn.Module = nn.LayerNorm(feature_dim) if normalise else nn.Identity()
        self.queries = nn.Parameter(0.02 * torch.randn(1, config.queries, dim))
        self.qformer = InstructBlipQFormerModel(
            InstructBlipQFormerConfig(
                vocab_size=vocabulary,
                hidden_size=dim,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.mlp_dim,
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=config.dropout,
                initializer_range=initial_spread(dim),
                cross_attention_frequency=config.cross_attention_every,
                encoder_hidden_size=feature_dim,
            )
        )

    def forward(self, features: Tensor, text_ids: Tensor, text_mask: Tensor) -> Tensor:
        """Map frames (N, P, feature_dim) with sentences (N, L) and their mask to (N, Q, dim)."""
        queries = self.queries.expand(len(features), -1, -1)
        seen = torch.cat([text_mask.new_ones(queries.shape[:2]), text_mask], dim=1)
        out = self.qformer(
            input_ids=text_ids,
            attention_mask=seen,
            query_embeds=queries,
            encoder_hidden_states=self.norm(features),
        )
        tokens: Tensor = out.last_hidden_state[:, : queries.shape[1]]
        return tokens
