"""Tiny encoders with every tensor drawn at random, running statistics too."""

from __future__ import annotations

import math

import pytest
import torch

from engine.speech.avhubert.config import AvHubertConfig
from engine.speech.avhubert.encoder import AvHubert

torch.set_num_threads(1)

TINY = AvHubertConfig(
    width=32,
    feedforward=48,
    layers=2,
    heads=4,
    position_kernel=8,
    position_groups=4,
    channels=(4, 6, 8, 10),
)


def make_encoder(config: AvHubertConfig = TINY, seed: int = 0) -> AvHubert:
    generator = torch.Generator().manual_seed(seed)
    model = AvHubert(config)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator)
            positive = name.endswith(("running_var", "weight_g")) or "norm" in name or ".bn" in name
            scale = 0.2 if tensor.dim() < 2 else 1.5 / math.sqrt(tensor[0].numel())
            tensor.copy_(drawn.abs() * 0.3 + 0.7 if positive else drawn * scale)
    return model.eval().requires_grad_(False)


@pytest.fixture
def encoder() -> AvHubert:
    return make_encoder()


@pytest.fixture(name="make_encoder")
def _make_encoder():
    return make_encoder
