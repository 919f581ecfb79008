"""The difference of a variant from the control."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from abtest.readout.statistics.ratio import Ratio, ratio
from abtest.readout.sums import Sums

__all__ = ["Difference", "Pair", "difference", "variances"]

_ROUNDING = 1e-9

#: The Sums of the control and of the variant, over the same time.
Pair = tuple[Sums, Sums]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """``control`` and ``variant`` are the means, ``error`` the standard error of their difference."""

    control: float
    variant: float
    error: float

    @property
    def value(self) -> float:
        """0 where sums of the same amounts in another order would differ as much."""
        found = self.variant - self.control
        return 0.0 if abs(found) <= _ROUNDING * abs(self.control) else found


def difference(pairs: Iterable[Pair], *, is_share: bool) -> Difference | None:
    """The variant's mean less the control's, over pairs that are compared each by itself: periods of other weights.

    To add up the periods first would compare a busy afternoon, when the variant got half, with a quiet morning, when it
    got a tenth. So each pair has its own difference, and counts by n·m / (n + m), n and m being its requests with one
    and with the other. Source: Greenland and Robins, "Estimation of a common effect parameter from sparse follow-up
    data" (Biometrics 41, 1985), after Mantel and Haenszel.

    The same clients come in several periods; how alike they stay is in no sum, so that the errors add up as if they
    stayed the same. That is never too little.

    None where no pair has two units and a request on both sides.
    """
    counted = [found for pair in pairs if (found := _one(pair, is_share=is_share))]
    total = sum(weight for weight, _ in counted)
    if not total:
        return None
    return Difference(
        control=sum(weight * each.control for weight, each in counted) / total,
        variant=sum(weight * each.variant for weight, each in counted) / total,
        error=sum(weight * each.error for weight, each in counted) / total,
    )


def _one(pair: Pair, *, is_share: bool) -> tuple[float, Difference] | None:
    control, variant = map(ratio, pair)
    spread = variances(pair, is_share=is_share)
    if control is None or variant is None or spread is None:
        return None
    error = math.sqrt(spread[0] / control.units + spread[1] / variant.units)
    weight = 1 / (1 / pair[0].n + 1 / pair[1].n)
    return weight, Difference(control=control.mean, variant=variant.mean, error=error)


def variances(pair: Pair, *, is_share: bool) -> tuple[float, float] | None:
    """What a unit of the control and one of the variant contributes to the variance of its mean: its own, or that of
    both together where that is more.

    Of rare failures and slow answers, a variant with a small share has met too few: its own variance is then too small
    just when its mean is too good, and it would be called better, in one of four experiments at an error rate of 0.2 %.
    If there is no difference, both together tell what it will meet; if there is a large one, its own is the larger.
    """
    own, both = [ratio(sums) for sums in pair], pooled(pair, is_share=is_share)
    control, variant = own
    if control is None or variant is None or both is None:
        return None
    return max(control.variance, both.variance), max(variant.variance, both.variance)


def pooled(pair: Pair, *, is_share: bool) -> Ratio | None:
    """Control and variant as one.

    A share gets two clients more, of average size, one of which failed always and one never, or else a metric that has
    not failed yet would seem to be unable to. Source: Agresti and Caffo, "Simple and effective confidence intervals for
    proportions" (The American Statistician 54, 2000), who add as much to the requests.
    """
    both = pair[0] + pair[1]
    if is_share and both.units:
        n = both.n / both.units
        both += Sums(units=2, n=2 * n, y=n, nn=2 * n * n, ny=n * n, yy=n * n)
    return ratio(both)
