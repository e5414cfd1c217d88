"""The router against its formula, token by token and projection by projection."""

from __future__ import annotations

import pytest
import torch

from engine.formats.errors import StudioError
from engine.lora import Tape, attach
from engine.mixer import NULL, Router


def opinionated(bank, **settings):
    router = Router(bank.layout(), bank.experts, groups=bank.groups(), **settings)
    generator = torch.Generator().manual_seed(9)
    for V in router.V:
        V.data.normal_(0.0, 0.7, generator=generator)
    return router.requires_grad_(False)


def reference(model, adapters, router, ids, mask, weights, ranks):
    """Logits by the formula: a dense loop over experts in float64, the running mean of x itself. Any
    setting."""
    model = model.double()
    read = {}

    def hook(path):
        gate = router.gate_of(path)
        here = torch.tensor([name == NULL or path in adapters[name].factors for name in router.experts])

        def run(module, args, output):
            x = args[0]
            if path == router.paths[gate]:
                read[gate] = raw_logits(router, gate, x, mask)
            p = weigh(router, read[gate], here)
            for column, name in enumerate(router.experts):
                if name != NULL and path in adapters[name].factors:
                    f = adapters[name].factors[path]
                    r = f.rank if ranks.get(name) is None else ranks[name]
                    delta = (
                        x @ f.A[:r].double().t() @ f.B[:, :r].double().t() * f.scale * weights.get(name, 0.0)
                    )
                    output = output + p[..., column : column + 1] * delta
            return output

        return run

    handles = [model.get_submodule(path).register_forward_hook(hook(path)) for path in router.projections]
    logits = model(ids, attention_mask=mask).logits
    for handle in handles:
        handle.remove()
    model.float()
    return logits


def raw_logits(router, gate, x, mask):
    V = router.columns(gate).double() / router.temperature
    z = x @ V[0].t()
    if router.input == "context":
        keep = mask.double().unsqueeze(-1)
        z = z + (x * keep).cumsum(1) / keep.cumsum(1).clamp(min=1) @ V[1].t()
    return z.abs() if router.absolute else z


def weigh(router, z, here):
    """Weights [B, T, E] of a projection that the experts ``here`` adapt."""
    muted = torch.tensor([name in router.muted for name in router.experts])
    locked = torch.tensor([name in router.locked for name in router.experts]) & here & ~muted
    free = here & ~muted & ~torch.tensor([name in router.locked for name in router.experts])
    if not free.any():
        return locked.double().expand(z.shape)
    z = z.masked_fill(~free, float("-inf"))
    p = z.sigmoid() if router.activation == "sigmoid" else z.softmax(-1)
    if router.mode == "hard":
        p = torch.nn.functional.one_hot(p.argmax(-1), p.shape[-1]).double()
    elif router.mode == "topk" and router.top_k < p.shape[-1]:
        kept = p * (p >= p.topk(router.top_k).values[..., -1:])
        p = kept * p.sum(-1, keepdim=True) / kept.sum(-1, keepdim=True) if router.renormalise else kept
    return router.strength * p + locked


PLAYS = [
    {},
    {"mode": "topk", "top_k": 1},
    {"mode": "topk", "top_k": 2},
    {"mode": "topk", "top_k": 2, "renormalise": False},
    {"strength": 1.7},
    {"mode": "hard"},
    {"muted": ("e0",)},
    {"mode": "hard", "muted": ("e0", NULL), "strength": 0.5},
    {"mode": "topk", "top_k": 2, "locked": ("e2",), "strength": 0.5},
    {"muted": ("e1", NULL), "locked": ("e0", "e1", "e2")},
]
KINDS = [
    {},
    {"input": "local"},
    {"null": False, "temperature": 0.5},
    {"activation": "sigmoid"},
    {"absolute": True, "input": "local", "null": False},
    {"share": "group"},
    {"share": "layer"},
    {"share": "layer", "input": "local", "null": False},
]


@pytest.mark.parametrize("play", PLAYS, ids=str)
@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_the_mix_is_its_formula(llama, experts, ids, settings, play):
    bank = attach(llama, experts)
    names = {NULL} if not settings.get("null", True) else set()
    play = {
        key: tuple(n for n in v if n not in names) if isinstance(v, tuple) else v for key, v in play.items()
    }
    router = opinionated(bank, **settings).play(**play)
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    weights, ranks = {"e0": 0.8, "e1": 1.0, "e2": -0.5}, {"e2": 2}
    bank.gates = bank.new_gates(weights, ranks, router)
    with torch.no_grad():
        logits = llama(ids, attention_mask=mask).logits
        bank.detach()
        expected = reference(llama, experts, router, ids, mask, weights, ranks)
    assert torch.allclose(logits.double()[mask.bool()], expected[mask.bool()], rtol=0, atol=1e-5)


def test_one_router_plays_in_several_ways_at_once(llama, experts, ids):
    bank = attach(llama, experts)
    router = opinionated(bank)
    weights = dict.fromkeys(bank.experts, 1.0)
    soft = bank.new_gates(weights, router=router)
    hard = bank.new_gates(weights, router=router.play("topk", 1))
    outputs = {}
    with torch.no_grad():
        for name, gates in (("soft", soft), ("hard", hard)) * 2:
            bank.gates = gates
            logits = llama(ids).logits
            assert torch.equal(outputs.setdefault(name, logits), logits)
    assert not torch.allclose(outputs["soft"], outputs["hard"])
    assert router.mode == "soft"


@pytest.mark.parametrize("share", ["projection", "group", "layer"])
def test_rows_of_a_batch_and_steps_of_an_answer(llama, experts, ids, share):
    """Ways of playing side by side in one batch, and token by token with a cache, change nothing."""
    bank = attach(llama, experts)
    router = opinionated(bank, share=share)
    weights = dict.fromkeys(bank.experts, 1.0)
    plays = [router, router.play("hard"), router.play("topk", 2, muted=["e0"], locked=["e1"])]
    ways = [bank.new_gates(weights, router=play) for play in plays]
    with torch.no_grad():
        alone = []
        for gates in ways:
            bank.gates = gates
            alone.append(llama(ids[:1]).logits)
            read = llama(ids[:1, :6], use_cache=True)
            parts = [read.logits]
            for place in range(6, 9):
                token = ids[:1, place : place + 1]
                read = llama(token, past_key_values=read.past_key_values, use_cache=True)
                parts.append(read.logits)
            assert torch.allclose(torch.cat(parts, 1), alone[-1], atol=1e-5)
        bank.gates = bank.new_rows(ways)
        assert torch.allclose(llama(ids[:1].repeat(3, 1)).logits, torch.cat(alone), atol=1e-5)


def test_the_tape_holds_every_projection(llama, experts, ids):
    bank = attach(llama, experts)
    router = opinionated(bank)
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    tape = bank.gates.tape = Tape()
    with torch.no_grad():
        llama(ids)
        llama(ids[:1, :4])
    assert tape.modules == list(bank.modules)
    assert [tuple(gates.shape) for gates in tape.gates] == [(2, 9, 14, 4), (1, 4, 14, 4)]
    assert torch.allclose(tape.gates[0].sum(-1), torch.ones(2, 9, 14))
    up = tape.modules.index("model.layers.0.mlp.up_proj")
    assert float(tape.gates[0][:, :, up, 1:3].abs().max()) == 0.0  # experts that are absent there


def test_the_tape_forgets_a_forward_that_failed(llama, experts, ids):
    bank = attach(llama, experts)
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=opinionated(bank))
    tape = bank.gates.tape = Tape()
    handle = llama.model.layers[1].register_forward_pre_hook(lambda module, args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        llama(ids)
    handle.remove()
    llama(ids)
    assert tape.modules == list(bank.modules) and len(tape.gates) == 1


def test_a_new_router_is_even(llama, experts, ids):
    bank = attach(llama, experts)
    router = Router(bank.layout(), bank.experts, null=True)
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    tape = bank.gates.tape = Tape()
    llama(ids)
    q = tape.modules.index("model.layers.1.self_attn.q_proj")
    assert torch.allclose(tape.gates[0][:, :, q], torch.full((2, 9, 4), 0.25))
    assert router.size == sum(2 * 4 * d_in for d_in, _ in bank.layout().values())


def test_training_moves_the_router_alone_and_is_heard_at_once(llama, experts, ids):
    bank = attach(llama, experts)
    router = Router(bank.layout(), bank.experts)
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    optimizer = torch.optim.AdamW(router.parameters(), lr=3e-2)
    with torch.no_grad():
        before = llama(ids, labels=ids).loss
    for _ in range(8):
        optimizer.zero_grad()
        llama(ids, labels=ids).loss.backward()
        optimizer.step()
        with torch.no_grad():
            seen = llama(ids, labels=ids).loss  # the stacked rows follow every step
        with torch.enable_grad():
            assert torch.allclose(llama(ids, labels=ids).loss.detach(), seen, atol=1e-6)
    assert seen < before
    assert all(parameter.grad is None for parameter in llama.parameters())
    assert all(V.grad is not None for V in router.V)


def test_gradient_of_the_gates(llama, experts, ids):
    """d loss / d V by the bank equals the slope of the formula."""
    bank = attach(llama, experts)
    router = opinionated(bank).requires_grad_(True)
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    llama(ids, labels=ids).loss.backward()
    V = router.V[router.paths.index("model.layers.0.self_attn.q_proj")]
    step = V.grad / V.grad.norm()
    slope = float(V.grad.norm())
    with torch.no_grad():
        losses = []
        for sign in (1, -1):
            V += sign * 0.1 * step
            losses.append(float(llama(ids, labels=ids).loss.double()))
            V -= sign * 0.1 * step
    assert slope == pytest.approx((losses[0] - losses[1]) / 0.2, rel=0.02)


def test_wrong_settings_are_refused(llama, experts):
    bank = attach(llama, experts)
    with pytest.raises(StudioError, match="different names"):
        Router(bank.layout(), ("e0", NULL))
    with pytest.raises(StudioError, match="temperature"):
        Router(bank.layout(), bank.experts, temperature=0.0)
    with pytest.raises(StudioError, match="At least one"):
        Router(bank.layout(), bank.experts).play("topk", 0)
    for wish in ({"muted": ["e9"]}, {"locked": ["e9"]}):
        with pytest.raises(StudioError, match="does not know the expert e9"):
            Router(bank.layout(), bank.experts).play(**wish)
    with pytest.raises(StudioError, match="does not know the expert e2"):
        bank.new_gates({"e0": 1.0}, router=Router(bank.layout(), ("e0", "e1")))
