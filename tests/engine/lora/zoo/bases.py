"""The zoo's grounds: tiny random models of six families, and one question for each."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    Mamba2Config,
    Mamba2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

VOCABULARY = 48
_SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def _llama(tied: bool = False) -> LlamaConfig:
    return LlamaConfig(
        hidden_size=64,  # what four bits need
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        tie_word_embeddings=tied,
        **_SPECIAL,
    )


def _judge() -> nn.Module:
    config = _llama()
    config.num_labels = 3
    return LlamaForSequenceClassification(config)


def _gpt2() -> nn.Module:
    return GPT2LMHeadModel(
        GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=VOCABULARY, n_positions=32, **_SPECIAL)
    )


def _mamba() -> nn.Module:
    config = MambaConfig(
        hidden_size=24,
        num_hidden_layers=2,
        state_size=4,
        time_step_rank=4,
        vocab_size=VOCABULARY,
        tie_word_embeddings=False,
        **_SPECIAL,
    )
    return MambaForCausalLM(config)


def _mamba2() -> nn.Module:
    config = Mamba2Config(
        hidden_size=24,
        num_hidden_layers=2,
        state_size=8,
        num_heads=4,
        head_dim=12,
        n_groups=2,
        chunk_size=8,
        vocab_size=VOCABULARY,
        tie_word_embeddings=False,
        **_SPECIAL,
    )
    return Mamba2ForCausalLM(config)


def _vit() -> nn.Module:
    config = ViTConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=16,
        patch_size=8,
        num_labels=5,
    )
    return ViTForImageClassification(config)


def _t5() -> nn.Module:
    config = T5Config(
        d_model=32,
        d_kv=8,
        d_ff=40,
        num_layers=2,
        num_heads=4,
        vocab_size=VOCABULARY,
        decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config)


_BUILD: dict[str, Callable[[], nn.Module]] = {
    "llama": lambda: LlamaForCausalLM(_llama()),
    "tied": lambda: LlamaForCausalLM(_llama(tied=True)),
    "judge": _judge,
    "gpt2": _gpt2,
    "mamba": _mamba,
    "mamba2": _mamba2,
    "vit": _vit,
    "t5": _t5,
}
BASES = tuple(_BUILD)


@cache
def _original(base: str) -> nn.Module:
    torch.manual_seed(0)
    model = _BUILD[base]().eval().requires_grad_(False)
    dice = torch.Generator().manual_seed(1)
    for parameter in model.parameters():  # biases start at 0 and norms at 1: nothing could be told from them
        if parameter.dim() == 1:
            parameter += 0.1 * torch.randn(parameter.shape, generator=dice)
    return model


def build(base: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A model of its own, the same every time."""
    return copy.deepcopy(_original(base)).to(dtype)


def question(base: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """What the base is asked, as the keyword arguments of its forward."""
    dice = torch.Generator().manual_seed(5)
    if base == "vit":
        return {"pixel_values": torch.randn(2, 3, 16, 16, generator=dice).to(dtype)}
    ids = torch.randint(3, VOCABULARY, (2, 11), generator=dice)
    if base == "t5":
        return {"input_ids": ids, "decoder_input_ids": torch.randint(3, VOCABULARY, (2, 7), generator=dice)}
    return {"input_ids": ids}


@torch.no_grad()
def answer(model: nn.Module, base: str) -> Tensor:
    """The model's logits to its question."""
    logits: Tensor = model(**question(base, next(model.parameters()).dtype)).logits
    return logits


def apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest number expected."""
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())
