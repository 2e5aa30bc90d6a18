"""TemporalVLM: segments -> local features -> BiLSTM -> language model, or frame-wise steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.temporalvlm.aggregation import aggregation
from models.temporalvlm.config import PartName, TemporalVLMConfig
from models.temporalvlm.image_encoder import FrozenImageEncoder
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.parts import freeze
from models.temporalvlm.segment_encoder import LocalFeatures, TimeAwareSegmentEncoder
from models.temporalvlm.step_head import StepHead
from models.temporalvlm.timestamps import TimestampTokenizer
from models.temporalvlm.video import SegmentedVideos
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.temporalvlm.video_tokens import VideoTokens, packed, window_stretches


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


class TemporalVLM(VideoLanguageModel):
    """The whole model; `config` says which parts it has and which of them are trained."""

    def __init__(
        self,
        config: TemporalVLMConfig,
        *,
        timestamps: TimestampTokenizer,
        language: LanguageModel | None,
    ) -> None:
        _check_fit(config, timestamps, language)
        super().__init__(
            config.name,
            segmentation=config.segmentation,
            feature_dim=config.feature_dim,
            dim=config.dim,
            language=language,
            trained=config.trained,
        )
        self.config = config
        self.timestamps = timestamps
        if config.image_encoder is not None:
            self.image_encoder = FrozenImageEncoder(config.image_encoder)
        self.segment_encoder = TimeAwareSegmentEncoder(config)
        self.aggregation = aggregation(
            config.aggregation,
            dim=config.dim,
            layers=config.aggregation_layers,
            heads=config.video_qformer.heads,
            longest=config.tokens,
        )
        self.step_head = None if config.step_head is None else StepHead(config)
        freeze(self, config.trained)

    def parts(self) -> dict[PartName, nn.Module]:
        """Return the modules that can be trained, those of the segment encoder one by one."""
        modules: dict[PartName, nn.Module | None] = {
            "image_qformer": self.segment_encoder.image_qformer,
            "video_qformer": self.segment_encoder.video_qformer,
            "fusion": self.segment_encoder.fusion,
            "aggregation": self.aggregation,
            "step_head": self.step_head,
        }
        there: dict[PartName, nn.Module] = {n: m for n, m in modules.items() if m is not None}
        return there | super().parts()

    def configuration(self) -> dict[str, Any]:
        """Return all of the configuration, and what tells the times."""
        plain = self.config.model_dump(mode="json", exclude={"trained", "language"})
        return plain | super().configuration() | {"timestamps": type(self.timestamps).__name__}

    def encode(self, videos: SegmentedVideos) -> EncodedVideos:
        """Encode B videos of ready features or of the image encoder's tokens."""
        self._check(videos)
        local: LocalFeatures = self.segment_encoder(videos, self.timestamps)
        there = _each_query(local)
        lengths = there.sum(dim=1)
        tokens = self.aggregation(packed(local.tokens.flatten(1, 3), there), lengths)
        return EncodedVideos(local, tokens, lengths)

    def video_tokens(self, videos: SegmentedVideos) -> VideoTokens:
        """Return the global features; those of a window stand for equal parts of its stretch."""
        encoded = self.encode(videos)
        start, end = window_stretches(
            videos.times_s,
            videos.present,
            window=self.config.window,
            overlap=self.config.overlap,
            queries=encoded.local.tokens.shape[3],
        )
        there = _each_query(encoded.local)
        return VideoTokens(
            encoded.tokens,
            encoded.lengths,
            packed(start.flatten(1), there),
            packed(end.flatten(1), there),
        )

    def step_logits(self, videos: SegmentedVideos, texts: Tensor | None = None) -> Tensor:
        """Return logits (B, C, T, K) of the steps; `texts` (K, E) where these classify."""
        if self.step_head is None:
            raise ValueError(f"configuration '{self.config.name}' has no step head")
        encoded = self.encode(videos)
        logits: Tensor = self.step_head(videos.features, encoded.local, encoded.by_window(), texts)
        return logits


def _each_query(local: LocalFeatures) -> Tensor:
    """Return bool (B, C * W * Q): the tokens of the windows that are used."""
    return local.used.flatten(1).repeat_interleave(local.tokens.shape[3], dim=1)


def _check_fit(
    config: TemporalVLMConfig, timestamps: TimestampTokenizer, language: LanguageModel | None
) -> None:
    if (language is None) != (config.language is None):
        raise ValueError("give a language model if, and only if, the configuration names one")
    if language is not None and language.config != config.language:
        raise ValueError(
            f"the language model '{language.config.name}' was built with another configuration "
            f"than the one in '{config.name}'; give both the same"
        )
    if timestamps.vocabulary > config.timestamp_vocabulary:
        raise ValueError(
            f"timestamps use {timestamps.vocabulary} tokens, the Q-Former has "
            f"{config.timestamp_vocabulary}"
        )
