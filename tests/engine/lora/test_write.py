"""Writing and ordering: what is written is PEFT's own format, and a cut is the best approximation of its
rank."""

from __future__ import annotations

import json
import stat
from dataclasses import replace

import pytest
import torch

from engine.formats.adapter_file import inspect_folder
from engine.formats.errors import AdapterError, StudioError
from engine.lora import attach, new_adapter, read_adapter, svd_order, write_adapter
from engine.lora.order import difference, energy, order_notes

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:transformers", "ignore:.*fan_in_fan_out.*:UserWarning"
)

VARIANTS = {
    "lora": {"target_modules": ["q_proj", "v_proj"]},
    "rslora": {"target_modules": ["q_proj"], "use_rslora": True, "r": 5},
    "patterns": {
        "target_modules": ["q_proj", "up_proj"],
        "rank_pattern": {"up_proj": 3},
        "alpha_pattern": {"layers.1.self_attn.q_proj": 9},
    },
    "regex": {"target_modules": r".*layers\.[12]\.self_attn\.(q|o)_proj"},
    "layers": {"target_modules": ["q_proj"], "layers_to_transform": [0, 2]},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("ordered", [False, True])
def test_peft_loads_what_was_written(
    variant, ordered, llama, ids, tmp_path, peft_adapter, peft_logits, apart
):
    folder = peft_adapter(llama, **VARIANTS[variant])
    expected = peft_logits(llama, ids, folder)
    adapter = read_adapter(folder)
    write_adapter(svd_order(adapter) if ordered else adapter, tmp_path / "out")
    assert apart(peft_logits(llama, ids, tmp_path / "out"), expected) < 1e-5
    again = read_adapter(tmp_path / "out")
    assert again.kind == ("svd" if ordered else "lora")
    assert again.factors.keys() == adapter.factors.keys()
    assert all(abs(again.factors[path].scale - f.scale) < 1e-12 for path, f in adapter.factors.items())
    for file in (tmp_path / "out").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_fresh_adapter_round_trips(gpt2, ids, tmp_path, peft_logits, apart):
    adapter = new_adapter(gpt2, 4, alpha=8)
    for factors in adapter.factors.values():
        factors.B.normal_(0.0, 0.3)
    write_adapter(adapter, tmp_path / "a")
    bank = attach(gpt2, {"a": read_adapter(tmp_path / "a")})
    bank.activate({"a": 1.0})
    ours = gpt2(ids).logits
    bank.detach()
    assert apart(ours, peft_logits(gpt2, ids, tmp_path / "a")) < 1e-5


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_every_cut_plays_in_peft_as_here(
    variant, rank, llama, ids, tmp_path, peft_adapter, peft_logits, apart
):
    adapter = svd_order(read_adapter(peft_adapter(llama, **VARIANTS[variant])))
    write_adapter(adapter, tmp_path / "cut", rank=rank)
    expected = peft_logits(llama, ids, tmp_path / "cut")
    bank = attach(llama, {"a": adapter})
    bank.activate({"a": 1.0})
    bank.set_rank("a", rank)
    assert apart(llama(ids).logits, expected) < 1e-5
    assert inspect_folder(tmp_path / "cut").rank == min(rank, adapter.rank)


def test_order_keeps_the_product_and_is_optimal(llama, peft_adapter):
    adapter = read_adapter(peft_adapter(llama, target_modules="all-linear", r=6))
    ordered = svd_order(adapter)
    for path, f in adapter.factors.items():
        dense = f.scale * f.B.double() @ f.A.double()
        g = ordered.factors[path]
        assert torch.allclose(g.scale * g.B.double() @ g.A.double(), dense, atol=1e-6)
        singular = torch.linalg.svdvals(dense)
        for rank in (1, 3, 5):
            prefix = g.scale * g.B[:, :rank].double() @ g.A[:rank].double()
            assert float((dense - prefix).norm()) == pytest.approx(
                float(singular[rank:6].norm()), rel=1e-4, abs=1e-6
            )
    shares = energy(ordered)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)


def test_the_product_is_kept_to_a_millionth(llama, peft_adapter):
    adapter = read_adapter(peft_adapter(llama, target_modules="all-linear", r=6))
    assert difference(adapter, svd_order(adapter)) < 1e-6
    halved = {path: replace(f, B=f.B * 0.5) for path, f in adapter.factors.items()}
    assert difference(adapter, replace(adapter, factors=halved)) == pytest.approx(0.5)


def test_deficient_factors_are_said(llama, tmp_path):
    adapter = new_adapter(llama, 4)
    with pytest.raises(AdapterError, match="are zero, so there is nothing to order"):
        order_notes(svd_order(adapter))
    for number, factors in enumerate(adapter.factors.values()):
        factors.B.normal_(0.0, 0.3)
        if number % 2:
            factors.B[:, 2:] = factors.B[:, :2]
    ordered = svd_order(adapter)
    (note,) = order_notes(ordered)
    count = len(adapter.factors)
    assert note.startswith(f"{count // 2} of its {count} projections use fewer ranks than they have columns")
    deficient = list(ordered.factors.values())[1]
    assert not deficient.A[2:].any() and not deficient.B[:, 2:].any() and deficient.A[1].any()
    assert difference(adapter, ordered) < 1e-6
    write_adapter(ordered, tmp_path / "it", rank=3)
    assert read_adapter(tmp_path / "it").rank == 3
    next(iter(adapter.factors.values())).A[0, 0] = float("nan")
    write_adapter(adapter, tmp_path / "nan")
    with pytest.raises(AdapterError, match="infinite or not a number"):
        read_adapter(tmp_path / "nan")


def test_rank_above_a_dimension_is_ordered_too(llama):
    adapter = new_adapter(llama, 40, targets=["k_proj"])
    for factors in adapter.factors.values():
        factors.B.normal_(0.0, 0.3)
    for path, g in svd_order(adapter).factors.items():
        f = adapter.factors[path]
        assert g.rank == 40
        assert torch.allclose(g.B @ g.A, f.B @ f.A, atol=1e-5)


def test_what_cannot_be_written_is_said(llama, tmp_path):
    adapter = new_adapter(llama, 4)
    with pytest.raises(AdapterError, match="no order"):
        write_adapter(adapter, tmp_path / "x", rank=2)
    assert list(tmp_path.iterdir()) == []
    for rank in (0, -1, 5):
        with pytest.raises(StudioError, match=f"new has ranks 1 to 4, not {rank}"):
            write_adapter(svd_order(adapter), tmp_path / "x", rank=rank)
    write_adapter(adapter, tmp_path / "x")
    with pytest.raises(StudioError, match="already there") as caught:
        write_adapter(adapter, tmp_path / "x")
    assert caught.value.code == "disk"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_ordered_adapter_says_how_it_scales(llama, tmp_path):
    write_adapter(svd_order(new_adapter(llama, 3)), tmp_path / "x")
    assert json.loads((tmp_path / "x" / "studio.json").read_text()) == {
        "kind": "svd",
        "scaling": "constant",
        "ranks": [1, 2, 3],
    }
