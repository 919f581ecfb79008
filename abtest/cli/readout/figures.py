"""Figures as all formats show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby

from abtest.cli.evidence import EVER
from abtest.readout.breakdown import Row
from abtest.readout.readout import Readout
from abtest.readout.route import Effect, Quantile, RouteReadout, VariantReadout
from abtest.readout.statistics.metrics import number

__all__ = [
    "EFFECTS",
    "MARKS",
    "breakdown",
    "effects",
    "facts",
    "headline",
    "moment",
    "name_of",
    "not_compared",
    "percent",
    "periods",
    "span",
    "would_show",
]

NONE = "-"

#: What a finding's level is called.
MARKS = {"fine": "ok", "look": "check", "broken": "BROKEN"}

#: A line of a table, its first cell being its name.
Line = tuple[str, ...]


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.{1 if abs(share) >= 0.01 else 2}f} %"


def _ms(value: float | None) -> str:
    return NONE if value is None else f"{number(value)} ms"


def moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def span(times: tuple[datetime, datetime]) -> str:
    """2026-07-01 12:00 to 2026-07-01 13:00 UTC"""
    start, end = times
    return f"{moment(start)} to {moment(end)} UTC" if start > EVER else f"until {moment(end)} UTC"


def headline(readout: Readout) -> str:
    """dev: b, c against a"""
    others = dict.fromkeys(each.variant for each in readout.conclusions)
    return f"{readout.stack}: {', '.join(others)} against {readout.control}" if others else readout.stack


def name_of(variant: VariantReadout) -> str:
    return f"{variant.name} (control)" if variant.is_control else variant.name


def facts(route: RouteReadout) -> Iterator[Line]:
    """What each variant was asked to get, got and did: a line a fact, a column a variant."""
    variants = route.variants
    counted = f"of {'requests' if route.split.counted == 'requests' else 'new clients'}"
    yield "share asked", *(percent(each.share.set) for each in variants)
    yield f"share seen, {counted}", *(percent(each.share.seen) for each in variants)
    yield "requests", *(f"{each.requests:,}" for each in variants)
    yield "clients", *(NONE if each.clients is None else f"{each.clients:,}" for each in variants)
    for means in zip(*(each.means for each in variants), strict=True):
        yield means[0].label, *(mean.text for mean in means)
    positions = dict.fromkeys(each.position for variant in variants for each in variant.quantiles)
    for position in positions:
        found = [{each.position: each for each in variant.quantiles}.get(position) for variant in variants]
        yield f"p{100 * position:g} latency", *map(_quantile, found)


def _quantile(found: Quantile | None) -> str:
    if found is None:
        return NONE
    if found.low is None and found.high is None:
        return _ms(found.ms)
    low, high = ("…" if bound is None else number(bound) for bound in (found.low, found.high))
    return f"{_ms(found.ms)} [{low}, {high}]"


#: Heads of the columns of effects, behind that of the metric.
EFFECTS = ("verdict", "difference", "always-valid", "fixed-time", "worse by at least")


def effects(route: RouteReadout, variant: str) -> Iterator[tuple[Effect, Line]]:
    for each in route.effects:
        if each.variant == variant:
            figures = each.difference_text, each.always_valid_text, each.single_look_text, each.at_least_text
            yield each, (each.label, each.verdict, *(text or NONE for text in figures))


def would_show(route: RouteReadout, variant: str) -> str:
    found = [each.would_show for each in route.effects if each.variant == variant and each.would_show]
    return f"{'; '.join(found)}." if found else ""


def periods(readout: Readout) -> Iterator[Line]:
    """When the split changed; nothing where it did not."""
    if len(readout.periods) > 1:
        for each in readout.periods:
            total = sum(each.weights.values())
            shares = (f"{name} {percent(weight / total)}" for name, weight in each.weights.items() if total)
            yield span((each.start, each.end)), ", ".join(shares)


def not_compared(readout: Readout) -> str:
    return ", ".join(f"{route} {count:,}" for route, count in readout.not_randomised.items()) + " requests"


def breakdown(rows: Sequence[Row]) -> tuple[Line, Iterator[Line]]:
    """The heads of the columns that have something in them, and the lines; a key stands in the first of its lines."""
    has_errors = any(row.error_rate is not None for row in rows)
    has_mean = any(row.mean_ms is not None for row in rows)
    heads = ("variant", "requests", "of variant", *["error rate"] * has_errors, *["mean latency"] * has_mean)

    def lines() -> Iterator[Line]:
        for key, found in groupby(rows, key=lambda row: row.key):
            for place, row in enumerate(found):
                errors = [percent(row.error_rate)] * has_errors
                mean = [_ms(row.mean_ms)] * has_mean
                yield "" if place else key, row.variant, f"{row.requests:,}", percent(row.share), *errors, *mean

    return heads, lines()
