"""What TemporalVLM and the systems it is compared with share: video tokens -> language model.

A system says how its video tokens are made and from which cut of a video; projection, language
model, loss, answers and what is trained are the same for all, so that they are compared alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from models.temporalvlm.answer import Answer
from models.temporalvlm.config import PartName, SegmentationConfig
from models.temporalvlm.greedy_decoding import ReadText
from models.temporalvlm.image_encoder import FrozenImageEncoder
from models.temporalvlm.language_model import LanguageModel, Queries
from models.temporalvlm.parts import freeze, frozen_modules
from models.temporalvlm.phrase_projection import PhraseProjection
from models.temporalvlm.video import SegmentedVideos
from models.temporalvlm.video_tokens import VideoTokens


class VideoLanguageModel(nn.Module, ABC):
    """A system that answers about videos cut by `segmentation`, with features `feature_dim` wide.

    A subclass ends its construction with `parts.freeze(self, trained)`.
    """

    def __init__(
        self,
        name: str,
        *,
        segmentation: SegmentationConfig,
        feature_dim: int,
        dim: int,
        language: LanguageModel | None,
        trained: Collection[PartName],
    ) -> None:
        super().__init__()
        self.name = name
        self.segmentation = segmentation
        self.feature_dim = feature_dim
        self.trained = frozenset(trained)
        self.image_encoder: FrozenImageEncoder | None = None
        self.language = language
        self.projection: nn.Linear | PhraseProjection | None = None
        self.phrases: tuple[str, ...] = ()
        self._dim = dim
        if language is not None:
            self.projection = nn.Linear(dim, language.config.token_dim)

    def speak_in(self, phrases: Sequence[str]) -> None:
        """Show the language model its tokens as mixtures of these phrases, which must differ.

        It is a projection with new weights. Raises `ValueError` without a language model.
        """
        if len(set(phrases)) != len(phrases) or not phrases:
            raise ValueError(f"{len(phrases)} phrases must be one or more and differ")
        texts = self._speaker().as_tokens(phrases)
        self.projection = PhraseProjection(self._dim, texts)
        self.phrases = tuple(phrases)
        freeze(self, self.trained)

    @abstractmethod
    def video_tokens(self, videos: SegmentedVideos) -> VideoTokens:
        """Return the tokens of B videos, `dim` wide, in the order in which they are shown."""

    def parts(self) -> dict[PartName, nn.Module]:
        """Return the modules that can be trained; the adapters, `lora`, are in `language`."""
        return {} if self.projection is None else {"projection": self.projection}

    def configuration(self) -> dict[str, Any]:
        """Return as JSON what of the system's settings decides what it computes."""
        language = None
        if self.language is not None:
            # Checkpointing changes what is held in memory, nothing that comes out.
            only_memory = {"gradient_checkpointing"}
            language = self.language.config.model_dump(mode="json", exclude=only_memory)
        return {
            "name": self.name,
            "segmentation": self.segmentation.model_dump(mode="json"),
            "feature_dim": self.feature_dim,
            "trained": sorted(self.trained),
            "language": language,
        } | ({"phrases": list(self.phrases)} if self.phrases else {})

    def projected(self, videos: SegmentedVideos) -> VideoTokens:
        """Return the video tokens as the language model is shown them, `token_dim` wide.

        Raises `ValueError` without a language model.
        """
        if self.projection is None:
            raise ValueError(f"'{self.name}' was built without a language model")
        shown = self.video_tokens(videos)
        return replace(shown, tokens=self.projection(shown.tokens))

    def forward(
        self,
        videos: SegmentedVideos,
        instructions: Sequence[str],
        answers: Sequence[str],
        queries: Queries | None = None,
    ) -> Tensor:
        """Return the language model's loss on the answers (what DDP and FSDP call).

        There is a video for each instruction, or one that all are about.
        """
        return self._speaker().loss(self.projected(videos), instructions, answers, queries)

    @torch.inference_mode()
    def read(self, videos: SegmentedVideos) -> list[ReadText]:
        """Read each video once for all questions about it."""
        return self._speaker().read(self.projected(videos))

    @torch.inference_mode()
    def answer(
        self,
        videos: SegmentedVideos,
        instructions: Sequence[str],
        queries: Queries | None = None,
        *,
        max_new_tokens: int = 256,
    ) -> list[Answer]:
        """Return what the language model says to each instruction.

        There is a video for each instruction, or one that all are about.
        """
        read = self.read(videos)
        about = read * len(instructions) if len(read) == 1 else read
        longest = [max_new_tokens] * len(instructions)
        return self.answer_about(about, instructions, longest, queries)

    def answer_about(
        self,
        read: Sequence[ReadText],
        instructions: Sequence[str],
        longest: Sequence[int],
        queries: Queries | None = None,
    ) -> list[Answer]:
        """Return the answers, each of so many tokens at most, to questions about what was read."""
        return self._speaker().answer(read, instructions, longest, queries)

    def train(self, mode: bool = True) -> Self:
        """Set the training mode, but leave frozen parts in evaluation (no dropout there)."""
        super().train(mode)
        for module in frozen_modules(self, self.trained):
            module.train(False)
        return self

    def _speaker(self) -> LanguageModel:
        if self.language is None:
            raise ValueError(f"'{self.name}' was built without a language model")
        return self.language

    def _check(self, videos: SegmentedVideos) -> None:
        """Raise `ValueError` for videos that were not cut for this model."""
        width, frames = videos.features.shape[-1], videos.present.shape[2]
        if width != self.feature_dim or frames != self.segmentation.frames:
            raise ValueError(
                f"segments of {frames} frames with features {width} wide; the model "
                f"'{self.name}' reads {self.segmentation.frames} frames, {self.feature_dim} wide: "
                "cut videos by its segmentation"
            )
        if not videos.present.any(dim=2).any(dim=1).all():
            raise ValueError("a video of the batch has no frame that is present")
