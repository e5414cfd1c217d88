"""A mix as one plain LoRA, as PEFT reads it: exact where weights are constant, else the mean, measured."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn

from engine.formats.errors import AdapterError
from engine.lora import Adapter, Factors, attach, write_adapter
from engine.mixer import Router
from engine.mixer.distill import Distillation
from engine.mixer.export import Difference, MeanWeights, cut, fold, is_static
from engine.training import Settings, StepDone, train
from engine.training.play import play
from engine.training.text import Example, collate

# PEFT asks transformers for a property under its old name, and says what merging a bias would need.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*lora_bias.*"),
]


def opinionated(bank, **options):
    router = Router(bank.layout(), bank.experts, **options)
    for index, V in enumerate(router.V):
        V.data.normal_(0.0, 0.7, generator=torch.Generator().manual_seed(index))
    return router


def batch_of(*rows):
    return collate([Example(list(row), 1) for row in rows])


def mean_weights(model, bank, router, *batches, faders=None):
    mean = MeanWeights(bank.new_gates(faders or dict.fromkeys(bank.experts, 1.0), router=router))
    for batch in batches:
        mean.read(model, bank, batch)
    return mean.weights()


@torch.no_grad()
def logits(model, bank, gates, ids):
    with play(bank, gates):
        return model(ids).logits


def relative(a, b):
    return float((a - b).norm() / b.norm())


def peft_logits(model, folder, ids):
    from peft import PeftModel

    with torch.no_grad():
        return PeftModel.from_pretrained(copy.deepcopy(model), folder)(ids).logits


def test_constant_weights_become_an_exact_lora_that_peft_reads(llama, experts, ids, tmp_path):
    bank = attach(llama, experts)
    router = Router(bank.layout(), bank.experts)
    faders = {"e0": 1.0, "e1": 0.5, "e2": -0.3}
    expected = logits(llama, bank, bank.new_gates(faders, router=router), ids)
    silent = logits(llama, bank, None, ids)
    lora = fold(bank, mean_weights(llama, bank, router, batch_of([3, 4, 5]), faders=faders), "mix", "tiny")
    bank.detach()
    assert lora.rank == 2 + 3 + 4 and lora.config.base == "tiny"
    write_adapter(lora, tmp_path / "lora")
    found = peft_logits(llama, tmp_path / "lora", ids)
    assert relative(silent, expected) > 0.1
    assert relative(found, expected) < 1e-6


def test_what_is_static(llama, experts):
    bank = attach(llama, experts)
    unsure, sure = Router(bank.layout(), bank.experts), opinionated(bank)
    assert is_static(unsure)
    assert not is_static(sure)
    assert is_static(sure.play(locked=bank.experts))
    assert is_static(sure.play(locked=["e0"], muted=["e1", "e2"]))
    assert not is_static(sure.play(locked=["e0"], muted=["e1"]))
    bank.detach()


def test_locked_experts_are_exact_whatever_the_router_learned(llama, experts, ids, tmp_path):
    bank = attach(llama, experts)
    router = opinionated(bank).play(locked=bank.experts)
    gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    expected = logits(llama, bank, gates, ids)
    lora = fold(bank, mean_weights(llama, bank, router, batch_of([9, 8])), "mix", "")
    bank.detach()
    write_adapter(lora, tmp_path / "lora")
    assert relative(peft_logits(llama, tmp_path / "lora", ids), expected) < 1e-6


def test_the_mean_is_over_real_tokens_and_faders_count(llama, experts):
    bank = attach(llama, experts)
    router = opinionated(bank)
    faders = {"e0": 2.0, "e1": 1.0, "e2": 0.0}
    short, long = [5, 6, 7], [9, 10, 11, 12, 13, 14, 15]
    padded = mean_weights(llama, bank, router, batch_of(short, long), faders=faders)
    alone = [mean_weights(llama, bank, router, batch_of(row), faders=faders) for row in (short, long)]
    for path, here in padded.items():
        assert "null" not in here and here["e2"] == 0
        for name, weight in here.items():
            expected = (2 * alone[0][path][name] + 6 * alone[1][path][name]) / 8
            assert weight == pytest.approx(expected, rel=1e-5)
        assert here["e0"] < 2.0
    bank.detach()


def played_alike(model, experts, faders, ids, folder):
    """How far PEFT is from the bank with the experts folded at ``faders``."""
    bank = attach(model, experts)
    expected = logits(model, bank, bank.new_gates(faders), ids)
    weights = {path: {name: faders[name] for name in names} for path, (_, names) in bank.layout().items()}
    try:
        write_adapter(fold(bank, weights, "mix", ""), folder)
    finally:
        bank.detach()
    return relative(peft_logits(model, folder, ids), expected)


def test_biases_and_embeddings_are_folded_too(llama, experts, ids, tmp_path):
    chance = torch.Generator().manual_seed(3)
    items = {
        path: dataclasses.replace(item, scale=0.5, bias=torch.randn(len(item.B), generator=chance))
        for path, item in experts["e1"].factors.items()
    }
    config = dataclasses.replace(experts["e1"].config, lora_bias=True)
    biased = dataclasses.replace(experts["e1"], factors=items, config=config)
    table = Factors(
        torch.randn(2, 64, generator=chance), torch.randn(32, 2, generator=chance), 0.1, embedding=True
    )
    words = Adapter("words", experts["e2"].config, {"model.embed_tokens": table})
    plain = experts["e2"]
    faders = {"plain": 0.4, "odd": 0.7}
    assert played_alike(llama, {"plain": plain, "odd": biased}, faders, ids, tmp_path / "biased") < 1e-5
    assert played_alike(llama, {"plain": plain, "odd": words}, faders, ids, tmp_path / "words") < 1e-5
    both = {"plain": biased, "odd": words}
    with pytest.raises(AdapterError, match="no LoRA with both"):
        played_alike(llama, both, faders, ids, tmp_path / "both")


def test_what_no_lora_can_do_is_refused(llama, experts):
    plain = experts["e1"]
    items = {
        path: dataclasses.replace(item, magnitude=llama.get_submodule(path).weight.norm(dim=1) * 1.1)
        for path, item in plain.factors.items()
    }
    dora = dataclasses.replace(plain, factors=items)
    owner = dataclasses.replace(plain, replaced={"lm_head.weight": torch.ones(64, 32)})
    for odd, reason in ((dora, "is a DoRA"), (owner, "replaces parameters")):
        bank = attach(llama, {"odd": odd, "plain": experts["e0"]})
        weights = {path: dict.fromkeys(names, 0.5) for path, (_, names) in bank.layout().items()}
        with pytest.raises(AdapterError, match=reason):
            fold(bank, weights, "mix", "")
        silent = {path: here | {"odd": 0.0} for path, here in weights.items()}
        assert fold(bank, silent, "mix", "").rank == 2
        bank.detach()


def test_a_cut_is_the_best_of_its_rank(llama, experts):
    bank = attach(llama, experts)
    whole = fold(bank, mean_weights(llama, bank, opinionated(bank), batch_of([3, 4, 5])), "mix", "")
    bank.detach()
    small = cut(whole, 3)
    for path, item in small.factors.items():
        dense = (whole.factors[path].B @ whole.factors[path].A).double()
        U, S, Vt = torch.linalg.svd(dense)
        assert item.rank == min(3, whole.factors[path].rank)
        best = (U[:, :3] * S[:3]) @ Vt[:3]
        assert relative((item.B @ item.A).double(), best) < 1e-5
    with pytest.raises(AdapterError, match="rank 0"):
        cut(whole, 0)


def test_the_difference_is_measured_over_all_tokens_together():
    chance = torch.Generator().manual_seed(0)
    mix, lora = torch.randn(2, 11, 7, generator=chance).double()
    difference = Difference()
    difference.read(mix[:4], lora[:4])
    difference.read(mix[4:], lora[4:])
    p = mix.softmax(-1)
    expected = (p * (p.log() - lora.softmax(-1).log())).sum(-1).mean()
    assert difference.tokens == 11
    assert difference.kl == pytest.approx(float(expected), rel=1e-5)
    assert difference.logits == pytest.approx(relative(lora, mix), rel=1e-5)


def test_distillation_brings_the_lora_closer(llama: nn.Module, experts):
    bank = attach(llama, experts)
    router = opinionated(bank)
    gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    chance = torch.Generator().manual_seed(2)
    examples = [Example(row, 2) for row in torch.randint(1, 64, (24, 8), generator=chance).tolist()]
    mean = mean_weights(llama, bank, router, collate(examples))
    task = Distillation(llama, bank, gates, fold(bank, mean, "mix", ""), examples, 24)
    settings = Settings(steps=60, learning_rate=5e-3)
    losses = [event.metrics["loss"] for event in train(task, settings) if isinstance(event, StepDone)]
    assert losses[-1] < 0.3 * losses[0]
    lora = task.adapter()
    task.close()
    student = attach(llama, {"lora": lora})
    batch, difference = collate(examples), Difference()
    mix, said = (
        logits(llama, *voice, batch.ids)
        for voice in ((bank, gates), (student, student.new_gates({"lora": 1.0})))
    )
    difference.read(mix[batch.learned], said[batch.learned])
    assert difference.kl == pytest.approx(losses[-1], rel=0.2)
    for each in (bank, student):
        each.detach()
