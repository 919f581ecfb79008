"""Intervals, against scipy and the formulas of the paper as they stand there."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
import scipy  # its parts are loaded when they are used

from abtest.readout.statistics.intervals import always_valid, fixed_sample, one_sided_reach, reach


def test_the_interval_for_one_look_is_the_normal_one() -> None:
    assert fixed_sample(1.5, 0.2, 0.95) == pytest.approx(scipy.stats.norm.interval(0.95, 1.5, 0.2))
    assert fixed_sample(1.5, 0.2, 0.9) == pytest.approx(scipy.stats.norm.interval(0.9, 1.5, 0.2))


@pytest.mark.parametrize("units", [50, 1000, 5000, 10**6])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_always_valid_interval_is_equation_9(units: int, alpha: float) -> None:
    deviation, value = 3.0, 0.7
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / 5000)
    t = units * rho**2 + 1
    margin = deviation * math.sqrt(2 * t / (units**2 * rho**2) * math.log(math.sqrt(t) / alpha))
    expected = (value - margin, value + margin)
    assert always_valid(value, deviation / math.sqrt(units), units, alpha, 5000) == pytest.approx(expected)


@pytest.mark.parametrize("expected_units", [500, 5000])
@pytest.mark.parametrize("reaching", [reach, one_sided_reach])
def test_it_is_tightest_near_the_expected_units(
    reaching: Callable[[float, float, float], float], expected_units: int
) -> None:
    """Among all tunings, the one for so many units has the smallest reach there, but for what the paper's closed form
    gives away.
    """
    best = scipy.optimize.minimize_scalar(
        lambda log_tuning: reaching(expected_units, 0.05, math.exp(log_tuning)), bounds=(0, 15), method="bounded"
    ).fun
    assert reaching(expected_units, 0.05, expected_units) == pytest.approx(best, rel=0.01)


def test_a_bound_on_one_side_solves_the_mixture_over_positive_slopes() -> None:
    """2 / √(x+1) · (exp(r²x / 2(x+1)) - 1) = 1 / alpha at the boundary, r being the reach."""
    alpha, units = 0.05, 700
    c = -2 * math.log(2 * alpha)
    x = units * (c + math.log(c + 1)) / 5000
    r = one_sided_reach(units, alpha, 5000)
    assert 2 / math.sqrt(x + 1) * (math.exp(r * r * x / (2 * (x + 1))) - 1) == pytest.approx(1 / alpha)


def test_looking_often_costs_width_and_a_bound_on_one_side_costs_less() -> None:
    usual = scipy.stats.norm.isf(0.025)
    for units in (50, 500, 5000, 10**6, 10**9):
        assert usual < one_sided_reach(units, 0.05, 5000) < reach(units, 0.05, 5000) < 10


def test_a_walk_without_drift_seldom_leaves_the_interval() -> None:
    """At alpha 0.1, 400 walks with a look at each of 2,000 steps: about 40 may, and a usual interval has most."""
    rng = random.Random(1)
    sides = [(reach(t, 0.1, 500), one_sided_reach(t, 0.1, 500)) for t in range(20, 2000)]
    left = above = usual = 0
    for _ in range(400):
        total = sum(rng.gauss(0, 1) for _ in range(19))
        walk = []
        for t in range(20, 2000):
            total += rng.gauss(0, 1)
            walk.append(total / math.sqrt(t))
        left += any(abs(s) > both for s, (both, _) in zip(walk, sides, strict=True))
        above += any(s > one for s, (_, one) in zip(walk, sides, strict=True))
        usual += any(abs(s) > 1.645 for s in walk)
    assert left <= 40
    assert above <= 40
    assert usual > 200
