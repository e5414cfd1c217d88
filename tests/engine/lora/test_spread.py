"""One knob for all projections: which columns a rank keeps, what it leaves out, and that PEFT agrees."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from engine.formats.errors import AdapterError
from engine.lora import attach, in_order, new_adapter, read_adapter, write_adapter
from engine.lora.order import energy

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:transformers", "ignore:.*fan_in_fan_out.*:UserWarning"
)


def uneven(model, **options):
    """An adapter whose projections have very different strengths, the last one none to speak of."""
    adapter = new_adapter(model, 4, **options)
    count = len(adapter.factors)
    for number, item in enumerate(adapter.factors.values()):
        item.B.normal_(0.0, 0.5 * (1 - number / count) ** 4, generator=torch.Generator().manual_seed(number))
    return adapter


def test_a_rank_keeps_the_columns_of_most_energy_anywhere(llama):
    adapter = uneven(llama, targets=["q_proj", "v_proj", "down_proj"])
    spread = in_order(adapter, "spread")
    count = len(adapter.factors)
    values = torch.cat([torch.linalg.svdvals(f.scale * f.B.double() @ f.A.double())[:4]
                        for f in adapter.factors.values()]).sort(descending=True).values  # fmt: skip
    for rank in range(1, 5):
        kept = {path: item.columns(rank) for path, item in spread.factors.items()}
        assert sum(kept.values()) == rank * count and max(kept.values()) <= 4
        left = sum(
            float(
                (f.scale * (f.B.double() @ f.A.double()) - prefix(spread.factors[path], kept[path])).norm()
                ** 2
            )
            for path, f in adapter.factors.items()
        )
        assert left == pytest.approx(float(values[rank * count :].square().sum()), rel=1e-5, abs=1e-9)
        share = 1 - left / float(values.square().sum())
        assert energy(spread)[rank - 1] == pytest.approx(share, abs=1e-6)
        assert share >= energy(in_order(adapter, "energy"))[rank - 1] - 1e-9


def prefix(item, count):
    return item.scale * (item.B[:, :count].double() @ item.A[:count].double())


@pytest.mark.parametrize("base", ["llama", "gpt2"])
def test_every_rank_plays_in_peft_as_here(base, request, ids, tmp_path, peft_logits, apart):
    model = request.getfixturevalue(base)
    adapter = in_order(uneven(model, rslora=True), "spread")
    bank = attach(model, {"a": adapter})
    bank.activate({"a": 1.0})
    for rank in range(4, 0, -1):
        write_adapter(adapter, tmp_path / str(rank), rank=rank)
        bank.set_rank("a", rank)
        assert apart(model(ids).logits, peft_logits(model, ids, tmp_path / str(rank))) < 1e-5
        tensors = load_file(tmp_path / str(rank) / "adapter_model.safetensors")
        assert adapter.bytes_at(rank) == sum(one.numel() * one.element_size() for one in tensors.values())
        again = read_adapter(tmp_path / str(rank))
        assert again.kind == "svd" and again.rank <= 4
        left_out = adapter.factors.keys() - again.factors.keys()
        assert left_out == {path for path, item in adapter.factors.items() if not item.columns(rank)}
    assert left_out  # at rank 1 some have nothing left


def test_ranks_are_rows_of_one_batch_and_packed_alone(llama, ids, apart):
    bank = attach(llama, {"a": in_order(uneven(llama), "spread")})
    gates = [bank.new_gates({"a": 1.0}, {"a": rank}) for rank in (1, 3)]
    bank.gates = bank.new_rows(gates)
    both = llama(ids).logits
    for row, one in enumerate(gates):
        bank.gates = one
        assert apart(llama(ids[row : row + 1]).logits, both[row : row + 1]) < 1e-6
    assert any(packed is not None and 0 in packed.sizes for packed in gates[0]._packed)


def test_a_dora_without_columns_keeps_its_magnitude(llama, ids, tmp_path, peft_logits, apart):
    adapter = uneven(llama, targets=["q_proj", "down_proj"])
    for path, item in adapter.factors.items():
        norm = llama.get_submodule(path).weight.norm(dim=1)
        adapter.factors[path] = replace(item, magnitude=norm * 1.3)
    adapter = in_order(replace(adapter, config=replace(adapter.config, dora=True)), "spread")
    bank = attach(llama, {"a": adapter})
    bank.activate({"a": 1.0})
    for rank in (1, 2, 4):
        write_adapter(adapter, tmp_path / str(rank), rank=rank)
        bank.set_rank("a", rank)
        assert apart(llama(ids).logits, peft_logits(llama, ids, tmp_path / str(rank))) < 1e-5
    assert any(not item.columns(1) for item in adapter.factors.values())


def test_a_projection_keeps_no_more_than_it_has(llama):
    adapter = uneven(llama, targets=["q_proj", "v_proj"])
    first = next(iter(adapter.factors))
    adapter.factors[first] = replace(
        adapter.factors[first], A=adapter.factors[first].A[:1], B=adapter.factors[first].B[:, :1]
    )
    spread = in_order(adapter, "spread")
    assert all(item.columns(spread.rank) == item.rank for item in spread.factors.values())
    assert spread.factors[first].since == (1,) and energy(spread)[-1] == pytest.approx(1.0)


def test_whole_it_says_the_same(llama, ids, apart):
    adapter = uneven(llama)
    said = []
    for order in ("", "energy", "spread"):
        bank = attach(llama, {"a": in_order(adapter, order)})
        bank.activate({"a": 1.0})
        said.append(llama(ids).logits)
        bank.detach()
    assert apart(said[1], said[0]) < 1e-6 and apart(said[2], said[0]) < 1e-6


@pytest.mark.parametrize("order", ["energy", "spread"])
def test_a_dylora_keeps_its_own_order(llama, order):
    adapter = replace(uneven(llama), kind="dylora")
    assert in_order(adapter, "") is adapter
    with pytest.raises(
        AdapterError, match="trained at every rank, so its columns are not to be ordered anew"
    ):
        in_order(adapter, order)
