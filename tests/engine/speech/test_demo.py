"""The demo understands files of every kind, and hears nothing where nobody speaks."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy
import pytest
import torch

import resources
from engine.runtime.base import load_base
from engine.speech.clip import Clip
from engine.speech.errors import error_steps
from engine.speech.media import pictures, read_sound
from engine.speech.open import open_speech
from engine.starter.speech.grammar import WORDS
from engine.starter.speech.voice import draw_speaker, say, there_is_espeak
from tests.engine.speech.drawn import record
from tests.engine.speech.spoken import at_rate, clip_file, heard
from tests.engine.speech.test_gate import NOT_SPEECH

STARTER = Path(next(iter(resources.__path__))) / "starter" / "speech"
EXAMPLES = STARTER / "examples"

pytestmark = pytest.mark.skipif(not STARTER.is_dir(), reason="needs the speech starter model")


@pytest.fixture(scope="module")
def demo():
    made = open_speech(STARTER / "model", load_base, "cpu")
    yield made
    made.close()


@pytest.fixture(scope="module")
def clip():
    """One sentence: (sound at 16 kHz, its pictures at 25 a second, the text of the whole file)."""
    path = EXAMPLES / "one-sentence.mkv"
    told = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
    text = next(one["text"] for one in told if one["file"] == path.name)
    return read_sound(path), [picture for _, picture in pictures(path)], text


def errors(meant, one):
    """How many words are wrong."""
    return round(error_steps(meant, one)[0] * len(meant.split()))


def test_the_examples_are_understood_with_their_times(demo):
    wrong = words = 0
    for one in json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8")):
        said, _ = heard(demo, EXAMPLES / one["file"])
        assert said.read_as == "both" and not said.notes
        assert all(word.end - word.start > 0.05 for word in said.words)
        assert all(a.end <= b.start + 0.001 for a, b in itertools.pairwise(said.words))
        assert 0 < said.words[0].start < 1 and said.words[-1].end > said.seconds - 1
        wrong, words = wrong + errors(one["text"], said.text), words + len(one["text"].split())
    assert wrong <= words / 4


@pytest.mark.parametrize("mode", ["audio", "video", "both"])
def test_words_have_times_whatever_is_read(mode, demo):
    said, _ = heard(demo, EXAMPLES / "one-sentence.mkv", mode)
    edges = [time for word in said.words for time in (word.start, word.end)]
    assert edges == sorted(edges) and edges[0] < 0.6 and 1.2 < edges[-1] <= said.seconds
    assert " --> 00:00:01," in said.srt or " --> 00:00:02," in said.srt


@pytest.mark.parametrize("fps", [15, 24, 30, 60, None])
def test_any_pictures(fps, demo, clip, tmp_path):
    sound, shown, text = clip
    if fps:
        times = [i / fps for i in range(int(len(shown) * fps / 25))]
    else:
        steps = numpy.random.default_rng(1).uniform(0.02, 0.07, 200).cumsum()
        times = [0.0, *(time for time in steps.tolist() if time < len(shown) / 25)]
    path = clip_file(tmp_path / "x.mkv", sound, pictures=[shown[int(t * 25)] for t in times], times=times)
    said, _ = heard(demo, path)
    assert errors(text, said.text) <= 1 and said.read_as == "both"


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 1), (44100, 2), (48000, 1), (48000, 2)])
def test_any_sound(rate, channels, demo, clip, tmp_path):
    sound, shown, text = clip
    path = tmp_path / "x.mkv"
    record(path, [i / 25 for i in range(len(shown))], shown, at_rate(sound, rate), rate, channels)
    said, _ = heard(demo, path)
    assert errors(text, said.text) <= 1


@pytest.mark.skipif(not there_is_espeak(), reason="espeak-ng is not installed: no voice to test")
def test_a_lone_word_is_not_made_a_sentence(demo):
    chance = random.Random(5)
    meant = [word for word in WORDS if len(word) > 1]
    clips = []
    for word in meant:
        sound = numpy.pad(say(word, draw_speaker("heldout", chance)).sound, 3200)
        clips.append(Clip(torch.from_numpy(sound / abs(sound).max() * 0.3), None, word))
    said = [one.text for one in demo.transcribe(clips, "audio")]
    assert all(len(text.split()) <= 3 for text in said)
    assert sum(text == word for word, text in zip(meant, said, strict=True)) >= len(meant) / 3


def test_a_covered_lens(demo, clip, tmp_path):
    sound, shown, text = clip
    times = [i / 25 for i in range(len(shown))]
    dark = [numpy.full_like(one, 12) for one in shown]
    path = clip_file(tmp_path / "x.mkv", sound, pictures=dark, times=times)
    said, _ = heard(demo, path)
    assert errors(text, said.text) <= 1 and (said.read_as, said.face_found) == ("audio", False)
    blind, _ = heard(demo, path, "video")
    assert (blind.text, blind.words) == ("", []) and "No face was found" in blind.notes[0]


@pytest.mark.parametrize("name", [name for name in NOT_SPEECH if len(NOT_SPEECH[name])])
def test_no_words_are_invented(name, demo, tmp_path):
    said, _ = heard(demo, clip_file(tmp_path / "x.mkv", NOT_SPEECH[name].clamp(-1, 1).numpy(), None))
    assert (said.text, said.words, said.speech) == ("", [], False) and "Nobody speaks here." in said.notes


def test_the_same_noise_gives_the_same_words(demo):
    first, _ = heard(demo, EXAMPLES / "five-sentences.mkv", "audio", snr=-5.0)
    again, _ = heard(demo, EXAMPLES / "five-sentences.mkv", "audio", snr=-5.0)
    assert first.words == again.words and first.text
