"""Checkpoints of AV-HuBERT and Llama-AVSR made into safetensors: exactly, and no line of theirs is run."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.formats.errors import AdapterError, StudioError
from engine.lora import read_adapter
from engine.speech.avhubert.config import BASE, LARGE, AvHubertConfig, derive_config
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.avhubert.file import read_avhubert
from engine.speech.avhubert.layout import layout
from engine.speech.config import Rates, SpeechConfig
from engine.speech.convert import Asked, convert, inspect

SMALL = AvHubertConfig(
    width=128, feedforward=96, layers=2, heads=2, position_kernel=8, position_groups=4, channels=(4, 4, 6, 6)
)


class Dictionary:
    """A class of the training framework, which whoever converts has not."""

    def __init__(self):
        self.symbols, self.indices = ["<s>", "a"], {"<s>": 0, ("odd", 1): 1}
        self.kinds = {1, 2}
        self.counts = collections.defaultdict(int, {"a": 2})


class Hostile:
    """Opened as a pickle it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def state(make_encoder):
    return make_encoder(SMALL).state_dict()


def training_state(model, **more):
    """As fairseq saves it: the model among settings, dictionaries and an optimizer's state."""
    return {
        "args": argparse.Namespace(arch="av_hubert", path=Path("/data"), raw=b"bytes", size=torch.Size([2])),
        "cfg": {"task": {"labels": ["km"]}, None: collections.OrderedDict(a=1)},
        "model": model,
        "task_state": {"dictionaries": [Dictionary()]},
        "optimizer_history": [{"lr": 1e-3, "hook": print}],
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.ones(3, dtype=torch.float16)}}},
        **more,
    }


def same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("config", [SMALL, BASE, LARGE, dataclasses.replace(BASE, masked=False)])
def test_the_layout_is_the_modules_own(config):
    with torch.device("meta"):
        model = AvHubert(config)
    assert layout(config) == {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("tuned", [True, False])
def test_av_hubert(state, tmp_path, zipped, tuned):
    """Pre-trained with its heads, or fine-tuned below another name, with a decoder and without mask_emb."""
    expected = dict(state)
    if tuned:
        del expected["mask_emb"]
        model = {f"encoder.w2v_model.{name}": tensor for name, tensor in expected.items()}
        model["decoder.layers.0.fc1.weight"] = torch.ones(3, 3)
    else:
        model = state | {"final_proj.weight": torch.ones(2, 2), "label_embs_concat": torch.ones(5)}
    torch.save(training_state(model), tmp_path / "it.pt", _use_new_zipfile_serialization=zipped)
    found = convert(tmp_path / "it.pt", tmp_path / "new", accepted=True)
    assert found.kind == "AV-HuBERT" and "non-commercial" in found.licence.terms[0]
    assert found.encoder == dataclasses.replace(SMALL, masked=not tuned)
    same(load_file(tmp_path / "new" / "model.safetensors"), expected)
    encoder = read_avhubert(tmp_path / "new")
    filterbanks = torch.randn(1, 5, 104)
    ours = AvHubert(found.encoder).eval()
    ours.load_state_dict(expected)
    assert torch.equal(encoder(filterbanks), ours(filterbanks))


def test_names_of_a_newer_weight_norm(state, tmp_path):
    newer = {
        name.replace("0.weight_g", "0.parametrizations.weight.original0").replace(
            "0.weight_v", "0.parametrizations.weight.original1"
        ): tensor
        for name, tensor in state.items()
    }
    torch.save(newer, tmp_path / "it.pt")
    convert(tmp_path / "it.pt", tmp_path / "new", accepted=True)
    same(load_file(tmp_path / "new" / "model.safetensors"), dict(state))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["args", "model", "whole"])
def test_a_hostile_pickle_runs_nothing(state, tmp_path, zipped, place):
    trap = tmp_path / "trap"
    hostile = Hostile(trap)
    if place == "args":
        content = training_state(state, args=[hostile], hooks={"a": hostile})
    else:
        content = training_state(dict(state) | {"mask_emb": hostile}) if place == "model" else hostile
    torch.save(content, tmp_path / "it.pt", _use_new_zipfile_serialization=zipped)
    assert b"system" in (tmp_path / "it.pt").read_bytes()
    if place == "args":
        convert(tmp_path / "it.pt", tmp_path / "new", accepted=True)
        same(load_file(tmp_path / "new" / "model.safetensors"), dict(state))
    else:
        with pytest.raises(AdapterError, match="more than a table of tensors"):
            convert(tmp_path / "it.pt", tmp_path / "new", accepted=True)
    assert not trap.exists()
    with (tmp_path / "bare.pt").open("wb") as file:
        pickle.dump(hostile, file)
    with pytest.raises(AdapterError):
        inspect(tmp_path / "bare.pt")
    assert not trap.exists()


def test_nothing_of_torch_is_needed(state, tmp_path):
    torch.save(training_state(state), tmp_path / "it.pt")
    code = (
        "import sys; from pathlib import Path; from engine.speech.convert import convert\n"
        f"convert(Path({str(tmp_path / 'it.pt')!r}), Path({str(tmp_path / 'new')!r}), accepted=True)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_terms_are_accepted_first(state, tmp_path):
    torch.save(training_state(state), tmp_path / "it.pt")
    with pytest.raises(StudioError, match="have not been accepted"):
        convert(tmp_path / "it.pt", tmp_path / "new", accepted=False)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoder.layers.1.fc2.bias": None}, "not complete"),
        ({"layer_norm.bias": torch.ones(3)}, "not complete"),
        ({"encoder.layers.0.extra": torch.ones(3)}, "not complete"),
        ({"encoder.layers.x.extra": torch.ones(3)}, "not the tensors of an AV-HuBERT"),
        ({"encoder.pos_conv.0.weight_v": torch.ones(128, 0, 8)}, "not the tensors of an AV-HuBERT"),
        ({"post_extract_proj.weight": None}, "neither of AV-HuBERT nor of Llama-AVSR"),
    ],
)
def test_what_is_no_encoder_is_refused(state, tmp_path, change, words):
    model = {name: tensor for name, tensor in (state | change).items() if tensor is not None}
    torch.save(training_state(model), tmp_path / "it.pt")
    with pytest.raises(StudioError, match=words):
        inspect(tmp_path / "it.pt")


def llama_avsr(encoder=None, *, audio=0, video=0, norm=False, lora=None, llm=32, whisper=None, tied=False):
    """The state dict of a Llama-AVSR with a language model ``llm`` wide; rates as K."""
    draw = torch.Generator().manual_seed(1)

    def random(*shape):
        return torch.randn(shape, generator=draw)

    state = {"llm.model.embed_tokens.weight": random(45, llm), "llm.model.norm.weight": random(llm)}
    state["llm.lm_head.weight"] = state["llm.model.embed_tokens.weight"] if tied else random(45, llm)
    for layer in range(2):
        attention = f"llm.model.layers.{layer}.self_attn"
        for letter, out in (("Q", llm), ("V", llm // 2)):
            state[f"{attention}.lora_down_{letter}.weight"] = random(4, llm)
            state[f"{attention}.lora_up_{letter}.weight"] = random(out, 4)
    for modality, rate, width in (("audio", audio, 16), ("video", video, SMALL.width)):
        if rate:
            state |= {
                f"{modality}_proj.0.weight": random(24, rate * width),
                f"{modality}_proj.0.bias": random(24),
            }
            state |= {f"{modality}_proj.2.weight": random(llm, 24), f"{modality}_proj.2.bias": random(llm)}
        if rate and norm:
            state |= {f"{modality}_proj.3.{part}": random(llm) for part in ("weight", "bias")}
    if whisper:
        state["audio_encoder.conv1.weight"] = random(whisper, 80, 3)
    for name, tensor in (encoder or {}).items():
        state[f"video_encoder.{name}"] = tensor
    for layer in range(SMALL.layers) if lora else ():
        for letter in "QV":
            place = f"video_encoder.encoder.layers.{layer}.self_attn"
            state[f"{place}.lora_down_{letter}.weight"] = random(3, SMALL.width)
            state[f"{place}.lora_up_{letter}.weight"] = random(SMALL.width, 3)
    return state


VARIANTS = {
    "sound": ({"audio": 3, "whisper": 16}, SpeechConfig((3,), (), hidden=24), None),
    "lips": ({"video": 3}, SpeechConfig((), (3,), hidden=24), None),
    "lips with LoRA in the eye": ({"video": 3, "lora": True}, SpeechConfig((), (3,), hidden=24), None),
    "both": ({"audio": 4, "video": 2, "whisper": 16}, SpeechConfig((4,), (2,), hidden=24), None),
    "both, LayerNorm, Whisper told": (
        {"audio": 16, "video": 5, "norm": True},
        SpeechConfig((16,), (5,), hidden=24, norm=True),
        Asked(audio_width=16),
    ),
    "pooled": (
        {"audio": 1, "video": 1, "whisper": 16, "tied": True},
        SpeechConfig((4,), (4,), "pool", 24),
        Asked(pooled_rate=4),
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_six_variants_of_llama_avsr(state, tmp_path, variant):
    options, config, asked = VARIANTS[variant]
    seen = dict(state) if config.video_rates else None
    checkpoint = llama_avsr(seen, **options)
    if variant == "both":
        checkpoint = {"state_dict": {f"model.{name}": tensor for name, tensor in checkpoint.items()}}
    torch.save(checkpoint, tmp_path / "it.pth")
    found = convert(tmp_path / "it.pth", tmp_path / "new", accepted=True, asked=asked)
    assert (found.kind, found.speech, found.llm_width) == ("Llama-AVSR", config, 32)
    assert found.encoder == (SMALL if config.video_rates else None)
    assert found.audio_width == (16 if config.audio_rates else 0)
    checkpoint = llama_avsr(seen, **options)
    bridges = load_file(tmp_path / "new" / "speech.safetensors")
    assert torch.equal(bridges["tags"], checkpoint["llm.model.embed_tokens.weight"][-4:])
    if config.video_rates:
        name = "shared" if config.compression == "pool" else str(config.video_rates[0])
        assert torch.equal(bridges[f"video.projectors.{name}.2.weight"], checkpoint["video_proj.2.weight"])
        eye = read_avhubert(tmp_path / "new" / "lips")
        found_weight = eye.state_dict()["encoder.layers.1.self_attn.q_proj.weight"]
        plain = state["encoder.layers.1.self_attn.q_proj.weight"]
        if options.get("lora"):
            place = "video_encoder.encoder.layers.1.self_attn.lora"
            plain = plain + 2 * checkpoint[f"{place}_up_Q.weight"] @ checkpoint[f"{place}_down_Q.weight"]
        torch.testing.assert_close(found_weight, plain, rtol=1e-6, atol=1e-6)
    adapter = read_adapter(tmp_path / "new" / "adapter")
    factors = adapter.factors["model.layers.1.self_attn.v_proj"]
    assert len(adapter.factors) == 4 and factors.scale == 0.125 and factors.rank == 4
    assert torch.equal(factors.A, checkpoint["llm.model.layers.1.self_attn.lora_down_V.weight"])
    assert torch.equal(factors.B, checkpoint["llm.model.layers.1.self_attn.lora_up_V.weight"])


def test_a_converted_model_plays(state, tmp_path, tiny_base_folder, tiny_tokenizer):
    from transformers import LlamaForCausalLM, WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    from engine.speech.clip import Clip
    from engine.speech.decoding import transcribe
    from engine.speech.encoders import AvHubertEye, WhisperEar
    from engine.speech.file import read_speech_model

    torch.save(llama_avsr(dict(state), audio=4, video=2, whisper=16), tmp_path / "it.pth")
    convert(tmp_path / "it.pth", tmp_path / "new", accepted=True)
    whisper = WhisperEncoder(
        WhisperConfig(d_model=16, encoder_layers=1, encoder_attention_heads=2, max_source_positions=50)
    )
    eye = AvHubertEye(read_avhubert(tmp_path / "new" / "lips"))
    llm = LlamaForCausalLM.from_pretrained(tiny_base_folder)
    model = read_speech_model(tmp_path / "new", llm, tiny_tokenizer, ear=WhisperEar(whisper), eye=eye)
    clip = Clip(torch.randn(6400) * 0.1, torch.randint(255, (10, 96, 96), dtype=torch.uint8))
    assert len(model.read([clip], "both", Rates(4, 2))) == 1
    assert len(transcribe(model, [clip], "both", gated=False)) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"audio_proj.2.weight": None}, "not whole"),
        ({"audio_proj.0.weight": torch.ones(24, 65)}, "no multiple of its encoder's 16"),
        ({"llm.model.embed_tokens.weight": None}, "no vectors for its tags"),
        ({"llm.model.layers.0.self_attn.lora_up_Q.weight": None}, "q_proj"),
        ({"video_proj.0.weight": torch.ones(24, 8)}, "no multiple|not whole"),
    ],
)
def test_what_is_no_llama_avsr_is_refused(tmp_path, change, words):
    checkpoint = {k: v for k, v in (llama_avsr(audio=4, whisper=16) | change).items() if v is not None}
    torch.save(checkpoint, tmp_path / "it.pth")
    with pytest.raises(StudioError, match=words):
        convert(tmp_path / "it.pth", tmp_path / "new", accepted=True)
    assert not (tmp_path / "new").exists()


def test_published_sizes_from_shapes_alone():
    assert derive_config(layout(LARGE)) == LARGE and derive_config(layout(BASE)) == BASE
