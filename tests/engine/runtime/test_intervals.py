"""Intervals: what is known in closed form, and how often the truth lies in them when rows are drawn anew."""

import numpy
import pytest

from engine.runtime.intervals import DIFFERENCE, SHARE, mean_interval, wilson


def hits(right, wrong):
    return numpy.repeat([1.0, 0.0], [right, wrong]), numpy.ones(right + wrong)


def test_a_share():
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-3)


@pytest.mark.parametrize(("right", "wrong"), [(30, 10), (3, 17), (199, 1)])
def test_of_one_set_it_is_the_interval_of_jeffreys(right, wrong):
    drawn = numpy.random.default_rng(7).beta(right + 0.5, wrong + 0.5, 100_000)
    assert mean_interval([hits(right, wrong)], SHARE) == pytest.approx(
        numpy.percentile(drawn, [2.5, 97.5]), abs=drawn.std() / 2
    )


def test_a_ratio_of_rows_that_count_differently():
    low, high = mean_interval([(numpy.arange(100.0), numpy.ones(100))])
    assert (low, high) == pytest.approx((49.5 - 5.7, 49.5 + 5.7), abs=1.0)
    chance = numpy.random.default_rng(2)
    counts = chance.integers(1, 9, 300).astype(float)
    totals = counts * 0.7 + chance.normal(size=300)
    error = 1.96 * (totals - counts * totals.sum() / counts.sum()).std() * 300**0.5 / counts.sum()
    value = totals.sum() / counts.sum()
    assert mean_interval([(totals, counts)]) == pytest.approx((value - error, value + error), abs=error / 5)


def test_the_mean_weighs_every_set_the_same():
    low, high = mean_interval([hits(1, 1), hits(200, 0)], SHARE)
    assert low < 0.6 and 0.9 < high < 1.0, "two rows tell little, however many the other set has"
    low, high = mean_interval([hits(70, 30), hits(40, 60)], SHARE)
    error = 1.96 * (0.7 * 0.3 / 100 + 0.4 * 0.6 / 100) ** 0.5 / 2
    assert (low, high) == pytest.approx((0.55 - error, 0.55 + error), abs=0.008)


def test_rows_that_all_agree_are_not_certain():
    low, high = mean_interval([hits(0, 20), hits(20, 0), hits(0, 20)], SHARE)
    assert low < 0.33 < 1 / 3 < 0.35 < high
    low, high = mean_interval([hits(150, 0)] * 7, SHARE)
    assert high == 1.0 and 0.99 < low < 0.999
    nobody = numpy.zeros(20), numpy.ones(20)
    low, high = mean_interval([nobody, nobody], DIFFERENCE)
    assert low < -0.01 and high > 0.01


def test_the_truth_lies_in_it_nine_times_out_of_ten_wherever_it_is():
    """Nominal is 19 of 20. Samples near a bound are where intervals fail: redrawing the rows alone has the
    third case in 1 of 3, and a half row for every set the second in 1 of 2."""
    chance = numpy.random.default_rng(0)
    for shares in ([0.95], [0.995] * 7, [0.999] * 3 + [0.01], [0.6, 0.3], [0.0, 1.0]):
        held = 0
        for _ in range(200):
            sets = [((chance.random(40) < share).astype(float), numpy.ones(40)) for share in shares]
            low, high = mean_interval(sets, SHARE)
            held += low <= sum(shares) / len(shares) + 1e-9 and high >= sum(shares) / len(shares) - 1e-9
        assert held >= 180, shares
    for better, worse in ([0.01, 0.002], [0.1, 0.05], [0.3, 0.3]):
        held = 0
        for _ in range(200):
            odds = [worse, 1 - better - worse, better]
            sets = [(chance.choice([-1.0, 0.0, 1.0], 40, p=odds), numpy.ones(40)) for _ in range(3)]
            low, high = mean_interval(sets, DIFFERENCE)
            held += low <= better - worse <= high
        assert held >= 180, (better, worse)


def test_runs_are_a_sample_too():
    """Three runs that differ more than their rows do."""
    chance = numpy.random.default_rng(4)
    runs = numpy.stack([(chance.random(400) < share).astype(float) for share in (0.5, 0.7, 0.9)])
    low, high = mean_interval([(runs, numpy.ones(400))], SHARE)
    spread = (runs.mean(1).var() / 3 + runs.mean(0).var() / 400) ** 0.5
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.15)
    assert low < runs.mean() < high
