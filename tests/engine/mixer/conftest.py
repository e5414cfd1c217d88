"""A tiny base with three experts of different ranks and targets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from engine.lora import Adapter, new_adapter

torch.set_num_threads(1)


@pytest.fixture
def llama() -> nn.Module:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=64,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


@pytest.fixture
def experts(llama: nn.Module) -> dict[str, Adapter]:
    adapters = {}
    for index, targets in enumerate([(), ("q_proj", "o_proj"), ("q_proj", "down_proj")]):
        adapter = new_adapter(llama, 2 + index, targets=targets, seed=index, name=f"e{index}")
        generator = torch.Generator().manual_seed(index)
        for factors in adapter.factors.values():
            factors.B.normal_(0.0, 0.3, generator=generator)
        adapters[adapter.name] = adapter
    return adapters


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(1, 64, (2, 9), generator=torch.Generator().manual_seed(5))
