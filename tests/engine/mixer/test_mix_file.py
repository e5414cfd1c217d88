"""A mix saved and loaded plays the same logits; one that was tampered with, or meant for another base, does
not."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import LlamaForCausalLM

from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder
from engine.formats.mix_file import read_mix_card
from engine.lora import attach
from engine.mixer import Router, load_mix, save_mix


@pytest.fixture(params=[{}, {"input": "local", "null": False, "temperature": 2.0}], ids=["context", "local"])
def saved(request, tmp_path, llama, experts, ids):
    """(folder, logits) of a mix with opinions."""
    bank = attach(llama, experts)
    router = Router(bank.layout(), bank.experts, **request.param)
    for index, V in enumerate(router.V):
        V.data.normal_(0.0, 0.7, generator=torch.Generator().manual_seed(index))
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    with torch.no_grad():
        logits = llama(ids).logits
    with atomic_folder(tmp_path / "mix") as work:
        save_mix(work, router, bank, name="mix", base="tiny", usage={"e0": 0.5}, trained={"seed": 3})
    bank.detach()
    return tmp_path / "mix", logits


def test_the_same_logits(saved, llama, ids):
    folder, logits = saved
    bank, router, mix = load_mix(folder, llama, "tiny")
    bank.gates = bank.new_gates(dict.fromkeys(mix.experts, 1.0), router=router)
    with torch.no_grad():
        assert torch.equal(llama(ids).logits, logits)
    assert not any(V.requires_grad for V in router.V)
    card = read_mix_card(folder)
    assert (card.name, card.base, card.experts, card.usage) == (
        "mix",
        "tiny",
        ["e0", "e1", "e2"],
        {"e0": 0.5},
    )
    assert card.router_parameters == router.size and mix.trained == {"seed": 3}


def test_another_base(saved, llama):
    folder, _ = saved
    with pytest.raises(StudioError, match="trained on tiny, not on other") as caught:
        load_mix(folder, llama, "other")
    assert caught.value.code == "base"
    llama.config.hidden_size = 64
    with pytest.raises(StudioError, match="another base"):
        load_mix(folder, LlamaForCausalLM(llama.config))


@pytest.mark.parametrize(
    "name", ["router.safetensors", "experts/e1/adapter_model.safetensors", "experts/e0/adapter_config.json"]
)
def test_changed_files(saved, llama, name):
    folder, _ = saved
    raw = bytearray((folder / name).read_bytes())
    raw[-3] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(StudioError):
        load_mix(folder, llama, "tiny")
    assert not llama._forward_hooks


CARDS = {
    "no expert": ({"experts": []}, "list of experts"),
    "twice": ({"experts": ["e0", "e0"]}, "list of experts"),
    "escape": ({"experts": ["..", "e0", "e1"]}, "impossible name"),
    "slash": ({"experts": ["../../e0"]}, "impossible name"),
    "missing": ({"experts": ["e0", "e1", "e9"]}, "e9 is missing"),
    "temperature": ({"temperature": 0.0}, "temperature"),
    "modules": ({"modules": ["a"]}, "projections"),
    "null": ({"null_expert": "yes"}, "damaged"),
    "stranger": ({"surprise": 1}, "damaged"),
    "format": ({"format": 2}, "damaged"),
}


@pytest.mark.parametrize("case", CARDS)
def test_damaged_cards(saved, case):
    folder, _ = saved
    changes, sentence = CARDS[case]
    card = json.loads((folder / "mixer.json").read_text()) | changes
    (folder / "mixer.json").write_text(json.dumps(card))
    with pytest.raises(StudioError, match=sentence):
        read_mix_card(folder)


def test_missing_parts(saved, tmp_path):
    folder, _ = saved
    (folder / "router.safetensors").unlink()
    with pytest.raises(StudioError, match=r"router\.safetensors is missing"):
        read_mix_card(folder)
    (folder / "mixer.json").unlink()
    with pytest.raises(StudioError, match="not a mix"):
        read_mix_card(folder)
    with pytest.raises(StudioError, match="not a mix"):
        read_mix_card(tmp_path / "nowhere")
