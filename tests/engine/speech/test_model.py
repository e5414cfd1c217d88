"""The speech model: what the language model reads, training on all tasks at all rates, writing down."""

from __future__ import annotations

import copy
import functools
import math

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    WhisperConfig,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from engine.formats.errors import StudioError
from engine.speech import decoding
from engine.speech.augment import augmented
from engine.speech.bridge import Bridge, compress
from engine.speech.clip import Clip
from engine.speech.config import Rates, SpeechConfig, parse_speech_config
from engine.speech.decoding import most_tokens
from engine.speech.encoders import AvHubertEar, AvHubertEye, WhisperEar
from engine.speech.file import read_speech_model, write_speech_model
from engine.speech.model import LoraSize, SpeechModel
from engine.speech.training import SpeechTask
from engine.training import Checkpoints, Mailbox, Settings, StepDone, train

transcribe = functools.partial(decoding.transcribe, gated=False)  # of tones, which are no speech
CONFIG = SpeechConfig(audio_rates=(4, 10), video_rates=(2, 5), hidden=24)


@pytest.fixture(scope="module")
def whisper():
    torch.manual_seed(3)
    config = WhisperConfig(
        d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=24, num_mel_bins=80,
        max_source_positions=50, vocab_size=60, decoder_layers=1, decoder_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, init_std=0.3,
    )  # fmt: skip
    return WhisperEncoder(config)


@pytest.fixture
def llm(tiny_base_folder):
    return LlamaForCausalLM.from_pretrained(tiny_base_folder)


@pytest.fixture
def make(llm, tiny_tokenizer, whisper, encoder):
    """A speech model on the tiny base."""

    def _make(config=CONFIG, **more):
        parts = {
            "ear": WhisperEar(whisper) if config.audio_rates else None,
            "eye": AvHubertEye(encoder) if config.video_rates else None,
            "lora": LoraSize(rank=4),
            "trainable": True,
        }
        return SpeechModel(llm, tiny_tokenizer, config, **(parts | more))

    return _make


def clip(number, seconds=0.4, text=""):
    """A tone whose pitch, and a mouth whose pattern, tell the number."""
    t = torch.arange(int(seconds * 16000)) / 16000
    sound = torch.sin(2 * math.pi * 150 * 2**number * t) * 0.3
    pattern = torch.randint(2, (8, 8), generator=torch.Generator().manual_seed(number)) * 255
    mouth = pattern.to(torch.uint8).repeat_interleave(12, 0).repeat_interleave(12, 1)
    return Clip(sound, mouth.repeat(int(seconds * 25), 1, 1), text)


CLIPS = [clip(0, text="One."), clip(1, 0.4, "two"), clip(2, 0.48, "three"), clip(3, 0.4, "four")]


@pytest.mark.parametrize("length", [3, 4, 9, 12])
@pytest.mark.parametrize("compression", ["stack", "pool"])
def test_several_vectors_become_one(length, compression):
    x = torch.arange(length * 2.0).reshape(length, 2)
    y = compress(x, 4, compression)
    assert y.shape == (max(1, length // 4), 8 if compression == "stack" else 2)
    rows = [x[min(i, length - 1)] for i in range(4)]
    expected = torch.cat(rows) if compression == "stack" else torch.stack(rows).mean(0)
    assert torch.equal(y[0], expected)


def test_only_trained_rates():
    bridge = Bridge(6, 8, (2, 3), "pool", hidden=5, norm=True)
    assert [len(bridge(torch.randn(12, 6), rate)) for rate in (2, 3)] == [6, 4]
    assert set(bridge.state_dict()) == {
        f"projectors.shared.{part}.{name}" for part in (0, 2, 3) for name in ("weight", "bias")
    }
    with pytest.raises(StudioError, match=r"not trained to put 4 vectors into one\. Choose one of 2, 3\."):
        bridge(torch.randn(12, 6), 4)


def test_whisper_reads_windows_and_forgets_what_they_were_filled_with(whisper):
    ear = WhisperEar(whisper)
    long, short = clip(0, 2.3), clip(1, 0.2)
    together = ear([long, short])
    assert [tuple(vectors.shape) for vectors in together] == [(115, 16), (25, 16)]
    torch.testing.assert_close(together[1], ear([short])[0])
    sound = torch.nn.functional.layer_norm(long.sound, long.sound.shape)
    third = ear._features([sound[32000:].numpy()], sampling_rate=16000, return_tensors="pt").input_features
    torch.testing.assert_close(together[0][100:], whisper(third).last_hidden_state[0, :15])


def test_lips_and_sound_through_av_hubert(encoder):
    one, other = clip(0, 0.4), clip(1, 0.28)
    for through in (AvHubertEar(encoder), AvHubertEye(encoder)):
        together = through([one, other])
        assert [tuple(vectors.shape) for vectors in together] == [(10, 32), (7, 32)]
        torch.testing.assert_close(together[1], through([other])[0], rtol=1e-4, atol=1e-4)


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


def test_the_base_is_untouched_and_only_new_parts_learn(make, llm):
    before = {name: tensor.clone() for name, tensor in llm.state_dict().items()}
    model = make()
    task = SpeechTask(model, CLIPS, batch_size=2)
    names = {name.split(".")[0] for name in task.parameters()}
    assert names == {"bridges", "lora"}
    assert not any(
        p.requires_grad for part in (llm, model.ear.encoder, model.eye.encoder) for p in part.parameters()
    )
    list(train(task, Settings(steps=2, learning_rate=0.01)))
    task.close()
    assert all(torch.equal(tensor, before[name]) for name, tensor in llm.state_dict().items())


def test_every_task_and_rate_is_drawn_again_the_same(make):
    task = SpeechTask(make(), CLIPS, seed=4)
    drawn = []
    for step in range(400):
        task.at_step(step)
        drawn.append((task.mode, task.ratio))
    modes = [mode for mode, _ in drawn]
    assert 0.36 < modes.count("video") / 400 < 0.5 and abs(modes.count("audio") - modes.count("both")) < 60
    assert len(set(drawn)) == 12
    task.at_step(7)
    assert (task.mode, task.ratio) == drawn[7]


def test_the_loss_is_of_the_text_alone(make, llm, tiny_tokenizer):
    task = SpeechTask(make(), CLIPS, noisy=False)
    task.mode, task.ratio = "both", Rates(4, 5)
    loss = task.loss([0, 2])
    assert list(loss.metrics) == ["loss both 4 5"]
    model, logs = task.model, []
    for number in (0, 2):
        text = ["one", None, "three"][number]
        ids = [*tiny_tokenizer(text, add_special_tokens=False).input_ids, 2]
        read = model.read([CLIPS[number]], "both", Rates(4, 5))[0]
        logits = llm(inputs_embeds=torch.cat([read, model.embed(ids)])[None]).logits[0].log_softmax(-1)
        logs += [logits[len(read) - 1 + i, token] for i, token in enumerate(ids)]
    torch.testing.assert_close(loss.value, -torch.stack(logs).mean(), rtol=1e-4, atol=1e-4)


class Trained:
    """In the place of training: how a random encoder's vectors differ among the clips, worked out once."""

    def __init__(self, encoder):
        self.encoder, self.width, self.rate = encoder.encoder, encoder.width, encoder.rate
        found = encoder(CLIPS)
        middle = torch.cat(found).mean(0)
        spread = torch.cat(found).std(0).mean()
        self._known = {id(clip): (x - middle) / spread for clip, x in zip(CLIPS, found, strict=True)}

    def __call__(self, clips):
        return [self._known[id(clip)] for clip in clips]


def test_it_learns_all_tasks_at_all_rates_and_writes_them_down(make, whisper, encoder, tmp_path):
    parts = {"ear": Trained(WhisperEar(whisper)), "eye": Trained(AvHubertEye(encoder))}
    lora = LoraSize(rank=8, alpha=8, targets=())
    task = SpeechTask(make(**parts, lora=lora), CLIPS, batch_size=4, noisy=False)
    events = list(train(task, Settings(steps=150, learning_rate=0.01, seed=1)))
    assert events[-1].metrics["loss"] < 0.1
    result = task.save(tmp_path / "speech")
    assert result["parameters"] == sum(p.numel() for p in task.parameters().values())
    task.close()
    again = read_speech_model(tmp_path / "speech", task.model.llm, task.model.tokenizer, **parts)
    for mode in ("audio", "video", "both"):
        for audio in (4, 10):
            for video in (2, 5):
                said = transcribe(again, CLIPS, mode, Rates(audio, video))
                assert [one.text for one in said] == ["one", "two", "three", "four"], (mode, audio, video)
    assert all(one.whole and one.words[0].confidence > 0.5 for one in said)
    alone = transcribe(again, CLIPS[1:2], "both", Rates(10, 5))
    assert alone[0].text == said[1].text
    assert alone[0].words[0].confidence == pytest.approx(said[1].words[0].confidence, abs=1e-3)
    assert [one.text for one in transcribe(again, CLIPS, "both", beams=3)] == ["one", "two", "three", "four"]


def test_a_resumed_run_is_the_undisturbed_one(make, tmp_path):
    settings = Settings(steps=6, learning_rate=0.01, seed=3, checkpoint_seconds=0.0)

    def run(folder, pause_at=None):
        task = SpeechTask(make(), CLIPS, batch_size=2)
        checkpoints, mailbox = Checkpoints(folder), Mailbox()
        found = checkpoints.newest()
        for event in train(task, settings, checkpoints, mailbox, resume=found.tensors if found else None):
            if isinstance(event, StepDone) and event.step == pause_at:
                mailbox.post("pause")
        task.close()
        return {name: p.detach().clone() for name, p in task.parameters().items()}

    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", pause_at=3)
    parts = run(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_nothing_is_sampled_whatever_the_base_asks_for(make, llm):
    model = make()
    calm = [one.text for one in transcribe(model, CLIPS, "both")]
    llm.generation_config.update(do_sample=True, temperature=9.0, max_length=3, no_repeat_ngram_size=1)
    own = llm.generation_config
    assert [one.text for one in transcribe(model, CLIPS, "both")] == calm
    assert llm.generation_config is own


def test_a_text_is_no_longer_than_speech_can_be(make):
    assert [most_tokens(seconds) for seconds in (0, 0.5, 10)] == [8, 11, 68]
    model = make()
    with torch.no_grad():
        model.llm.lm_head.weight[2] = 0  # it never ends
    said = transcribe(model, [CLIPS[0], CLIPS[1]], "both")
    assert not any(one.whole for one in said)
    tokens = [len(model.tokenizer(one.text, add_special_tokens=False).input_ids) for one in said]
    assert tokens[0] <= 14 and tokens[1] <= 13
    assert transcribe(model, [], "both") == []


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


def test_augmentation_changes_what_is_there_and_nothing_else():
    torch.manual_seed(0)
    noisy = augmented(CLIPS[0], [CLIPS[1].sound])
    assert noisy.sound.shape == CLIPS[0].sound.shape and noisy.mouth.shape == (10, 88, 88)
    assert not torch.equal(noisy.sound, CLIPS[0].sound) and noisy.text == CLIPS[0].text
    assert augmented(Clip(None, CLIPS[0].mouth), []).sound is None
    silent = Clip(torch.zeros(800), None)
    assert torch.equal(augmented(silent, [CLIPS[1].sound]).sound, silent.sound)


def test_nobody_spoke_and_nothing_is_written(make, monkeypatch):
    model = make()
    silent = Clip(torch.zeros(8000), torch.full((12, 96, 96), 80, dtype=torch.uint8))
    talking = Clip(
        None, torch.randint(255, (12, 12, 12)).repeat_interleave(8, 1).repeat_interleave(8, 2).byte()
    )
    found = decoding.transcribe(model, [silent, talking, silent], "both")
    assert [one.speech for one in found] == [False, True, False]
    assert found[0] == decoding.Transcript("", (), True, False) and found[1].text
    monkeypatch.setattr(model.llm, "generate", None)
    assert not decoding.transcribe(model, [silent, CLIPS[0]], "audio")[1].speech


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
