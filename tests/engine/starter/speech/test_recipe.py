"""The recipe of the speech starter model, in sizes that take seconds."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys

import numpy
import pytest
import torch

from engine.starter.speech.build import SpeechRecipe, build
from engine.starter.speech.clips import make_clips
from engine.starter.speech.encoder import EncoderRecipe
from engine.starter.speech.face import Face, draw_mouth, lips_over_time, shapes
from engine.starter.speech.grammar import GRAMMAR, WORDS, chance_error, draw_sentence, split_of
from engine.starter.speech.reader import ReaderRecipe, new_tokenizer
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
        read=4,
        heldout=3,
        encoder=EncoderRecipe(16, 16, 1, (2, 2, 2, 2), heard=3, seen=1, steps=2),
        reader=ReaderRecipe(16, 16, 1, 2, batch_size=2, steps=2),
    )
    build(tmp_path, recipe)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["recipe"] == recipe.sha256
    assert set(scores["word error rates"]) == {
        "video", "audio", "both", "shifted 200 ms", "frozen", "another sentence's"
    }  # fmt: skip
    assert scores["word error rates"]["both"]["-10"]["n"] == 3
    for folder in ("encoder", "reader"):  # from its checkpoint it becomes the same again
        weights = {path: path.read_bytes() for path in (tmp_path / folder).rglob("*.safetensors")}
        shutil.rmtree(tmp_path / folder)
        build(tmp_path, recipe)
        assert weights and all(path.read_bytes() == content for path, content in weights.items())
    assert json.loads((tmp_path / "scores.json").read_text()) == scores
