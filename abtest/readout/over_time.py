"""How it came about: a difference at the end of each step, and the shares within each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from abtest.readout.question import Question
from abtest.readout.statistics import Design, Metric, compare
from abtest.readout.sums import Sums
from abtest.readout.table import ERRORS, Step, Table

__all__ = ["Point", "Shares", "differences", "shares", "units_per_hour"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """The difference of all requests up to ``time``, in the effect's ``unit``, and its always-valid interval."""

    time: datetime
    difference: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Of a step, by variant, 0 to 1: ``set`` of new clients, ``seen`` of the requests."""

    start: datetime
    end: datetime
    requests: int
    set: Mapping[str, float]
    seen: Mapping[str, float]


def differences(
    table: Table, question: Question, route: str, metric: Metric, control: str, variant: str, design: Design
) -> Iterator[Point]:
    """From the first step on that has data. What the last one says is what the report says."""
    so_far: dict[int, dict[str, Sums]] = defaultdict(dict)
    for (number, start), found in _by_step(table.so_far, route):
        names = question.choices(question.periods[number], route) & found.keys()
        so_far[number].update({name: found[name][metric.name] for name in names if metric.name in found[name]})
        pairs = [(each.get(control, Sums()), each.get(variant, Sums())) for each in so_far.values()]
        seen = compare(metric, control, variant, pairs, design)
        if seen.difference and seen.always:
            low, high = map(metric.in_json, seen.always)
            yield Point(
                time=_end(table, question, number, start),
                difference=metric.in_json(seen.difference.value),
                low=low,
                high=high,
            )


def shares(table: Table, question: Question, route: str) -> Iterator[Shares]:
    for (number, start), found in _by_step(table.steps, route):
        requests = {variant: metrics[ERRORS].n for variant, metrics in found.items()}
        total = sum(requests.values())
        if total:
            period = question.periods[number]
            weights = question.weights(period, route)
            yield Shares(
                start=max(start, period.start),
                end=_end(table, question, number, start),
                requests=round(total),
                set={name: weight / sum(weights.values()) for name, weight in weights.items()},
                seen={name: requests.get(name, 0) / total for name in {**weights, **requests}},
            )


def units_per_hour(table: Table, number: int, route: str, metric: Metric, variants: Collection[str]) -> float:
    """How fast clients were added of late, in the second half of a period's steps: at first all are new, later many
    have been there before.
    """
    steps = [(start, found) for (n, start), found in _by_step(table.so_far, route) if n == number]
    if not steps or table.window is None:
        return 0.0
    middle = len(steps) // 2
    before: dict[str, int] = {}
    now: dict[str, int] = {}
    for place, (_, found) in enumerate(steps):
        now |= {
            name: sums[metric.name].units for name, sums in found.items() if metric.name in sums and name in variants
        }
        if place < middle:
            before = dict(now)
    since = max(steps[middle][0], table.window[0])
    hours = (table.window[1] - since) / timedelta(hours=1)
    return (sum(now.values()) - sum(before.values())) / hours if hours > 0 else 0.0


def _by_step(
    cells: Mapping[Step, Mapping[str, Sums]], route: str
) -> list[tuple[tuple[int, datetime], dict[str, Mapping[str, Sums]]]]:
    """Period and step, in their order: variant -> metric -> Sums."""
    found: dict[tuple[int, datetime], dict[str, Mapping[str, Sums]]] = defaultdict(dict)
    for (number, where, variant, start), metrics in cells.items():
        if where == route:
            found[number, start][variant] = metrics
    return sorted(found.items(), key=lambda item: item[0])


def _end(table: Table, question: Question, number: int, start: datetime) -> datetime:
    ends = [start + timedelta(seconds=table.step_seconds), question.periods[number].end]
    return min(*ends, *(table.window[1:] if table.window else ()))
