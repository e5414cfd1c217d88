"""The clock of a recording: bunched blocks, a card that runs fast, lost samples."""

import numpy
import pytest

from app.capture.clock import SampleClock

RATE, BLOCK = 48_000, 480


def stamps(seconds: float, ppm: float, seed: int = 0) -> tuple[numpy.ndarray, numpy.ndarray]:
    """First samples and stamps of blocks as a sound server delivers them: in bunches, 0 to 13 ms late."""
    first = numpy.arange(0, round(seconds * RATE), BLOCK)
    late = numpy.random.default_rng(seed).uniform(0, 0.013, len(first))
    return first, 100 + first / RATE * (1 + ppm * 1e-6) + late


@pytest.mark.parametrize("ppm", [-90, 150])
def test_twenty_minutes_stay_together_whatever_the_cards_rate(ppm: float) -> None:
    clock = SampleClock(RATE, 100)
    worst = 0.0
    for first, time in zip(*stamps(1200, ppm), strict=True):
        assert clock.observe(int(first), time) == 0
        if first > 2 * RATE:
            true = 100 + first / RATE * (1 + ppm * 1e-6) + 0.0065
            worst = max(worst, abs(clock.time_of(first) - true))
    assert worst < 0.005
    assert clock.ppm == pytest.approx(ppm, abs=30)
    assert clock.sample_at(clock.time_of(12345)) == pytest.approx(12345, abs=1e-3)
    assert clock.settled


def test_lost_samples_are_noticed_within_a_second_and_the_clock_is_right_again() -> None:
    clock = SampleClock(RATE, 100)
    _, times = stamps(30, 20)
    count, lost, noticed = 0, 0, 0.0
    for number, time in enumerate(times):
        if 1000 <= number < 1020:  # 0.2 s that never came
            continue
        missing = clock.observe(count, time)
        if missing:
            lost, noticed = lost + missing, time - times[1020]
        count += missing + BLOCK
    assert lost == pytest.approx(0.2 * RATE, abs=0.015 * RATE)
    assert noticed < 1.0
    assert clock.time_of(count) == pytest.approx(times[-1] + 0.01, abs=0.02)


def test_a_block_that_comes_late_is_no_loss() -> None:
    clock = SampleClock(RATE, 100)
    firsts, times = stamps(10, 0)
    times[500:515] += numpy.linspace(0.15, 0.01, 15)  # the system was busy, then caught up
    assert sum(clock.observe(int(first), time) for first, time in zip(firsts, times, strict=True)) == 0
    assert clock.time_of(5 * RATE) == pytest.approx(105.0065, abs=0.005)


def test_a_clock_is_not_settled_while_stamps_are_far_off() -> None:
    clock = SampleClock(RATE, 100)
    for number in range(50):
        clock.observe(number * BLOCK, 100 + number / 100)
    assert not clock.settled
    for number in range(50, 80):
        clock.observe(number * BLOCK, 100.7 + number / 100)
    assert not clock.settled
