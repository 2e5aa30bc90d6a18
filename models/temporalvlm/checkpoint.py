"""Loads a checkpoint in TimeChat's layout (github.com/RenShuhuai-Andy/TimeChat) key by key.

Its names are those of LAVIS' BERT Q-Former; the layers are the same as transformers':
```
query_tokens, Qformer.bert.*                     image Q-Former
video_query_tokens, video_Qformer.bert.*,
video_frame_position_embedding.weight            video Q-Former (table resized if of other length)
llama_proj.*                                     projection
llama_model.[..]self_attn.q_proj.lora_A.*        LoRA, with or without peft's adapter name
```
Fusion, BiLSTM and step head are not in it and stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from industryasm.fault import UserFault
from models.temporalvlm.config import PartName
from models.temporalvlm.model import TemporalVLM

TIMECHAT_PARTS: frozenset[PartName] = frozenset(
    ("image_qformer", "video_qformer", "projection", "lora")
)
_IMAGE = "segment_encoder.image_qformer."
_VIDEO = "segment_encoder.video_qformer."
_POSITION = _VIDEO + "position.weight"
_PREFIXES: dict[PartName, tuple[str, ...]] = {
    "image_qformer": (_IMAGE,),
    "video_qformer": (_VIDEO,),
    "projection": ("projection.",),
    "lora": ("language.",),
}
# What a checkpoint may hold beside the parts: the frozen models, and BERT's constant 0, 1, 2, ...
_PASSED_OVER = re.compile(
    r"visual_encoder\.|ln_vision\.|.*\.position_ids$|llama_model\.(?!.*lora_)"
)
_RENAMED: tuple[tuple[str, str], ...] = (
    (r"^query_tokens$", _IMAGE + "queries"),
    (r"^Qformer\.bert\.embeddings\.LayerNorm\.", _IMAGE + "qformer.embeddings.layernorm."),
    (r"^Qformer\.bert\.", _IMAGE + "qformer."),
    (r"^video_query_tokens$", _VIDEO + "queries"),
    (r"^video_frame_position_embedding\.weight$", _POSITION),
    (r"^video_Qformer\.bert\.embeddings\.LayerNorm\.", _VIDEO + "qformer.layernorm."),
    (r"^video_Qformer\.bert\.", _VIDEO + "qformer."),
    (r"^llama_proj\.", "projection."),
    (r"^llama_model\.(.*\.lora_[AB])(?:\.default)?\.weight$", r"language.model.\1.default.weight"),
)


class CheckpointError(UserFault, ValueError):
    """A checkpoint cannot be read or does not fit the model."""


@dataclass(frozen=True)
class LoadReport:
    """What was done with a checkpoint's keys."""

    loaded: int
    passed_over: tuple[str, ...]
    resized_from: int | None
    """The length of the frame position table, where it was another one."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a state dict: a `.safetensors` file, or TimeChat's `.pth` with its tensors only.

    Raises `CheckpointError`; nothing that a pickle could run is run (`weights_only`).
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise CheckpointError(f"{path}: not a safetensors file: {error}") from error
    if path.suffix not in (".pth", ".pt"):
        raise CheckpointError(
            f"{path}: '{path.suffix}' is neither .safetensors nor TimeChat's .pth"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can end in any of them
        raise CheckpointError(
            f"{path}: holds more than tensors or is damaged; where you trust it, save its "
            "state dict as safetensors and give that"
        ) from error
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f"{path}: no state dict under 'model', as TimeChat's checkpoints have"
        )
    return state


def timechat_name(key: str) -> str | None:
    """Return the name here of a key of TimeChat's layout; None for one that is passed over.

    Raises `KeyError` for a key that the layout does not have.

    >>> timechat_name("video_Qformer.bert.encoder.layer.1.crossattention.self.key.weight")
    'segment_encoder.video_qformer.qformer.encoder.layer.1.crossattention.attention.key.weight'
    """
    if _PASSED_OVER.match(key):
        return None
    for pattern, replacement in _RENAMED:
        renamed, count = re.subn(pattern, replacement, key)
        if count:
            return re.sub(r"(attention)\.self\.", r"\1.attention.", renamed)
    raise KeyError(key)


def load_timechat(
    model: TemporalVLM,
    state: Mapping[str, Tensor],
    parts: Collection[PartName] = TIMECHAT_PARTS,
) -> LoadReport:
    """Load `parts` of a model from a state dict in TimeChat's layout; all of them, or nothing.

    Raises `CheckpointError` that lists every key that is missing, unknown or of another shape.
    """
    mapped, passed_over, unknown = _rename(state, parts)
    own = model.state_dict()
    resized_from = None
    if _POSITION in mapped and mapped[_POSITION].shape != own[_POSITION].shape:
        resized_from = len(mapped[_POSITION])
        mapped[_POSITION] = _resize(mapped[_POSITION], len(own[_POSITION]))
    wanted = {name for name in own if _belongs(name, parts)}
    missing = sorted(wanted - mapped.keys())
    unknown += sorted(mapped.keys() - wanted)
    other = [
        f"{name} {tuple(value.shape)}, not {tuple(own[name].shape)}"
        for name, value in sorted(mapped.items())
        if name in wanted and value.shape != own[name].shape
    ]
    _refuse(missing=missing, unknown=unknown, of_another_shape=other)
    on_meta = any(own[name].is_meta for name in mapped)
    model.load_state_dict(mapped, strict=False, assign=on_meta)
    return LoadReport(len(mapped), tuple(passed_over), resized_from)


def _rename(
    state: Mapping[str, Tensor], parts: Collection[PartName]
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    mapped: dict[str, Tensor] = {}
    passed_over: list[str] = []
    unknown: list[str] = []
    for key, value in state.items():
        try:
            name = timechat_name(key)
        except KeyError:
            unknown.append(key)
            continue
        if name is None or _belongs(name, TIMECHAT_PARTS - frozenset(parts)):
            passed_over.append(key)
        else:
            mapped[name] = value
    return mapped, passed_over, unknown


def _belongs(name: str, parts: Collection[PartName]) -> bool:
    found = (part for part in parts if name.startswith(_PREFIXES.get(part, ())))
    # Of the language model, the layout holds the adapters; of the Q-Former, not our input norm.
    return any(part != "lora" or ".lora_" in name for part in found) and not name.startswith(
        _IMAGE + "norm."
    )


def _resize(table: Tensor, length: int) -> Tensor:
    """Resize positions (T, D) to (length, D) by the nearest, as TimeChat does."""
    if table.ndim != 2:
        return table
    return functional.interpolate(table.T[None].float(), size=length, mode="nearest")[0].T.to(table)


def _refuse(*, missing: list[str], unknown: list[str], of_another_shape: list[str]) -> None:
    complaints = [
        f"{len(keys)} {what}: {', '.join(keys)}"
        for what, keys in (
            ("missing", missing),
            ("unknown", unknown),
            ("of another shape", of_another_shape),
        )
        if keys
    ]
    if complaints:
        raise CheckpointError(
            "the checkpoint does not fit the model and nothing was loaded; "
            + "; ".join(complaints)
            + ". Give the configuration that it was trained with, or name only the parts it holds"
        )
