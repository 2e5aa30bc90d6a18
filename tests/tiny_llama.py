"""A language model and a tokenizer of bytes, small enough to be built anew in a test."""

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from models.temporalvlm.config import LanguageConfig, LoraConfig

END = "<|im_end|>"
LANGUAGE = LanguageConfig(
    name="tiny",
    dim=24,
    lora=LoraConfig(rank=2, alpha=4),
    before_video="<|im_start|>user\n",
    after_video="\n",
    before_answer=f"{END}\n<|im_start|>assistant\n",
    end_of_answer=END,
)


def byte_tokenizer(begin: str = "<|im_start|>", end: str = END) -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    wrapped: Any = PreTrainedTokenizerFast  # it has no types
    return wrapped(tokenizer_object=plain, bos_token=begin, eos_token=end, pad_token=end)


def tiny_llama(max_positions: int = 512) -> LlamaForCausalLM:
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=258,
            hidden_size=24,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=max_positions,
            initializer_range=0.5,  # large, so that greedy answers differ from each other
        )
    )
