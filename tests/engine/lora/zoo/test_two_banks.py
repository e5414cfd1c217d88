"""Two banks that play on one base at once: what they add, adds up, whatever their kinds."""

from __future__ import annotations

import pytest
import torch

from engine.lora import attach, read_adapter
from tests.engine.lora.zoo.bases import answer, apart, build
from tests.engine.lora.zoo.dense import dense
from tests.engine.lora.zoo.recipes import RECIPES

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")
EXACT = 1e-5
PAIRS = [
    ("llama-every-linear", "llama-rslora"),
    ("llama-every-linear", "llama-dora"),
    ("llama-dora", "llama-every-linear"),
    ("llama-dora", "llama-dora-patterns"),
    ("llama-own-norms", "llama-own-norms"),
    ("llama-own-tokens", "llama-dora-tokens"),
    ("llama-dora-tokens", "llama-tokens"),
    ("llama-own-head", "llama-dora-head"),
    ("gpt2-all-biases", "gpt2-all-biases"),
    ("gpt2-positions", "gpt2-all-biases"),
    ("mamba-all-biases", "mamba-dora"),
    ("vit-classifier", "vit-dora"),
    ("t5-head", "t5-dora"),
]


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.6, -0.5)])
@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_two_banks_add_up(one, two, weights, zoo):
    base = RECIPES[one].base
    model = build(base)
    first, second = (attach(model, {"a": read_adapter(zoo(name))}) for name in (one, two))
    first.activate({"a": weights[0]})
    second.activate({"a": weights[1]})
    expected = dense(base, {"a": zoo(one), "b": zoo(two)}, dict(zip("ab", weights, strict=True)))
    assert apart(answer(model, base), answer(expected, base)) < EXACT
    first.detach()
    alone = dense(base, {"b": zoo(two)}, {"b": weights[1]})
    assert apart(answer(model, base), answer(alone, base)) < EXACT
    second.detach()
    assert torch.equal(answer(model, base), answer(build(base), base))
