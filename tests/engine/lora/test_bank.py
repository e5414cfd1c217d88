"""Attaching, switching and detaching: what lands, what is refused, what is left behind (nothing)."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest
import torch

from engine.formats.errors import AdapterError, StudioError
from engine.lora import Adapter, Factors, attach, new_adapter, svd_order
from engine.lora.gates import REST

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")


def loud(adapter: Adapter) -> Adapter:
    """A fresh adapter with something to say."""
    generator = torch.Generator().manual_seed(1)
    for factors in adapter.factors.values():
        factors.B.normal_(0.0, 0.3, generator=generator)
    return adapter


def renamed(adapter: Adapter, rename) -> Adapter:
    return Adapter(adapter.name, adapter.config, {rename(path): f for path, f in adapter.factors.items()})


def test_detach_restores_everything_bit_for_bit(llama, ids):
    before = {name: tensor.clone() for name, tensor in llama.state_dict().items()}
    modules = [type(module) for module in llama.modules()]
    output = llama(ids).logits
    bank = attach(llama, {"a": loud(new_adapter(llama, 4))})
    assert list(llama.state_dict()) == list(before)
    bank.activate({"a": 1.0})
    assert not torch.equal(llama(ids).logits, output)
    bank.detach()
    assert torch.equal(llama(ids).logits, output)
    assert [type(module) for module in llama.modules()] == modules
    assert all(torch.equal(tensor, before[name]) for name, tensor in llama.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in llama.modules())
    gone = weakref.ref(bank)
    del bank
    gc.collect()
    assert gone() is None


def test_silence_is_exactly_the_base(llama, ids):
    output = llama(ids).logits
    bank = attach(llama, {"a": loud(new_adapter(llama, 4))})
    assert torch.equal(llama(ids).logits, output)
    for weights in ({}, {"a": 0.0}):
        bank.activate(weights)
        assert torch.equal(llama(ids).logits, output)
    bank.activate({"a": 1.0})
    assert not torch.equal(llama(ids).logits, output)
    bank.gates = None
    assert torch.equal(llama(ids).logits, output)


def test_a_fader_raised_from_zero_is_heard(llama, ids):
    bank = attach(llama, {"a": loud(new_adapter(llama, 4))})
    bank.activate({"a": 1.0})
    expected = llama(ids).logits
    bank.activate({"a": 0.0})
    bank.gates.set_weight("a", 1.0)
    assert torch.equal(llama(ids).logits, expected)
    bank.gates.set_weight("a", 0.0)
    bank.detach()
    assert not torch.equal(llama(ids).logits, expected)


def test_the_few_that_speak_are_as_if_alone(llama, ids):
    """Static gates play without what they silence; a fader moved later is heard all the same."""
    experts = {f"e{seed}": loud(new_adapter(llama, 4, seed=seed)) for seed in range(4)}
    for weights in ({"e1": 0.7}, {"e1": 0.7, "e3": -0.5}):
        bank = attach(llama, {name: experts[name] for name in weights})
        bank.activate(weights)
        expected = llama(ids).logits
        bank.detach()
        bank = attach(llama, experts)
        bank.activate({"e0": 1.0, "e1": 0.7})
        llama(ids)
        bank.gates.set_weight("e0", 0.0)
        bank.gates.set_weight("e3", weights.get("e3", 0.0))
        for _ in range(REST):  # while a fader moves, nothing is copied
            assert all(packed is None for packed in bank.gates._packed)
            assert torch.allclose(llama(ids).logits, expected, atol=1e-5)
        assert all(packed is not None for packed in bank.gates._packed)
        assert torch.allclose(llama(ids).logits, expected, atol=1e-5)
        bank.detach()


def test_rank_takes_effect_in_place(llama, ids):
    adapter = svd_order(loud(new_adapter(llama, 6)))
    bank = attach(llama, {"a": adapter})
    bank.activate({"a": 1.0})
    levels = [(tensor.data_ptr(), tensor.shape) for tensor in bank.gates._levels]
    bank.set_rank("a", 2)
    cut = llama(ids).logits
    assert [(tensor.data_ptr(), tensor.shape) for tensor in bank.gates._levels] == levels
    bank.activate({"a": 1.0})
    assert torch.allclose(llama(ids).logits, cut, atol=1e-5)  # the rank outlives a switch
    bank.detach()
    short = {path: Factors(f.A[:2], f.B[:, :2], f.scale) for path, f in adapter.factors.items()}
    other = attach(llama, {"a": Adapter("a", adapter.config, short)})
    other.activate({"a": 1.0})
    assert torch.allclose(llama(ids).logits, cut, atol=1e-5)


def test_sliding_a_rank_takes_no_memory(llama, ids):
    bank = attach(
        llama, {name: svd_order(loud(new_adapter(llama, 6, seed=len(name)))) for name in ("a", "bb")}
    )
    bank.activate({"a": 1.0})
    llama(ids)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as seen:
        for rank in (3, 1, 6, None, 2):
            bank.set_rank("a", rank)
    assert seen.key_averages() and all(event.self_cpu_memory_usage <= 0 for event in seen.key_averages())
    # Nor does the pass after it copy anything.
    before = [tensor.data_ptr() for tensor in bank.gates._levels]
    llama(ids)
    assert all(packed is None for packed in bank.gates._packed)
    assert [tensor.data_ptr() for tensor in bank.gates._levels] == before


def test_gates_switch_between_answers(llama, ids):
    bank = attach(llama, {"a": loud(new_adapter(llama, 4)), "b": loud(new_adapter(llama, 3, seed=7))})
    gates = {name: bank.new_gates({name: 1.0}) for name in bank.experts}
    outputs = {}
    for name in ("a", "b", "a", "b"):
        bank.gates = gates[name]
        logits = llama(ids).logits
        assert torch.equal(logits, outputs.setdefault(name, logits))


def test_a_failed_forward_leaves_nothing_behind(llama, ids):
    bank = attach(llama, {"a": loud(new_adapter(llama, 4))})
    bank.activate({"a": 1.0})
    expected = llama(ids).logits
    handle = llama.model.layers[1].self_attn.k_proj.register_forward_pre_hook(_fail)
    with pytest.raises(ZeroDivisionError):
        llama(ids)
    handle.remove()
    assert all(group.x is None and not group.h for group in bank._stack.groups)
    assert torch.equal(llama(ids).logits, expected)


def _fail(module, args):
    raise ZeroDivisionError


def test_shared_inputs_are_found(llama, gpt2):
    bank = attach(llama, {"a": loud(new_adapter(llama, 2))})
    groups = [[path.rpartition(".")[2] for path in group] for group in bank.groups()]
    assert groups == [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]] * 3
    assert all(group.x is None for group in bank._stack.groups)
    assert "lm_head" not in bank.modules
    assert len(attach(gpt2, {"a": loud(new_adapter(gpt2, 2))}).groups()) == 8


def test_a_base_that_cannot_be_probed_plays_the_same(llama, ids, monkeypatch):
    adapter = loud(new_adapter(llama, 4))
    bank = attach(llama, {"a": adapter})
    bank.activate({"a": 1.0})
    expected = llama(ids).logits
    bank.detach()
    monkeypatch.setattr(type(llama), "dummy_inputs", {"nonsense": 1})
    bank = attach(llama, {"a": adapter})
    assert all(len(group.sites) == 1 for group in bank._stack.groups)
    bank.activate({"a": 1.0})
    assert torch.allclose(llama(ids).logits, expected, atol=1e-5)


def test_attach_disturbs_neither_modes_nor_random_state(llama):
    llama.train()
    llama.model.layers[0].eval()
    state = torch.random.get_rng_state()
    attach(llama, {"a": loud(new_adapter(llama, 2))})
    assert torch.equal(torch.random.get_rng_state(), state)
    assert llama.training and not llama.model.layers[0].mlp.training


@pytest.mark.parametrize(
    "rename",
    [
        lambda path: path.removeprefix("model."),
        lambda path: f"base_model.model.{path}",
        lambda path: f"module.{path}",
        lambda path: path.replace("model.", "transformer.", 1),
    ],
)
def test_wrong_prefixes_land(llama, ids, rename):
    adapter = loud(new_adapter(llama, 4))
    bank = attach(llama, {"a": adapter})
    bank.activate({"a": 1.0})
    expected = llama(ids).logits
    bank.detach()
    bank = attach(llama, {"a": renamed(adapter, rename)})
    bank.activate({"a": 1.0})
    assert torch.equal(llama(ids).logits, expected)


def test_nothing_lands(llama, gpt2):
    with pytest.raises(AdapterError, match="lands nowhere"):
        attach(gpt2, {"a": new_adapter(llama, 4)})


@pytest.mark.parametrize(
    ("rename", "sentence"),
    [
        (lambda path: path.replace("layers.2.", "layers.7."), "layers.7.self_attn.k_proj|layers.7"),
        (lambda path: path.replace("layers.1.mlp", "layers.0.mlp.x"), "does not have"),
    ],
)
def test_a_module_without_a_place_is_named(llama, rename, sentence):
    with pytest.raises(AdapterError, match=sentence):
        attach(llama, {"a": renamed(new_adapter(llama, 4), rename)})


def test_two_modules_on_one_place(llama):
    adapter = new_adapter(llama, 4, targets=["layers.0.self_attn.q_proj"])
    factors = dict(adapter.factors) | {
        "x.model.layers.0.self_attn.q_proj": next(iter(adapter.factors.values()))
    }
    with pytest.raises(AdapterError, match="twice"):
        attach(llama, {"a": Adapter("a", adapter.config, factors)})


def test_another_hidden_size_says_so(llama):
    adapter = new_adapter(llama, 4, targets=["q_proj"])
    wide = {path: Factors(torch.zeros(4, 64), torch.zeros(64, 4), 1.0) for path in adapter.factors}
    with pytest.raises(AdapterError, match=r"another base model \(hidden size 64, yours 32\). Choose"):
        attach(llama, {"a": Adapter("a", adapter.config, wide)})


def test_wrong_names_and_numbers_are_refused(llama):
    bank = attach(llama, {"a": loud(new_adapter(llama, 4))})
    with pytest.raises(StudioError, match="no expert b"):
        bank.activate({"b": 1.0})
    for weight in (float("nan"), float("inf"), "1", None):
        with pytest.raises(StudioError, match="finite"):
            bank.activate({"a": weight})
    with pytest.raises(StudioError, match="no expert b"):
        bank.set_rank("b", 1)
    for rank in (0, 5, -1, 2.5, "3"):
        with pytest.raises(StudioError, match="a has ranks 1 to 4, not"):
            bank.set_rank("a", rank)
        with pytest.raises(StudioError, match="a has ranks 1 to 4, not"):
            bank.new_gates({"a": 1.0}, {"a": rank})
        bank.activate({"a": 1.0})  # what was refused is not remembered
        assert bank.gates.ranks == {"a": None}
    with pytest.raises(AdapterError, match="lands nowhere"):
        attach(llama, {"a": Adapter("a", new_adapter(llama, 4).config, {})})
    with pytest.raises(AdapterError, match="no adapter"):
        attach(llama, {})
    with pytest.raises(AdapterError, match="no adapter"):
        attach(llama, {"a": "a folder"})
    with pytest.raises(AdapterError, match="meta"):
        attach(copy.deepcopy(llama).to("meta"), {"a": loud(new_adapter(llama, 4))})
    with pytest.raises(AdapterError, match="It has: down_proj"):
        new_adapter(llama, 4, targets=["query"])


def test_numbers_of_other_libraries_are_numbers(llama, ids):
    bank = attach(llama, {"a": loud(new_adapter(llama, 4))})
    with torch.no_grad():
        bank.activate({"a": 0.5})
        bank.set_rank("a", 2)
        expected = llama(ids).logits
        bank.activate({"a": np.float32(0.5)})
        bank.set_rank("a", np.int64(2))
        assert torch.equal(llama(ids).logits, expected)


def test_trained_factors_come_back(llama, ids):
    adapter = new_adapter(llama, 4, alpha=8, rslora=True, seed=3)
    bank = attach(llama, {"a": adapter}, trainable=True)
    bank.activate({"a": 1.0})
    optimizer = torch.optim.AdamW(bank.parameters(), lr=1e-2)
    start = llama(ids, labels=ids).loss
    for _ in range(5):
        optimizer.zero_grad()
        llama(ids, labels=ids).loss.backward()
        optimizer.step()
    assert llama(ids, labels=ids).loss < start
    with torch.no_grad():
        expected = llama(ids).logits
    trained = bank.read("a")
    bank.detach()
    assert all(parameter.grad is None for parameter in llama.parameters())
    bank = attach(llama, {"a": trained})
    bank.activate({"a": 1.0})
    assert torch.allclose(llama(ids).logits, expected, atol=1e-5)
    assert bank.parameters() == []


def test_what_was_read_does_not_go_on_learning(llama):
    bank = attach(llama, {"a": loud(new_adapter(llama, 1))}, trainable=True)
    read = bank.read("a").factors
    before = {path: (factors.A.clone(), factors.B.clone()) for path, factors in read.items()}
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(f.A, before[p][0]) and torch.equal(f.B, before[p][1]) for p, f in read.items())


def test_new_adapter_is_seeded_and_silent(llama, ids):
    one, two = new_adapter(llama, 4, seed=1), new_adapter(llama, 4, seed=1)
    assert all(torch.equal(one.factors[path].A, two.factors[path].A) for path in one.factors)
    assert float(one.factors["model.layers.0.mlp.up_proj"].A.abs().max()) <= 32**-0.5
    with pytest.raises(AdapterError, match="a changes nothing: its factors are zero"):
        attach(llama, {"b": loud(new_adapter(llama, 4)), "a": one})
    output = llama(ids).logits
    bank = attach(llama, {"a": one}, trainable=True)
    bank.activate({"a": 1.0})
    assert torch.equal(llama(ids).logits, output)
