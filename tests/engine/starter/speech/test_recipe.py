"""The recipe of the speech starter model, in sizes that take seconds."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy
import pytest
import torch

from engine.speech.card import read_card
from engine.speech.video import read_recording
from engine.starter.speech.build import SpeechRecipe, build
from engine.starter.speech.clips import make_clips
from engine.starter.speech.encoder import EncoderRecipe, odd_look
from engine.starter.speech.examples import write_clip
from engine.starter.speech.face import Face, draw_mouth, lips_over_time, shapes
from engine.starter.speech.grammar import GRAMMAR, WORDS, chance_error, draw_part, draw_sentence, split_of
from engine.starter.speech.looks import Looked
from engine.starter.speech.portrait import draw_portrait
from engine.starter.speech.reader import ReaderRecipe, new_tokenizer
from engine.starter.speech.score import CONTROLS
from engine.starter.speech.voice import TIMBRES, Speaker, Timed, say, there_is_espeak

torch.set_num_threads(1)
espeak = pytest.mark.skipif(not there_is_espeak(), reason="espeak-ng is not installed: no voice to test")


def test_sentences_belong_to_one_split_and_guessing_is_wrong_four_times_in_five():
    rng = random.Random(0)
    for split in ("train", "heldout"):
        for _ in range(20):
            sentence = draw_sentence(split, rng)
            assert split_of(sentence) == split
            assert all(word in place for word, place in zip(sentence.split(), GRAMMAR, strict=True))
    assert len(set(WORDS)) == 51
    assert chance_error() == pytest.approx((4 * 0.75 + 24 / 25 + 0.9) / 6)
    assert not set(TIMBRES["train"]) & set(TIMBRES["heldout"])


def test_parts_of_a_sentence_are_some_of_its_words_in_their_order():
    rng = random.Random(1)
    drawn = {draw_part("bin blue at r one now", rng) for _ in range(400)}
    assert len(drawn) == 20 and "bin blue at r one now" not in drawn
    assert all(f" {part} " in " bin blue at r one now " for part in drawn)


def test_every_word_is_one_token():
    tokenizer = new_tokenizer()
    ids = [tokenizer(word, add_special_tokens=False).input_ids for word in WORDS]
    assert all(len(one) == 1 for one in ids)
    assert len({one[0] for one in ids}) == len(WORDS)
    assert tokenizer.unk_token_id not in {one[0] for one in ids}
    assert tokenizer.decode([i for one in ids[:6] for i in one]) == " ".join(WORDS[:6])


def test_lips_close_on_p_open_on_a_and_look_like_it():
    face = Face.draw(numpy.random.default_rng(1))
    said = [Timed(0.0, "p"), Timed(0.4, "aI"), Timed(0.9, "_")]
    lips = lips_over_time(said, 25, face, numpy.random.default_rng(2))
    assert lips.shape == (25, 4)
    assert lips[12, 0] > lips[5, 0] + 0.2
    pictures = draw_mouth(face, lips, numpy.random.default_rng(3))
    assert pictures.shape == (25, 96, 96) and pictures.dtype == numpy.uint8
    dark = (pictures[:, 28:68, 28:68] < face.inside + 40).sum((1, 2))
    assert dark[12] > dark[5]
    assert shapes("p") == shapes("m") != shapes("f")
    assert shapes("_") == ()


@espeak
def test_a_sentence_is_said_with_its_times():
    said = say("bin blue at a two now", Speaker("en-us+f2", 160, 50))
    assert [word.name for word in said.words] == ["bin", "blue", "at", "a", "two", "now"]
    starts = [word.start for word in said.words]
    assert starts == sorted(starts) and starts[0] >= 0 and starts[-1] < len(said.sound) / 16000
    letter = [p.name for p in said.phonemes if starts[3] <= p.start < starts[4]]
    assert letter == ["eI"]  # the letter, not the article


@espeak
def test_clips_are_the_same_for_the_same_seed_in_another_process(tmp_path):
    program = (
        "from pathlib import Path; import sys; from engine.starter.speech.clips import make_clips; "
        "make_clips(Path(sys.argv[1]), 'heldout', 4, 5)"
    )
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], check=True)
    one, two = (make_clips(tmp_path / name, "heldout", 4, 5) for name in ("one", "two"))
    for number in range(4):
        assert torch.equal(one.sound(number), two.sound(number))
        assert torch.equal(one.mouth(number), two.mouth(number))
        words = one.words_in_time(number)
        assert len(words) == len(one.mouth(number))
        assert list(dict.fromkeys(words[words > 0].tolist())) == [
            WORDS.index(word) + 1 for word in one.cards[number].text.split()
        ]


@espeak
def test_the_recipe_runs_and_goes_on(tmp_path):
    recipe = SpeechRecipe(
        clips=6,
        heldout=3,
        encoder=EncoderRecipe(16, 16, 1, (2, 2, 2, 2), heard=3, seen=1, steps=2, fused=4, looks=4),
        reader=ReaderRecipe(16, 16, 1, 2, batch_size=2, clips=2, steps=3),
    )
    build(tmp_path, recipe)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["recipe"] == recipe.sha256
    assert set(scores["rates"]) == {"video", "audio", "both", *CONTROLS}
    assert set(scores["gain"]) == {"both", *CONTROLS}
    assert scores["rates"]["both"]["-10"]["n"] == 3
    card = read_card(tmp_path / "model")
    assert card.kind == "demo" and card.config.eye_hears and card.modes == ("audio", "video", "both")
    weights = {path: path.read_bytes() for path in (tmp_path / "model").rglob("*.safetensors")}
    assert len(weights) == 4
    for folder in ("encoder", "reader"):  # from its checkpoint it becomes the same again
        shutil.rmtree(tmp_path / "work" / folder)
    shutil.rmtree(tmp_path / "model")
    build(tmp_path, recipe)
    assert all(path.read_bytes() == content for path, content in weights.items())
    assert json.loads((tmp_path / "scores.json").read_text()) == scores


def test_what_does_not_fit_the_sound_is_drawn_now_and_then():
    looks = [Looked(None, None, look=torch.full((5 + i, 3), float(i))) for i in range(3)]
    looks[0] = replace(looks[0], look=torch.arange(5.0)[:, None].expand(5, 3))
    torch.manual_seed(0)
    drawn = [odd_look(looks[0], looks) for _ in range(600)]
    assert all(look.shape == (5, 3) for look in drawn)
    still = sum(bool((look == look[0]).all()) for look in drawn)
    own = sum(torch.equal(look, looks[0].look) for look in drawn)
    assert 0.75 < own / 600 < 0.9 and 0.1 < still / 600 < 0.22


def test_the_controls_are_what_they_are_called():
    mouths = [torch.arange(12.0)[:, None, None] + 100 * i for i in range(2)]
    late, early, frozen, other = (made(mouths, 0).flatten().tolist() for made in CONTROLS.values())
    assert late == [0.0] * 5 + [float(i) for i in range(7)]
    assert early == [float(i) for i in range(5, 12)] + [11.0] * 5
    assert frozen == [6.0] * 12 and other == [100.0 + i for i in range(12)]


@espeak
def test_a_portrait_is_found_by_the_tracker_and_its_mouth_is_the_drawn_one(tmp_path):
    clips = make_clips(tmp_path / "clips", "heldout", 1, 3)
    pictures = draw_portrait(clips.face(0), clips.lips(0), numpy.random.default_rng(0))
    write_clip(tmp_path / "clip.mkv", clips.sound(0), pictures)
    recording = read_recording(tmp_path / "clip.mkv")
    assert abs(len(recording.sound) - len(clips.sound(0))) < 2000
    drawn = clips.mouth(0).numpy()
    assert recording.mouth is not None and len(recording.mouth) == len(drawn)
    middle = numpy.s_[:, 28:68, 28:68]
    dark = [(mouth[middle] < mouth[middle].mean() - 40).sum((1, 2)) for mouth in (recording.mouth, drawn)]
    assert numpy.corrcoef(*dark)[0, 1] > 0.7
