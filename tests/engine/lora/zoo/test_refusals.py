"""What cannot be exact is refused: with a reason, a next step, and nothing left on the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.formats.errors import AdapterError
from engine.lora import attach, read_adapter
from tests.engine.lora.zoo.bases import answer, apart, build
from tests.engine.lora.zoo.recipes import RECIPES
from tests.engine.lora.zoo.strangers import OTHER_KINDS, changed, lora, trained
from tests.engine.lora.zoo.writing import load, play

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")


def refused(base: str, *folders: Path) -> AdapterError:
    """The error that reading ``folders`` or putting them on ``base`` ends in; it must be fit to be read."""
    model = build(base)
    with pytest.raises(AdapterError) as caught:
        attach(model, {folder.name: read_adapter(folder) for folder in folders})
    error = caught.value
    assert error.code in ("adapter", "refused")
    for sentence in (error.message, error.hint):
        assert len(sentence.split()) >= 3 and sentence.endswith("."), error
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(answer(model, base), answer(build(base), base))
    return error


REASONS = {
    "LoHa": "LOHA",
    "LoKr": "LOKR",
    "AdaLoRA": "ADALORA",
    "IA3": "IA3",
    "OFT": "OFT",
    "VeRA": "VERA",
    "prompt tuning": "PROMPT_TUNING",
    "layer norm tuning": "LN_TUNING",
    "unconverted PiSSA": "pissa",
    "unconverted OLoRA": "olora",
    "aLoRA": "aLoRA",
    "bare parameters": "target_parameters",
    "replicated layers": "layer_replication",
    "new tokens": "token",
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_another_kind_is_called_by_its_name(kind, tmp_path):
    error = refused("llama", trained("llama", OTHER_KINDS[kind](), tmp_path / "a"))
    assert REASONS[kind] in error.message


@pytest.mark.parametrize("start", ["corda", "loftq", "lora_ga", "pissa_niter_4"])
def test_a_start_that_rewrites_the_base_is_named(start, zoo, tmp_path):
    folder = changed(zoo("llama-plain"), tmp_path / "a", {"init_lora_weights": start})
    error = refused("llama", folder)
    assert start in error.message and "onvert" in error.hint


def test_a_convolution_is_named(tmp_path):
    error = refused("vit", trained("vit", lora(target_modules=["projection"]), tmp_path / "a"))
    assert "convolution" in error.message and "projection" in error.message


@pytest.mark.parametrize("base", ["llama", "tied"])
@pytest.mark.parametrize("targets", [["q_proj"], ["embed_tokens"], ["lm_head"]])
def test_added_tokens_are_seen(base, targets, tmp_path):
    """A vocabulary grown from 48 to 52: its rows are in the file, and the base has no place for them."""
    error = refused(base, trained(base, lora(target_modules=targets), tmp_path / "a", tokens=52))
    assert any(word in error.message for word in ("vocabulary", "tokens", "embeddings"))


def ending(part: str, result: Callable[[Tensor], Tensor | None]) -> Callable[[str, Tensor], Tensor | None]:
    return lambda name, there: result(there) if name.endswith(part) else there


def without(part: str) -> Callable[[str, Tensor], Tensor | None]:
    return ending(part, lambda there: None)


def broken(part: str) -> Callable[[str, Tensor], Tensor | None]:
    return ending(part, lambda there: there.index_fill(0, torch.tensor([1]), float("nan")))


def shorter(part: str) -> Callable[[str, Tensor], Tensor | None]:
    return ending(part, lambda there: there[:-1].clone())


def _narrower(there: Tensor) -> Tensor:
    return there[:, 1:].clone()


DAMAGE = {
    "no B": ("llama-plain", without("1.self_attn.q_proj.lora_B.weight")),
    "no A": ("llama-plain", without("1.self_attn.q_proj.lora_A.weight")),
    "no embedding B": ("tied-tokens", without("lora_embedding_B")),
    "no embedding A": ("gpt2-words", without("lora_embedding_A")),
    "no magnitude": ("llama-dora", without("1.mlp.up_proj.lora_magnitude_vector")),
    "only a magnitude": ("llama-dora", without("1.mlp.up_proj.lora_A.weight")),
    "no bias of one": ("llama-lora-bias", without("1.self_attn.q_proj.lora_B.bias")),
    "half a classifier": ("vit-classifier", without("classifier.weight")),
    "A of another width": (
        "llama-plain",
        ending("1.self_attn.q_proj.lora_A.weight", _narrower),
    ),
    "fewer rows of B": ("llama-plain", shorter("1.self_attn.q_proj.lora_B.weight")),
    "fewer columns of B": (
        "llama-plain",
        ending("1.self_attn.q_proj.lora_B.weight", _narrower),
    ),
    "a shorter magnitude": ("llama-dora", shorter("1.mlp.up_proj.lora_magnitude_vector")),
    "a shorter bias": ("gpt2-lora-bias", shorter("h.1.attn.c_attn.lora_B.bias")),
    "a smaller classifier": ("vit-classifier", shorter("classifier.weight")),
    "a shorter base bias": ("gpt2-own-biases", shorter("h.1.attn.c_attn.base_layer.bias")),
    "NaN in B": ("llama-plain", broken("1.self_attn.q_proj.lora_B.weight")),
    "NaN in a magnitude": ("llama-dora", broken("1.mlp.up_proj.lora_magnitude_vector")),
    "NaN in a bias": ("gpt2-lora-bias", broken("h.1.attn.c_attn.lora_B.bias")),
    "NaN in an embedding": ("llama-tokens", broken("lora_embedding_B")),
    "NaN in a classifier": ("vit-classifier", broken("classifier.weight")),
    "NaN in a base bias": ("gpt2-own-biases", broken("h.1.attn.c_attn.base_layer.bias")),
    "whole numbers": ("llama-plain", ending("0.self_attn.v_proj.lora_A.weight", lambda A: A.to(torch.int8))),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_seen(damage, zoo, tmp_path):
    name, tensor = DAMAGE[damage]
    refused(RECIPES[name].base, changed(zoo(name), tmp_path / "a", tensor=tensor))


def test_a_magnitude_is_never_dropped_nor_missed(zoo, tmp_path):
    """The config and the tensors must tell the same story, or PEFT and we could not mean the same."""
    refused("llama", changed(zoo("llama-dora"), tmp_path / "a", {"use_dora": False}))
    refused("llama", changed(zoo("llama-plain"), tmp_path / "b", {"use_dora": True}))


def test_the_wrong_base_is_named(zoo):
    assert "lands nowhere" in refused("gpt2", zoo("llama-plain")).message
    refused("llama", zoo("vit-classifier"))
    refused("llama", zoo("judge-score"))  # its projections are here, its score is not


@pytest.mark.parametrize("name", ["judge-score", "llama-own-head", "gpt2-all-biases", "tied-own-tokens"])
def test_two_owners_of_one_parameter_are_both_named(name, zoo, tmp_path):
    one, other = (changed(zoo(name), tmp_path / owner) for owner in ("first", "second"))
    error = refused(RECIPES[name].base, one, other)
    assert "first" in error.message and "second" in error.message


def test_biases_have_one_owner(zoo):
    refused("gpt2", zoo("gpt2-all-biases"), zoo("gpt2-own-biases"))


UNSURE = {
    "another copy of the head": ("llama-head", ending("lm_head.base_layer.weight", torch.neg)),
    "another copy of the embeddings": (
        "llama-tokens",
        ending("embed_tokens.base_layer.weight", torch.neg),
    ),
}


@pytest.mark.parametrize("case", UNSURE)
def test_another_base_inside_a_folder_is_played_or_refused(case, zoo, tmp_path):
    """PEFT loads such a copy over the base: it is played as PEFT plays it, or it is refused."""
    name, tensor = UNSURE[case]
    played_or_refused(RECIPES[name].base, changed(zoo(name), tmp_path / "a", tensor=tensor))


@pytest.mark.parametrize("part", ["target_modules", "modules_to_save"])
def test_tied_weights_that_stay_tied_are_played_or_refused(part, tmp_path):
    config = lora(**{part: ["embed_tokens"]}, ensure_weight_tying=True)
    played_or_refused("tied", trained("tied", config, tmp_path / "a"))


def played_or_refused(base: str, folder: Path) -> None:
    model = build(base)
    try:
        bank = attach(model, {"a": read_adapter(folder)})
    except AdapterError:
        refused(base, folder)
        return
    bank.activate({"a": 1.0})
    theirs = answer(play(load(build(base), {"a": folder}), {"a": 1.0}), base)
    assert apart(answer(model, base), theirs) < 1e-5
