"""Folders of base models: links into a cache, shards, and configs that are traps."""

import json
import shutil
import struct

import pytest

from engine.formats.errors import StudioError
from engine.supervisor.bases import has_projections, read_base
from engine.supervisor.starter import STARTER

SOURCE = STARTER / "base"
QUERY = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(SOURCE, tmp_path / "mine")
    return tmp_path / "mine"


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_card_says_what_the_files_say(folder):
    card = read_base(folder, "mine", "cache")
    assert (card.name, card.architecture, card.parameters) == ("mine", "LlamaForCausalLM", 868_864)
    assert card.bytes == (folder / "model.safetensors").stat().st_size
    assert (card.path, card.source) == (str(folder), "cache")


def test_a_snapshot_of_the_cache_is_made_of_links(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / ("a" * 40)
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(SOURCE.iterdir())):
        shutil.copy(file, blobs / str(number))
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    card = read_base(snapshot, "linked")
    assert card.parameters == 868_864
    assert card.bytes == (SOURCE / "model.safetensors").stat().st_size > 1_000_000


def split(folder):
    """The weights of ``folder`` in two shards with an index, as transformers writes large ones."""
    data = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    header.pop("__metadata__", None)
    where = {}
    for number in (1, 2):
        shard, place, kept = {}, 0, b""
        for name in list(header)[number - 1 :: 2]:
            start, end = header[name]["data_offsets"]
            shard[name] = header[name] | {"data_offsets": [place, place + end - start]}
            place, kept = place + end - start, kept + body[start:end]
            where[name] = f"model-0000{number}-of-00002.safetensors"
        text = json.dumps(shard).encode()
        file = folder / f"model-0000{number}-of-00002.safetensors"
        file.write_bytes(struct.pack("<Q", len(text)) + text + kept)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def test_shards_count_together_and_nothing_else_does(folder):
    whole = read_base(folder, "mine")
    split(folder)
    shutil.copy(SOURCE / "model.safetensors", folder / "consolidated.safetensors")
    card = read_base(folder, "mine")
    assert card.parameters == whole.parameters
    assert has_projections(folder, {QUERY: (128, 128)})


def test_projections_by_name_and_size():
    assert has_projections(SOURCE, {QUERY: (128, 128), "model.layers.1.mlp.up_proj": (128, 384)})
    assert has_projections(SOURCE, {"layers.1.mlp.up_proj": (128, 384)})
    assert not has_projections(SOURCE, {QUERY: (128, 128), "model.layers.1.mlp.up_proj": (384, 128)})
    assert not has_projections(SOURCE, {"transformer.h.0.attn.c_attn": (128, 384)})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"auto_map": {"AutoModel": "x.Y"}}, "own code"),
        ({"text_config": {"parts": [{"auto_map": {"AutoModel": "x.Y"}}]}}, "own code"),
        ({"_attn_implementation": "someone/kernel"}, "fetched for its attention"),
        ({"vision": [{"_attn_implementation_internal": "someone/kernel:run"}]}, "fetched for its attention"),
        ({"num_hidden_layers": 10**7}, "num_hidden_layers"),
        ({"hidden_size": 10**9}, "hidden_size"),
        ({"num_hidden_layers": 900}, "promises"),
        ({"vocab_size": 8_000_000}, "promises"),
        ({"intermediate_size": 1_000_000}, "promises"),
    ],
)
def test_a_trap_is_refused_before_anything_is_loaded(folder, change, word):
    edit(folder / "config.json", **change)
    with pytest.raises(StudioError) as caught:
        read_base(folder, "mine")
    assert caught.value.code == "refused" and word in caught.value.message and caught.value.hint


def test_code_of_a_tokenizer_is_refused_too(folder):
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Y", None]})
    with pytest.raises(StudioError) as caught:
        read_base(folder, "mine")
    assert caught.value.code == "refused"


def test_attention_that_transformers_has_itself_is_no_trap(folder):
    edit(folder / "config.json", _attn_implementation="flash_attention_2")
    assert read_base(folder, "mine").parameters == 868_864


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda folder: edit(folder / "config.json", model_type="trojan"), "'trojan'"),
        (lambda folder: edit(folder / "config.json", model_type=None), "which model_type"),
        (lambda folder: edit(folder / "config.json", quantization_config={"bits": 4}), "quantised"),
        (lambda folder: (folder / "config.json").write_text("[" * 10**5), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text(" " * (1 << 21)), "too large"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no .safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n."), "pickle"),
    ],
)
def test_what_is_no_base_says_so(folder, spoil, word):
    spoil(folder)
    with pytest.raises(StudioError) as caught:
        read_base(folder, "mine")
    assert caught.value.code == "base" and word in caught.value.message and caught.value.hint
