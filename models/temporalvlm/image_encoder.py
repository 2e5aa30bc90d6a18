"""Frozen image encoders: pictures in, the tokens of each out.

Paper scale is EVA-CLIP ViT-g/14 as transformers' `InstructBlipVisionModel`. At small scale features
come ready (`models/encoder.py`, or a published set's) and nothing here is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import InstructBlipVisionConfig, InstructBlipVisionModel

from industryasm.fault import UserFault
from models.temporalvlm.config import ImageEncoderConfig


class ImageEncoderError(UserFault, ValueError):
    """The image encoder's weights are absent or of other shapes."""


class FrozenImageEncoder(nn.Module):
    """Turns normalised pictures (N, 3, S, S) into tokens (N, P, D); never trained."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.vision = InstructBlipVisionModel(
            InstructBlipVisionConfig(
                hidden_size=config.dim,
                intermediate_size=config.mlp_dim,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                image_size=config.image_size,
                patch_size=config.patch,
            )
        )
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, images: Tensor, *, at_once: int = 16) -> Tensor:
        """Encode N pictures, `at_once` of them at a time."""
        parts = [self.vision(part).last_hidden_state for part in torch.split(images, at_once)]
        return torch.cat(parts)

    def load_folder(self, folder: Path) -> None:
        """Load the weights of a local InstructBLIP folder (safetensors only).

        Raises `ImageEncoderError` when they are absent, cut off, pickled or of other shapes.
        """
        loading: Any = InstructBlipVisionModel.from_pretrained
        try:
            loaded, info = loading(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            if info["missing_keys"]:
                raise ValueError(f"no weights for {sorted(info['missing_keys'])[:5]}")
            self.vision.load_state_dict(loaded.state_dict())
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise ImageEncoderError(
                f"{folder}: {error}; give a folder with an InstructBLIP model of these shapes as "
                "safetensors"
            ) from error
        self.requires_grad_(False).eval()
