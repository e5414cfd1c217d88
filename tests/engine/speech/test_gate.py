"""Silence, fans, hums and knocks are not speech; speech is, where espeak-ng is there to make some."""

from __future__ import annotations

import math
import shutil
import subprocess

import cv2
import numpy
import pytest
import torch

from engine.speech.clip import Clip
from engine.speech.gate import mouth_moves, mouth_stretches, somebody_speaks, speech_stretches
from tests.engine.speech.spoken import talk

RATE = 16000


def seconds(length):
    return torch.arange(int(length * RATE)) / RATE


def noise(length, decibels, seed=0):
    return torch.randn(int(length * RATE), generator=torch.Generator().manual_seed(seed)) * 10 ** (
        decibels / 20
    )


def tone(length, notes, vibrato=0.0, harmonics=8):
    """A hum that goes from note to note, in a pause of a second before and after."""
    t = seconds(length)
    pitch = torch.tensor(notes)[(t * len(notes) / length).long()] * (
        1 + vibrato * torch.sin(10 * math.pi * t)
    )
    phase = torch.cumsum(2 * math.pi * pitch / RATE, 0)
    hum = sum(torch.sin(k * phase) / k**2 for k in range(1, harmonics + 1)) * 0.2
    return torch.cat([torch.zeros(RATE), hum, torch.zeros(RATE)])


def knocks():
    sound = noise(3, -60)
    for number in range(4):
        at = 10000 + number * 6000
        sound[at : at + 2000] += noise(0.125, -8, number) * torch.exp(-torch.arange(2000) / 300)
    return sound


NOT_SPEECH = {
    "nothing": torch.zeros(0),
    "digital silence": torch.zeros(RATE),
    "a quiet room": noise(3, -75),
    "a fan": noise(3, -25),
    "a fan that is switched on": torch.cat([noise(1, -60), noise(3, -25), noise(1, -60)]),
    "a fan that wobbles": noise(5, -25) * (1 + 0.5 * torch.sin(3 * math.pi * seconds(5))),
    "a low rumble": torch.nn.functional.avg_pool1d(noise(3, 0)[None], 101, 1)[0],
    "mains": 0.05 * torch.sin(100 * math.pi * seconds(2)) + noise(2, -70),
    "a hum": tone(3, [150.0]) + noise(5, -60),
    "a hum in an empty room": tone(3, [150.0]) + noise(5, -90),
    "a hum with vibrato": tone(3, [200.0], vibrato=0.02) + noise(5, -80),
    "a hummed tune": tone(3, [196.0, 220.0, 247.0, 262.0, 294.0]) + noise(5, -60),
    "a click": torch.cat([noise(1, -60), noise(0.02, -3), noise(1, -60)]),
    "knocks": knocks(),
}


@pytest.mark.parametrize("name", NOT_SPEECH)
def test_nobody_spoke(name):
    assert speech_stretches(NOT_SPEECH[name]) == []


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng to make speech")
@pytest.mark.parametrize("voice", ["en", "en+f3"])
def test_somebody_spoke_and_when(voice):
    for text in ("bin blue at f two now", "no", "mama", "hello there my friend"):
        raw = subprocess.run(
            ["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True
        ).stdout
        wave = numpy.frombuffer(raw[44:], "<i2") / 32768
        places = numpy.arange(0, len(wave) - 1, 22050 / RATE)
        said = torch.from_numpy(numpy.interp(places, numpy.arange(len(wave)), wave)).float()
        for background in (-80, -50):
            sound = torch.cat([torch.zeros(RATE), said, torch.zeros(RATE)])
            sound += noise(len(sound) / RATE + 1, background)[: len(sound)]
            found = speech_stretches(sound)
            assert found, (text, background)
            assert 0.8 < found[0].start < 1.3
            assert found[-1].end < 1.2 + len(said) / RATE
            assert somebody_speaks(Clip(sound, None))


def lips(openings, grain=0.0, light=0.0):
    """A dark mouth that opens as wide as told, frame by frame, in a grey face, seen by a camera."""
    frames = torch.full((len(openings), 96, 96), 120.0)
    for frame, opening in zip(frames, openings, strict=True):
        frame[48 - int(opening) : 49 + int(opening), 28:68] = 30
    frames += torch.randn(frames.shape, generator=torch.Generator().manual_seed(0)) * grain
    frames += light * torch.sin(torch.arange(len(openings)) * 1.3)[:, None, None]
    return frames.clamp(0, 255).to(torch.uint8)


def test_lips_that_move_and_lips_that_rest():
    talking = [6 + 6 * math.sin(number * 1.1) for number in range(50)]
    assert mouth_moves(lips(talking, grain=4.0)) and mouth_moves(lips(talking, light=15))
    assert somebody_speaks(Clip(None, lips(talking)))
    for still in (lips([3] * 50, grain=6.0), lips([3] * 50, light=25), lips([3] * 25 + [9] * 25), lips([3])):
        assert not mouth_moves(still)
    covered = torch.randint(0, 9, (50, 96, 96), dtype=torch.uint8)
    assert not mouth_moves(covered) and not somebody_speaks(Clip(None, covered))
    assert not somebody_speaks(Clip(None, None))


@pytest.mark.parametrize("grain", [0.0, 3.0, 9.0])
def test_a_head_that_sways_does_not_speak_and_may(grain):
    """As a tracker that is unsteady shows it: all of the picture moves, by parts of a pixel."""
    sway = numpy.cumsum(numpy.random.default_rng(1).normal(0, 0.4, (75, 2)), 0)

    def swaying(openings):
        whole = lips(openings, grain=0.0).numpy()
        moved = [
            cv2.warpAffine(
                one, numpy.array([[1, 0, x], [0, 1, y]]), (96, 96), borderMode=cv2.BORDER_REPLICATE
            )
            for one, (x, y) in zip(whole, sway, strict=True)
        ]
        noisy = numpy.stack(moved) + numpy.random.default_rng(2).normal(0, grain, (75, 96, 96))
        return torch.from_numpy(noisy.clip(0, 255).astype(numpy.uint8))

    assert not mouth_moves(swaying([3] * 75))
    talking = mouth_stretches(swaying([3] * 25 + [6 + 4 * math.sin(n * 1.1) for n in range(25)] + [3] * 25))
    assert len(talking) == 1 and talking[0].start == pytest.approx(0.9, abs=0.2)
    assert talking[0].end == pytest.approx(2.1, abs=0.2)


def test_who_speaks_softly_beside_a_loud_voice_is_heard():
    sound = torch.from_numpy(talk(-0.5, 1.5, -0.5, 1.5, -0.5, floor=0.0))
    sound[int(2.25 * RATE) :] *= 0.1
    found = [(round(one.start, 1), round(one.end, 1)) for one in speech_stretches(sound + noise(4.5, -80))]
    assert found == [(0.4, 2.1), (2.4, 4.1)]
