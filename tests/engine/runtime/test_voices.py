"""Banks are kept, renewed when files change, bounded in number, and never taken from under an answer."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from engine.formats.errors import StudioError
from engine.lora import in_order, read_adapter, write_adapter
from engine.messages import Ask, Mixing, Part
from engine.runtime.voices import Voices


def logits(voices, parts, library, mixing=None):
    with voices.hold(parts, mixing, library) as voice, torch.no_grad(), voice.playing():
        return voices.base.model(torch.tensor([[1, 5, 6]])).logits


def hooks(base):
    return sum(len(module._forward_hooks) for module in base.model.modules())


def test_a_bank_is_used_again(voices, library):
    with voices.hold([Part(name="left")], None, library) as first:
        pass
    with voices.hold([Part(name="left", weight=0.3)], None, library) as second:
        assert second.bank is first.bank


def test_changed_files_are_read_again(voices, library):
    before = logits(voices, [Part(name="left")], library)
    other = read_adapter(library["adapter:right"])
    shutil.rmtree(library["adapter:left"])
    write_adapter(other, library["adapter:left"])
    assert torch.equal(
        logits(voices, [Part(name="left")], library), logits(voices, [Part(name="right")], library)
    )
    assert not torch.equal(logits(voices, [Part(name="left")], library), before)


def test_banks_are_bounded_and_busy_ones_stay(base, voices, library):
    clean = hooks(base)
    with voices.hold([Part(name="left")], None, library) as busy:
        logits(voices, [Part(name="right")], library)
        logits(voices, [Part(name="left"), Part(name="right")], library)
        logits(voices, [], library, Mixing(name="both"))
        with torch.no_grad(), busy.playing():
            heard = base.model(torch.tensor([[1, 5, 6]])).logits
    assert not torch.equal(heard, logits(voices, [], library))
    assert len(voices._kept) == 2
    voices.close()
    assert hooks(base) == clean


@pytest.mark.parametrize(
    ("parts", "mixing", "reason"),
    [
        ([Part(name="nobody")], None, "no adapter called nobody"),
        ([], Mixing(name="nothing"), "no mix called nothing"),
        ([Part(name="left"), Part(name="left")], None, "named twice"),
        ([Part(name="nobody")], Mixing(name="both"), "no expert nobody"),
    ],
)
def test_what_is_not_there_is_said(voices, library, parts, mixing, reason):
    with pytest.raises(StudioError, match=reason):
        logits(voices, parts, library, mixing)


def test_a_truncated_adapter_is_refused_and_the_base_stays_clean(base, voices, library):
    clean = hooks(base)
    weights = Path(library["adapter:left"]) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(StudioError):
        logits(voices, [Part(name="left")], library)
    assert hooks(base) == clean


def test_an_order_is_made_once_and_heard_at_a_rank(voices, library, tmp_path):
    at_two = {order: Part(name="left", rank=2, order=order) for order in ("", "energy", "spread")}
    heard = {order: logits(voices, [part], library) for order, part in at_two.items()}
    assert not torch.allclose(heard[""], heard["energy"]) and not torch.allclose(
        heard["energy"], heard["spread"]
    )
    with voices.hold([at_two["spread"]], None, library) as first:
        pass
    with voices.hold([Part(name="left", order="spread")], None, library) as again:
        assert again.bank is first.bank
    write_adapter(in_order(read_adapter(library["adapter:left"]), "energy"), tmp_path / "left")
    there = logits(voices, [at_two[""]], {"adapter:left": str(tmp_path / "left")})
    assert torch.equal(there, heard["energy"])
    whole = [logits(voices, [Part(name="left", order=order)], library) for order in at_two]
    for one in whole[1:]:
        assert torch.allclose(one, whole[0], atol=1e-5)


def test_a_mix_plays_its_experts_in_an_order(voices, library):
    mixing, parts = Mixing(name="both"), [Part(name="left", rank=2, order="energy")]
    whole = logits(voices, [Part(name="left", order="energy")], library, mixing)
    assert torch.allclose(whole, logits(voices, [], library, mixing), atol=1e-5)
    cut = logits(voices, parts, library, mixing)
    assert not torch.allclose(cut, logits(voices, [Part(name="left", rank=2)], library, mixing))


def test_few_banks_are_kept_of_a_mix_whose_experts_are_slid_one_after_the_other(base, library):
    voices = Voices(base, kept=8)
    try:
        for slid in ([], ["left"], ["left", "right"], ["right"]):
            parts = [Part(name=name, rank=2, order="energy") for name in slid]
            logits(voices, parts, library, Mixing(name="both"))
        assert len(voices._kept) == 2
        logits(voices, [Part(name="left")], library)
        assert len(voices._kept) == 3
        with voices.hold([Part(name="right", rank=1, order="energy")], Mixing(name="both"), library) as again:
            assert again.bank in [kept.bank for kept in voices._kept.values()]
            assert len(voices._kept) == 3, "slid further, it plays on the same bank"
    finally:
        voices.close()


def test_rows_share_a_bank_unless_an_adapter_plays_in_two_orders(voices, library):
    asks = [
        Ask(),
        Ask(parts=[Part(name="left", rank=1, order="energy")]),
        Ask(parts=[Part(name="left", rank=3, order="energy"), Part(name="right")]),
        Ask(parts=[Part(name="left", rank=1)]),
        Ask(parts=[Part(name="right", rank=1)]),
        Ask(mixing=Mixing(name="both")),
    ]
    with voices.hold_all(asks, library) as several:
        base, one, two, other, right, mix = (voice.bank for voice in several)
    assert base is None and one is two is right and len({id(bank) for bank in (one, other, mix)}) == 3


def test_a_rank_of_columns_without_order_says_so(voices, library):
    def notes(part):
        with voices.hold([part], None, library) as voice:
            return voice.notes

    assert "rank 2 is an arbitrary part" in notes(Part(name="left", rank=2))[-1]
    for part in (Part(name="left"), Part(name="left", rank=4), Part(name="left", rank=2, order="energy")):
        assert not any("arbitrary" in note for note in notes(part))


def test_a_dylora_is_not_ordered(voices, library, tmp_path):
    nested = read_adapter(library["adapter:left"])
    factors = {path: dataclasses.replace(item, nested=True) for path, item in nested.factors.items()}
    write_adapter(dataclasses.replace(nested, kind="dylora", factors=factors), tmp_path / "nested")
    paths = {"adapter:nested": str(tmp_path / "nested")}
    logits(voices, [Part(name="nested", rank=2)], paths)
    with pytest.raises(StudioError, match="not to be ordered anew"):
        logits(voices, [Part(name="nested", rank=2, order="spread")], paths)
