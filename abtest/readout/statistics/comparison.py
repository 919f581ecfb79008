"""A variant against the control, in one metric: intervals, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from abtest.readout.statistics.difference import Difference, Pair, difference
from abtest.readout.statistics.intervals import Interval, always_valid, fixed_sample, one_sided_reach
from abtest.readout.statistics.metrics import Metric
from abtest.readout.sums import Sums

__all__ = ["Comparison", "Design", "Verdict", "compare", "compare_all"]

Verdict = Literal["worse", "better", "different", "no evidence", "no data"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """What has to be settled before anybody looks.

    ``alpha`` is the chance that any of the ``comparisons`` is ever called worse, better or different without being so.
    Each gets its part of it (Bonferroni): right however the metrics hang together, which come from the same requests.
    ``expected_units`` is where always-valid intervals are tightest; ``min_units`` what a variant needs to be judged.
    """

    alpha: float = 0.05
    comparisons: int = 1
    expected_units: int = 5000
    min_units: int = 50

    @property
    def alpha_each(self) -> float:
        return self.alpha / max(self.comparisons, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All of it in the metric's own unit, and None where there is no data.

    - ``control_units``, ``variant_units``: clients in the period that had most; others may be the same again.
    - ``fixed``: the 95 % interval for a single look that was planned, of this comparison alone.
    - ``always``: holds at every look, and for all comparisons of the design together. The verdict is its.
    - ``at_least``: how much worse the variant is at least, at every look; None also for a metric without a better side.
    - ``missing``: why there is no data.
    """

    metric: Metric
    control: str
    variant: str
    control_units: int
    variant_units: int
    verdict: Verdict
    difference: Difference | None = None
    fixed: Interval | None = None
    always: Interval | None = None
    at_least: float | None = None
    missing: str = ""

    def worse_by(self, limit: float) -> bool:
        """Whether the variant is certainly worse by more than the limit; never without data."""
        return self.at_least is not None and self.at_least > limit


def compare_all(
    metrics: Sequence[Metric],
    periods: Sequence[Mapping[str, Mapping[str, Sums]]],
    control: str,
    variants: Iterable[str],
    design: Design,
) -> tuple[Comparison, ...]:
    """Each variant against the control in each metric. ``periods`` are times of other weights: variant -> metric ->
    Sums. The design has to count all comparisons that are made, those without data too.
    """
    nothing = Sums()

    def sums(period: Mapping[str, Mapping[str, Sums]], variant: str, metric: Metric) -> Sums:
        return period.get(variant, {}).get(metric.name, nothing)

    return tuple(
        compare(
            metric, control, variant, [(sums(p, control, metric), sums(p, variant, metric)) for p in periods], design
        )
        for variant in variants
        if variant != control
        for metric in metrics
    )


def compare(metric: Metric, control: str, variant: str, pairs: Sequence[Pair], design: Design) -> Comparison:
    """The comparison over periods, each the Sums of the control and of the variant."""
    units = [max((pair[side].units for pair in pairs), default=0) for side in (0, 1)]
    start = Comparison(
        metric=metric,
        control=control,
        variant=variant,
        control_units=units[0],
        variant_units=units[1],
        verdict="no data",
    )
    for name, count in zip((variant, control), reversed(units), strict=True):
        if count < design.min_units:
            return replace(start, missing=f"{name} has {_clients(count)}, {design.min_units} are needed")
    found = difference(pairs, is_share=metric.is_share)
    if found is None:
        return replace(start, missing="no period has requests of both variants")
    tuning = (sum(units), design.alpha_each, design.expected_units)
    always = always_valid(found.value, found.error, *tuning)
    return replace(
        start,
        verdict=_verdict(metric, always),
        difference=found,
        fixed=fixed_sample(found.value, found.error),
        always=always,
        at_least=metric.harm(found.value) - one_sided_reach(*tuning) * found.error if metric.better else None,
    )


def _clients(count: int) -> str:
    return f"{count:,} client{'s' * (count != 1)}"


def _verdict(metric: Metric, always: Interval) -> Verdict:
    if always.low <= 0 <= always.high:
        return "no evidence"
    if metric.better is None:
        return "different"
    return "worse" if metric.harm(always.low) > 0 else "better"
