"""TemporalVLM: segments -> local features -> BiLSTM -> language model, or frame-wise steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from models.temporalvlm.aggregation import aggregation
from models.temporalvlm.config import TemporalVLMConfig
from models.temporalvlm.image_encoder import FrozenImageEncoder
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.parts import freeze, frozen_modules
from models.temporalvlm.segment_encoder import LocalFeatures, TimeAwareSegmentEncoder
from models.temporalvlm.step_head import StepHead
from models.temporalvlm.timestamps import TimestampTokenizer
from models.temporalvlm.video import SegmentedVideos


@dataclass(frozen=True)
class EncodedVideos:
    """B videos, encoded: what each segment shows, and the same tokens told of the whole video.

    `tokens` (B, N, D) are the global features in temporal order, `lengths` (B,) how many are there.
    """

    local: LocalFeatures
    tokens: Tensor
    lengths: Tensor

    def by_window(self) -> Tensor:
        """Return the global features as (B, C, W, Q, D), zero where no window is."""
        used, shape = self.local.used, self.local.tokens.shape
        out = self.tokens.new_zeros(shape)
        there = torch.arange(self.tokens.shape[1], device=used.device) < self.lengths[:, None]
        out[used] = self.tokens[there].view(-1, *shape[3:])
        return out


class TemporalVLM(nn.Module):
    """The whole model; `config` says which parts it has and which of them are trained."""

    def __init__(
        self,
        config: TemporalVLMConfig,
        *,
        timestamps: TimestampTokenizer,
        language: LanguageModel | None,
    ) -> None:
        super().__init__()
        if (language is None) != (config.language is None):
            raise ValueError("give a language model if, and only if, the configuration names one")
        if timestamps.vocabulary > config.timestamp_vocabulary:
            raise ValueError(
                f"timestamps use {timestamps.vocabulary} tokens, the Q-Former has "
                f"{config.timestamp_vocabulary}"
            )
        self.config = config
        self.timestamps = timestamps
        self.image_encoder = (
            None if config.image_encoder is None else FrozenImageEncoder(config.image_encoder)
        )
        self.segment_encoder = TimeAwareSegmentEncoder(config)
        self.aggregation = aggregation(
            config.aggregation,
            dim=config.dim,
            layers=config.aggregation_layers,
            heads=config.video_qformer.heads,
            longest=config.tokens,
        )
        self.language = language
        self.projection = (
            None if config.language is None else nn.Linear(config.dim, config.language.dim)
        )
        self.step_head = None if config.step_head is None else StepHead(config)
        freeze(self, config.trained)

    def encode(self, videos: SegmentedVideos) -> EncodedVideos:
        """Encode B videos of ready features or of the image encoder's tokens."""
        self._check(videos)
        local: LocalFeatures = self.segment_encoder(videos, self.timestamps)
        per_window = local.tokens.shape[3]
        lengths = local.used.sum(dim=(1, 2)) * per_window
        rows = [
            tokens[used].flatten(0, 1)
            for tokens, used in zip(local.tokens, local.used, strict=True)
        ]
        tokens = self.aggregation(pad_sequence(rows, batch_first=True), lengths)
        return EncodedVideos(local, tokens, lengths)

    def forward(
        self, videos: SegmentedVideos, instructions: Sequence[str], answers: Sequence[str]
    ) -> Tensor:
        """Return the language model's loss on the answers (what DDP and FSDP call)."""
        language, video, lengths = self._shown(videos)
        return language.loss(video, lengths, instructions, answers)

    @torch.inference_mode()
    def answer(
        self, videos: SegmentedVideos, instructions: Sequence[str], *, max_new_tokens: int = 256
    ) -> list[str]:
        """Return what the language model says to each instruction about its video."""
        language, video, lengths = self._shown(videos)
        return language.answer(video, lengths, instructions, max_new_tokens=max_new_tokens)

    def step_logits(self, videos: SegmentedVideos, texts: Tensor | None = None) -> Tensor:
        """Return logits (B, C, T, K) of the steps; `texts` (K, E) where these classify."""
        if self.step_head is None:
            raise ValueError(f"configuration '{self.config.name}' has no step head")
        encoded = self.encode(videos)
        logits: Tensor = self.step_head(encoded.local, encoded.by_window(), texts)
        return logits

    def train(self, mode: bool = True) -> TemporalVLM:
        """Set the training mode, but leave frozen parts in evaluation (no dropout there)."""
        super().train(mode)
        for module in frozen_modules(self, self.config.trained):
            module.train(False)
        return self

    def _shown(self, videos: SegmentedVideos) -> tuple[LanguageModel, Tensor, Tensor]:
        if self.language is None or self.projection is None:
            raise ValueError(f"configuration '{self.config.name}' has no language model")
        encoded = self.encode(videos)
        return self.language, self.projection(encoded.tokens), encoded.lengths

    def _check(self, videos: SegmentedVideos) -> None:
        width, frames = videos.features.shape[-1], videos.present.shape[2]
        if width != self.config.feature_dim or frames != self.config.segmentation.frames:
            raise ValueError(
                f"segments of {frames} frames with features {width} wide; the model "
                f"'{self.config.name}' reads {self.config.segmentation.frames} frames, "
                f"{self.config.feature_dim} wide"
            )
        if not videos.present.any(dim=2).any(dim=1).all():
            raise ValueError("a video of the batch has no frame that is present")
