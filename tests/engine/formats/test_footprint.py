"""The memory that is promised before a base is loaded, beside what it takes when it is."""

import json
import shutil
from math import prod

import pytest

from engine.formats.base_config import check_config
from engine.formats.base_shapes import read_tables
from engine.formats.errors import StudioError
from engine.formats.footprint import CONTEXT, footprint, read_sizes
from engine.supervisor.starter import STARTER

LLAMA_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
}
MISTRAL_7B = LLAMA_7B | {
    "model_type": "mistral",
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "torch_dtype": "bfloat16",
}


def test_well_known_models():
    assert read_sizes(LLAMA_7B).parameters == pytest.approx(6.738e9, rel=0.001)
    assert read_sizes(MISTRAL_7B).parameters == pytest.approx(7.242e9, rel=0.001)
    on_gpu, elsewhere = footprint(LLAMA_7B, gpu=True), footprint(LLAMA_7B)
    assert elsewhere.weights == 2 * on_gpu.weights  # float16 is not for processors
    assert on_gpu.kv_cache == 2 * 32 * 4096 * 2 * CONTEXT
    assert footprint(MISTRAL_7B).kv_cache == on_gpu.kv_cache // 4  # a quarter of the heads


def test_a_window_bounds_what_is_remembered():
    whole = footprint(MISTRAL_7B).kv_cache
    assert footprint(MISTRAL_7B | {"sliding_window": 1024}).kv_cache == whole // 4
    assert footprint(MISTRAL_7B | {"sliding_window": 1024, "model_type": "llama"}).kv_cache == whole
    gemma2 = MISTRAL_7B | {"model_type": "gemma2", "sliding_window": 1024}
    assert footprint(gemma2).kv_cache == whole * 5 // 8
    kinds = ["sliding_attention"] * 8 + ["full_attention"] * 24
    assert footprint(gemma2 | {"layer_types": kinds}).kv_cache == whole * (8 + 4 * 24) // 128


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"hidden_size": 1 << 40}, "hidden_size"),
        ({"hidden_size": -1}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"vocab_size": "many"}, "vocab_size"),
        ({"intermediate_size": 1e12}, "intermediate_size"),
        ({"num_attention_heads": 4096, "head_dim": 4096}, "num_attention_heads"),
        ({"num_key_value_heads": 4096, "head_dim": 4096}, "num_attention_heads"),
        ({"head_dim": 0}, "head_dim"),
    ],
)
def test_sizes_that_no_model_has_are_refused(change, word):
    with pytest.raises(StudioError) as caught:
        footprint(LLAMA_7B | change)
    assert caught.value.code == "refused" and word in caught.value.message


@pytest.mark.parametrize("kind", ["trojan", "", None, 7, ["llama"]])
def test_an_unknown_kind_is_no_base(kind):
    with pytest.raises(StudioError) as caught:
        check_config(LLAMA_7B | {"model_type": kind}, "mine")
    assert caught.value.code == "base" and "mine" in caught.value.message


def _random(kind):
    """A model of random numbers of ``kind``; "mid" is a Llama of 24 million numbers in bfloat16."""
    import torch
    import transformers as t

    small = {"vocab_size": 123, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "mid":
        heads = {"num_attention_heads": 8, "num_key_value_heads": 4, "num_hidden_layers": 8}
        config = t.LlamaConfig(hidden_size=512, intermediate_size=1408, **heads, **small)
        return t.LlamaForCausalLM(config).to(torch.bfloat16)
    if kind == "gpt2":
        return t.GPT2LMHeadModel(t.GPT2Config(n_embd=64, n_layer=2, n_head=4, **small))
    if kind == "gemma2":
        sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "head_dim": 16}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
        return t.Gemma2ForCausalLM(t.Gemma2Config(sliding_window=64, **sizes, **heads, **small))
    if kind == "mamba":
        return t.MambaForCausalLM(t.MambaConfig(hidden_size=64, num_hidden_layers=2, **small))
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_heads": 4, "head_dim": 32, "state_size": 16}
    return t.Mamba2ForCausalLM(t.Mamba2Config(n_groups=2, **sizes, **small))


def _held(cache):
    """Bytes of all tensors that a cache holds, each once."""
    import torch

    found, waiting = {}, [cache]
    while waiting:
        each = waiting.pop()
        if isinstance(each, torch.Tensor):
            found[each.data_ptr()] = each.numel() * each.element_size()
        elif isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each
        elif "cache_utils" in type(each).__module__:
            waiting += vars(each).values()
    return sum(found.values())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["starter", "mid", "gpt2", "gemma2", "mamba", "mamba2"])
def test_weights_and_cache_are_what_was_promised(kind, tmp_path):
    import torch

    from engine.runtime.base import load_base

    torch.set_num_threads(1)
    folder = STARTER / "base"
    if kind != "starter":
        _random(kind).save_pretrained(tmp_path)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(folder / name, tmp_path)
        folder = tmp_path
    config = json.loads((folder / "config.json").read_text())
    stored = sum(prod(info.shape) for info in read_tables(folder).values())
    base = load_base(folder, kind)
    own = {p.data_ptr(): p.numel() * p.element_size() for p in base.model.parameters()}
    promised = footprint(config, stored)
    assert promised.weights == sum(own.values())
    assert read_sizes(config).parameters == pytest.approx(stored, rel=0.1)

    tokens = CONTEXT if kind == "starter" else 256
    cache = base.new_cache()
    with torch.inference_mode():
        for part in torch.randint(3, 100, (1, tokens)).split(512, dim=1):
            base.read(part, cache)
    if kind in ("mamba", "mamba2"):
        assert _held(cache) == promised.kv_cache
    elif kind == "gemma2":  # half of its layers keep a window of 64, less the token that is being read
        assert _held(cache) * 16 == pytest.approx(
            footprint(config | {"sliding_window": 64 * 16}).kv_cache, rel=0.01
        )
    else:
        assert _held(cache) * (CONTEXT // tokens) == promised.kv_cache
