"""Other causal models than Llama and GPT-2: PEFT's logits, and routers that keep rows and padding apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from engine.lora import Tape, attach, new_adapter, read_adapter
from engine.mixer import Router

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")

COMMON = {"vocab_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = SMALL | {"num_key_value_heads": 2}
FEW = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
MODELS: dict[str, dict[str, Any]] = {
    "Qwen2": GROUPED,
    "Qwen3": GROUPED | {"head_dim": 8},
    "Mistral": GROUPED | {"sliding_window": 6},
    "Gemma2": GROUPED | {"head_dim": 8, "sliding_window": 6},
    "Phi": GROUPED,
    "GPTNeoX": SMALL,
    "OPT": FEW | {"ffn_dim": 48, "word_embed_proj_dim": 16},  # folds rows and tokens before its fc1
    "Bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "Falcon": FEW | {"alibi": False},
}


@pytest.fixture
def model(name: str) -> nn.Module:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**(COMMON | MODELS[name]))
    return getattr(transformers, f"{name}ForCausalLM")(config).eval().requires_grad_(False)


@pytest.mark.parametrize("name", MODELS)
def test_logits_equal_peft(model, ids, peft_adapter, peft_logits, apart):
    folder = peft_adapter(model, target_modules="all-linear")
    output, expected = model(ids).logits, peft_logits(model, ids, folder)
    bank = attach(model, {"a": read_adapter(folder)})
    bank.activate({"a": 1.0})
    assert apart(model(ids).logits, expected) < 1e-5 < apart(output, expected)
    bank.detach()
    assert torch.equal(model(ids).logits, output)


@pytest.mark.parametrize("kind", ["local", "context"])
@pytest.mark.parametrize("name", MODELS)
def test_rows_and_padding_keep_apart(name, model, kind, ids: Tensor):
    adapters = {str(seed): new_adapter(model, 2, seed=seed) for seed in range(2)}
    for adapter in adapters.values():
        for factors in adapter.factors.values():
            factors.B.normal_(0.0, 0.3)
    bank = attach(model, adapters)
    router = Router(bank.layout(), bank.experts, kind).requires_grad_(False)
    for V in router.V:
        V.normal_(0.0, 0.5)
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    tape = bank.gates.tape = Tape()
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    positions = {} if name in ("Bloom", "OPT") else {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
    with torch.no_grad():
        both = model(ids, attention_mask=mask, **positions).logits
        assert tape.gates[-1].shape == (*ids.shape, len(bank.modules), 3)
        assert torch.allclose(both[0, 4:], model(ids[:1, 4:]).logits[0], atol=1e-4)
        assert torch.allclose(both[1], model(ids[1:]).logits[0], atol=1e-4)
