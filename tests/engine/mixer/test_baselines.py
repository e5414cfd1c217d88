"""The baselines are what they say: CAT is PEFT's weighted sum, X-LoRA is PEFT's; the base stays."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from engine.formats.errors import StudioError
from engine.lora import Adapter, attach, new_adapter, write_adapter
from engine.mixer.baselines import LearnedWeights, RowsTask, classifier, matched_size, twin, xlora
from engine.mixer.prototypes import prototypes
from engine.training import Settings, StepDone, train
from engine.training.play import play
from engine.training.text import Example

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")

IDS = torch.arange(24).view(2, 12)


@pytest.fixture
def alike(experts: dict[str, Adapter]) -> dict[str, Adapter]:
    """Experts that X-LoRA can take in pairs: of different rank and targets, as they are."""
    return {name: experts[name] for name in ("e0", "e1")}


def peft_model(model: nn.Module, experts: dict[str, Adapter], folder: Path) -> nn.Module:
    from peft import PeftModel

    for name, adapter in experts.items():
        write_adapter(adapter, folder / name)
    first, *others = experts
    peft = PeftModel.from_pretrained(copy.deepcopy(model), folder / first, adapter_name=first)
    for name in others:
        peft.load_adapter(folder / name, adapter_name=name)
    peft.base_model.set_adapter(list(experts))
    return peft.eval()


def test_learned_weights_are_pefts_sum_with_a_scale_per_projection(
    llama: nn.Module, experts: dict[str, Adapter], tmp_path: Path
) -> None:
    bank = attach(llama, experts)
    weights = LearnedWeights(bank.layout(), bank.experts)
    chance = torch.Generator().manual_seed(1)
    for each in weights.weights:
        each.data.normal_(generator=chance)
    peft = peft_model(llama, experts, tmp_path)
    for path, each in weights.named().items():
        scaling = peft.base_model.model.get_submodule(path).scaling
        for name, weight in zip(bank.experts, each.tolist(), strict=True):
            scaling[name] = scaling.get(name, 0.0) * weight
    gates = bank.new_gates(dict.fromkeys(experts, 1.0), router=weights)
    wanted = peft(input_ids=IDS).logits.detach()
    for graded in (False, True):
        with torch.set_grad_enabled(graded), play(bank, gates):
            found = llama(input_ids=IDS).logits.detach()
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    bank.detach()


def test_learned_weights_learn_and_an_expert_that_is_not_there_gets_no_gradient(
    llama: nn.Module, experts: dict[str, Adapter], tmp_path: Path
) -> None:
    """The teacher is one expert at twice its strength: the weights find it."""
    bank = attach(llama, experts)
    with torch.no_grad(), play(bank, bank.new_gates({"e0": 2.0})):
        said = llama(input_ids=IDS).logits.argmax(-1)
    examples = [
        Example([asked, answer], 1)
        for row, out in zip(IDS, said, strict=True)
        for asked, answer in zip(row.tolist()[:1], out.tolist()[:1], strict=True)
    ]
    weights = LearnedWeights(bank.layout(), bank.experts)
    gates = bank.new_gates(dict.fromkeys(experts, 1.0), router=weights)

    def forward(ids: torch.Tensor) -> torch.Tensor:
        with play(bank, gates):
            return llama(input_ids=ids, use_cache=False).logits

    task = RowsTask(forward, weights.named(), examples, batch_size=2)
    losses = [
        e.metrics["loss"]
        for e in train(task, Settings(steps=40, learning_rate=0.1))
        if isinstance(e, StepDone)
    ]
    assert losses[-1] < losses[0] - 0.15
    for path, (_, present) in bank.layout().items():
        for name, weight in zip(bank.experts, weights.named()[path].tolist(), strict=True):
            assert (weight == pytest.approx(1 / 3)) == (name not in present), (path, name)
    found = task.save(tmp_path / "kept")
    assert found == {"parameters": 3 * len(bank.layout())}
    bank.detach()


def test_x_lora_with_an_idle_classifier_is_the_mean_of_the_experts(
    llama: nn.Module, alike: dict[str, Adapter]
) -> None:
    bank = attach(llama, alike)
    with torch.no_grad(), play(bank, bank.new_gates(dict.fromkeys(alike, 0.5))):
        mean = llama(input_ids=IDS).logits
        peft = xlora(llama, alike)
        learned = classifier(peft)
        assert {name.split(".")[1] for name in learned} == {"internal_xlora_classifier"}
        for each in learned.values():
            each.zero_()
    with torch.no_grad():
        torch.testing.assert_close(peft(input_ids=IDS, use_cache=False).logits, mean, rtol=1e-5, atol=1e-5)
    bank.detach()


def test_x_lora_says_what_it_does_not_take(llama: nn.Module, alike: dict[str, Adapter]) -> None:
    dora = {
        path: replace(factors, magnitude=torch.ones(len(factors.B)))
        for path, factors in alike["e1"].factors.items()
    }
    with pytest.raises(StudioError, match="DoRA, and e1 is one"):
        xlora(llama, alike | {"e1": replace(alike["e1"], factors=dora)})
    ends = {"bos_token_id": 1, "eos_token_id": 2}
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=16, n_embd=8, n_layer=1, n_head=1, **ends))
    with pytest.raises(StudioError, match=r"and one adapts transformer\.h\.0\."):
        xlora(gpt2, {"one": new_adapter(gpt2, 2, seed=0, name="one")})


def test_x_lora_starts_from_its_seed_and_leaves_chance_alone(
    llama: nn.Module, alike: dict[str, Adapter]
) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (classifier(xlora(llama, alike, seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), wanted)
    weight = next(iter(first))
    assert torch.equal(first[weight], again[weight])
    assert not torch.equal(first[weight], other[weight])


def test_a_twin_shares_the_weights_and_none_of_the_hooks(llama: nn.Module, alike: dict[str, Adapter]) -> None:
    silent = llama(input_ids=IDS).logits
    bank = attach(llama, alike)
    before = {name: len(module._forward_hooks) for name, module in llama.named_modules()}
    with play(bank, bank.new_gates({"e0": 1.0})):
        copied = twin(llama)
        assert torch.equal(copied(input_ids=IDS).logits, silent)
        assert not torch.equal(llama(input_ids=IDS).logits, silent)
    tensors = dict(llama.state_dict(keep_vars=True))
    assert all(each is tensors[name] for name, each in copied.state_dict(keep_vars=True).items())
    assert not any(len(module._forward_hooks) for module in copied.modules())
    assert before == {name: len(module._forward_hooks) for name, module in llama.named_modules()}
    assert sum(before.values()) > 0
    copied.config.use_cache = False
    assert llama.config.use_cache
    bank.detach()


def test_prototypes_are_pefts_arrow(llama: nn.Module, tmp_path: Path) -> None:
    """Of three experts of one rank, the two whose directions a token meets best, at every projection."""
    from peft import ArrowConfig, create_arrow_model

    experts = {}
    for seed in range(3):
        adapter = new_adapter(llama, 4, alpha=6.0, seed=seed, name=f"e{seed}")
        for factors in adapter.factors.values():
            factors.B.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(seed + 7))
            factors.B[:, 0] *= 25  # far ahead of the others: PEFT looks for the direction by 15 iterations
        write_adapter(adapter, tmp_path / adapter.name)
        experts[adapter.name] = adapter
    peft = create_arrow_model(
        copy.deepcopy(llama), [str(tmp_path / name) for name in experts], ArrowConfig(top_k=2, rng_seed=0)
    )
    bank = attach(llama, experts)
    router = prototypes(bank).play("topk", top_k=2)
    with torch.no_grad():
        wanted = peft.eval()(input_ids=IDS).logits
        with play(bank, bank.new_gates(dict.fromkeys(experts, 1.0), router=router)):
            found = llama(input_ids=IDS).logits
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    bank.detach()


def test_the_matched_lora_is_as_large_as_the_experts_where_most_of_them_meet(
    llama: nn.Module, experts: dict[str, Adapter]
) -> None:
    """q_proj has all three: ranks 2, 3 and 4, each with its rank for alpha."""
    bank = attach(llama, experts)
    assert matched_size(bank) == (9, 9.0)
    bank.detach()
