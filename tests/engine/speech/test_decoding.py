"""Decoding: nothing by chance, no longer than speech can be, no words where nobody spoke."""

from __future__ import annotations

import torch

from engine.speech import decoding
from engine.speech.clip import Clip
from engine.speech.decoding import Word, most_tokens, unlooped
from tests.engine.speech.tones import CLIPS, transcribe


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


def test_a_text_that_repeats_itself_is_cut_where_it_begins_to():
    def words(text):
        return tuple(Word(word, 1.0) for word in text.split())

    looped, cut = unlooped(words("so it was " + "thank you very much " * 12), whole=True)
    assert cut and " ".join(word.text for word in looped) == "so it was thank you very much"
    for said in ("no no no", "bin blue at f two now and place it there again please", ""):
        assert unlooped(words(said), whole=True) == (words(said), False)
    assert unlooped(words("at at at at"), whole=False) == (words("at"), True)
    assert unlooped(words("lay red four soon four soon four"), whole=False) == (
        words("lay red four soon"),
        True,
    )
    assert unlooped(words("lay at at at at at y five now"), whole=False) == (words("lay at"), True)
    assert unlooped(words("it never comes to an end"), whole=False) == (
        words("it never comes to an end"),
        False,
    )
