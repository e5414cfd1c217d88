"""Experts of a mix at ranks of their own: sliding one changes its columns and nobody else's, against a
reference in float64."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engine.formats.errors import AdapterError, StudioError
from engine.formats.files import atomic_folder
from engine.lora import Adapter, Tape, attach, read_adapter, svd_order, write_adapter
from engine.mixer import Router, load_mix, save_mix

Q, K, V, OUT = (f"model.layers.0.self_attn.{name}_proj" for name in "qkvo")


@pytest.fixture
def mixed(experts) -> dict[str, Adapter]:
    """Three experts of ranks 2, 3 and 4, on other projections each; the last one is a DyLoRA."""
    nested = {path: replace(item, nested=True) for path, item in experts["e2"].factors.items()}
    return experts | {"e2": replace(experts["e2"], factors=nested, kind="dylora")}


def opinionated(bank, **kind) -> Router:
    router = Router(bank.layout(), bank.experts, groups=bank.groups(), **kind)
    for index, weights in enumerate(router.V):
        weights.data.normal_(0.0, 0.7, generator=torch.Generator().manual_seed(index))
    return router.requires_grad_(False)


@contextmanager
def heard(model: nn.Module, *paths: str) -> Iterator[dict[str, Tensor]]:
    """What projections say in the forward passes of the block; the last one stays."""
    said: dict[str, Tensor] = {}
    hooks = [
        model.get_submodule(path).register_forward_hook(
            lambda module, args, output, path=path: said.__setitem__(path, output.clone())
        )
        for path in paths
    ]
    try:
        yield said
    finally:
        for hook in hooks:
            hook.remove()


def reference(
    model: nn.Module, router: Router, experts: Mapping[str, Adapter], ranks: Mapping[str, int], ids: Tensor
) -> Tensor:
    """Logits of a float64 base by the formula, one projection after the other: W x plus, of every expert, its
    gate times s (r / b where it is nested) B[:, :b] A[:b] x."""
    hooks = []

    def speak(path: str) -> None:
        columns = router.columns(router.gate_of(path))[0].double()
        silent = torch.tensor(
            [name in experts and path not in experts[name].factors for name in router.experts]
        )

        def hook(module, args, output):
            gates = (args[0] @ columns.T).masked_fill(silent, float("-inf")).softmax(-1)
            for number, name in enumerate(router.experts):
                if name in experts and path in experts[name].factors:
                    item = experts[name].factors[path]
                    b = min(ranks.get(name, item.rank), item.rank)
                    scale = item.scale * (item.rank / b if item.nested else 1.0)
                    update = scale * item.B[:, :b].double() @ (item.A[:b].double() @ args[0].mT)
                    output = output + gates[..., number : number + 1] * update.mT
            return output

        hooks.append(model.get_submodule(path).register_forward_hook(hook))

    for path in router.projections:
        speak(path)
    with torch.no_grad():
        logits = model(ids).logits
    for hook in hooks:
        hook.remove()
    return logits


def test_one_slide_moves_one_experts_columns_alone(llama, mixed, ids):
    bank = attach(llama, mixed)
    router = opinionated(bank)
    gates = bank.gates = bank.new_gates(dict.fromkeys(mixed, 1.0), router=router)
    gates.tape = Tape()
    with heard(llama, Q, K, V) as said, torch.no_grad():
        llama(ids)
        before, whole = dict(said), [levels.clone() for levels in gates._levels]
        bank.set_rank("e2", 1)
        llama(ids)
        after = dict(said)
    # Of the first layer's q, k and v e2 adapts q alone; all three read what nobody has changed.
    assert torch.equal(before[K], after[K])
    assert torch.equal(before[V], after[V])
    assert not torch.allclose(before[Q], after[Q])
    first = [gates.tape.modules.index(path) for path in (Q, K, V)]
    assert torch.equal(gates.tape.gates[0][:, :, first], gates.tape.gates[1][:, :, first])
    later = gates.tape.modules.index(OUT)
    assert not torch.equal(gates.tape.gates[0][:, :, later], gates.tape.gates[1][:, :, later])
    for group, levels, was in zip(bank._stack.groups, gates._levels, whole, strict=True):
        mine = torch.zeros(levels.shape[1], dtype=torch.bool)
        for site in group.sites:
            if "e2" in site.cells:
                mine[site.cells["e2"].start : site.cells["e2"].stop] = True
        assert torch.equal(levels[:, ~mine], was[:, ~mine])
        assert not mine.any() or not torch.equal(levels, was)


@pytest.mark.parametrize("kind", [{}, {"null": False}], ids=["null", "no null"])
def test_ranks_under_a_router_are_the_formula(llama, mixed, ids, kind):
    plain = copy.deepcopy(llama).double()
    bank = attach(llama, mixed)
    router = opinionated(bank, input="local", **kind)
    bank.gates = bank.new_gates(dict.fromkeys(mixed, 1.0), router=router)
    for ranks in ({}, {"e2": 1}, {"e2": 3, "e1": 2}, {"e0": 1, "e1": 1, "e2": 4}):
        for name in mixed:
            bank.set_rank(name, ranks.get(name))
        with torch.no_grad():
            slid = llama(ids).logits
            bank.gates, kept = bank.new_gates(dict.fromkeys(mixed, 1.0), ranks, router), bank.gates
            assert torch.equal(llama(ids).logits, slid), "a slide is what gates made at that rank are"
            bank.gates = kept
        exact = reference(plain, router, mixed, ranks, ids)
        torch.testing.assert_close(slid.double(), exact, rtol=1e-5, atol=1e-5)


@pytest.fixture
def folder(llama, mixed, tmp_path):
    """A mix of two plain LoRAs and a DyLoRA on disk."""
    bank = attach(llama, mixed)
    with atomic_folder(tmp_path / "mix") as work:
        save_mix(work, opinionated(bank, input="local"), bank, name="mix", base="tiny")
    bank.detach()
    return tmp_path / "mix"


def test_a_mix_plays_its_plain_experts_in_order_too_and_its_router_as_it_is(llama, mixed, folder, ids):
    plain = copy.deepcopy(llama).double()
    bank, router, mix = load_mix(folder, llama)
    bank.gates = bank.new_gates(dict.fromkeys(mix.experts, 1.0), router=router)
    with torch.no_grad():
        whole = llama(ids).logits
    bank.detach()
    bank, same, _ = load_mix(folder, llama, orders={"e0": "energy", "e1": "energy"})
    assert all(torch.equal(one, other) for one, other in zip(router.V, same.V, strict=True))
    bank.gates = bank.new_gates(dict.fromkeys(mix.experts, 1.0), router=same)
    with torch.no_grad():
        torch.testing.assert_close(llama(ids).logits, whole, rtol=1e-5, atol=1e-5)
        bank.set_rank("e0", 1)
        bank.set_rank("e1", 2)
        slid = llama(ids).logits
    ordered = mixed | {name: svd_order(mixed[name]) for name in ("e0", "e1")}
    exact = reference(plain, router, ordered, {"e0": 1, "e1": 2}, ids)
    torch.testing.assert_close(slid.double(), exact, rtol=1e-5, atol=1e-5)
    raw = reference(plain, router, mixed, {"e0": 1, "e1": 2}, ids)
    assert not torch.allclose(slid.double(), raw, rtol=1e-3, atol=1e-3), "the file's own first columns"


def test_an_order_that_an_expert_cannot_have_is_refused(llama, folder):
    with pytest.raises(AdapterError, match="e2 was trained at every rank"):
        load_mix(folder, llama, orders={"e2": "energy"})


def heard_whole(model: nn.Module, folder: Path, ids: Tensor, **options) -> Tensor:
    bank, router, mix = load_mix(folder, model, **options)
    bank.gates = bank.new_gates(dict.fromkeys(mix.experts, 1.0), router=router)
    with torch.no_grad():
        logits = model(ids).logits
    bank.detach()
    return logits


def test_a_cut_mix_is_the_mix_of_adapters_exported_at_these_ranks(llama, mixed, folder, tmp_path, ids):
    """e1 is a plain LoRA of rank 3 (its best two directions), e2 a DyLoRA of rank 4 (its first two)."""
    ranks = {"e1": 2, "e2": 2}
    write_adapter(svd_order(mixed["e1"]), tmp_path / "e1", rank=2)
    write_adapter(mixed["e2"], tmp_path / "e2", rank=2)
    exported = {"e0": mixed["e0"]} | {name: read_adapter(tmp_path / name) for name in ranks}
    bank = attach(llama, exported)
    with atomic_folder(tmp_path / "other") as work:
        save_mix(work, opinionated(bank, input="local"), bank, name="other", base="tiny")
    bank.detach()
    cut = heard_whole(llama, folder, ids, ranks=ranks)
    torch.testing.assert_close(cut, heard_whole(llama, tmp_path / "other", ids), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(cut, heard_whole(llama, folder, ids), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("ranks", "sentence"),
    [
        ({"e1": 4}, "e1 has ranks 1 to 3, not 4"),
        ({"e1": 0}, "e1 has ranks 1 to 3, not 0"),
        ({"stranger": 1}, "stranger takes no part"),
    ],
)
def test_a_rank_that_is_not_there_is_refused(llama, folder, ranks, sentence):
    with pytest.raises(StudioError, match=sentence):
        load_mix(folder, llama, ranks=ranks)
