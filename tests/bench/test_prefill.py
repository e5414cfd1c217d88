"""Reading a prompt: what the mix adds, beside what counting its products says it must add."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import DynamicCache

from engine.lora import Bank, attach
from tests.bench import contenders
from tests.bench.conftest import Arm

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
PROMPT = 256


def counted(model: nn.Module, bank: Bank) -> float:
    """Multiplications of A, B and the router's rows over those of the base's projections, per token read."""
    linears = (m for path, m in model.named_modules() if isinstance(m, nn.Linear) and "layers." in path)
    base = sum(m.weight.numel() for m in linears) + model.lm_head.weight.numel() / PROMPT
    return (contenders.numbers(bank) + sum(weight.numel() for weight in bank.gates.router.weights)) / base


@pytest.mark.parametrize("width", [1024, 2048])
@pytest.mark.parametrize("router", ["local", "context"])
def test_reading_a_prompt(width, router, device, kind, tmp_path, compare):
    model = contenders.llama(width, device, kind, layers=3)
    adapters = contenders.experts(model)
    bare, other = contenders.twin(model), contenders.peft(model, adapters, tmp_path)
    other.base_model.set_adapter(list(adapters))
    bank = attach(model, adapters, dtype=kind)
    gates = contenders.mixed(bank, router, device)
    fixed = bank.new_gates(dict.fromkeys(adapters, 1.0))
    ids = torch.randint(5, 60, (1, PROMPT), device=device)

    def reading(asked: nn.Module, play: object = None) -> Arm:
        def run() -> None:
            with torch.inference_mode():
                asked(input_ids=ids, past_key_values=DynamicCache(), use_cache=True, logits_to_keep=1)

        def ready() -> Callable[[], None]:
            bank.gates = play
            return run

        return ready

    arms = {
        "base": reading(bare),
        "bank, four fixed": reading(model, fixed),
        f"mix, {router} router": reading(model, gates),
        "PEFT, four": reading(other),
    }
    timing = compare(arms, device, repeats=21)
    bank.gates = gates
    floor = counted(model, bank)
    added = timing.ratio(f"mix, {router} router") - 1
    print(timing.table(f"reading {PROMPT} tokens, {width} wide, {device}", products=1 + floor))
    print(f"  the mix adds {added:.1%}, {added / floor:.2f} times the counted {floor:.1%}")
    assert timing.ratio(f"mix, {router} router") < timing.ratio("PEFT, four")
    assert added <= 1.6 * floor
