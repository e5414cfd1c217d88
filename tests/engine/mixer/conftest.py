"""A tiny base with three experts of different ranks and targets; a trained pair of experts for two tasks."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from engine.formats.dataset import Row
from engine.lora import Adapter, new_adapter
from engine.training import LoraTask, Settings, train

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


@pytest.fixture(scope="session")
def setting(tiny_base_folder, tiny_tokenizer):
    """A base, two tasks that the first character tells apart, and an expert for each."""
    model = LlamaForCausalLM.from_pretrained(tiny_base_folder)
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefgh", k=3)) for _ in range(40)]
    tasks = {
        "first": [Row(f"1{word}:", word[0] * 2) for word in words],
        "last": [Row(f"2{word}:", word[-1] * 3) for word in words],
    }
    experts = {}
    for name, rows in tasks.items():
        task = LoraTask(model, tiny_tokenizer, rows, rank=6, batch_size=20, name=name)
        for _ in train(task, Settings(steps=150, learning_rate=0.02)):
            pass
        experts[name] = task.bank.read(name)
        task.close()
    return model, tasks, experts
