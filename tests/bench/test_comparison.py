"""Four voices that answer one prompt: as rows of one batch, beside one after the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
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

    def answering(gates: object, rows: int) -> Callable[[], torch.Tensor]:
        def run() -> torch.Tensor:
            bank.gates = gates
            cache, token, said = DynamicCache(), ids.expand(rows, -1), []
            with torch.inference_mode():
                for _ in range(ANSWER):
                    logits = model(
                        input_ids=token, past_key_values=cache, use_cache=True, logits_to_keep=1
                    ).logits
                    said.append(logits[:, -1])
                    token = logits[:, -1].argmax(-1, keepdim=True)
            return torch.stack(said, 1)

        return run

    apart = [answering(gates, 1) for gates in voices]
    batch = answering(together, len(voices))
    assert contenders.apart(batch(), torch.cat([run() for run in apart])) < 10 * contenders.exact(kind)

    arms: dict[str, Arm] = {
        "one after the other": lambda: lambda: [run() for run in apart],
        "rows of one batch": lambda: batch,
    }
    timing = compare(arms, device, repeats=5, warmups=1)
    print(timing.table(f"four answers of {ANSWER} tokens to one prompt of {PROMPT}, 1024 wide, {device}"))
    assert timing.ratio("rows of one batch") <= 0.6
