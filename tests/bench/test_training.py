"""A step of training: the router beside X-LoRA's classifier, and one adapter beside PEFT's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from engine.lora import Tape, attach, new_adapter
from engine.mixer import Router, specialization_balance_loss
from engine.mixer.routed import routed
from engine.training.text import Example, collate, completion_logits, completion_loss
from tests.bench import contenders
from tests.bench.conftest import Arm

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
SMALL, USUAL, LARGE = (4, 64), (32, 24), (8, 128)
"""Batches, rows by tokens."""


def training(loss: Callable[[], Tensor], parameters: Iterable[Tensor]) -> Arm:
    """One whole step: loss, gradients, AdamW as the training loop has it, on both sides."""
    learns = list(parameters)
    optimizer = torch.optim.AdamW(learns, lr=1e-4, fused=True)

    def run() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        torch.autograd.graph.increment_version(learns)

    return lambda: run


@pytest.fixture
def model(device, kind) -> nn.Module:
    return contenders.llama(1024, device, kind, layers=2)


@pytest.mark.parametrize("asked", ["nothing", "half"])
@pytest.mark.parametrize("shape", [SMALL, USUAL, LARGE], ids=["small", "usual", "large"])
def test_a_step_of_a_router(shape, asked, model, device, kind, tmp_path, compare):
    """The same base, rows and experts; of the rows nothing but the first token is the prompt, or half.

    Ours as RouterTask makes it: pass with a tape, loss of the completions, balance loss. X-LoRA's as whoever
    uses PEFT makes it: the whole rows, the prompt's labels left out.

    Counted in products alone the ratio is two thirds: both go forward and backward once through base and
    experts, X-LoRA forward once more. What PEFT spends beside its products brings it down to about a half.
    """
    rows, tokens = shape
    ids = torch.randint(5, 60, shape, device=device)
    prompt = tokens // 2 if asked == "half" else 1
    labels = ids.clone()
    labels[:, :prompt] = -100
    batch = collate([Example(row, prompt) for row in ids.tolist()], device)
    adapters = contenders.experts(model)
    bare, other = contenders.twin(model), contenders.xlora(model, adapters, tmp_path)
    bank = attach(model, adapters, dtype=kind)
    contenders.inject(other, contenders.SHARES)
    bank.activate(dict(zip(adapters, contenders.SHARES, strict=True)))
    theirs = other(input_ids=ids, labels=labels).loss
    ours = completion_loss(completion_logits(model, batch), batch)
    assert torch.allclose(ours, theirs, rtol=contenders.exact(kind))
    bank.gates = None

    def step(input: str) -> Arm:
        router = Router(bank.layout(), bank.experts, input).to(device)
        gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
        gates.tape = Tape()

        def loss() -> Tensor:
            logits, seen = routed(model, bank, gates, batch)
            return completion_loss(logits, batch) + specialization_balance_loss(seen, 0.01, 0.0)

        return training(loss, router.parameters())

    learns = [parameter for parameter in other.parameters() if parameter.requires_grad]
    assert len(learns) == 2  # weight and bias of the classifier

    def forward() -> None:
        with torch.no_grad():
            bare(ids, labels=labels, use_cache=False)

    arms = {
        "X-LoRA, whole step": training(lambda: other(input_ids=ids, labels=labels).loss, learns),
        "local router, whole step": step("local"),
        "context router, whole step": step("context"),
        "base, forward alone": lambda: forward,
    }
    timing = compare(arms, device, repeats=9, warmups=1)
    title = (
        f"a step of a router, 1024 wide, {rows} rows of {tokens} tokens, {prompt} of them prompt, {device}"
    )
    print(timing.table(title))
    assert timing.ratio("context router, whole step") <= 0.5


def test_a_step_of_an_adapter(model, device, kind, tmp_path, compare):
    """One fresh LoRA on all projections: the same loss before and after two steps, then the clock."""
    ids = torch.randint(5, 60, SMALL, device=device)
    adapter = {"0": new_adapter(model, contenders.RANK, seed=0, name="0")}
    other = contenders.peft(model, adapter, tmp_path, trainable=True)
    bank = attach(model, adapter, trainable=True)
    bank.activate({"0": 1.0})
    losses = {
        "PEFT, whole step": lambda: other(input_ids=ids, labels=ids, use_cache=False).loss,
        "ours, whole step": lambda: model(ids, labels=ids, use_cache=False).loss,
    }
    arms = {
        "PEFT, whole step": training(
            losses["PEFT, whole step"], [p for p in other.parameters() if p.requires_grad]
        ),
        "ours, whole step": training(losses["ours, whole step"], bank.parameters()),
    }
    for _ in range(2):
        values = [loss().item() for loss in losses.values()]
        assert abs(values[0] - values[1]) <= contenders.exact(kind) * abs(values[0])
        for ready in arms.values():
            ready()()
    timing = compare(arms, device, repeats=9, warmups=1)
    print(timing.table(f"a step of an adapter, 1024 wide, {SMALL[0]} rows of {SMALL[1]} tokens, {device}"))
    assert timing.ratio("ours, whole step") <= 1.0
