"""Small tables, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from abtest.readout.periods import Period
from abtest.readout.question import DEFAULT_ROUTE, Question
from abtest.readout.readout import Readout, read_out
from abtest.readout.statistics import BYTES, ERROR_RATE, LATENCY, Design, slower_than
from abtest.readout.sums import Sums
from abtest.readout.table import Latencies, Lines, Table
from tests.readout.statistics.units import sums_of

BEGIN = datetime(2026, 11, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
METRICS = (ERROR_RATE, slower_than(0.5), LATENCY, BYTES)


def period(start: int, end: int, stickiness: int = 3600, **weights: int) -> Period:
    """From one hour to another."""
    return Period(
        start=BEGIN + start * HOUR,
        end=BEGIN + end * HOUR,
        weights=weights,
        stickiness_seconds=stickiness,
        earlier_stickiness=stickiness if start else 0,
    )


def question(*periods: Period, **changes: Any) -> Question:
    return Question(periods=periods or (period(0, 4, a=50, b=50),), variants={}, **changes)


def metrics(clients: int, failing: float = 0.0, seconds: float = 0.1) -> dict[str, Sums]:
    """Of clients with five requests each: of ``failing`` of them one request fails, and every tenth waits twice as long."""
    return {
        ERROR_RATE.name: sums_of([(5, int(n < failing * clients)) for n in range(clients)]),
        slower_than(0.5).name: sums_of([(5, int(n % 50 == 0)) for n in range(clients)]),
        LATENCY.name: sums_of([(5, 5 * seconds * (1 + (n % 10 == 0))) for n in range(clients)]),
        BYTES.name: sums_of([(5, 1000 + n % 7) for n in range(clients)]),
    }


def table(variants: Mapping[str, Mapping[str, Sums]], route: str = DEFAULT_ROUTE, **changes: Any) -> Table:
    """Of one period of four hours, in each of which as much was seen."""
    steps = {
        (0, route, name, BEGIN + n * HOUR): {metric: _part(sums, (n + 1) / 4) for metric, sums in found.items()}
        for name, found in variants.items()
        for n in range(4)
    }
    counts = {name: int(found[ERROR_RATE.name].units) for name, found in variants.items()}
    made = Table(
        lines=Lines(parsed=5 * sum(counts.values())),
        window=(BEGIN, BEGIN + 4 * HOUR),
        cells={(0, route, name): found for name, found in variants.items()},
        first_seen={(0, route, name): count for name, count in counts.items()},
        steps=steps,
        so_far=steps,
        latencies={
            (route, name): Latencies(
                counts={100: 4 * count, 300: count},
                within={position: sums_of([(5, 4)] * count) for position in (0.5, 0.9, 0.99)},
            )
            for name, count in counts.items()
            if count
        },
        statuses={(route, name, 200): 5 * count for name, count in counts.items()},
    )
    return replace(made, **changes)


def _part(sums: Sums, part: float) -> Sums:
    return Sums(
        units=int(sums.units * part),
        n=sums.n * part,
        y=sums.y * part,
        nn=sums.nn * part,
        ny=sums.ny * part,
        yy=sums.yy * part,
    )


def read(found: Table, asked: Question | None = None, judged: Sequence[Any] = METRICS, control: str = "a") -> Readout:
    return read_out(
        found,
        asked or question(),
        stack="dev",
        control=control,
        metrics=judged,
        design=Design(),
        source="access logs in logs/",
        asked=(BEGIN, BEGIN + 4 * HOUR),
    )
