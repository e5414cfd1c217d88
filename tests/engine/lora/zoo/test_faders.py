"""Ranks, rows of a batch and routers over experts of mixed kinds, against the dense reference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.formats.errors import StudioError
from engine.lora import Tape, attach, read_adapter
from engine.mixer import Router
from tests.engine.lora.zoo.bases import answer, apart, build, question
from tests.engine.lora.zoo.dense import dense
from tests.engine.lora.zoo.recipes import RECIPES
from tests.engine.lora.zoo.strangers import CONFIG, changed

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")
EXACT = 1e-5
MIXED = {
    "llama": ["llama-dora", "llama-tokens-and-queries", "llama-lora-bias", "llama-head", "llama-rslora"],
    "gpt2": ["gpt2-dora-rslora", "gpt2-positions", "gpt2-lora-bias", "gpt2-head", "gpt2-ranks"],
    "mamba": ["mamba-dora", "mamba-tokens", "mamba-in-and-x"],
    "vit": ["vit-lora-bias", "vit-olora", "vit-every-linear", "vit-lora-classifier"],
    "t5": ["t5-dora", "t5-tokens", "t5-decoder", "t5-head"],
}


def cut(source: Path, folder: Path, rank: int) -> Path:
    """A copy whose factors keep their first ``rank`` columns, and their scale."""

    def part(name: str, there: Tensor) -> Tensor:
        if name.endswith(("lora_A.weight", "lora_embedding_A")):
            return there[:rank].clone()
        return there[:, :rank].clone() if name.endswith(("lora_B.weight", "lora_embedding_B")) else there

    raw = json.loads((source / CONFIG).read_text())
    assert not raw["rank_pattern"] and not raw["use_rslora"]
    return changed(source, folder, {"r": rank, "lora_alpha": raw["lora_alpha"] * rank / raw["r"]}, part)


@pytest.mark.parametrize("name", ["llama-every-linear", "llama-tokens", "gpt2-fused-qkv", "llama-lora-bias"])
def test_a_rank_cuts_the_factors(name, zoo, tmp_path):
    """A bias belongs to the expert, not to a column: it stays at any rank above none."""
    base = RECIPES[name].base
    model = build(base)
    bank = attach(model, {"a": read_adapter(zoo(name))})
    bank.activate({"a": 0.7})
    bank.set_rank("a", 2)
    expected = answer(dense(base, {"a": cut(zoo(name), tmp_path / "a", 2)}, {"a": 0.7}), base)
    assert apart(answer(model, base), expected) < EXACT
    bank.set_rank("a", None)
    assert apart(answer(model, base), answer(dense(base, {"a": zoo(name)}, {"a": 0.7}), base)) < EXACT


@pytest.mark.parametrize("name", ["llama-dora", "gpt2-dora", "llama-dora-tokens"])
def test_a_rank_of_dora_is_exact_or_refused(name, zoo, tmp_path):
    """Its norms are those of the whole: at a smaller rank they are taken anew, or it is refused."""
    base = RECIPES[name].base
    model = build(base)
    bank = attach(model, {"a": read_adapter(zoo(name))})
    bank.activate({"a": 1.0})
    whole = answer(model, base)
    try:
        bank.set_rank("a", 2)
    except StudioError as error:
        assert "rank" in error.message and error.hint
        assert torch.equal(answer(model, base), whole)
        return
    expected = answer(dense(base, {"a": cut(zoo(name), tmp_path / "a", 2)}, {"a": 1.0}), base)
    assert apart(answer(model, base), expected) < EXACT
    bank.set_rank("a", None)
    assert apart(answer(model, base), answer(dense(base, {"a": zoo(name)}, {"a": 1.0}), base)) < EXACT


@pytest.mark.parametrize("base", MIXED)
def test_a_router_without_opinion_is_the_mean(base, zoo):
    """Zero logits: every expert of a projection weighs the same, whatever its kind."""
    names = MIXED[base]
    model = build(base)
    bank = attach(model, {name: read_adapter(zoo(name)) for name in names})
    layout = {path: (d_in, bank.experts) for path, (d_in, _) in bank.layout().items()}  # nobody is masked
    router = Router(layout, bank.experts, "local", null=False).requires_grad_(False)
    faders = dict(zip(names, (1.0, 0.5, -0.3, 0.8, 1.4), strict=False))
    bank.gates = bank.new_gates(faders, router=router)
    tape = bank.gates.tape = Tape()
    ours = answer(model, base)
    weights = {name: fader / len(names) for name, fader in faders.items()}
    expected = answer(dense(base, {name: zoo(name) for name in names}, weights), base)
    assert apart(ours, expected) < EXACT
    assert tape.gates and all((gates - 1 / len(names)).abs().max() < 1e-6 for gates in tape.gates)


@pytest.mark.parametrize("base", MIXED)
def test_rows_of_a_batch_are_answers_of_their_own(base, zoo):
    names = MIXED[base]
    folders = {name: zoo(name) for name in names}
    model = build(base)
    bank = attach(model, {name: read_adapter(folder) for name, folder in folders.items()})
    voices = [
        {names[0]: 1.0},
        {},
        dict(zip(names, (0.3, -0.5, 1.0, 0.7, 0.2), strict=False)),
        {names[1]: 1.3},
    ]
    one = {key: value[:1] for key, value in question(base).items()}
    bank.gates = bank.new_rows([bank.new_gates(voice) if voice else None for voice in voices])
    with torch.no_grad():
        together = model(**{key: value.expand(4, *value.shape[1:]) for key, value in one.items()}).logits
        for row, voice in enumerate(voices):
            alone = dense(base, folders, voice)(**{k: _double(value) for k, value in one.items()}).logits
            assert apart(together[row : row + 1], alone) < EXACT, voice


def _double(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value
