"""What was seen, cut by route, hour, status or path: described, never judged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from abtest.readout.sums import Sums
from abtest.readout.table import ERRORS, LATENCY, Table

__all__ = ["By", "Row", "breakdowns"]

By = Literal["route", "hour", "status", "path"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """``share`` is the part of the variant's requests that these are, 0 to 1; ``error_rate`` is a share too."""

    key: str
    variant: str
    requests: int
    share: float
    error_rate: float | None = None
    mean_ms: float | None = None


def breakdowns(table: Table) -> dict[By, tuple[Row, ...]]:
    """All requests by route and by status; those that are compared by hour and by path."""
    hours = [((f"{start:%Y-%m-%d %H:00}", variant), found) for (_, _, variant, start), found in table.steps.items()]
    return {
        "route": _counted(table, lambda route, _: route or "(no rule)", errors=True),
        "hour": _summed(sorted(hours, key=lambda item: item[0])),
        "status": _counted(table, lambda _, status: f"{status:03}", errors=False),
        "path": _summed(table.paths.items()),
    }


def _counted(table: Table, key: Callable[[str | None, int], str], *, errors: bool) -> tuple[Row, ...]:
    requests: Counter[tuple[str, str]] = Counter()
    failed: Counter[tuple[str, str]] = Counter()
    for (route, variant, status), count in table.statuses.items():
        cell = key(route, status), variant or "(none)"
        requests[cell] += count
        failed[cell] += count * (status >= 500)
    return tuple(
        Row(
            key=name,
            variant=variant,
            requests=count,
            share=share,
            error_rate=failed[name, variant] / count if errors else None,
        )
        for (name, variant), count, share in _with_share(dict(sorted(requests.items())))
    )


def _summed(cells: Iterable[tuple[tuple[str, str], Mapping[str, Sums]]]) -> tuple[Row, ...]:
    """Keys in the order in which they come."""
    found: dict[tuple[str, str], dict[str, Sums]] = defaultdict(dict)
    for cell, metrics in cells:
        for name, sums in metrics.items():
            found[cell][name] = found[cell].get(name, Sums()) + sums
    places = {key: n for n, key in enumerate(dict.fromkeys(key for key, _ in found))}
    in_order = sorted(found, key=lambda cell: places[cell[0]])
    requests = {cell: round(found[cell][ERRORS].n) for cell in in_order}
    return tuple(
        Row(
            key=cell[0],
            variant=cell[1],
            requests=count,
            share=share,
            error_rate=_mean(found[cell][ERRORS], 1),
            mean_ms=_mean(found[cell].get(LATENCY), 1000),
        )
        for cell, count, share in _with_share(requests)
    )


def _with_share(requests: Mapping[tuple[str, str], int]) -> Iterator[tuple[tuple[str, str], int, float]]:
    """Cell, requests, and the share of its variant's that these are."""
    totals: Counter[str] = Counter()
    for (_, variant), count in requests.items():
        totals[variant] += count
    for cell, count in requests.items():
        if count:
            yield cell, count, count / totals[cell[1]]


def _mean(sums: Sums | None, factor: float) -> float | None:
    return factor * sums.y / sums.n if sums and sums.n else None
