"""The compared systems at a test's size, and one to be trained in place of `new_model`'s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from edge.answers.training import AnswerTraining
from models.temporalvlm.config import SMALL, LinesConfig, QFormerConfig, TemporalVLMConfig
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.systems import build_system
from models.temporalvlm.video_language_model import VideoLanguageModel
from tests.tiny_llama import LANGUAGE, byte_tokenizer, tiny_llama

TINY = QFormerConfig(layers=2, heads=2, mlp_dim=32, queries=2, cross_attention_every=1)
SIZE = TemporalVLMConfig.model_validate(
    {
        **SMALL.model_dump(),
        "dim": 16,
        "image_qformer": TINY.model_copy(update={"cross_attention_every": 2}),
        "window": 6,
        "overlap": 2,
        "video_qformer": TINY,
    }
)


def tiny_system(
    training: AnswerTraining,
    *,
    feature_dim: int,
    phrases: Sequence[str],
    cache: Path | None = None,
    device: torch.device | None = None,
) -> VideoLanguageModel:
    torch.manual_seed(training.seed)
    lines = LinesConfig(words=3, times=training.times)
    language = LANGUAGE.model_copy(update={"lines": lines})
    model = build_system(
        training.system,
        feature_dim=feature_dim,
        frames=24,
        tokens=12,
        language=LanguageModel(language, tiny_llama(4096), byte_tokenizer()),
        size=SIZE,
    )
    model.speak_in(phrases)
    return model
