"""The parts of a video language model by name: which are trained, and how large each is.

The paper freezes the image encoder and the language model; the rest is trained by choice
(`TemporalVLMConfig.trained`). The language model's own weights and the image encoder never are.
A part that a system does not have is passed over, so one choice serves all systems.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, get_args

from torch import nn

from models.temporalvlm.config import PartName

if TYPE_CHECKING:
    from models.temporalvlm.video_language_model import VideoLanguageModel


def part_parameters(model: VideoLanguageModel) -> dict[PartName, list[nn.Parameter]]:
    """Return the parameters of each part that can be trained; none for a part not there."""
    found: dict[PartName, list[nn.Parameter]] = {name: [] for name in get_args(PartName)}
    for name, module in model.parts().items():
        found[name] = list(module.parameters())
    if model.language is not None:
        found["lora"] = [p for n, p in model.language.named_parameters() if ".lora_" in n]
    return found


def freeze(model: VideoLanguageModel, trained: Collection[PartName]) -> None:
    """Make exactly the parameters of the parts in `trained` trainable."""
    model.requires_grad_(False)
    for name, parameters in part_parameters(model).items():
        for parameter in parameters:
            parameter.requires_grad_(name in trained)


def frozen_modules(model: VideoLanguageModel, trained: Collection[PartName]) -> list[nn.Module]:
    """Return the modules that stay in evaluation mode while the others train."""
    frozen = [module for name, module in model.parts().items() if name not in trained]
    if model.image_encoder is not None:
        frozen.append(model.image_encoder)
    if model.language is not None and "lora" not in trained:
        frozen.append(model.language)
    return frozen


def parameter_counts(model: VideoLanguageModel) -> dict[str, int]:
    """Return how many parameters each part has, the two that are never trained included."""
    counts = {
        str(name): sum(p.numel() for p in parameters)
        for name, parameters in part_parameters(model).items()
    }
    if model.image_encoder is not None:
        counts["image_encoder"] = sum(p.numel() for p in model.image_encoder.parameters())
    if model.language is not None:
        everything = sum(p.numel() for p in model.language.parameters())
        counts["language_model"] = everything - counts["lora"]
    return counts
