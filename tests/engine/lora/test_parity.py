"""The bank's logits are PEFT's, for every variant that is read."""

from __future__ import annotations

import copy

import pytest
import torch

from engine.lora import attach, read_adapter

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:transformers",
    "ignore:.*fan_in_fan_out.*:UserWarning",
    "ignore:.*keys did not match any:RuntimeWarning",
)

LLAMA = {
    "lora": {"target_modules": ["q_proj", "v_proj"]},
    "all linear": {"target_modules": "all-linear"},
    "rslora": {"target_modules": ["q_proj", "down_proj"], "use_rslora": True, "r": 6, "lora_alpha": 3},
    "rank pattern": {
        "target_modules": ["q_proj", "k_proj"],
        "rank_pattern": {"layers.1.self_attn.q_proj": 7},
    },
    "alpha pattern": {
        "target_modules": ["o_proj", "up_proj"],
        "alpha_pattern": {r"layers\.[02]\..*up_proj": 31},
    },
    "both patterns": {
        "target_modules": ["q_proj", "gate_proj"],
        "rank_pattern": {"q_proj": 2, "model.layers.2.mlp.gate_proj": 9},
        "alpha_pattern": {"gate_proj": 5, "q_proj": 12},
        "use_rslora": True,
    },
    "regex targets": {"target_modules": r".*layers\.[12]\.self_attn\.(q|o)_proj"},
    "some layers": {"target_modules": ["q_proj"], "layers_to_transform": [0, 2], "layers_pattern": "layers"},
    "per-layer targets": {"target_modules": ["model.layers.0.mlp.up_proj", "layers.2.self_attn.k_proj"]},
    "excluded modules": {
        "target_modules": "all-linear",
        "exclude_modules": ["down_proj", "layers.1.self_attn.q_proj"],
    },
    "nested groups": {"target_modules": r"(model\.)?layers\.(0|2)\.(self_attn\.(q|(k|v))_proj|mlp\.up_proj)"},
    "overlapping keys": {
        "target_modules": "all-linear",
        "rank_pattern": {"layers.1.self_attn.q_proj": 3, "q_proj": 5, r"layers\.\d+\.mlp\..*": 2},
        "alpha_pattern": {"proj": 3, "up_proj": 4, ".*proj": 9},
    },
    "anchored keys": {
        "target_modules": "all-linear",
        "rank_pattern": {"^model.layers.0.self_attn.q_proj": 3, "^layers.0.self_attn.k_proj": 5},
        "alpha_pattern": {r"^model\.layers\.1\.mlp\.up_proj": 13, "^down_proj": 5},
        "use_rslora": True,
    },
    "negative alpha": {"target_modules": ["k_proj"], "lora_alpha": -3},
    "rank above the width": {"target_modules": ["k_proj"], "r": 48},
    "gaussian": {"target_modules": ["q_proj"], "init_lora_weights": "gaussian"},
    "orthogonal": {"target_modules": ["q_proj"], "init_lora_weights": "orthogonal"},
}


@pytest.mark.parametrize("variant", LLAMA)
def test_llama_equals_peft(variant, llama, ids, peft_adapter, peft_logits, apart):
    folder = peft_adapter(llama, **LLAMA[variant])
    expected = peft_logits(llama, ids, folder)
    base = llama(ids).logits
    bank = attach(llama, {"a": read_adapter(folder)})
    bank.activate({"a": 1.0})
    assert apart(llama(ids).logits, expected) < 1e-5
    assert apart(base, expected) > 1e-3  # the adapter is heard at all


@pytest.mark.parametrize(
    "config", [{"target_modules": ["c_attn"]}, {"target_modules": ["c_attn", "c_proj", "c_fc"]}]
)
def test_conv1d_equals_peft(config, gpt2, ids, peft_adapter, peft_logits, apart):
    folder = peft_adapter(gpt2, fan_in_fan_out=True, **config)
    expected = peft_logits(gpt2, ids, folder)
    bank = attach(gpt2, {"a": read_adapter(folder)})
    bank.activate({"a": 1.0})
    assert apart(gpt2(ids).logits, expected) < 1e-5


def test_five_experts_of_different_ranks_and_targets(llama, ids, peft_adapter, peft_logits, apart):
    configs = [
        {"r": 2, "target_modules": ["q_proj"]},
        {"r": 5, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]},
        {"r": 3, "target_modules": ["gate_proj", "up_proj"], "use_rslora": True},
        {"r": 8, "target_modules": "all-linear", "lora_alpha": 1},
        {"r": 4, "target_modules": ["down_proj", "v_proj"], "layers_to_transform": [1]},
    ]
    folders = [peft_adapter(llama, f"e{i}", **config) for i, config in enumerate(configs)]
    expected = peft_logits(llama, ids, *folders)
    bank = attach(llama, {folder.name: read_adapter(folder) for folder in folders})
    bank.activate({name: 1.0 for name in bank.experts})
    assert apart(llama(ids).logits, expected) < 1e-5
    for folder in folders:
        bank.activate({folder.name: 1.0})
        assert apart(llama(ids).logits, peft_logits(llama, ids, folder)) < 1e-5


def test_bf16_base_and_bf16_adapter_file(llama, ids, peft_adapter, peft_logits, apart):
    model = llama.to(torch.bfloat16)
    folder = peft_adapter(model, target_modules="all-linear", dtype=torch.bfloat16)
    assert read_adapter(folder).factors["model.layers.0.mlp.up_proj"].A.dtype == torch.bfloat16
    expected = peft_logits(model, ids, folder)
    bank = attach(model, {"a": read_adapter(folder)})
    bank.activate({"a": 1.0})
    assert apart(model(ids).logits, expected) < 2e-2  # one rounding of bf16 per layer
    assert model(ids).logits.dtype == torch.bfloat16


def test_bf16_adapter_on_float32_base(llama, ids, peft_adapter, peft_logits, apart):
    folder = peft_adapter(llama, target_modules=["q_proj", "up_proj"], dtype=torch.bfloat16)
    bank = attach(llama, {"a": read_adapter(folder)})
    bank.activate({"a": 1.0})
    assert apart(llama(ids).logits, peft_logits(llama, ids, folder)) < 1e-5


def test_weighted_sum_equals_dense_float64(llama, ids, peft_adapter, apart):
    """W + sum of weight * scale * B A, formed densely in float64 with prefix ranks, is the same function."""
    folders = [
        peft_adapter(llama, n, r=r, target_modules="all-linear") for n, r in (("a", 3), ("b", 5), ("c", 4))
    ]
    adapters = {folder.name: read_adapter(folder) for folder in folders}
    weights, ranks = {"a": 0.7, "b": -1.3, "c": 0.4}, {"a": 2, "b": 4, "c": None}
    reference = copy.deepcopy(llama).double()
    for name, adapter in adapters.items():
        for path, f in adapter.factors.items():
            r = ranks[name] or f.rank
            delta = weights[name] * f.scale * f.B[:, :r].double() @ f.A[:r].double()
            reference.get_submodule(path).weight.data += delta
    bank = attach(llama, adapters)
    bank.gates = bank.new_gates(weights, ranks)
    assert apart(llama(ids).logits, reference(ids).logits) < 1e-5


def test_gradients_equal_peft(llama, ids, peft_adapter):
    """Training the bank's factors is training PEFT's: the same loss and gradients, scale left to the
    gates."""
    from peft import PeftModel

    folder = peft_adapter(llama, target_modules=["q_proj", "k_proj", "down_proj"], use_rslora=True)
    peft = PeftModel.from_pretrained(copy.deepcopy(llama), folder, is_trainable=True)
    peft(ids, labels=ids).loss.backward()
    theirs = {
        n.replace("base_model.model.", ""): p.grad for n, p in peft.named_parameters() if p.grad is not None
    }
    bank = attach(llama, {"a": read_adapter(folder)}, trainable=True)
    bank.activate({"a": 1.0})
    llama(ids, labels=ids).loss.backward()
    ours = {name: p.grad for name, p in bank.named_parameters().items()}
    layer = "model.layers.1.self_attn"
    A = torch.cat([theirs[f"{layer}.{p}.lora_A.default.weight"] for p in ("q_proj", "k_proj")])
    assert torch.allclose(ours[f"{layer}.q_proj.A"], A, rtol=1e-4, atol=1e-7)
    for name in ("self_attn.q_proj", "self_attn.k_proj", "mlp.down_proj"):
        B = theirs[f"model.layers.1.{name}.lora_B.default.weight"]
        assert torch.allclose(ours[f"model.layers.1.{name}.B"], B.t(), rtol=1e-4, atol=1e-7)


def test_two_banks_on_one_model_add_up(llama, ids, peft_adapter, peft_logits, apart):
    a = peft_adapter(llama, "a", target_modules=["q_proj", "up_proj"])
    b = peft_adapter(llama, "b", target_modules=["q_proj", "o_proj"])
    expected = peft_logits(llama, ids, a, b)
    first, second = attach(llama, {"a": read_adapter(a)}), attach(llama, {"b": read_adapter(b)})
    first.activate({"a": 1.0})
    second.activate({"b": 1.0})
    assert apart(llama(ids).logits, expected) < 1e-5
    first.detach()
    assert apart(llama(ids).logits, peft_logits(llama, ids, b)) < 1e-5
