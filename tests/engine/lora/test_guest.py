"""The bank as a guest in somebody's model and program: it disturbs nobody, whatever mode it is called in."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from engine.formats.errors import AdapterError, StudioError
from engine.lora import Adapter, Tape, attach, new_adapter
from engine.mixer import Router

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")


@pytest.fixture
def adapter(llama) -> Adapter:
    adapter = new_adapter(llama, 4)
    generator = torch.Generator().manual_seed(1)
    for factors in adapter.factors.values():
        factors.B.normal_(0.0, 0.3, generator=generator)
    return adapter


def routed(bank, kind="local"):
    router = Router(bank.layout(), bank.experts, kind, seed=0)
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    return router


def test_attach_calls_nobodys_hooks(llama, adapter):
    heard = []
    llama.register_forward_pre_hook(lambda *_: heard.append("model"))
    llama.model.layers[0].mlp.up_proj.register_forward_hook(lambda *_: heard.append("projection"))
    other = attach(llama, {"b": adapter})
    routed(other)
    tape = other.gates.tape = Tape()
    hooks = [(list(m._forward_hooks), list(m._forward_pre_hooks)) for m in llama.modules()]
    attach(llama, {"a": adapter}).detach()
    assert not heard and not tape.gates
    assert [(list(m._forward_hooks), list(m._forward_pre_hooks)) for m in llama.modules()] == hooks


@pytest.mark.parametrize("grad", [True, False])
def test_what_another_hook_holds_is_not_written_to(llama, ids, adapter, grad):
    constant = torch.randn(2, 11, 32)
    before, kept = constant.clone(), []
    llama.model.layers[0].self_attn.q_proj.register_forward_hook(lambda *_: constant)
    llama.model.layers[1].self_attn.q_proj.register_forward_hook(lambda m, x, y: kept.append((y, y.clone())))
    bank = attach(llama, {"a": adapter})
    bank.activate({"a": 1.0})
    with torch.set_grad_enabled(grad):
        llama(ids)
    assert torch.equal(constant, before)
    assert torch.equal(*kept[0])


@pytest.mark.parametrize("grad", [True, False])
def test_an_output_that_is_not_contiguous(llama, ids, adapter, grad):
    bank = attach(llama, {"a": adapter})
    bank.activate({"a": 1.0})
    projection = llama.model.layers[0].self_attn.q_proj
    with torch.set_grad_enabled(grad):
        expected = llama(ids).logits
        bank.detach()
        projection.register_forward_hook(lambda m, x, y: y.transpose(0, 1).contiguous().transpose(0, 1))
        bank = attach(llama, {"a": adapter})
        bank.activate({"a": 1.0})
        assert torch.allclose(llama(ids).logits, expected, atol=1e-6)


def test_attached_in_inference_mode_trained_outside(llama, ids, adapter):
    with torch.inference_mode():
        bank = attach(llama, {"a": adapter}, trainable=True)
        router = routed(bank)
        assert len(bank._stack.groups[0].sites) == 3
        llama(ids)
    llama(ids, labels=ids).loss.backward()
    assert all(parameter.grad is not None for parameter in (*bank.parameters(), *router.parameters()))


@pytest.mark.parametrize("mix", [False, True])
def test_gradient_checkpointing_changes_no_gradient(llama, ids, adapter, mix):
    bank = attach(llama, {"a": adapter}, trainable=not mix)
    bank.activate({"a": 1.0})
    trained = list(routed(bank).parameters()) if mix else bank.parameters()
    llama.train()
    llama(ids, labels=ids).loss.backward()
    expected = [parameter.grad.clone() for parameter in trained]
    for parameter in trained:
        parameter.grad = None
    llama.gradient_checkpointing_enable({"use_reentrant": False})
    llama(ids, labels=ids, use_cache=False).loss.backward()
    assert all(torch.allclose(p.grad, e, atol=1e-7) for p, e in zip(trained, expected, strict=True))


def test_context_under_checkpointing_is_refused(llama, ids, adapter):
    routed(attach(llama, {"a": adapter}), "context")
    llama.train().gradient_checkpointing_enable({"use_reentrant": False})
    loss = llama(ids, labels=ids, use_cache=False).loss
    with pytest.raises(StudioError, match="checkpointing use local"):
        loss.backward()


def test_routers_that_take_turns_on_one_bank(llama, ids, adapter):
    """They share one piece of memory with A_cat; each plays its own rows, and a copy is another router."""
    bank = attach(llama, {"a": adapter, "b": adapter})
    rows, weights = [group.A.clone() for group in bank._stack.groups], dict.fromkeys(bank.experts, 1.0)
    routers = [Router(bank.layout(), bank.experts, seed=seed).requires_grad_(False) for seed in range(2)]
    routers += [copy.deepcopy(routers[0]), Router(bank.layout(), bank.experts, "local", seed=2)]
    for V in routers[2].V:
        V.data.mul_(-40)
    gates = [bank.new_gates(weights, router=router) for router in routers]
    outputs = {}
    for number in (0, 1, 2, 3, 1, 0, 2, 3):
        bank.gates = gates[number]
        with torch.no_grad():
            logits = llama(ids).logits
        assert torch.equal(outputs.setdefault(number, logits), logits)
        assert torch.allclose(llama(ids).logits, logits, atol=1e-6)  # with gradient the rows stay apart
    assert not torch.equal(outputs[0], outputs[2])
    for group, before in zip(bank._stack.groups, rows, strict=True):
        assert torch.equal(group.A, before)
        assert group.A.data_ptr() == group.product.data_ptr()
    inner = llama.model(ids).last_hidden_state
    bank.gates = gates[0]  # seated last was another router
    with torch.no_grad():
        llama(ids)
        bank.gates = gates[3]
        assert torch.allclose(llama.model(ids).last_hidden_state, inner, atol=1e-6)
    for ours, theirs in zip(routers[1].V, routers[2].V, strict=True):
        ours.data.copy_(theirs)  # unseen by autograd's counter; new gates hear it
    bank.gates = bank.new_gates(weights, router=routers[1])
    with torch.no_grad():
        assert torch.equal(llama(ids).logits, outputs[2])


def test_banks_leave_in_any_order(llama, ids, adapter):
    output = llama(ids).logits
    for first in (0, 1):
        banks = [attach(llama, {"a": adapter}), attach(llama, {"a": adapter})]
        for bank in banks:
            bank.activate({"a": 1.0})
        both = llama(ids).logits
        banks[first].detach()
        assert not torch.equal(llama(ids).logits, both)
        banks[1 - first].detach()
        assert torch.equal(llama(ids).logits, output)
        with pytest.raises(StudioError, match="detached"):
            banks[first].activate({"a": 1.0})


def test_a_weight_that_is_read_without_a_call_is_no_place():
    """nn.MultiheadAttention never calls its out_proj: an expert there could not be heard."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(16, 2)
            self.fc = nn.Linear(16, 16)

    with pytest.raises(AdapterError, match="It has: fc"):
        new_adapter(Attention(), 2, targets=["out_proj"])
