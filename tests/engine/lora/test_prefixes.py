"""Every prefix of an adapter, written at its rank, is in PEFT what the bank plays at that rank."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.lora import attach, new_adapter, read_adapter, svd_order, write_adapter

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:transformers", "ignore:.*fan_in_fan_out.*:UserWarning"
)

RANK, ALPHA = 5, 7.0


def nested(model, dtype=torch.float32):
    """A DyLoRA of random factors; one projection of it has fewer columns than the others."""
    adapter = new_adapter(model, RANK, alpha=ALPHA, name="nested")
    factors = {}
    for number, (path, item) in enumerate(adapter.factors.items()):
        B = torch.randn(item.B.shape, generator=torch.Generator().manual_seed(number)) * 0.1
        rank = RANK - 2 if number == 1 else RANK
        factors[path] = replace(
            item, A=item.A[:rank].to(dtype), B=B[:, :rank].to(dtype), scale=ALPHA / rank, nested=True
        )
    return replace(adapter, factors=factors, kind="dylora")


@pytest.mark.parametrize("base", ["llama", "gpt2"])
@pytest.mark.parametrize("kind", ["dylora", "bfloat16 dylora", "svd"])
def test_a_prefix_plays_in_peft_as_here(base, kind, request, ids, tmp_path, peft_logits, apart):
    model = request.getfixturevalue(base)
    adapter = nested(model, torch.bfloat16 if kind.startswith("bfloat16") else torch.float32)
    if kind == "svd":
        plain = {path: replace(item, nested=False) for path, item in adapter.factors.items()}
        adapter = svd_order(replace(adapter, factors=plain, kind="lora"))
    write_adapter(adapter, tmp_path / "whole")
    adapter = read_adapter(tmp_path / "whole")
    bank = attach(model, {"a": adapter})
    bank.activate({"a": 1.0})
    said = []
    for rank in range(1, RANK + 1):
        write_adapter(adapter, tmp_path / str(rank), rank=rank)
        bank.set_rank("a", rank)
        said.append(model(ids).logits)
        assert apart(said[-1], peft_logits(model, ids, tmp_path / str(rank))) < 1e-5
        cut = read_adapter(tmp_path / str(rank))
        assert cut.kind == adapter.kind and cut.rank == rank
        for path, item in cut.factors.items():
            whole = adapter.factors[path]
            count = min(rank, whole.rank)
            scale = ALPHA / count if adapter.kind == "dylora" else whole.scale
            assert item.scale == pytest.approx(scale, rel=1e-12)
            assert item.A.equal(whole.A[:count]) and item.B.equal(whole.B[:, :count])
    assert (
        apart(said[0], said[-1]) > 1e-3
        and apart(said[-1], peft_logits(model, ids, tmp_path / "whole")) < 1e-5
    )
