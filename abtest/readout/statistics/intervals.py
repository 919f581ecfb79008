"""Intervals around an estimate: for one look that was planned, and for any number of looks.

Peeking is the normal case, so that an interval has to hold at every look. A confidence sequence does: the chance that
it ever leaves out the truth is at most alpha, however often one looks, and one may stop at any look. It is asymptotic:
like the usual interval it takes the mean of enough units for normal.

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", arXiv 2103.06476.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

__all__ = ["Interval", "always_valid", "fixed_sample", "one_sided_reach", "reach", "z"]


class Interval(NamedTuple):
    low: float
    high: float


def z(probability: float) -> float:
    """The quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(probability)


def fixed_sample(value: float, error: float, level: float = 0.95) -> Interval:
    """For a single look at a time that was fixed before: value ± z·error."""
    margin = z((1 + level) / 2) * error
    return Interval(value - margin, value + margin)


def always_valid(value: float, error: float, units: int, alpha: float, expected_units: int) -> Interval:
    """For any number of looks: value ± reach·error."""
    margin = reach(units, alpha, expected_units) * error
    return Interval(value - margin, value + margin)


def reach(units: float, alpha: float, expected_units: float) -> float:
    """How many standard errors the always-valid interval reaches to either side, after t units.

    Equation 9, with x = t·rho²: the margin is s·√(2(x + 1) / (t·x) · log(√(x + 1) / alpha)), and s = error·√t.
    """
    x = units * _rho_squared(alpha, expected_units)
    return math.sqrt(2 * (x + 1) / x * math.log(math.sqrt(x + 1) / alpha))


def one_sided_reach(units: float, alpha: float, expected_units: float) -> float:
    """The same for a bound on one side alone.

    Appendix on one-sided sequences: log(1 + √(x + 1) / (2·alpha)) in place of the logarithm above.
    """
    x = units * _rho_squared(2 * alpha, expected_units)
    return math.sqrt(2 * (x + 1) / x * math.log(1 + math.sqrt(x + 1) / (2 * alpha)))


def _rho_squared(alpha: float, expected_units: float) -> float:
    """The tuning that makes the interval tightest once the expected units are there; it holds before and after.

    It has to be chosen before the first look, so that it may depend on no data. Appendix on the choice of rho: with
    c = -2·log(alpha), rho² = (c + log(c + 1)) / t is tightest at t.
    """
    c = -2 * math.log(alpha)
    return (c + math.log(c + 1)) / expected_units
