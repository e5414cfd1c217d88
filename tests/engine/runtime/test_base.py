"""Bases by strangers: what is loaded, and what is refused before anything of it can act."""

import json
import shutil

import pytest
import torch

from engine.formats.errors import StudioError
from engine.runtime.base import load_base


@pytest.fixture
def copy(tiny_base_folder, tmp_path):
    return shutil.copytree(tiny_base_folder, tmp_path / "copy")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_base_is_frozen_and_knows_its_ends(base):
    assert not base.model.training
    assert not any(parameter.requires_grad for parameter in base.model.parameters())
    assert base.ends == {2}
    assert base.model.dtype == torch.float32


def test_number_formats_are_the_folders_own(copy, base):
    from transformers import LlamaForCausalLM

    LlamaForCausalLM.from_pretrained(copy).to(torch.bfloat16).save_pretrained(copy)
    assert load_base(copy, "b", "cpu").model.dtype == torch.bfloat16
    LlamaForCausalLM.from_pretrained(copy).to(torch.float16).save_pretrained(copy)
    assert load_base(copy, "b", "cpu").model.dtype == torch.float32


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_its_own_is_refused(copy, file):
    edit(copy / file, auto_map={"AutoModelForCausalLM": "evil.Model", "AutoTokenizer": "evil.Tokenizer"})
    with pytest.raises(StudioError) as caught:
        load_base(copy, "b", "cpu")
    assert caught.value.code == "refused"


def test_code_named_deep_inside_is_refused(copy):
    edit(copy / "config.json", text_config={"parts": [{"auto_map": {"AutoModel": "evil.Model"}}]})
    with pytest.raises(StudioError, match="own code"):
        load_base(copy, "b", "cpu")


@pytest.mark.parametrize(
    "key", ["_attn_implementation", "attn_implementation", "_attn_implementation_internal"]
)
def test_attention_is_not_the_folders_choice(copy, key):
    edit(copy / "config.json", **{key: "flash_attention_2"})  # which is not installed here
    assert load_base(copy, "b", "cpu").model.config._attn_implementation == "sdpa"
    edit(copy / "config.json", **{key: "evil/kernel"})
    with pytest.raises(StudioError) as caught:
        load_base(copy, "b", "cpu")
    assert caught.value.code == "refused"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (
            lambda folder: edit(folder / "config.json", model_type="strange"),
            "'strange', which is not supported",
        ),
        (lambda folder: edit(folder / "config.json", quantization_config={"bits": 4}), "quantised"),
        (lambda folder: edit(folder / "config.json", num_hidden_layers=3), "tensors are missing"),
        (lambda folder: edit(folder / "config.json", hidden_size=64), "could not be loaded|another shape"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("[]"), "could not be loaded"),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "is an adapter"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "no .safetensors",
        ),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x04 pickle"), "pickle"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(
                (folder / "model.safetensors").read_bytes()[:-8]
            ),
            "Fetch it again",
        ),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "../elsewhere.safetensors"}}'
            ),
            "lacks some of its weight files",
        ),
    ],
)
def test_what_cannot_be_loaded_is_said(copy, spoil, reason):
    spoil(copy)
    with pytest.raises(StudioError, match=reason):
        load_base(copy, "b", "cpu")
