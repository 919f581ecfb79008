"""What difference could be seen by when."""

from __future__ import annotations

import math
from bisect import bisect_left

from abtest.readout.statistics.comparison import Design
from abtest.readout.statistics.difference import Pair, pooled, variances
from abtest.readout.statistics.intervals import reach, z
from abtest.readout.statistics.ratio import Ratio

__all__ = ["units_to_see"]

#: More clients than anybody has.
_MOST = 10**12


def units_to_see(pair: Pair, size: float, *, is_share: bool, design: Design, power: float = 0.9) -> int | None:
    """With how many clients, of all variants compared, a true difference of that size would show, in that part of
    experiments; None where that cannot be told, or is never. Takes the traffic so far for typical: how its clients are
    split, how many requests they send, how much they vary.

    The first t with size ≥ (reach(t) + z(power))·error(t), at which the always-valid interval leaves out 0 in that part
    of experiments; some show earlier. The difference itself brings variance: that of a share p is as p(1-p).
    """
    spread, both = variances(pair, is_share=is_share), pooled(pair, is_share=is_share)
    if spread is None or both is None:
        return None
    control, variant = spread
    seen = [sums.units for sums in pair]
    part = seen[1] / sum(seen)
    if is_share:
        control = max(control, _at(both, both.mean + part * size))
        variant = max(variant, _at(both, both.mean + size))
    deviation = math.sqrt(control / (1 - part) + variant / part)

    def shows(units: int) -> bool:
        error = deviation / math.sqrt(units)
        return (reach(units, design.alpha_each, design.expected_units) + z(power)) * error <= size

    fewest = math.ceil(max(design.min_units, 1) * sum(seen) / min(seen))
    needed = fewest + bisect_left(range(fewest, _MOST), True, key=shows)
    return needed if needed < _MOST else None


def _at(seen: Ratio, share: float) -> float:
    """What a unit would contribute to the variance, were the share another one."""
    now, then = seen.mean * (1 - seen.mean), share * (1 - share)
    return seen.variance * then / now if now > 0 else 0.0
