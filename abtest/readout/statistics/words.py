"""Verdicts as sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from abtest.readout.statistics.comparison import Comparison, Verdict
from abtest.readout.statistics.intervals import Interval
from abtest.readout.statistics.metrics import Metric, number
from abtest.readout.statistics.split import Split

__all__ = [
    "Standing",
    "conclusion",
    "effect",
    "every_look",
    "sentence",
    "single_look",
    "size",
    "split_sentence",
    "standing",
    "would_show",
]

#: What is to be made of a variant: a verdict, or none, as something chose which clients it got.
Standing = Literal[Verdict, "no verdict"]

_IN_ORDER: tuple[Verdict, ...] = ("worse", "better", "different", "no evidence", "no data")


def sentence(comparison: Comparison) -> str:
    """``b is worse: error rate +1.2 points [0.8, 1.7]``."""
    metric, variant = comparison.metric, comparison.variant
    match comparison.verdict:
        case "no data":
            return f"{metric.label}: no data: {comparison.missing}"
        case "no evidence":
            what = "harm" if metric.better else "a difference"
            return f"no evidence of {what}: {metric.label} {effect(comparison)}"
        case verdict:
            return f"{variant} is {verdict}: {metric.label} {effect(comparison)}"


def effect(comparison: Comparison) -> str:
    """The difference with its always-valid interval: +1.2 points [0.8, 1.7]. Needs data."""
    return f"{size(comparison)} {every_look(comparison)}"


def size(comparison: Comparison) -> str:
    """The difference: +1.2 points, as exact as its interval allows. Needs data."""
    found, always = comparison.difference, comparison.always
    if found is None or always is None:
        raise ValueError("a comparison without data has no effect")
    metric = comparison.metric
    return metric.amount(found.value, _decimals(_shown(always, metric)), signed=True)


def every_look(comparison: Comparison) -> str:
    """The interval that holds at every look: [0.8, 1.7]; nothing without data."""
    return _brackets(comparison.always, comparison.metric)


def single_look(comparison: Comparison) -> str:
    """The interval for a single look: [0.9, 1.5]; nothing without data."""
    return _brackets(comparison.fixed, comparison.metric)


def _brackets(interval: Interval | None, metric: Metric) -> str:
    if interval is None:
        return ""
    shown = _shown(interval, metric)
    low, high = (number(bound, _decimals(shown)) for bound in shown)
    return f"[{low}, {high}]"


def _shown(interval: Interval, metric: Metric) -> Interval:
    return Interval(interval.low * metric.factor, interval.high * metric.factor)


def _decimals(interval: Interval) -> int:
    """As many as the half width needs to be told, and so many that what leaves out 0 does not seem to touch it."""
    half = (interval.high - interval.low) / 2
    nearest = min(abs(interval.low), abs(interval.high))
    decimals = max(0, math.ceil(-math.log10(half / 3))) if half > 1e-9 else 0
    while interval.low * interval.high > 0 and round(nearest, decimals) == 0 and decimals < 9:
        decimals += 1
    return min(decimals, 9)


def split_sentence(split: Split | None, of: str = "clients") -> str:
    """``of`` is what was counted as a choice."""
    if split is None:
        return "split: no data"
    seen, expected = split.seen, split.expected
    total = sum(seen.values())
    shares = ", ".join(
        f"{name} {100 * seen[name] / total:.1f} % (asked {100 * expected[name] / total:.1f} %)" for name in seen
    )
    whole = f"{total:,} {of if total > 1 else of[:-1]}"
    return f"split is {'not ' if split.is_off() else ''}as asked: {shares} of {whole}"


def would_show(metric: Metric, size: float, hours: float | None) -> str:
    """``1 point of error rate would show in about 6 h``."""
    what = f"{metric.amount(size)} of {metric.label}"
    if hours is None:
        return f"{what} would not show at this rate"
    if hours <= 0:
        return f"{what} would show by now"
    return f"{what} would show in about {_time(hours)}"


def _time(hours: float) -> str:
    for unit, size in (("days", 24.0), ("h", 1.0)):
        if hours >= 2 * size:
            return f"{hours / size:,.0f} {unit}"
    return f"{max(math.ceil(hours * 60), 1)} min"


def standing(variant: str, comparisons: Sequence[Comparison], split: Split | None) -> Standing:
    """What to make of a variant, in a word: harm goes before gain, and a split that is not as asked before both."""
    if split is not None and split.is_off():
        return "no verdict"
    found = {each.verdict for each in comparisons if each.variant == variant}
    return next((verdict for verdict in _IN_ORDER if verdict in found), "no data")


def conclusion(variant: str, comparisons: Sequence[Comparison], split: Split | None, of: str = "clients") -> str:
    """What to make of a variant, health first: a split that is not as asked leaves no verdict."""
    own = [each for each in comparisons if each.variant == variant]
    match standing(variant, own, split):
        case "no verdict":
            return f"no verdict on {variant}: the {split_sentence(split, of)}; find out why first"
        case "no data":
            return ": ".join([variant, "no data", *(each.missing for each in own[:1])])
        case "no evidence":
            return f"{variant}: {_told(own, 'no evidence')}"
        case "different":
            found = [_told(own, verdict) for verdict in ("different", "no evidence")]
            return f"{variant} is {'; '.join(filter(None, found))}"
        case _:
            found = [_told(own, verdict) for verdict in ("worse", "better", "different")]
            return f"{variant} is {'; '.join(filter(None, found))}"


def _told(comparisons: Sequence[Comparison], verdict: Verdict) -> str:
    """A verdict with its effects; nothing without one. Where none shows, those that could be harm."""
    found = [each for each in comparisons if each.verdict == verdict]
    if verdict == "no evidence":
        found = [each for each in found if each.metric.better]
    effects = ", ".join(f"{each.metric.label} {effect(each)}" for each in found)
    word = "no evidence of harm" if verdict == "no evidence" else verdict
    return f"{word}: {effects}" if effects else ""
