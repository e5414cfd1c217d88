"""Folders opened as listeners: a speech model, a whole Whisper, parts that are not those they claim to be."""

from __future__ import annotations

import hashlib
import json
import math

import pytest
import torch

from engine.formats.errors import StudioError
from engine.runtime.base import load_base
from engine.speech.card import read_card
from engine.speech.clip import Clip
from engine.speech.config import Rates
from engine.speech.encoders import WhisperEar
from engine.speech.open import Senses, open_speech, open_speech_model
from tests.engine.speech import tiny


@pytest.fixture(scope="module")
def reader(tmp_path_factory, tiny_base_folder):
    from tests.engine.speech.conftest import make_encoder

    return tiny.write_reader(
        tmp_path_factory.mktemp("open") / "model", make_encoder(), tiny_base_folder, "demo"
    )


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return tiny.write_whisper(tmp_path_factory.mktemp("open") / "whisper")


def hum(seconds, pitch=300.0):
    return torch.sin(2 * math.pi * pitch * torch.arange(int(seconds * 16000)) / 16000) * 0.3


def mouths(frames):
    return torch.randint(255, (frames, 96, 96), generator=torch.Generator().manual_seed(1)).byte()


def test_a_speech_model_listens(reader):
    listener = open_speech(reader, load_base)
    assert (listener.name, listener.modes, listener.pause) == ("model", ("audio", "video", "both"), 0.3)
    assert listener.audio_rates == listener.video_rates == (2, 5)
    clip = Clip(hum(0.8), mouths(20))
    for mode in listener.modes:
        fine, coarse = (listener.transcribe([clip], mode, rates)[0] for rates in (None, Rates(5, 5)))
        assert fine.read - coarse.read == {"audio": 6, "video": 6, "both": 12}[mode]
        for said in (fine, coarse):
            assert said.text == " ".join(word.text for word in said.words) and said.speech
            times = [time for word in said.words for time in (word.start, word.end)]
            assert times == sorted(times) and times[0] >= 0 and times[-1] <= 0.8 + 1e-6
    again = listener.transcribe([clip], "both", beams=2)
    assert again == listener.transcribe([clip], "both", beams=2)
    listener.close()
    assert listener.model.llm.generation_config is not None
    assert listener.model.llm.config._attn_implementation != "eager"


def test_a_speech_model_can_be_trained_further(reader):
    model = open_speech_model(read_card(reader), load_base, trainable=True)
    assert {name.split(".")[0] for name in model.parameters()} == {"bridges", "lora"}
    assert model.ear.encoder is model.eye.encoder


def test_a_whisper_listens(whisper):
    listener = open_speech(whisper, load_base)
    assert (listener.modes, listener.audio_rates, listener.pause) == (("audio",), (), math.inf)
    clips = [Clip(hum(1.0), None), Clip(hum(0.5, 700.0), None)]
    together = listener.transcribe(clips, "audio")
    assert [one.text for one in together] == [listener.transcribe([c], "audio")[0].text for c in clips]
    assert all(one.words and one.words[-1].end <= 1.0 for one in together)
    beams = listener.transcribe(clips, "audio", beams=3)
    assert beams == listener.transcribe(clips, "audio", beams=3)
    assert listener.transcribe([], "audio") == []
    for clip, mode in ((Clip(None, mouths(9)), "audio"), (clips[0], "both")):
        with pytest.raises(StudioError, match="hears and cannot see"):
            listener.transcribe([clip], mode)
    ear, _ = Senses().open(whisper, None)
    assert isinstance(ear, WhisperEar) and len(ear(clips)[0]) == 50


def test_whisper_asks_for_the_likeliest_language_and_draws_nothing(whisper):
    listener = open_speech(whisper, load_base)
    first = torch.zeros(2, 34)
    first[0, 29], first[1, 30] = 0.3, 0.2
    begin, english, german, transcribe, plain = 28, 29, 30, 31, 33
    assert listener._prompts(first).tolist() == [
        [begin, english, transcribe, plain],
        [begin, german, transcribe, plain],
    ]
    calm = listener.transcribe([Clip(hum(1.0), None)], "audio")
    listener.whole.generation_config.update(do_sample=True, temperature=9.0, no_repeat_ngram_size=1)
    assert listener.transcribe([Clip(hum(1.0), None)], "audio") == calm
    listener._languages = []
    assert listener._prompts(first).tolist() == [[begin, plain]] * 2


def test_a_whisper_that_takes_it_for_no_speech_says_nothing(whisper):
    listener = open_speech(whisper, load_base)
    certain = torch.zeros(1, 34)
    certain[0, 32] = 0.7
    listener._first = lambda heard: certain
    said = listener.transcribe([Clip(hum(1.0), None)], "audio")[0]
    assert (said.text, said.words, said.speech) == ("", (), False)
    certain[0, 32] = 0.5
    assert listener.transcribe([Clip(hum(1.0), None)], "audio")[0].text


def test_parts_must_be_those_that_were_named(reader, tmp_path):
    import shutil

    folder = shutil.copytree(reader, tmp_path / "model")
    card = json.loads((folder / "model.json").read_text())
    weights = folder / "encoder" / "model.safetensors"
    card["ear"]["sha256"] = {"model.safetensors": hashlib.sha256(weights.read_bytes()).hexdigest()}
    (folder / "model.json").write_text(json.dumps(card))
    open_speech(folder, load_base).close()
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(StudioError, match=r"The ear of model is not the one that it was made with"):
        open_speech(folder, load_base)


def test_a_whisper_with_missing_weights(whisper, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(whisper, tmp_path / "whisper")
    state = load_file(folder / "model.safetensors")
    del state["model.decoder.layers.0.fc1.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StudioError, match="are not whole: 1 tensors are missing"):
        open_speech(folder, load_base)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(StudioError, match=r"no tokenizer\.json"):
        open_speech(folder, load_base)
