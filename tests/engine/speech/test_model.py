"""The speech model: what the language model reads, which parts fit, any language model, writing down."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from engine.formats.errors import StudioError
from engine.speech.clip import Clip
from engine.speech.config import Rates, SpeechConfig, parse_speech_config
from engine.speech.encoders import AvHubertEar, AvHubertEye, WhisperEar
from engine.speech.file import read_speech_model, write_speech_model
from engine.speech.model import LoraSize, SpeechModel
from engine.speech.training import SpeechTask
from engine.training import Settings, train
from tests.engine.speech.tones import CLIPS, CONFIG, transcribe


def test_what_the_language_model_reads(make, tiny_tokenizer):
    model = make()
    heard, seen = model.ear([CLIPS[0]])[0], model.eye([CLIPS[0]])[0]
    tags = model.bridges.tags
    prompt = tiny_tokenizer("Transcribe speech and video to text.", add_special_tokens=False).input_ids
    expected = torch.cat(
        [
            model.embed([1]),
            tags[:1], model.bridges.audio(heard, 10), tags[1:2],
            tags[2:3], model.bridges.video(seen, 5), tags[3:],
            model.embed(prompt),
        ]
    )  # fmt: skip
    both = model.read(CLIPS[:1], "both", Rates(10, 5))[0]
    torch.testing.assert_close(both, expected)
    assert len(both) == 1 + 2 + 2 + 2 + 2 + len(prompt)
    assert model.tokens_per_second("both", Rates(4, 2)) == 25
    assert model.tokens_per_second("both", Rates(16, 5)) == 8.125
    prompt = len(tiny_tokenizer("Transcribe speech to text.", add_special_tokens=False).input_ids)
    assert len(model.read(CLIPS[:1], "audio", Rates(4, 2))[0]) == 1 + 2 + 6 + prompt


def test_a_clip_without_one_modality_is_read_by_the_other(make):
    model = make()
    deaf = Clip(None, CLIPS[0].mouth)
    alone = model.read([CLIPS[0]], "video", Rates(4, 2))[0]
    mixed = model.read([CLIPS[1], deaf], "both", Rates(4, 2))[1]
    torch.testing.assert_close(mixed, alone, rtol=1e-4, atol=1e-4)


def test_parts_that_do_not_fit_are_refused(make):
    with pytest.raises(StudioError, match="no encoder"):
        make(eye=None)
    ear_only = make(SpeechConfig(audio_rates=(4,), video_rates=(), hidden=8))
    assert ear_only.modes == ("audio",)
    with pytest.raises(StudioError, match="knows no mode both"):
        ear_only.read(CLIPS, "both", Rates(4, 1))
    with pytest.raises(StudioError, match="which this model cannot"):
        ear_only.read([Clip(None, CLIPS[0].mouth)], "audio", Rates(4, 1))
    with pytest.raises(StudioError, match="no text to learn"):
        SpeechTask(ear_only, [Clip(CLIPS[0].sound, None, " ?! ")])


def test_a_model_goes_to_disk_and_fits_only_its_own_parts(make, tmp_path, encoder):
    model = make(CONFIG)
    for factor in model.bank.parameters():
        factor.data.add_(0.05)
    write_speech_model(model, tmp_path / "it")
    expected = model.read(CLIPS, "both", Rates(4, 2))
    model.close()
    parts = {"ear": model.ear, "eye": model.eye}
    again = read_speech_model(tmp_path / "it", model.llm, model.tokenizer, **parts)
    assert all(
        torch.equal(a, b) for a, b in zip(again.read(CLIPS, "both", Rates(4, 2)), expected, strict=True)
    )
    assert again.parameters() == {}
    with pytest.raises(StudioError, match="other encoders"):
        read_speech_model(
            tmp_path / "it", model.llm, model.tokenizer, ear=AvHubertEar(encoder), eye=model.eye
        )
    assert parse_speech_config(CONFIG.as_json()) == CONFIG
    for change in ({"audio_rates": [], "video_rates": []}, {"compression": "zip"}, {"hidden": 0}, {"new": 1}):
        with pytest.raises(StudioError):
            parse_speech_config(CONFIG.as_json() | change)


@pytest.mark.parametrize("kind", ["gpt2", "qwen2 without a first token, in bfloat16", "mamba"])
def test_any_causal_language_model(kind, whisper, encoder, tiny_tokenizer):
    size = {"vocab_size": len(tiny_tokenizer), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    torch.manual_seed(0)
    tokenizer = copy.deepcopy(tiny_tokenizer)
    if kind == "gpt2":
        llm = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, **size))
        lora = LoraSize(rank=4, targets=("c_attn",))
    elif kind == "mamba":
        llm = MambaForCausalLM(MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, **size))
        lora = LoraSize(rank=4, targets=("in_proj",))
    else:
        config = Qwen2Config(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                             num_key_value_heads=2, **size)  # fmt: skip
        llm, lora = Qwen2ForCausalLM(config).bfloat16(), LoraSize(rank=4)
        encoder, tokenizer.bos_token = copy.deepcopy(encoder).bfloat16(), None
    parts = {"ear": WhisperEar(whisper), "eye": AvHubertEye(encoder)}
    task = SpeechTask(
        SpeechModel(llm, tokenizer, CONFIG, **parts, lora=lora, trainable=True), CLIPS, batch_size=4
    )
    before = {name: p.detach().clone() for name, p in task.parameters().items()}
    events = [event for event in train(task, Settings(steps=8, learning_rate=0.01, warmup=0.0))]
    assert math.isfinite(events[-1].metrics["loss"])
    assert not all(torch.equal(p, before[name]) for name, p in task.parameters().items())
    together = transcribe(task.model, CLIPS, "both")
    if kind != "qwen2 without a first token, in bfloat16":  # whose sums round differently in a batch
        assert [one.text for one in together] == [transcribe(task.model, [c], "both")[0].text for c in CLIPS]
