"""Bases in half precision or quantised: the bank is as exact as PEFT, or the same."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from peft.utils.integrations import dequantize_module_weight
from torch import nn

from engine.lora import attach, read_adapter
from tests.engine.lora.zoo.bases import answer, apart, build
from tests.engine.lora.zoo.dense import dense
from tests.engine.lora.zoo.recipes import RECIPES
from tests.engine.lora.zoo.writing import hushed, load, play

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")

HALF = [
    "llama-every-linear",
    "llama-dora",
    "llama-bf16",
    "llama-tokens-and-queries",
    "llama-lora-bias",
    "llama-own-head",
    "gpt2-every-conv1d",
    "gpt2-dora",
    "gpt2-all-biases",
    "mamba2-in",
    "vit-classifier",
    "vit-dora",
    "t5-plain",
    "t5-dora",
]


@pytest.mark.parametrize("name", HALF)
def test_a_bf16_base_is_as_near_the_truth_as_under_peft(name, zoo):
    """Both round after each projection; the float64 reference on the same bf16 weights judges both."""
    base, kind = RECIPES[name].base, torch.bfloat16
    truth = answer(dense(base, {"a": zoo(name)}, {"a": 1.0}, build(base, kind)), base)
    theirs = answer(play(load(build(base, kind), {"a": zoo(name)}), {"a": 1.0}), base)
    model = build(base, kind)
    bank = attach(model, {"a": read_adapter(zoo(name))})
    bank.activate({"a": 1.0})
    ours = answer(model, base)
    assert ours.dtype == theirs.dtype
    assert apart(ours, truth) <= 1.5 * apart(theirs, truth) + 2e-3
    bank.detach()
    assert torch.equal(answer(model, base), answer(build(base, kind), base))


quantising = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)


@quantising
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("name", ["llama-every-linear", "llama-tokens-and-queries", "llama-lora-bias"])
def test_a_quantised_base_answers_as_under_peft(name, bits, zoo, book):
    """The base's own part of each projection is the same in both; in 8 bits it rounds its input."""
    with hushed():
        theirs = answer(play(load(quantised(bits), {"a": zoo(name)}), {"a": 1.0}), "llama")
        model = quantised(bits)
        silent = answer(model, "llama")
        bank = attach(model, {"a": read_adapter(zoo(name))})
        bank.activate({"a": 1.0})
        ours = answer(model, "llama")
        bank.detach()
        assert torch.equal(answer(model, "llama"), silent)
    assert book.compare(f"on {bits} bits", name, ours, theirs) < (1e-5 if bits == 4 else 2e-2)


@quantising
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("name", ["llama-dora", "llama-dora-rslora"])
def test_dora_on_a_quantised_base_is_as_near_the_truth_as_the_base(name, bits, zoo):
    """PEFT reads norms off weights that its first pass has repacked, and is 9 % off in 4 bits on a CPU."""
    with hushed():
        plain = unpacked(bits)
        model = quantised(bits)
        noise = apart(answer(model, "llama"), answer(plain.double(), "llama"))
        bank = attach(model, {"a": read_adapter(zoo(name))})
        bank.activate({"a": 1.0})
        truth = answer(dense("llama", {"a": zoo(name)}, {"a": 1.0}, plain), "llama")
        assert apart(answer(model, "llama"), truth) < 2 * noise < 5e-2


def quantised(bits: int) -> nn.Module:
    """The Llama with the projections of its blocks in 4 or 8 bits."""
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    model = build("llama")
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and "layers." in path:
            shape = (module.in_features, module.out_features, False)
            if bits == 4:
                other = Linear4bit(*shape, quant_type="nf4", compute_dtype=torch.float32)
            else:
                other = Linear8bitLt(*shape, has_fp16_weights=False)
            other.load_state_dict(module.state_dict())
            owner, _, leaf = path.rpartition(".")
            setattr(model.get_submodule(owner), leaf, other.to("cpu"))
    return model.requires_grad_(False).eval()


def unpacked(bits: int) -> nn.Module:
    """An ordinary Llama with the numbers that the quantised one stands for, read before its first pass."""
    model = build("llama")
    for path, module in quantised(bits).named_modules():
        if type(module).__name__ in ("Linear4bit", "Linear8bitLt"):
            model.get_submodule(path).weight.data = dequantize_module_weight(module).float()
    return model
