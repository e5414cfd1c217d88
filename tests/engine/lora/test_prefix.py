"""A router with context remembers beside the KV cache: with or without a cache, padded or not, the same
answer."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import DynamicCache

from engine.formats.errors import StudioError
from engine.lora import Tape, attach, new_adapter
from engine.mixer import Router

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")


@pytest.fixture(params=["context", "local"])
def kind(request):
    return request.param


@pytest.fixture
def mix(llama, kind):
    """Three experts, absent on some projections, under a router that has opinions."""
    adapters = {}
    for index, targets in enumerate([(), ("q_proj", "k_proj", "v_proj", "o_proj"), ("q_proj", "down_proj")]):
        adapter = new_adapter(llama, 3 + index, targets=targets, seed=index)
        generator = torch.Generator().manual_seed(index)
        for factors in adapter.factors.values():
            factors.B.normal_(0.0, 0.3, generator=generator)
        adapters[f"e{index}"] = adapter
    bank = attach(llama, adapters)
    router = Router(bank.layout(), bank.experts, kind, null=True)
    generator = torch.Generator().manual_seed(9)
    for V in router.V:
        V.data.normal_(0.0, 0.7, generator=generator)
    bank.gates = bank.new_gates({name: 1.0 for name in bank.experts}, router=router.requires_grad_(False))
    with torch.no_grad():
        yield bank
    bank.detach()


def steps(model, ids, mask, sizes, cache=None):
    """Logits read piece by piece with a KV cache."""
    done, pieces = 0, []
    cache = DynamicCache() if cache is None else cache
    for size in sizes:
        out = model(
            ids[:, done : done + size],
            attention_mask=mask[:, : done + size],
            past_key_values=cache,
            use_cache=True,
        )
        pieces.append(out.logits)
        done += size
    return torch.cat(pieces, 1)


@pytest.mark.parametrize("sizes", [[11], [1] * 11, [6, 1, 1, 1, 1, 1], [4, 3, 1, 2, 1]])
@pytest.mark.parametrize("padding", [0, 4])
def test_with_cache_as_without(mix, llama, ids, sizes, padding):
    mask = torch.ones_like(ids)
    mask[1, :padding] = 0
    full = llama(ids, attention_mask=mask, use_cache=False).logits
    pieces = steps(llama, ids, mask, sizes)
    assert torch.allclose(pieces[mask.bool()], full[mask.bool()], atol=1e-5)
    alone = llama(ids[1:, padding:], use_cache=False).logits
    assert torch.allclose(alone, full[1:, padding:], atol=1e-5)


@pytest.mark.parametrize("kind", ["local", "context"])
def test_a_projection_that_two_layers_share(llama, ids, kind):
    """Each of its calls remembers what it has read itself."""
    llama.model.layers[2].mlp = llama.model.layers[0].mlp
    adapters = {
        str(seed): new_adapter(llama, 2, targets=["up_proj", "down_proj"], seed=seed) for seed in (0, 1)
    }
    for adapter in adapters.values():
        for factors in adapter.factors.values():
            factors.B.normal_(0.0, 0.3)
    bank = attach(llama, adapters)
    router = Router(bank.layout(), bank.experts, kind).requires_grad_(False)
    for V in router.V:
        V.normal_(0.0, 0.7)
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    mask = torch.ones_like(ids)
    with torch.no_grad():
        full = llama(ids, use_cache=False).logits
        assert torch.allclose(steps(llama, ids, mask, [6, 1, 1, 1, 1, 1]), full, atol=1e-5)


def test_the_text_so_far_matters_only_with_context(mix, llama, ids, kind):
    """Another first token: the routing of the first layer's later tokens moves with context and not
    without."""
    other = ids.clone()
    other[:, 0] = (other[:, 0] + 1) % 64
    tape = mix.gates.tape = Tape()
    llama(ids)
    llama(other)
    first = tape.modules.index("model.layers.0.self_attn.q_proj")
    moved = (tape.gates[0][:, 1:, first] - tape.gates[1][:, 1:, first]).abs().max()
    assert (float(moved) > 1e-4) is (kind == "context")


def test_generate_equals_a_loop_without_cache(mix, llama, ids):
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    out = llama.generate(ids, attention_mask=mask, max_new_tokens=6, do_sample=False, eos_token_id=None)
    text, grown = ids, mask
    for _ in range(6):
        logits = llama(text, attention_mask=grown, use_cache=False).logits
        text = torch.cat([text, logits[:, -1:].argmax(-1)], 1)
        grown = torch.cat([grown, torch.ones(2, 1, dtype=grown.dtype)], 1)
    assert torch.equal(out, text)


def test_beam_search_takes_the_memory_along(mix, llama, ids):
    settings = {"max_new_tokens": 5, "num_beams": 3, "do_sample": False, "eos_token_id": None}
    with_cache = llama.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    without = llama.generate(ids, attention_mask=torch.ones_like(ids), use_cache=False, **settings)
    assert torch.equal(with_cache, without)


def test_answers_that_take_turns(mix, llama, ids):
    mask = torch.ones_like(ids[:1])
    expected = [steps(llama, ids[row : row + 1], mask, [4, 1, 1, 1, 4]) for row in (0, 1)]
    caches = [DynamicCache(), DynamicCache()]
    pieces = [[], []]
    for start, size in ((0, 4), (4, 1), (5, 1), (6, 1), (7, 4)):
        for row in (0, 1):
            part = ids[row : row + 1, start : start + size]
            pieces[row].append(llama(part, past_key_values=caches[row], use_cache=True).logits)
    for row in (0, 1):
        assert torch.equal(torch.cat(pieces[row], 1), expected[row])


def test_a_copied_cache_goes_on_by_itself(mix, llama, ids):
    prompt = DynamicCache()
    llama(ids[:, :6], past_key_values=prompt, use_cache=True)
    copied = copy.deepcopy(prompt)
    one = llama(ids[:, 6:8], past_key_values=prompt, use_cache=True).logits
    assert torch.equal(llama(ids[:, 6:8], past_key_values=copied, use_cache=True).logits, one)
    assert isinstance(copied, DynamicCache)


def test_reading_is_reproducible_to_the_bit(mix, llama, ids):
    mask = torch.ones_like(ids)
    assert torch.equal(steps(llama, ids, mask, [5, 1, 5]), steps(llama, ids, mask, [5, 1, 5]))


def test_a_foreign_cache_is_refused(mix, llama, ids, kind):
    gates, mix.gates = mix.gates, None
    foreign = llama(ids[:, :5], use_cache=True).past_key_values
    mix.gates = gates
    own = llama(ids[:, :5], use_cache=True).past_key_values
    own.crop(-3)
    if kind == "local":
        llama(ids[:, 5:6], past_key_values=foreign, use_cache=True)
        return
    for cache in (foreign, own):
        with pytest.raises(StudioError, match="its memory is missing"):
            llama(ids[:, 5:6], past_key_values=cache, use_cache=True)
    assert llama(ids).logits.shape == (2, 11, 64)  # the refusal left nothing behind


def test_another_mixs_cache_is_refused(mix, llama, ids, kind):
    if kind == "local":
        return
    cache = llama(ids[:, :5], use_cache=True).past_key_values
    other = Router(mix.layout(), mix.experts, "context").requires_grad_(False)
    mix.gates = mix.new_gates({"e0": 1.0}, router=other)
    with pytest.raises(StudioError, match="another mix"):
        llama(ids[:, 5:6], past_key_values=cache, use_cache=True)


def test_a_submodule_alone_is_refused(mix, llama, kind):
    if kind == "local":
        return
    with pytest.raises(StudioError, match="outside the model's own forward"):
        llama.model.layers[0].self_attn.q_proj(torch.zeros(1, 2, 32))
