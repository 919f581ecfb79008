"""How exactly a quantile is known: described, never judged."""

from __future__ import annotations

import math

from abtest.readout.statistics.intervals import z
from abtest.readout.statistics.ratio import ratio
from abtest.readout.sums import Sums

__all__ = ["design_effect", "quantile_positions"]


def quantile_positions(position: float, within: Sums, level: float = 0.95) -> tuple[float | None, float | None] | None:
    """The positions, 0 to 1, of the two values that enclose a quantile: for p99 perhaps 0.984 and 0.995.

    ``within`` are the Sums of being no slower than the quantile that was seen. The share of requests within it has a
    standard error over units; as far as that share may be off, so far are the two values: q ± z·error. Source:
    Woodruff, "Confidence intervals for medians and other position measures" (JASA 47, 1952). The width is that of
    order statistics times the root of the design effect.

    A side is None where it lies beyond what was seen, and the whole where nothing can be said.
    """
    found = design_effect(position, within)
    if found is None:
        return None
    margin = z((1 + level) / 2) * math.sqrt(found * position * (1 - position) / within.n)
    low, high = position - margin, position + margin
    return (low if low > 0 else None), (high if high < 1 else None)


def design_effect(position: float, within: Sums) -> float | None:
    """How many times larger clustering makes the variance of the share within a quantile: over units, against
    q(1-q) / n for requests that have nothing to do with each other, and at least that.
    """
    found = ratio(within)
    if found is None:
        return None
    return max(found.error * found.error * within.n / (position * (1 - position)), 1.0)
