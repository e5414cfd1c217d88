"""Ordering by what an adapter says on data: the product stays, and no other prefix says more."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.formats.errors import AdapterError, StudioError
from engine.lora import Factors, attach, in_order, new_adapter, read_adapter, svd_order, write_adapter
from engine.lora.order import difference, energy, order_notes
from engine.lora.weighing import Gathering, Moments, weigh

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")

RANK = 5


def plain(model, **options):
    adapter = new_adapter(model, RANK, alpha=8, **options)
    for number, item in enumerate(adapter.factors.values()):
        item.B.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(number))
    return svd_order(adapter)


def gather(model, adapter, ids):
    """The moments under the adapter itself, and what each projection has read."""
    bank = attach(model, {"a": adapter})
    bank.activate({"a": 1.0})
    gathering, read = Gathering(model, adapter), {}
    hooks = [
        model.get_submodule(path).register_forward_pre_hook(
            lambda module, args, path=path: read.setdefault(path, []).append(args[0].flatten(0, -2).double())
        )
        for path, item in adapter.factors.items()
        if not item.embedding
    ]
    with torch.no_grad():
        for row in ids:
            with gathering.listening():
                model(row[None])
    for hook in hooks:
        hook.remove()
    bank.detach()
    return Moments(gathering.sums, len(ids), len(ids)), {path: torch.cat(xs) for path, xs in read.items()}


def said(item: Factors, x: torch.Tensor, start: int = 0) -> float:
    """The squared norm of what the columns from ``start`` on say of ``x``."""
    A, B = item.A[start:].double(), item.B[:, start:].double()
    return float((item.scale * x @ A.t() @ B.t()).square().sum())


@pytest.mark.parametrize("base", ["llama", "gpt2"])
def test_what_a_prefix_leaves_unsaid_is_its_discarded_values(base, request, ids, tmp_path):
    model = request.getfixturevalue(base)
    adapter = plain(model)
    moments, read = gather(model, adapter, ids)
    weighed, before = weigh(adapter, moments)
    assert difference(adapter, weighed) < 1e-6
    whole = sum(said(item, read[path]) for path, item in adapter.factors.items())
    for rank in range(1, RANK + 1):
        mine, its = (
            sum(said(item, read[path], rank) for path, item in one.factors.items()) / whole
            for one in (weighed, adapter)
        )
        assert mine == pytest.approx(1 - energy(weighed)[rank - 1], abs=1e-6)
        assert its == pytest.approx(1 - before[rank - 1], abs=1e-6)
        assert mine <= its + 1e-7
    for path, item in weighed.factors.items():
        dense = item.scale * read[path] @ (item.B.double() @ item.A.double()).t()
        values = torch.linalg.svdvals(dense)
        for rank in range(1, RANK):
            assert said(item, read[path], rank) == pytest.approx(
                float(values[rank:].square().sum()), rel=1e-3, abs=1e-6 * whole
            )
    assert before[0] < energy(weighed)[0]  # on data another direction comes first
    write_adapter(weighed, tmp_path / "it")
    again = read_adapter(tmp_path / "it")
    assert again.weighed and again.kind == "svd" and energy(again) == energy(weighed)
    assert "on data, not of their weights" in order_notes(again)[0]
    assert not in_order(again, "energy").weighed
    spread = in_order(again, "spread")
    assert spread.weighed and energy(spread)[0] > energy(again)[0]


def test_directions_that_no_row_moves_stay(llama, ids):
    """One token moves one direction of an embedding; a projection that reads nothing keeps its own."""
    adapter = plain(llama, targets=["q_proj", "k_proj"])
    table = Factors(torch.randn(RANK, 64), torch.randn(32, RANK), 0.5, embedding=True)
    adapter = svd_order(replace(adapter, factors={**adapter.factors, "model.embed_tokens": table}))
    moments, _ = gather(llama, adapter, ids[:1, :1])
    assert torch.linalg.matrix_rank(moments.sums["model.embed_tokens"], rtol=1e-9) == 1
    dead = {path: G * ("k_proj" not in path) for path, G in moments.sums.items()}
    weighed, _ = weigh(adapter, Moments(dead, 1, 1))
    assert difference(adapter, weighed) < 1e-6
    assert energy(weighed)[0] > 0.999  # all that a row of one token says lies in one direction
    with pytest.raises(AdapterError, match="says nothing on these rows"):
        weigh(adapter, Moments({path: G * 0 for path, G in dead.items()}, 1, 1))


def test_columns_that_hold_nothing_stay_empty(llama, ids):
    adapter = new_adapter(llama, RANK, targets=["down_proj"])
    for item in adapter.factors.values():
        item.B[:, :2].normal_()
    adapter = svd_order(adapter)
    weighed, _ = weigh(adapter, gather(llama, adapter, ids)[0])
    assert difference(adapter, weighed) < 1e-6
    assert all(not item.A[2:].any() and not item.B[:, 2:].any() for item in weighed.factors.values())


def test_moments_are_kept_in_a_file(llama, ids, tmp_path):
    moments, _ = gather(llama, plain(llama, targets=["q_proj"]), ids)
    moments.save(tmp_path / "moments")
    again = Moments.load(tmp_path / "moments")
    assert (again.rows, again.of) == (2, 2) and again.sums.keys() == moments.sums.keys()
    assert all(torch.equal(again.sums[path], G) for path, G in moments.sums.items())
    with pytest.raises(StudioError, match="keeping what was gathered") as refused:
        moments.save(tmp_path / "nowhere" / "moments")
    assert refused.value.code == "disk" and refused.value.hint
