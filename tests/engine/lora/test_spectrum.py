"""A spectrum, held against dense updates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.formats.errors import AdapterError
from engine.lora import in_order, new_adapter, svd_order
from engine.lora.order import energy
from engine.lora.spectrum import spectrum

RANK = 4


@pytest.fixture
def adapter(llama):
    adapter = new_adapter(llama, RANK, alpha=6, targets=["q_proj", "down_proj"])
    for number, item in enumerate(adapter.factors.values()):
        item.B.normal_(0.0, 0.1 * (1 + number), generator=torch.Generator().manual_seed(number))
    return adapter


def dense(item, count=None, scale=1.0):
    return item.scale * scale * item.B[:, :count].double() @ item.A[:count].double()


@pytest.mark.parametrize("kind", ["lora", "svd", "dylora"])
def test_a_spectrum_is_that_of_the_dense_updates(adapter, kind):
    if kind == "dylora":
        nested = {path: replace(item, nested=True) for path, item in adapter.factors.items()}
        adapter = replace(adapter, factors=nested, kind=kind)
    elif kind == "svd":
        adapter = svd_order(adapter)
    seen = spectrum(adapter)
    assert seen.kind == kind and seen.modules == list(adapter.factors)
    for item, values in zip(adapter.factors.values(), seen.values, strict=True):
        assert torch.allclose(
            torch.tensor(values).double(), torch.linalg.svdvals(dense(item))[:RANK], rtol=1e-5
        )
    whole = sum(float(dense(item).square().sum()) for item in adapter.factors.values())
    for rank in range(1, RANK + 1):
        best = sum(sum(value**2 for value in values[:rank]) for values in seen.values)
        assert seen.energy[rank - 1] == pytest.approx(best / whole)
        scale = RANK / rank if kind == "dylora" else 1.0
        off = sum(float((dense(f) - dense(f, rank, scale)).square().sum()) for f in adapter.factors.values())
        assert seen.kept[rank - 1] == pytest.approx(1 - off / whole, abs=1e-9)
        assert seen.bytes[rank - 1] == adapter.bytes_at(rank)
    plain = replace(
        adapter, kind="lora", factors={p: replace(f, nested=False) for p, f in adapter.factors.items()}
    )
    assert seen.energy == pytest.approx(energy(in_order(plain, "energy")))
    assert seen.spread == pytest.approx(energy(in_order(plain, "spread")))
    assert seen.spread[-1] == pytest.approx(1.0) and seen.kept[-1] == pytest.approx(1.0)


def test_what_a_spectrum_says_beside(adapter):
    assert "no order of their own" in spectrum(adapter).notes[0]
    for item in adapter.factors.values():
        item.B[:, 3] = item.B[:, 2]
        item.A[3] = item.A[2]
    (note,) = spectrum(svd_order(adapter)).notes
    assert "use fewer ranks than they have columns: nothing is gained above rank 3" in note
    assert spectrum(svd_order(adapter)).energy[2] == pytest.approx(1.0)


def test_what_has_no_spectrum_is_refused(llama, adapter):
    with pytest.raises(AdapterError, match="The updates of new are zero") as refused:
        spectrum(new_adapter(llama, RANK))
    assert refused.value.hint
    next(iter(adapter.factors.values())).A[1, 1] = float("nan")
    for order in ("energy", "spread"):
        with pytest.raises(AdapterError, match=r"infinite or not a number, in model\.layers"):
            in_order(adapter, order)
    with pytest.raises(AdapterError, match="infinite or not a number"):
        spectrum(adapter)
