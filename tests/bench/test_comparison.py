"""Four voices that answer one prompt: as rows of one batch, beside one after the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from engine.lora import attach
from tests.bench import contenders
from tests.bench.conftest import Arm

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
PROMPT, ANSWER = 64, 16


def test_answers_of_a_comparison(device, kind, compare):
    """Base, one expert, four of them and the mix, greedy, prompt included."""
    model = contenders.llama(1024, device, kind)
    adapters = contenders.experts(model)
    bank = attach(model, adapters, dtype=kind)
    voices = [
        None,
        bank.new_gates({"0": 1.0}),
        bank.new_gates(dict.fromkeys(adapters, 0.3)),
        contenders.mixed(bank, "context", device),
    ]
    together = bank.new_rows(voices)
    ids = torch.randint(5, 60, (1, PROMPT), device=device)

    def reading(gates: object, rows: int = 1) -> Callable[[], Tensor]:
        """Read the prompt; what is left to do is the answer."""
        bank.gates = gates
        cache = DynamicCache()
        with torch.inference_mode():
            seen = model(ids.expand(rows, -1), past_key_values=cache, use_cache=True, logits_to_keep=1)
        said = [seen.logits[:, -1]]

        def answer() -> Tensor:
            bank.gates = gates
            with torch.inference_mode():
                for _ in range(ANSWER):
                    token = said[-1].argmax(-1, keepdim=True)
                    said.append(model(token, past_key_values=cache, use_cache=True).logits[:, -1])
            return torch.stack(said, 1)

        return answer

    def separately() -> list[Callable[[], Tensor]]:
        return [reading(gates) for gates in voices]

    def batched() -> list[Callable[[], Tensor]]:
        return [reading(together, len(voices))]

    def answering(read: Callable[[], list[Callable[[], Tensor]]]) -> Tensor:
        return torch.cat([answer() for answer in read()])

    assert contenders.apart(answering(batched), answering(separately)) < 10 * contenders.exact(kind)

    def written(read: Callable[[], list[Callable[[], Tensor]]]) -> Arm:
        def ready() -> Callable[[], object]:
            answers = read()
            return lambda: [answer() for answer in answers]

        return ready

    arms: dict[str, Arm] = {
        "apart": lambda: lambda: answering(separately),
        "in one batch": lambda: lambda: answering(batched),
        "apart, written only": written(separately),
        "in one batch, written only": written(batched),
    }
    timing = compare(arms, device, repeats=5, warmups=1)
    print(timing.table(f"four answers of {ANSWER} tokens to one prompt of {PROMPT}, 1024 wide, {device}"))
    assert timing.ratio("in one batch") <= 0.7
    assert timing.ratio("in one batch, written only", "apart, written only") <= 0.6
