"""How loud it is, and the troubles of a microphone that a level shows."""

import numpy
import pytest

from app.capture.meter import FLOOR, Meter

RATE = 48_000


def block(loudness: float, seconds: float = 0.1) -> numpy.ndarray:
    return (loudness * numpy.sin(numpy.arange(round(seconds * RATE)) * 0.1)).astype(numpy.float32)


def test_a_sine_has_its_peak_and_three_decibels_less() -> None:
    meter = Meter(RATE, 0.0)
    meter.add(block(0.5), 0.1)
    level = meter.read(0.1)
    assert level.peak == pytest.approx(-6.02, abs=0.05)
    assert level.rms == pytest.approx(-9.03, abs=0.05)
    assert not (level.clipped or level.muted or level.dead or level.warning)
    assert meter.read(0.15).peak == FLOOR


def test_clipping_is_shown_for_a_second() -> None:
    meter = Meter(RATE, 0.0)
    meter.add(numpy.clip(block(3.0), -1, 1), 0.1)
    assert meter.read(0.2).clipped and "too loud" in meter.read(0.3).warning
    meter.add(block(0.1), 1.3)
    assert not meter.read(1.3).clipped


def test_a_second_of_exact_silence_is_a_muted_microphone_and_faint_noise_is_not() -> None:
    meter = Meter(RATE, 0.0)
    meter.add(block(0.0, 0.9), 0.9)
    assert not meter.read(0.9).muted
    meter.add(block(0.0, 0.2), 1.1)
    assert meter.read(1.1).muted
    meter.add(block(1e-5), 1.2)
    assert not meter.read(1.2).muted


def test_a_second_without_a_block_is_a_dead_microphone() -> None:
    meter = Meter(RATE, 0.0)
    meter.add(block(0.1), 0.1)
    assert not meter.read(1.0).dead
    level = meter.read(1.2)
    assert level.dead and not level.muted and "sends nothing" in level.warning
