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

KINDS = [
    {},
    {"input": "local", "null": False, "temperature": 2.0},
    {"share": "group", "activation": "sigmoid"},
    {"share": "layer", "absolute": True},
]


@pytest.fixture(params=KINDS, ids=["context", "local", "group", "layer"])
def saved(request, tmp_path, llama, experts, ids):
    """(folder, logits) of a mix with opinions."""
    bank = attach(llama, experts)
    router = Router(bank.layout(), bank.experts, groups=bank.groups(), **request.param)
    for index, V in enumerate(router.V):
        V.data.normal_(0.0, 0.7, generator=torch.Generator().manual_seed(index))
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    with torch.no_grad():
        logits = llama(ids).logits
    with atomic_folder(tmp_path / "mix") as work:
        save_mix(
            work,
            router,
            bank,
            name="mix",
            base="tiny",
            usage={"e0": 0.5},
            trained={"seed": 3},
            made="joint",
            warning="It has collapsed.",
        )
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
    assert card.ranks == {"e0": (1, 2), "e1": (1, 3), "e2": (1, 4)}
    assert set(card.kinds.values()) == {"lora"}
    assert card.router_parameters == router.size and mix.trained == {"seed": 3}
    assert (card.made, card.warning) == ("joint", "It has collapsed.")
    kind = (card.router_input, card.router_share, card.activation, card.null_expert)
    assert kind == (router.input, router.share, router.activation, router.null)


def test_a_folder_that_moved_plays_the_same(saved, llama, ids, tmp_path):
    folder, logits = saved
    moved = folder.rename(tmp_path / "elsewhere")
    bank, router, mix = load_mix(moved, llama)
    bank.gates = bank.new_gates(dict.fromkeys(mix.experts, 1.0), router=router)
    with torch.no_grad():
        assert torch.equal(llama(ids).logits, logits)
    assert read_mix_card(moved).name == "elsewhere"


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


NEW_FIELDS = ("router_share", "groups", "activation", "absolute", "made", "warning", "scores")


@pytest.mark.parametrize("saved", KINDS[:2], ids=["context", "local"], indirect=True)
def test_a_folder_from_before_gates_had_kinds(saved, llama, ids):
    folder, logits = saved
    card = json.loads((folder / "mixer.json").read_text())
    assert all(card.pop(field) is not None for field in NEW_FIELDS)
    (folder / "mixer.json").write_text(json.dumps(card))
    bank, router, mix = load_mix(folder, llama, "tiny")
    bank.gates = bank.new_gates(dict.fromkeys(mix.experts, 1.0), router=router)
    with torch.no_grad():
        assert torch.equal(llama(ids).logits, logits)
    assert (mix.router_share, mix.activation, mix.made, mix.warning) == ("projection", "softmax", "", "")


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
    "share": ({"router_share": "model"}, "damaged"),
    "activation": ({"activation": "relu"}, "damaged"),
    "absolute": ({"absolute": 1}, "damaged"),
    "made": ({"made": "by hand"}, "damaged"),
    "warning": ({"warning": "a\x1b[2J"}, "warning"),
    "long warning": ({"warning": "a" * 2000}, "warning"),
    "usage": ({"usage": {"e0": 7.0}}, "usage"),
    "negative usage": ({"usage": {"e0": -0.1}}, "usage"),
    "groups": ({"router_share": "group", "groups": [["a"]]}, "groups"),
    "no groups": ({"router_share": "layer", "groups": []}, "groups"),
    "empty group": ({"router_share": "layer", "groups": [[], []]}, "groups"),
    "other share": ({"router_share": "group", "groups": None}, "sizes|damaged"),
}


@pytest.mark.parametrize("saved", KINDS[2:3], ids=["group"], indirect=True)
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
