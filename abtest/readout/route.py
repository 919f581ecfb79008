"""A route that chooses between variants: what each did on it, and how it compares with the control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from abtest.readout.health import SplitCheck, has_clients, split_of
from abtest.readout.over_time import Point, Shares, differences, shares, units_per_hour
from abtest.readout.question import Question
from abtest.readout.statistics import (
    Comparison,
    Design,
    Interval,
    Metric,
    Split,
    Standing,
    compare_all,
    conclusion,
    difference,
    every_look,
    quantile_positions,
    sentence,
    single_look,
    size,
    standing,
    units_to_see,
    would_show,
)
from abtest.readout.statistics.metrics import number
from abtest.readout.sums import Sums
from abtest.readout.table import ERRORS, POSITIONS, Latencies, Table

__all__ = ["Conclusion", "Effect", "Look", "Mean", "Quantile", "RouteReadout", "SeenShare", "VariantReadout"]

#: Where the curve of a variant's latencies is drawn.
_CURVE = (*(n / 100 for n in range(1, 100)), 0.995, 0.999)

_NO_CLIENTS = "intervals need access logs"


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What to make of a variant on a route. ``text`` says it in a sentence."""

    route: str
    variant: str
    standing: Standing
    text: str


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """Of latency: ``position`` of all answers took no longer than ``ms``. ``low`` and ``high`` are the 95 % interval
    over clients; None where that lies beyond what was seen, or nothing can be said.
    """

    position: float
    ms: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Of all requests, in ``unit``; ``share`` is 0 to 1. None without requests. ``text`` is the same for people."""

    metric: str
    label: str
    unit: str
    value: float | None
    text: str


@dataclass(frozen=True, kw_only=True)
class SeenShare:
    """A variant's share, 0 to 1: ``set`` of new clients, ``seen`` of those or of the requests that were counted; None
    where it isn't known.
    """

    set: float | None
    seen: float | None


@dataclass(frozen=True, kw_only=True)
class VariantReadout:
    """What a variant was set to get, got and did on a route. ``clients`` are those of the period that had most: others
    may be the same again; None where the source knows none.

    ``latency_curve`` is the part of the answers, 0 to 1, and the milliseconds within which they came.
    """

    name: str
    is_control: bool
    share: SeenShare
    requests: int
    clients: int | None
    means: tuple[Mean, ...]
    quantiles: tuple[Quantile, ...]
    latency_curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A variant against the control in one metric. Figures are in ``unit``, and None where there is no data;
    ``share`` is 0 to 1.

    ``always_valid`` holds at every look and for all effects of the report together: ``verdict`` is its.
    ``single_look`` is the usual 95 % interval, of this effect alone, for a look at a time that was planned.
    ``at_least`` is how much worse the variant is at least, at every look. Each has its words in a text;
    ``would_show`` says what difference would show by when, where none has shown.
    """

    metric: str
    label: str
    unit: str
    better: str | None
    variant: str
    verdict: Standing
    text: str
    control_value: float | None = None
    variant_value: float | None = None
    difference: float | None = None
    difference_text: str = ""
    always_valid: Interval | None = None
    always_valid_text: str = ""
    single_look: Interval | None = None
    single_look_text: str = ""
    at_least: float | None = None
    at_least_text: str = ""
    would_show: str = ""
    over_time: tuple[Point, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RouteReadout:
    """A route that chooses between variants; ``control`` is what the others are compared with on it. Without clients
    there are no ``effects``.
    """

    name: str
    control: str
    split: SplitCheck
    variants: tuple[VariantReadout, ...]
    effects: tuple[Effect, ...]
    shares: tuple[Shares, ...]


@dataclass(frozen=True)
class Look:
    """At a route of a table. The first of its variants is the control."""

    table: Table
    question: Question
    route: str
    variants: Sequence[str]
    metrics: Sequence[Metric]
    design: Design

    @cached_property
    def split(self) -> tuple[Split | None, SplitCheck]:
        return split_of(self.table, self.question, self.route, self.design.min_units)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        periods = [
            {name: self.table.cells.get((number, self.route, name), {}) for name in self._choices(number)}
            for number in range(len(self.question.periods))
        ]
        found = compare_all(self.metrics, periods, self.variants[0], self.variants[1:], self.design)
        if self.table.cells and not has_clients(self.table):
            return tuple(replace(each, missing=_NO_CLIENTS) for each in found)
        return found

    def _choices(self, number: int) -> frozenset[str]:
        return self.question.choices(self.question.periods[number], self.route)

    def conclusions(self, *, is_only: bool) -> Iterator[Conclusion]:
        split, check = self.split
        for name in self.variants[1:]:
            text = conclusion(name, self.comparisons, split, check.counted)
            yield Conclusion(
                route=self.route,
                variant=name,
                standing=standing(name, self.comparisons, split),
                text=text if is_only else f"{self.route}: {text}",
            )

    def readout(self) -> RouteReadout:
        return RouteReadout(
            name=self.route,
            control=self.variants[0],
            split=self.split[1],
            variants=tuple(map(self._variant, self.variants)),
            effects=tuple(map(self._effect, self.comparisons)) if has_clients(self.table) else (),
            shares=tuple(shares(self.table, self.question, self.route)),
        )

    def _variant(self, name: str) -> VariantReadout:
        cells = [metrics for (_, route, who), metrics in self.table.cells.items() if (route, who) == (self.route, name)]
        requests = [cell[ERRORS] for cell in cells]
        latencies = self.table.latencies.get((self.route, name))
        described = self.table.described.get(name, {})
        check = self.split[1]
        return VariantReadout(
            name=name,
            is_control=name == self.variants[0],
            share=SeenShare(set=check.set_share(name), seen=check.seen_share(name)),
            requests=round(sum(sums.n for sums in requests)),
            clients=max((sums.units for sums in requests), default=0) if has_clients(self.table) else None,
            means=tuple(_mean(each, [cell[each.name] for cell in cells if each.name in cell]) for each in self.metrics),
            quantiles=tuple(_quantiles(latencies))
            if latencies
            else tuple(Quantile(position=position, ms=1000 * value) for position, value in described.items()),
            latency_curve=tuple((part, 1000 * latencies.quantile(part)) for part in _CURVE) if latencies else (),
        )

    def _effect(self, seen: Comparison) -> Effect:
        metric, found = seen.metric, seen.difference
        is_off = self.split[1].is_off
        start = Effect(
            metric=metric.name,
            label=metric.label,
            unit=metric.json_unit,
            better=metric.better,
            variant=seen.variant,
            verdict="no verdict" if is_off else seen.verdict,
            text=f"no verdict on {metric.label}" if is_off else sentence(seen),
            would_show=self._would_show(seen),
        )
        if found is None or seen.fixed is None or seen.always is None:
            return start
        return replace(
            start,
            control_value=metric.in_json(found.control),
            variant_value=metric.in_json(found.variant),
            difference=metric.in_json(found.value),
            difference_text=size(seen),
            always_valid=Interval(*map(metric.in_json, seen.always)),
            always_valid_text=every_look(seen),
            single_look=Interval(*map(metric.in_json, seen.fixed)),
            single_look_text=single_look(seen),
            at_least=None if seen.at_least is None or is_off else metric.in_json(seen.at_least),
            at_least_text=metric.amount(seen.at_least) if seen.at_least and start.verdict == "worse" else "",
            over_time=tuple(
                differences(self.table, self.question, self.route, metric, seen.control, seen.variant, self.design)
            ),
        )

    def _would_show(self, seen: Comparison) -> str:
        """By when, for what has not shown: at the split, the variance and the rate of the newest period."""
        metric = seen.metric
        if metric.better is None or self.split[1].is_off or seen.verdict not in {"no evidence", "no data"}:
            return ""
        for period in reversed(range(len(self.question.periods))):
            if not {seen.control, seen.variant} <= self._choices(period):
                continue
            sums = [
                self.table.cells.get((period, self.route, name), {}).get(metric.name, Sums())
                for name in (seen.control, seen.variant)
            ]
            pair = (sums[0], sums[1])
            found = difference([pair], is_share=metric.is_share)
            if found is None:
                continue
            step = metric.step(found.control)
            needed = units_to_see(pair, step, is_share=metric.is_share, design=self.design) if step else None
            rate = units_per_hour(self.table, period, self.route, metric, (seen.control, seen.variant))
            more = None if needed is None else needed - pair[0].units - pair[1].units
            return would_show(metric, step, _hours(more, rate))
        return ""


def _hours(more: int | None, rate: float) -> float | None:
    if more is None or more <= 0:
        return more
    return more / rate if rate else None


def _mean(metric: Metric, cells: Sequence[Sums]) -> Mean:
    n = sum(each.n for each in cells)
    value = sum(each.y for each in cells) / n if n else None
    return Mean(
        metric=metric.name,
        label=metric.label,
        unit=metric.json_unit,
        value=None if value is None else metric.in_json(value),
        text=_amount(metric, value),
    )


def _amount(metric: Metric, value: float | None) -> str:
    """A share is a percentage; only differences are points."""
    if value is None:
        return "-"
    return f"{number(100 * value)} %" if metric.is_share else metric.amount(value)


def _quantiles(latencies: Latencies) -> Iterator[Quantile]:
    for position in POSITIONS:
        around = quantile_positions(position, latencies.within.get(position, Sums())) or (None, None)
        low, high = (None if each is None else 1000 * latencies.quantile(each) for each in around)
        yield Quantile(position=position, ms=1000 * latencies.quantile(position), low=low, high=high)
