"""Prototypes are the dense update's top right singular vectors, and route without any training."""

from __future__ import annotations

import pytest
import torch

from engine.lora import attach
from engine.mixer.prototypes import prototype, prototypes


def dense(factors):
    return factors.scale * factors.B.double() @ factors.A.double()


def same_line(a, b):
    return abs(float(a.double() @ b.double())) == pytest.approx(1.0, abs=1e-6)


def test_the_direction_that_is_amplified_most(llama, experts):
    for factors in (
        experts["e0"].factors[f"model.layers.0.{name}"] for name in ("mlp.down_proj", "mlp.up_proj")
    ):
        found = prototype([factors])
        assert float(found.norm()) == pytest.approx(1.0, abs=1e-6)
        assert same_line(found, torch.linalg.svd(dense(factors)).Vh[0])
    pair = [experts["e0"].factors[f"model.layers.0.self_attn.{name}"] for name in ("q_proj", "v_proj")]
    assert same_line(prototype(pair), torch.linalg.svd(torch.cat([dense(f) for f in pair])).Vh[0])


@pytest.mark.parametrize("share", ["projection", "group", "layer"])
def test_a_router_of_prototypes(llama, experts, ids, share):
    bank = attach(llama, experts)
    router = prototypes(bank, share=share)
    assert router.absolute and not router.null and router.input == "local"
    beside = {path: group for group in bank.groups() for path in group}
    for path, V in zip(router.paths, router.V, strict=True):
        read = [path] if share == "projection" else beside[path]
        for column, name in enumerate(router.experts):
            here = [experts[name].factors[p] for p in read if p in experts[name].factors]
            if not here:
                assert not V[:, column].any()
            else:
                update = torch.cat([dense(factors) for factors in here])
                gain = (update @ V[0, column].detach().double()).norm()
                assert float(gain) == pytest.approx(float(torch.linalg.matrix_norm(update, 2)), rel=1e-5)
    bank.gates = bank.new_gates(dict.fromkeys(experts, 1.0), router=router.play("topk", 2))
    with torch.no_grad():
        assert llama(ids).logits.isfinite().all()


def test_both_halves_and_silence(llama, experts):
    router = prototypes(attach(llama, experts), "context", null=True)
    assert router.remembers and router.experts[-1] == "null"
    for V in router.V:
        assert torch.equal(V[0], V[1]) and not V[:, -1].any()
