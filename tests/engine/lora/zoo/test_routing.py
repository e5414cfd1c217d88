"""A router over experts of mixed kinds, token by token: each projection's output is what its gates say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from engine.lora import Bank, Tape, attach, read_adapter
from engine.mixer import Router
from tests.engine.lora.zoo.bases import answer, apart, build, question
from tests.engine.lora.zoo.dense import changes

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")
EXACT = 1e-5
MIXED = {
    "llama": ["llama-dora", "llama-tokens-and-queries", "llama-lora-bias", "llama-head", "llama-rslora"],
    "tied": ["tied-dora-head", "tied-tokens", "tied-head-and-tokens"],
    "gpt2": ["gpt2-dora-rslora", "gpt2-positions", "gpt2-lora-bias", "gpt2-head", "gpt2-ranks"],
    "mamba": ["mamba-dora", "mamba-tokens", "mamba-in-and-x"],
    "mamba2": ["mamba2-dora", "mamba2-rslora", "mamba2-in"],
    "vit": ["vit-lora-bias", "vit-olora", "vit-every-linear", "vit-lora-classifier"],
    "t5": ["t5-dora", "t5-tokens", "t5-decoder", "t5-head"],
}
FADERS = (1.0, 0.5, -0.3, 0.8, 1.4)
PLAYS: dict[str, dict[str, Any]] = {
    "soft": {"mode": "soft", "strength": 1.5},
    "topk": {"mode": "topk", "top_k": 2, "renormalise": False},
    "hard": {"mode": "hard"},
}


def routed(base: str, zoo: Any, play: str, kind: str = "local") -> tuple[nn.Module, Bank, dict[str, float]]:
    names = MIXED[base]
    model = build(base)
    bank = attach(model, {name: read_adapter(zoo(name)) for name in names})
    router = Router(bank.layout(), bank.experts, kind, seed=1).requires_grad_(False)
    for V in router.V:
        V.mul_(50)  # opinions, not hints
    faders = dict(zip(names, FADERS, strict=False))
    bank.gates = bank.new_gates(faders, router=router.play(**PLAYS[play]))
    bank.gates.tape = Tape()
    return model, bank, faders


@pytest.mark.parametrize("play", PLAYS)
@pytest.mark.parametrize("base", MIXED)
def test_each_projection_says_what_its_gates_say(base, play, zoo, book):
    """y = (W + sum_e g_e(x) dW_e) x + b + sum_e g_e(x) db_e, with g from the tape and dW from the files."""
    model, bank, faders = routed(base, zoo, play)
    heard: dict[str, tuple[Tensor, Tensor]] = {}
    for path in bank.modules:
        module = model.get_submodule(path)
        module.register_forward_hook(lambda _, args, y, path=path: heard.update({path: (args[0], y.clone())}))
    answer(model, base)
    tape = bank.gates.tape
    entries = zip(
        tape.names, tape.gates, strict=True
    )  # one for each shape of text: encoder, decoder, positions
    gates = {
        path: g for names, entry in entries for path, g in zip(names, entry.double().unbind(2), strict=True)
    }
    assert gates.keys() == heard.keys()
    order = {name: place for place, name in enumerate(bank.gates.router.experts)}
    original = build(base).double()
    added = {name: changes(original, zoo(name), set()) for name in faders}
    for path, (x, y) in heard.items():
        expected = plain(original.get_submodule(path), x)
        for name, fader in faders.items():
            weight, bias = (added[name].get(f"{path}.{leaf}") for leaf in ("weight", "bias"))
            if weight is not None:
                g = fader * gates[path][..., order[name]].reshape(*x.shape[: y.dim() - 1], 1)
                expected = expected + g * moved(original.get_submodule(path), x, weight, bias)
        assert book.compare("routed projections", f"{base} {play} {path}", y, expected) < EXACT


def plain(module: nn.Module, x: Tensor) -> Tensor:
    return module(x.double() if x.is_floating_point() else x)


def moved(module: nn.Module, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a change of ``weight`` and ``bias`` adds to the module's output."""
    if isinstance(module, nn.Embedding):
        return weight[x]
    change = x.double() @ (weight if isinstance(module, Conv1D) else weight.t())
    return change if bias is None else change + bias


@pytest.mark.parametrize("kind", ["local", "context"])
@pytest.mark.parametrize("base", ["llama", "gpt2", "tied"])
def test_a_cache_changes_nothing(base, kind, zoo):
    """Read whole, or a prompt and then token by token: the same logits, for every kind of expert."""
    model, *_ = routed(base, zoo, "soft", kind)
    ids = question(base)["input_ids"][:1]
    with torch.no_grad():
        whole = model(ids).logits
        seen = model(ids[:, :6], use_cache=True)
        pieces = [seen.logits]
        for place in range(6, ids.shape[1]):
            seen = model(ids[:, place : place + 1], past_key_values=seen.past_key_values, use_cache=True)
            pieces.append(seen.logits)
    assert apart(torch.cat(pieces, 1), whole) < EXACT


@pytest.mark.parametrize("base", MIXED)
def test_a_router_learns_through_every_kind_of_expert(base, zoo):
    """Its gradient is the slope: in float64, along a random direction, against a difference quotient."""
    names = MIXED[base]
    model = build(base, torch.float64)
    bank = attach(model, {name: read_adapter(zoo(name)) for name in names})
    router = Router(bank.layout(), bank.experts, "local", seed=1).double()
    bank.gates = bank.new_gates(dict(zip(names, FADERS, strict=False)), router=router)
    dice = torch.Generator().manual_seed(7)
    asked = question(base, torch.float64)
    likes = torch.randn(model(**asked).logits.shape, generator=dice, dtype=torch.float64)
    (model(**asked).logits * likes).sum().backward()
    way = [torch.randn(V.shape, generator=dice, dtype=torch.float64) for V in router.V]
    slope = sum((V.grad * step).sum() for V, step in zip(router.V, way, strict=True))

    def height(distance: float) -> Tensor:
        with torch.no_grad():
            for V, step in zip(router.V, way, strict=True):
                V += distance * step
            return (model(**asked).logits * likes).sum()

    # both points and back: V is where it was
    quotient = (height(1e-3) - height(-2e-3)) / 2e-3
    height(1e-3)
    assert slope.abs() > 1e-3
    assert abs(quotient - slope) < 1e-3 * abs(slope)
