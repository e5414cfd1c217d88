"""When words were said: the path through what a decoder attends to, and its errors on known times."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

import resources
from engine.speech.timing import GRID, spread, token_times

STARTER = Path(next(iter(resources.__path__))) / "starter" / "speech" / "model"


def attended(runs, heads=12, steps=100, good=3):
    """One head that goes through the clip in order among others that look anywhere."""
    weights = torch.rand(heads, len(runs), steps, generator=torch.Generator().manual_seed(0)) * 0.3
    for token, (start, end) in enumerate(runs):
        weights[good, token, start:end] += 2
    return weights


def test_heads_that_go_in_order_are_believed():
    runs = [(0, 20), (20, 50), (50, 60), (60, 100)]
    times = token_times(attended(runs))
    assert times == [(pytest.approx(start / GRID), pytest.approx(end / GRID)) for start, end in runs]


def test_words_stay_within_what_is_spoken():
    times = token_times(attended([(0, 20), (20, 100)]), 10, 60)
    assert times[0] == pytest.approx((0.2, 0.4)) and times[1] == pytest.approx((0.4, 1.2))


def test_the_last_word_lasts_as_long_as_there_is_speech():
    times = token_times(attended([(0, 20), (20, 30), (30, 100)]), 0, 90, to_the_last=True)
    assert times == [pytest.approx((0, 0.4)), pytest.approx((0.4, 1.8))]


def test_where_nothing_can_be_told_words_lie_evenly():
    even = [pytest.approx((i / 10, (i + 1) / 10)) for i in range(4)]
    assert token_times(torch.empty(0, 4, 20)) == even
    assert token_times(torch.rand(3, 4, 3)) == [
        pytest.approx((i * 0.015, i * 0.015 + 0.015)) for i in range(4)
    ]


@pytest.mark.parametrize("rate", [6.25, 12.5, 25, 50])
def test_positions_cover_the_grid(rate):
    weights = spread(7, rate, 56)
    torch.testing.assert_close(weights.sum(1), torch.ones(7))
    assert int(weights[3].nonzero()[0]) == int(3 * GRID / rate)


def test_another_kind_of_attention_tells_times_too(encoder, tiny_tokenizer):
    from transformers import GPT2Config, GPT2LMHeadModel

    from engine.speech.clip import Clip
    from engine.speech.config import SpeechConfig
    from engine.speech.decoding import transcribe
    from engine.speech.encoders import AvHubertEar
    from engine.speech.model import LoraSize, SpeechModel

    size = {"vocab_size": len(tiny_tokenizer), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    torch.manual_seed(0)
    llm = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, **size))
    lora = LoraSize(rank=2, targets=("c_attn",))
    config, own = SpeechConfig((2,), (), hidden=24), llm.config._attn_implementation
    model = SpeechModel(llm, tiny_tokenizer, config, ear=AvHubertEar(encoder), lora=lora, trainable=True)
    (said,) = transcribe(model, [Clip(torch.randn(16000) * 0.1, None)], "audio", gated=False, timed=True)
    times = [time for word in said.words for time in (word.start, word.end)]
    assert times and times == sorted(times) and times[0] >= 0 and 0 < times[-1] <= 1.0
    assert llm.config._attn_implementation == own


@pytest.mark.study
@pytest.mark.skipif(not STARTER.is_dir(), reason="needs the speech starter model")
def test_errors_on_known_times(tmp_path):
    """Of words rightly understood in 200 generated clips, which are told with their times."""
    from engine.runtime.base import load_base
    from engine.speech.errors import count_errors
    from engine.speech.open import open_speech
    from engine.starter.speech.clips import make_clips

    listener = open_speech(STARTER, load_base)
    clips = make_clips(tmp_path / "clips", "heldout", 200, 23)
    for mode in listener.modes:
        errors = []
        for first in range(0, len(clips), 20):
            numbers = range(first, min(first + 20, len(clips)))
            said = listener.transcribe([clips.clip(i) for i in numbers], mode)
            for number, one in zip(numbers, said, strict=True):
                card = clips.cards[number]
                meant, heard = 0, 0
                for change in count_errors([card.text], [one.text]).changes[0]:
                    for step in range(len(change.said)) if change.kind == "equal" else ():
                        errors.append(abs(one.words[heard + step].start - card.words[meant + step]))
                    meant, heard = meant + len(change.said), heard + len(change.heard)
        late = numpy.quantile(errors, 0.9)
        print(f"\n{mode}: {len(errors)} words, mean {numpy.mean(errors):.3f} s, 90 % below {late:.3f} s")
        assert numpy.mean(errors) < 0.15
