"""Tiny encoders with every tensor drawn at random, running statistics too, and a speech model of them."""

from __future__ import annotations

import math

import pytest
import torch

from engine.speech.avhubert.config import AvHubertConfig
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.encoders import AvHubertEye, WhisperEar
from engine.speech.model import LoraSize, SpeechModel
from tests.engine.speech.tones import CONFIG

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


@pytest.fixture(scope="module")
def whisper():
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(3)
    config = WhisperConfig(
        d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=24, num_mel_bins=80,
        max_source_positions=50, vocab_size=60, decoder_layers=1, decoder_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, init_std=0.3,
    )  # fmt: skip
    return WhisperEncoder(config)


@pytest.fixture
def llm(tiny_base_folder):
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(tiny_base_folder)


@pytest.fixture
def make(llm, tiny_tokenizer, whisper, encoder):
    """A speech model on the tiny base."""

    def _make(config=CONFIG, **more):
        parts = {
            "ear": WhisperEar(whisper) if config.audio_rates else None,
            "eye": AvHubertEye(encoder) if config.video_rates else None,
            "lora": LoraSize(rank=4),
            "trainable": True,
        }
        return SpeechModel(llm, tiny_tokenizer, config, **(parts | more))

    return _make
