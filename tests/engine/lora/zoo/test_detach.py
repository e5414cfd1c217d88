"""The bank is a guest: silent it is the base, detached it was never there, also after failures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from engine.formats.errors import AdapterError
from engine.lora import attach, read_adapter
from tests.engine.lora.zoo.bases import BASES, answer, build
from tests.engine.lora.zoo.recipes import RECIPES, of

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")


def crowd(base: str, zoo: Callable[[str], Any]) -> dict[str, Any]:
    """One expert of each kind that a base has, and a single owner of replaced parameters."""
    names = of(base)
    owners = [name for name in names if RECIPES[name].replaces]
    return {name: read_adapter(zoo(name)) for name in names if name not in owners[1:]}


def picture(model: nn.Module) -> dict[str, Any]:
    """All that a guest could have touched: identities, numbers, flags, attributes, hooks."""
    seen: dict[str, Any] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        hooks = {
            key: len(value) for key, value in vars(module).items() if "hooks" in key and value is not None
        }
        seen[path] = (id(module), type(module), module.training, sorted(vars(module)), hooks)
    for path, tensor in [*model.named_parameters(), *model.named_buffers()]:
        seen[f"{path} "] = (id(tensor), tensor.data_ptr(), tensor.requires_grad, tensor._version)
    return seen


@contextmanager
def untouched(model: nn.Module, base: str):
    before, state = picture(model), {key: tensor.clone() for key, tensor in model.state_dict().items()}
    logits = answer(model, base)
    yield
    assert torch.equal(answer(model, base), logits)
    after = model.state_dict()
    assert after.keys() == state.keys() and all(torch.equal(after[key], state[key]) for key in state)
    assert picture(model) == before


@pytest.mark.parametrize("base", BASES)
def test_detached_it_was_never_there(base, zoo):
    model = build(base)
    with untouched(model, base):
        bank = attach(model, crowd(base, zoo))
        bank.activate(dict.fromkeys(bank.experts, 0.5))
        loud = answer(model, base)
        bank.detach()
    assert not torch.equal(loud, answer(model, base))


@pytest.mark.parametrize("base", BASES)
def test_silent_it_is_the_base_bit_for_bit(base, zoo):
    model = build(base)
    logits = answer(model, base)
    bank = attach(model, crowd(base, zoo))
    assert torch.equal(answer(model, base), logits)
    for weights in ({}, dict.fromkeys(bank.experts, 0.0)):
        bank.activate(dict.fromkeys(bank.experts, 0.5))
        assert not torch.equal(answer(model, base), logits)
        bank.activate(weights)
        assert torch.equal(answer(model, base), logits)


@pytest.mark.parametrize("base", BASES)
def test_a_forward_that_fails_leaves_nothing_behind(base, zoo):
    """Half-way through, whatever was exchanged for the pass is put back; the next pass is whole again."""
    model = build(base)
    last = [module for module in model.modules() if not list(module.children())][-1]
    with untouched(model, base):
        bank = attach(model, crowd(base, zoo))
        bank.activate(dict.fromkeys(bank.experts, 0.5))
        loud = answer(model, base)
        handle = last.register_forward_pre_hook(_raise)
        with pytest.raises(KeyboardInterrupt):
            answer(model, base)
        handle.remove()
        assert torch.equal(answer(model, base), loud)
        handle = last.register_forward_pre_hook(_raise)
        with pytest.raises(KeyboardInterrupt):
            answer(model, base)
        handle.remove()
        bank.detach()


def _raise(module: nn.Module, args: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("base", BASES)
def test_an_attach_that_fails_leaves_nothing_behind(base, zoo):
    model, stranger = build(base), read_adapter(zoo("gpt2-fused-qkv" if base != "gpt2" else "llama-plain"))
    with untouched(model, base), pytest.raises(AdapterError):
        attach(model, crowd(base, zoo) | {"stranger": stranger})


def test_detaching_twice_and_out_of_order_is_harmless(zoo):
    model = build("gpt2")
    with untouched(model, "gpt2"):
        first = attach(model, {"a": read_adapter(zoo("gpt2-dora"))})
        second = attach(model, {"b": read_adapter(zoo("gpt2-all-biases"))})
        first.activate({"a": 1.0})
        second.activate({"b": 1.0})
        both = answer(model, "gpt2")
        first.detach()
        first.detach()
        only = answer(model, "gpt2")
        second.detach()
    assert not torch.equal(both, only)


@pytest.mark.parametrize("name", ["llama-own-head", "gpt2-all-biases", "llama-own-norms", "mamba-all-biases"])
def test_owners_in_two_banks_put_back_what_was_there(name, zoo):
    """Both play at once, so one exchanges what the other has exchanged; in the end it is the base again."""
    base = RECIPES[name].base
    model = build(base)
    with untouched(model, base):
        banks = [attach(model, {"a": read_adapter(zoo(name))}) for _ in range(2)]
        for bank in banks:
            bank.activate({"a": 0.5})
        answer(model, base)
        for bank in banks:
            bank.activate({})
        assert torch.equal(answer(model, base), answer(build(base), base))
        for bank in banks:
            bank.detach()
