"""The verdict on adapters by their tables alone, and the shapes of bases by their headers."""

import json
import struct

import pytest

from engine.formats.adapter_config import parse_config
from engine.formats.adapter_tensors import sort_tensors
from engine.formats.base_shapes import base_shapes, shapes_of
from engine.formats.errors import AdapterError, StudioError
from engine.formats.fit import judge, judge_error, judge_part
from engine.formats.safetensors_file import TensorInfo

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


def table(shapes, dtype="F32"):
    return {name: TensorInfo(name, dtype, tuple(shape), 0, 0) for name, shape in shapes.items()}


def llama(width=64, layers=2, prefix="model.", dtype="F32", ending="weight"):
    """The stored tensors of a small Llama whose head is tied."""
    shapes = {f"{prefix}embed_tokens.weight": (100, width), f"{prefix}norm.weight": (width,)}
    for layer in range(layers):
        for name, size in {"q_proj": width, "v_proj": width // 2}.items():
            shapes[f"{prefix}layers.{layer}.self_attn.{name}.{ending}"] = (size, width)
    return table(shapes, dtype)


def adapter(shapes, rank=4, **config):
    """(config, tensors) of a LoRA with factors for {module: (d_in, d_out)}."""
    raw = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, **config}
    factors = {}
    for module, (d_in, d_out) in shapes.items():
        factors[f"base_model.model.{module}.lora_A.weight"] = (rank, d_in)
        factors[f"base_model.model.{module}.lora_B.weight"] = (d_out, rank)
    return parse_config(raw), table(factors)


def queries(width=64, layers=2, prefix="model.layers", **config):
    sizes = {f"{prefix}.{n}.self_attn.q_proj": (width, width) for n in range(layers)}
    return adapter(sizes, **config)


def verdict(parts, base):
    config, tensors = parts
    return judge(config, sort_tensors(config, tensors), base)


BASE = shapes_of(LLAMA, llama(), ("tiny", "someone/Tiny-64"))


def test_all_in_its_place_is_green():
    fit = verdict(queries(), BASE)
    assert fit.verdict == "green" and "All its 2 parts" in fit.reason and "tiny" in fit.reason


@pytest.mark.parametrize("prefix", ["layers", "base_model.model.layers", "language_model.layers"])
def test_another_prefix_does_no_harm(prefix):
    assert verdict(queries(prefix=prefix), BASE).verdict == "green"
    bare = shapes_of(LLAMA, llama(prefix=""), ("tiny",))
    assert verdict(queries(prefix=prefix), bare).verdict == "green"


def test_the_first_contradiction_is_told_in_numbers():
    fit = verdict(queries(width=4096), BASE)
    assert fit.verdict == "red"
    assert fit.reason == "Its q_proj of layer 0 reads 4,096 numbers, that of tiny 64."
    fit = verdict(adapter({"model.layers.1.self_attn.v_proj": (64, 64)}), BASE)
    assert fit.reason == "Its v_proj of layer 1 puts out 64 numbers, that of tiny 32."


def test_nothing_lands():
    fit = verdict(adapter({"transformer.h.0.attn.c_attn": (64, 192)}), BASE)
    assert fit.verdict == "red" and fit.reason == "Nothing of it lands: tiny lacks c_attn of layer 0."


def test_more_layers_than_the_base_has_are_counted_and_named():
    fit = verdict(queries(layers=5), BASE)
    assert fit.verdict == "red"  # as attaching refuses it
    assert "2 of its 5 parts" in fit.reason and "q_proj of layer 2" in fit.reason and "1 more" in fit.reason


def test_another_name_is_said_when_every_shape_fits():
    fit = verdict(queries(base_model_name_or_path="else/Other-7B"), BASE)
    assert fit.verdict == "amber" and fit.reason.startswith("It was made for else/Other-7B;")


@pytest.mark.parametrize(
    "wish", ["someone/Tiny-64", "SOMEONE/tiny-64", "mirror/tiny-64", "/data/tiny", "tiny"]
)
def test_the_base_by_any_of_its_names(wish):
    assert verdict(queries(base_model_name_or_path=wish), BASE).verdict == "green"


def test_a_base_that_is_not_there():
    fit = verdict(queries(base_model_name_or_path="else/Other-7B"), None)
    assert fit.verdict == "amber" and "else/Other-7B" in fit.reason
    assert verdict(queries(), None).reason.startswith("It names no base, so")


def test_a_tied_head_takes_an_adapter_and_an_untied_lack_of_one_does_not():
    head = adapter({"lm_head": (64, 100)})
    assert verdict(head, BASE).verdict == "green"
    untied = shapes_of(LLAMA | {"tie_word_embeddings": False}, llama(), ("tiny",))
    assert verdict(head, untied).verdict == "red"
    judge_of_texts = shapes_of(
        {**LLAMA, "architectures": ["LlamaForSequenceClassification"]}, llama(), ("j",)
    )
    assert verdict(head, judge_of_texts).verdict == "red"


def test_another_vocabulary_is_called_so():
    config, _ = queries()
    tensors = table(
        {
            "base_model.model.model.embed_tokens.lora_embedding_A": (4, 101),
            "base_model.model.model.embed_tokens.lora_embedding_B": (64, 4),
        }
    )
    fit = judge(config, sort_tensors(config, tensors), BASE)
    assert fit.verdict == "red" and "vocabulary of 101 tokens; tiny has 100" in fit.reason


@pytest.mark.parametrize("ending", ["weight", "qweight", "weight_packed"])
def test_packed_weights_show_no_shapes(ending):
    packed = shapes_of(LLAMA, llama(dtype="U8" if ending == "weight" else "I32", ending=ending), ("tiny",))
    fit = verdict(queries(width=4096), packed)
    assert fit.verdict == "amber" and "packed" in fit.reason
    assert verdict(adapter({"h.0.c_attn": (64, 64)}), packed).verdict == "red"


def test_a_conv1d_is_stored_the_other_way_round():
    stored = table({"h.0.attn.c_attn.weight": (64, 192), "wte.weight": (100, 64)})
    gpt2 = shapes_of({"model_type": "gpt2"}, stored, ("gpt2",))
    assert verdict(adapter({"transformer.h.0.attn.c_attn": (64, 192)}), gpt2).verdict == "green"
    assert verdict(adapter({"transformer.h.0.attn.c_attn": (192, 64)}), gpt2).verdict == "red"


def test_a_vit_is_known_by_todays_names():
    stored = table({"vit.encoder.layer.3.attention.attention.query.weight": (32, 32)})
    vit = shapes_of({"model_type": "vit"}, stored, ("vit",))
    assert verdict(adapter({"vit.layers.3.attention.q_proj": (32, 32)}), vit).verdict == "green"


def test_the_way_out_of_a_fused_attention_is_no_place():
    stored = table({"a.0.attn.in_proj_weight": (96, 32), "a.0.attn.out_proj.weight": (32, 32)})
    clip = shapes_of({"model_type": "clip"}, stored, ("clip",))
    assert verdict(adapter({"a.0.attn.out_proj": (32, 32)}), clip).verdict == "red"


def test_what_is_read_without_a_call_is_not_heard():
    names = ("in_proj", "dt_proj")
    stored = table({f"backbone.layers.0.mixer.{name}.weight": (8, 8) for name in names})
    mamba = shapes_of({"model_type": "mamba"}, stored, ("mamba",))
    places = {name: {f"backbone.layers.0.mixer.{name}": (8, 8)} for name in names}
    assert verdict(adapter(places["in_proj"]), mamba).verdict == "green"
    assert verdict(adapter(places["dt_proj"]), mamba).verdict == "red"
    assert verdict(adapter(places["in_proj"] | places["dt_proj"]), mamba).verdict == "amber"


def test_one_place_taken_twice():
    parts = adapter({"model.layers.0.self_attn.q_proj": (64, 64), "x.layers.0.self_attn.q_proj": (64, 64)})
    assert "twice" in verdict(parts, BASE).reason


def test_a_parameter_between_layers_cannot_be_replaced():
    """As attach has it: what replaces parameters is done at plain layers, which hold no others."""
    stored = {
        "vit.embeddings.cls_token": (1, 1, 8),
        "vit.embeddings.patch_embeddings.projection.weight": (8, 3, 4, 4),
        "vit.layers.0.attention.q_proj.weight": (8, 8),
    }
    vit = shapes_of({"model_type": "vit"}, table(stored), ("vit",))
    config, tensors = adapter({"vit.layers.0.attention.q_proj": (8, 8)}, modules_to_save=["embeddings"])
    names = list(stored)[:2]
    tensors |= table({f"base_model.model.{name}": stored[name] for name in names})
    fit = judge(config, sort_tensors(config, tensors), vit)
    assert fit.verdict == "red" and "cls_token, which belongs to no plain layer" in fit.reason


# --- a table of which only the beginning was read ---


def first(parts, count):
    config, tensors = parts
    return config, dict(list(tensors.items())[:count])


def test_part_of_a_table_is_judged_by_whole_modules_and_said_to_be_part():
    config, seen = first(queries(layers=2), 3)  # the second module lacks its B
    fit = judge_part(config, seen, BASE, 0.4)
    assert fit.verdict == "amber" and "40%" in fit.reason and "tiny" in fit.reason
    config, seen = first(queries(width=4096), 3)
    assert judge_part(config, seen, BASE, 0.4).verdict == "red"
    assert "no whole module" in judge_part(*first(queries(), 1), BASE, 0.1).reason
    assert "no whole module" in judge_part(config, {}, BASE, 0.1).reason


def test_a_dora_without_its_magnitudes_is_not_whole():
    config, seen = queries(use_dora=True)
    assert "no whole module" in judge_part(config, seen, BASE, 0.5).reason


def test_what_the_rest_of_a_table_would_replace_is_not_missed():
    config, seen = queries(modules_to_save=["lm_head"], bias="all")
    assert judge_part(config, seen, BASE, 0.5).verdict == "amber"


# --- what is not taken ---


def test_another_kind_is_amber_and_code_is_red():
    with pytest.raises(AdapterError) as caught:
        parse_config({"peft_type": "LOHA"})
    assert judge_error(caught.value).verdict == "amber" and "LOHA" in judge_error(caught.value).reason
    for raw in ({"peft_type": "IA3"}, {"peft_type": "LORA", "auto_mapping": {"parent_library": "os"}}):
        with pytest.raises(AdapterError) as caught:
            parse_config(raw)
        fit = judge_error(caught.value)
        assert fit.verdict == "red" and fit.reason == caught.value.message


# --- bases on disk ---


def write_weights(path, shapes):
    header, place = {}, 0
    for name, shape in shapes.items():
        size = 4
        for each in shape:
            size *= each
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(place))


SHARDS = {
    "model-00001-of-00002.safetensors": {"model.layers.0.self_attn.q_proj.weight": (8, 8)},
    "model-00002-of-00002.safetensors": {"model.layers.1.self_attn.q_proj.weight": (8, 8)},
}


@pytest.fixture
def sharded(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    for name, shapes in SHARDS.items():
        write_weights(tmp_path / name, shapes)
    index = {"weight_map": {tensor: name for name, shapes in SHARDS.items() for tensor in shapes}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    write_weights(tmp_path / "consolidated.safetensors", {"layers.0.attention.wq.weight": (8, 8)})
    return tmp_path


def test_the_index_says_which_files_count(sharded):
    found = base_shapes(sharded)
    assert set(found.linears) == {f"model.layers.{n}.self_attn.q_proj" for n in (0, 1)}


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "/etc/passwd", "sub/x.safetensors", "x.bin", "a\\b.safetensors"]
)
def test_an_index_leads_nowhere_else(sharded, name):
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(StudioError) as caught:
        base_shapes(sharded)
    assert caught.value.code == "refused"


def test_a_missing_shard_is_named(sharded):
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(StudioError, match="lacks model-00002"):
        base_shapes(sharded)
