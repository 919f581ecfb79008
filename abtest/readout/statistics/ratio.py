"""A ratio of sums over units, and how exact it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from abtest.readout.sums import Sums

__all__ = ["Ratio", "ratio"]

_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """``error`` is the standard error of ``mean``."""

    mean: float
    error: float
    units: int

    @property
    def variance(self) -> float:
        """What one unit contributes: the error's square, times the units."""
        return self.error * self.error * self.units


def ratio(sums: Sums) -> Ratio | None:
    """The metric a request, r = Σy / Σn, with its standard error by the delta method; None where that has no value: a
    single unit, no requests, or sums beyond what a float holds.

    Requests of one client are alike, so that clients are what counts: Var r = k / (k-1) · Σ(y - r·n)² / (Σn)², over
    the k units. Source: Deng, Knoblich and Lu, "Applying the Delta Method in Metric Analytics" (KDD 2018), section 3.1.
    """
    if sums.units < 2 or sums.n <= 0:
        return None
    mean = sums.y / sums.n
    squares = sums.yy - 2 * mean * sums.ny + mean * mean * sums.nn
    # Where every unit has the same ratio, rounding leaves a little more or less than 0.
    if squares < _ROUNDING * sums.yy:
        squares = 0.0
    variance = sums.units / (sums.units - 1) * squares / sums.n / sums.n
    if not math.isfinite(variance):
        return None
    return Ratio(mean=mean, error=math.sqrt(variance), units=sums.units)
