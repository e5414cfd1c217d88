"""Filterbanks as published, noise exact by power, word errors."""

from __future__ import annotations

import math

import numpy
import pytest
import torch

from engine.formats.errors import StudioError
from engine.speech.clip import Clip, as_lips, available_mode
from engine.speech.errors import count_errors, normalised
from engine.speech.filterbank import filterbank, log_energies
from engine.speech.noise import babble, mix


def sound(seconds, seed=0):
    return torch.randn(int(seconds * 16000), generator=torch.Generator().manual_seed(seed)) * 0.1


def energies_spelled_out(wave):
    """The same features from their description, one frame, one band, one bin at a time, in float64."""
    wave = wave.double().numpy() * 32768
    emphasised = numpy.array([wave[0], *(wave[i] - 0.97 * wave[i - 1] for i in range(1, len(wave)))])
    count = 1 if len(wave) <= 400 else 1 + math.ceil((len(wave) - 400) / 160)
    emphasised = numpy.append(emphasised, numpy.zeros(count * 160 + 400))
    top = 2595 * math.log10(1 + 8000 / 700)
    hertz = [700 * (10 ** (top * i / 27 / 2595) - 1) for i in range(28)]
    edges = [math.floor(513 * f / 16000) for f in hertz]
    rows = []
    for frame in range(count):
        piece = numpy.zeros(512)
        piece[:400] = emphasised[frame * 160 : frame * 160 + 400]
        turns = numpy.exp(-2j * math.pi * numpy.outer(numpy.arange(257), numpy.arange(512)) / 512)
        power = abs(turns @ piece) ** 2 / 512
        row = []
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
            energy = sum(power[i] * (i - low) / (middle - low) for i in range(low, middle))
            energy += sum(power[i] * (high - i) / (high - middle) for i in range(middle, high))
            row.append(math.log(energy or numpy.finfo(float).eps))
        rows.append(row)
    return numpy.array(rows)


@pytest.mark.parametrize("samples", [300, 400, 401, 1500])
def test_energies_are_those_of_the_description(samples):
    wave = sound(0.1)[:samples]
    expected = energies_spelled_out(wave)
    assert log_energies(wave).shape == expected.shape
    numpy.testing.assert_allclose(log_energies(wave).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_four_frames_side_by_side_each_row_normalised():
    wave = sound(1.0)
    rows = filterbank(wave)
    assert rows.shape == (25, 104)
    assert rows.mean(1).abs().max() < 1e-5 and (rows.var(1, correction=0) - 1).abs().max() < 1e-3
    first = log_energies(wave)[:4].flatten()
    torch.testing.assert_close(
        rows[0], (first - first.mean()) / first.std(correction=0), rtol=1e-3, atol=1e-4
    )


def test_sound_is_fitted_to_the_video():
    wave = sound(1.0)
    assert filterbank(wave, 20).shape == (20, 104) and filterbank(wave, 30).shape == (30, 104)
    assert torch.equal(filterbank(wave, 20), filterbank(wave)[:20])
    assert not filterbank(wave, 30)[25:].any()


def test_loudness_is_not_heard():
    """But in the last row, which is filled up with logarithms of 0 as the published features are."""
    loud, quiet = filterbank(sound(0.5)), filterbank(sound(0.5) * 0.2)
    torch.testing.assert_close(loud[:-1], quiet[:-1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("snr", [-10, -5, 0, 5.5, 20])
def test_the_ratio_is_exact_by_power(snr):
    speech, noise = sound(1, 1), sound(0.3, 2) * 7
    added = (mix(speech.double(), noise, snr) - speech.double())[: len(noise)]
    whole = mix(speech.double(), noise, snr) - speech.double()
    ratio = 10 * torch.log10(speech.double().square().mean() / whole.square().mean())
    assert float(ratio) == pytest.approx(snr, abs=1e-9)
    torch.testing.assert_close(added / added[0] * noise[0], noise.double(), rtol=1e-6, atol=1e-9)


def test_no_noise_and_no_ratio():
    speech = sound(0.1)
    assert mix(speech, torch.zeros(4), math.inf) is speech
    for one, other in ((speech, torch.zeros(9)), (torch.zeros(9), speech), (speech, torch.zeros(0))):
        with pytest.raises(StudioError):
            mix(one, other, 0.0)
    with pytest.raises(StudioError):
        mix(speech, speech, math.nan)


def test_babble_has_every_voice_equally_loud():
    t = torch.arange(16000) / 16000
    low, high = torch.sin(2 * math.pi * 200 * t), torch.sin(2 * math.pi * 900 * t) * 0.01
    sum_ = babble([low, high, torch.zeros(5)], 16000, torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(sum_.double()).abs()
    assert set(spectrum.topk(2).indices.tolist()) == {200, 900}
    assert float(spectrum[200] / spectrum[900]) == pytest.approx(1, rel=1e-3)
    again = babble([low, high], 16000, torch.Generator().manual_seed(0))
    assert torch.equal(sum_, again)
    assert len(babble([low[:7]], 100)) == 100
    with pytest.raises(StudioError, match="needs voices"):
        babble([torch.zeros(9)], 10)


def test_word_errors():
    found = count_errors(["Bin blue, at F two now!", "lay red"], ["bin blue with f now", "oh lay red"])
    assert (found.words, found.substitutions, found.deletions, found.insertions) == (8, 1, 1, 1)
    assert found.rate == pytest.approx(3 / 8)
    kinds = [change.kind for change in found.changes[0]]
    assert kinds == ["equal", "substitute", "equal", "delete", "equal"]
    assert [change.kind for change in found.changes[1]] == ["insert", "equal"]
    assert found.changes[0][1].said == ("at",) and found.changes[0][1].heard == ("with",)


def test_texts_without_words():
    assert count_errors([], []).rate is None
    assert count_errors([""], ["ghost words"]).rate is None
    assert count_errors([""], ["ghost words"]).insertions == 2
    assert count_errors(["two words"], [""]).rate == 1
    assert normalised("Don’t  'shout' -- it’s_over.") == "don't shout it's over"


def test_modes_that_a_clip_has():
    wave, mouth = sound(0.1), torch.zeros(5, 96, 96, dtype=torch.uint8)
    assert available_mode(Clip(wave, mouth), "video") == "video"
    assert available_mode(Clip(wave, None), "both") == "audio"
    assert available_mode(Clip(None, mouth), "both") == "video"
    assert Clip(wave, mouth).seconds == 0.2
    with pytest.raises(StudioError, match="neither sound nor a face"):
        available_mode(Clip(None, None), "both")


def test_lips_as_the_encoder_reads_them():
    mouth = torch.arange(96 * 96).reshape(1, 96, 96).remainder(251).to(torch.uint8)
    lips = as_lips(mouth)
    assert lips.shape == (1, 88, 88)
    assert float(lips[0, 3, 5]) == pytest.approx((int(mouth[0, 7, 9]) / 255 - 0.421) / 0.165, rel=1e-5)
    assert float(as_lips(mouth, 0, 8)[0, 0, 0]) == pytest.approx((8 / 255 - 0.421) / 0.165, rel=1e-5)
