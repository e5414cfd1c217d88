"""Banks are kept, renewed when files change, bounded in number, and never taken from under an answer."""

import shutil
from pathlib import Path

import pytest
import torch

from engine.formats.errors import StudioError
from engine.lora import read_adapter, write_adapter
from engine.messages import Mixing, Part


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
