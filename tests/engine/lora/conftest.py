"""Tiny random bases, and PEFT as the yardstick: adapters that it wrote, logits that it computes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)


def make_llama(layers: int = 3) -> nn.Module:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=64,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def make_gpt2() -> nn.Module:
    torch.manual_seed(0)
    config = GPT2Config(
        n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=64, bos_token_id=0, eos_token_id=0
    )
    return GPT2LMHeadModel(config).eval().requires_grad_(False)


@pytest.fixture
def llama() -> nn.Module:
    return make_llama()


@pytest.fixture
def gpt2() -> nn.Module:
    return make_gpt2()


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(1, 64, (2, 11), generator=torch.Generator().manual_seed(5))


@pytest.fixture
def peft_adapter(tmp_path: Path) -> Callable[..., Path]:
    """Have PEFT make a LoRA with random factors for a copy of ``model``, and save it."""

    def make(model: nn.Module, name: str = "a", dtype: torch.dtype | None = None, **config: Any) -> Path:
        torch.manual_seed(sum(map(ord, name)))
        peft = get_peft_model(copy.deepcopy(model), LoraConfig(**({"r": 4, "lora_alpha": 6} | config)))
        for path, parameter in peft.named_parameters():
            if "lora_B" in path:
                parameter.data.normal_(0.0, 0.3)
            if dtype is not None and "lora_" in path:
                parameter.data = parameter.data.to(dtype)
        peft.save_pretrained(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def peft_logits() -> Callable[..., Tensor]:
    """Logits of a plain copy of ``model`` under PEFT with ``folders`` active together."""

    def logits(model: nn.Module, ids: Tensor, *folders: Path) -> Tensor:
        fresh = type(model)(model.config).eval()  # without the hooks of a bank
        fresh.load_state_dict(model.state_dict())
        peft = PeftModel.from_pretrained(
            fresh.to(next(model.parameters()).dtype), folders[0], adapter_name="0"
        )
        for index, folder in enumerate(folders[1:], 1):
            peft.load_adapter(folder, adapter_name=str(index))
        peft.base_model.set_adapter([str(index) for index in range(len(folders))])
        with torch.no_grad():
            return peft.eval()(ids).logits

    return logits


@pytest.fixture
def apart() -> Callable[[Tensor, Tensor], float]:
    """Relative distance of two tensors: |a - b| / |b|."""

    def distance(a: Tensor, b: Tensor) -> float:
        return float((a.double() - b.double()).norm() / b.double().norm())

    return distance
