"""A flash and a clap that belong together say how far sound and pictures are apart."""

import numpy
import pytest

from app.capture.clap import Clapper

RATE = 48_000


def recording(flashes: list[float], claps: list[float], seconds: float = 8.0) -> Clapper:
    clapper = Clapper(RATE)
    noise = numpy.random.default_rng(1).normal(0, 0.003, round(seconds * RATE)).astype(numpy.float32)
    for clap in claps:
        at = round(clap * RATE)
        noise[at : at + 1000] += 0.7 * numpy.exp(-numpy.arange(1000) / 200).astype(numpy.float32)
    for block in numpy.array_split(noise, 100):
        clapper.hear(block)
    for number in range(round(seconds * 30)):
        white = any(0 <= number / 30 - flash < 0.12 for flash in flashes)
        clapper.see(number / 30, numpy.full((24, 32, 3), 220 if white else 40, numpy.uint8))
    return clapper


@pytest.mark.parametrize("late", [-0.12, 0.0, 0.2])
def test_the_offset_of_claps_is_measured(late: float) -> None:
    flashes = [1.0, 3.0, 5.0]
    offset = recording(flashes, [flash + late for flash in flashes]).offset()
    assert offset == pytest.approx(-late, abs=0.002)


@pytest.mark.parametrize(
    ("flashes", "claps"),
    [([], [1.0]), ([1.0], []), ([1.0], [2.0]), ([1.0, 3.0], [1.2, 2.8]), ([1.0], [0.9, 1.2])],
)
def test_what_does_not_belong_together_measures_nothing(flashes: list[float], claps: list[float]) -> None:
    assert recording(flashes, claps).offset() is None


def test_a_lamp_switched_on_and_a_voice_are_neither() -> None:
    clapper = Clapper(RATE)
    time = numpy.arange(4 * RATE) / RATE
    voice = numpy.where(time > 1, 0.3 * numpy.sin(2 * numpy.pi * 150 * time), 0.0)
    clapper.hear(voice.astype(numpy.float32))
    for number in range(120):
        clapper.see(number / 30, numpy.full((24, 32, 3), 220 if number > 30 else 40, numpy.uint8))
    assert clapper.offset() is None


def test_nothing_is_remembered_beyond_half_a_minute() -> None:
    clapper = recording([], [], 40.0)
    assert len(clapper._seen) <= 900 and len(clapper._peaks) == 30_000
