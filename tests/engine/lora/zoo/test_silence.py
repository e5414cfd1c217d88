"""An expert that cannot be heard is never attached unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.formats.errors import AdapterError
from engine.lora import attach, new_adapter, read_adapter
from tests.engine.lora.zoo.bases import answer, build
from tests.engine.lora.zoo.recipes import RECIPES
from tests.engine.lora.zoo.strangers import changed, lora, trained

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")


def muted(source: Path, folder: Path, *parts: str) -> Path:
    """A copy whose tensors called like ``parts`` are zero."""

    def zeroed(name: str, there: Tensor) -> Tensor:
        return there.zero_() if any(part in name for part in parts) else there

    return changed(source, folder, tensor=zeroed)


@pytest.mark.parametrize(
    "name", ["llama-every-linear", "gpt2-fused-qkv", "mamba2-in", "vit-bf16", "t5-plain"]
)
def test_an_expert_whose_B_is_zero_is_refused(name, zoo, tmp_path):
    folder = muted(zoo(name), tmp_path / "a", "lora_B")
    with pytest.raises(AdapterError) as caught:
        attach(build(RECIPES[name].base), {"mute": read_adapter(folder)})
    assert "mute" in caught.value.message and caught.value.hint


def test_token_factors_of_zero_are_refused(zoo, tmp_path):
    folder = muted(zoo("llama-tokens"), tmp_path / "a", "lora_embedding_A")
    with pytest.raises(AdapterError):
        attach(build("llama"), {"mute": read_adapter(folder)})


def test_one_silent_expert_is_found_among_others(zoo, tmp_path):
    folder = muted(zoo("llama-rslora"), tmp_path / "a", "lora_B")
    adapters = {"loud": read_adapter(zoo("llama-plain")), "mute": read_adapter(folder)}
    with pytest.raises(AdapterError, match="mute"):
        attach(build("llama"), adapters)


def test_one_silent_projection_among_others_is_no_fault(zoo, tmp_path):
    folder = muted(zoo("llama-every-linear"), tmp_path / "a", "layers.0.self_attn.q_proj.lora_B")
    model = build("llama")
    attach(model, {"a": read_adapter(folder)}).activate({"a": 1.0})
    assert not torch.equal(answer(model, "llama"), answer(build("llama"), "llama"))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("llama-lora-bias", ("lora_B.weight",)),
        ("llama-dora", ("lora_B",)),
        ("vit-classifier", ("lora_B",)),
        ("gpt2-all-biases", ("lora_B",)),
    ],
)
def test_a_bias_a_magnitude_or_a_module_of_its_own_is_heard_without_B(name, parts, zoo, tmp_path):
    base = RECIPES[name].base
    model = build(base)
    attach(model, {"a": read_adapter(muted(zoo(name), tmp_path / "a", *parts))}).activate({"a": 1.0})
    assert not torch.equal(answer(model, base), answer(build(base), base))


def test_an_expert_to_be_trained_may_begin_in_silence():
    model = build("llama")
    bank = attach(model, {"new": new_adapter(model, 2)}, trainable=True)
    assert bank.parameters()


def test_an_expert_on_a_projection_that_is_never_called_is_refused(tmp_path):
    """Mamba reads dt_proj's weight without calling it: under PEFT such an adapter does nothing, unsaid."""
    folder = trained("mamba", lora(target_modules=["dt_proj"]), tmp_path / "a")
    with pytest.raises(AdapterError) as caught:
        attach(build("mamba"), {"a": read_adapter(folder)})
    assert "dt_proj" in str(caught.value) + caught.value.detail


def test_an_expert_on_a_table_that_is_never_called_is_refused(tmp_path):
    """T5's stacks look their tokens up in tables of their own, which share only the weight of ``shared``."""
    folder = trained("t5", lora(target_modules=["shared"]), tmp_path / "a")
    with pytest.raises(AdapterError) as caught:
        attach(build("t5"), {"a": read_adapter(folder)})
    assert "shared" in str(caught.value) + caught.value.detail


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("mamba-with-an-unread-one", "dt_proj"),
        ("t5-shared-and-queries", "shared"),
        ("vit-classifier", "classifier"),
        ("judge-score", "score"),
        ("llama-own-norms", "norm"),
        ("gpt2-all-biases", "bias"),
        ("tied-tokens", "lm_head"),
        ("tied-head", "embed_tokens"),
    ],
)
def test_what_a_person_should_know_is_in_the_notes(name, word, zoo):
    bank = attach(build(RECIPES[name].base), {"a": read_adapter(zoo(name))})
    assert any(word in note for note in bank.notes), bank.notes


@pytest.mark.parametrize("name", ["llama-plain", "llama-dora", "gpt2-fused-qkv", "llama-tokens"])
def test_where_there_is_nothing_to_say_the_notes_are_empty(name, zoo):
    assert attach(build(RECIPES[name].base), {"a": read_adapter(zoo(name))}).notes == ()
