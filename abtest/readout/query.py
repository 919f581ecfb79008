"""From requests to sums over units, in DuckDB: there may be more of either than fits into the memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from abtest.readout import outcomes
from abtest.readout.lines import NO_RULE, utc
from abtest.readout.periods import Period
from abtest.readout.question import Question
from abtest.readout.steps import step_seconds
from abtest.readout.sums import Sums
from abtest.readout.table import (
    BYTES,
    ERRORS,
    LATENCY,
    OTHER_PATHS,
    POSITIONS,
    Cell,
    Latencies,
    Lines,
    Outcomes,
    Step,
    Table,
    slower_than,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["MOST_PATHS", "summarise"]

#: Paths that are shown by themselves.
MOST_PATHS = 20

#: The columns of a metric in ``stretches``: what of a unit's requests counts, and what they add up to.
_Columns = tuple[str, str]

_ROUTES = """
    CREATE TABLE routes AS SELECT unnest($priorities)::INTEGER AS priority, unnest($names)::VARCHAR AS route
"""
_COMPARED = """
    CREATE TABLE compared AS SELECT unnest($periods)::USMALLINT AS period, unnest($routes)::VARCHAR AS route
"""
_REQUESTS = """
    CREATE VIEW requests AS SELECT * FROM lines JOIN routes USING (priority) WHERE is_entry AND is_own
"""
_CHOSEN = """
    CREATE VIEW chosen AS
    SELECT *, time_bucket(to_seconds({step}), received, TIMESTAMP '2000-01-01') AS step
    FROM requests JOIN compared USING (period, route) ANTI JOIN stuck USING (period, unit) WHERE variant IS NOT NULL
"""


def summarise(connection: DuckDBPyConnection, question: Question) -> Table:
    """The table of what was read into ``lines``."""
    lines = _lines(connection)
    found = _rows(connection, "SELECT DISTINCT priority FROM lines WHERE is_entry AND is_own")
    names = {priority: None if priority == NO_RULE else question.route(priority) for (priority,) in found}
    connection.execute(_ROUTES, {"priorities": list(names), "names": list(names.values())})
    compared = {
        (number, route)
        for number, period in enumerate(question.periods)
        for route in set(names.values())
        if route is not None and question.is_randomised(period, route)
    }
    pairs = {"periods": [number for number, _ in compared], "routes": [route for _, route in compared]}
    connection.execute(_COMPARED, pairs)
    connection.execute(_REQUESTS)
    window = _window(connection)
    step = question.step_seconds or step_seconds(window)
    stuck, untold = _stuck(connection, question)
    connection.execute(_CHOSEN.format(step=step))
    joined = outcomes.join(connection) if question.outcomes else None
    steps, so_far = _steps(connection, question, joined)
    cells = {(period, route, variant): sums for (period, route, variant, _), sums in so_far.items()}
    return Table(
        lines=lines,
        window=window,
        cells=cells,
        stuck=stuck,
        untold=untold,
        first_seen=_first_seen(connection, question, cells),
        mixed=_mixed(connection),
        step_seconds=step,
        steps=steps,
        so_far=so_far,
        latencies=_latencies(connection),
        statuses=_statuses(connection),
        not_randomised=_not_randomised(connection),
        paths=_paths(connection, question) if question.by_path else {},
        outcomes=joined,
    )


def _rows(connection: DuckDBPyConnection, query: str, values: Mapping[str, Any] | None = None) -> list[Any]:
    found: list[Any] = connection.execute(query, values).fetchall()
    return found


# Counts ---------------------------------------------------------------------------------------------------------------

_COUNTS = """
    SELECT
        count(*) FILTER (is_entry AND is_own), count(*) FILTER (is_entry AND NOT is_own),
        count(*) FILTER (NOT is_entry), count(*) FILTER (is_entry AND is_own AND period IS NULL)
    FROM lines
"""
_UNKNOWN = """
    SELECT unknown_group, count(*) FROM lines WHERE is_entry AND is_own AND unknown_group IS NOT NULL
    GROUP BY ALL ORDER BY 2 DESC, 1
"""
_BALANCERS = """
    SELECT DISTINCT load_balancer FROM lines WHERE is_entry AND load_balancer IS NOT NULL ORDER BY ALL
"""


def _lines(connection: DuckDBPyConnection) -> Lines:
    parsed, foreign, skipped, outside = _rows(connection, _COUNTS)[0]
    return Lines(
        parsed=parsed,
        foreign=foreign,
        skipped=skipped,
        outside=outside,
        unknown=dict(_rows(connection, _UNKNOWN)),
        load_balancers=tuple(name for (name,) in _rows(connection, _BALANCERS)),
    )


def _window(connection: DuckDBPyConnection) -> tuple[datetime, datetime] | None:
    query = "SELECT min(received), max(received) FROM requests WHERE period IS NOT NULL"
    first, last = _rows(connection, query)[0]
    return first and (_aware(first), _aware(last))


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


_STATUSES = """
    SELECT route, variant, status, count(*) FROM requests
    WHERE period IS NOT NULL AND unknown_group IS NULL GROUP BY ALL ORDER BY ALL
"""
_NOT_RANDOMISED = """
    SELECT route, count(*) FROM requests ANTI JOIN compared USING (period, route)
    WHERE period IS NOT NULL AND route IS NOT NULL GROUP BY ALL ORDER BY ALL
"""


def _statuses(connection: DuckDBPyConnection) -> dict[tuple[str | None, str | None, int], int]:
    return {(route, variant, status): n for route, variant, status, n in _rows(connection, _STATUSES)}


def _not_randomised(connection: DuckDBPyConnection) -> dict[str, int]:
    return dict(_rows(connection, _NOT_RANDOMISED))


# Choices --------------------------------------------------------------------------------------------------------------

_STUCK = "CREATE TABLE stuck (period USMALLINT, unit UBIGINT, was_seen BOOLEAN)"
# A unit that was seen since stuck_since, on whatever route, may have a cookie of an earlier split, which is good for
# other routes too. Where the logs begin too late to tell, that are all that were seen before free_since.
_ADD_STUCK = """
    INSERT INTO stuck
    SELECT $period, unit, min(received) < $start FROM requests WHERE received >= $stuck_since AND received < $end
    GROUP BY unit HAVING min(received) < $free_since AND max(received) >= $start
"""
_LEFT_OUT = """
    SELECT was_seen, route, count(*)
    FROM requests JOIN compared USING (period, route) JOIN stuck USING (period, unit) WHERE variant IS NOT NULL
    GROUP BY ALL ORDER BY ALL
"""
# What came in the millisecond of a unit's first request, which is all that a log tells, had no cookie yet either.
_FIRST_SEEN = """
    SELECT period, route, variant, count(*)
    FROM chosen JOIN (SELECT period, unit, min(received) AS received FROM chosen GROUP BY ALL)
        USING (period, unit, received)
    GROUP BY ALL ORDER BY ALL
"""
_MIXED = """
    SELECT period, route, count(*) FROM (
        SELECT unit, period, route FROM chosen GROUP BY ALL HAVING count(DISTINCT variant) > 1
    )
    GROUP BY ALL ORDER BY ALL
"""


def _stuck(connection: DuckDBPyConnection, question: Question) -> tuple[dict[str, int], dict[str, int]]:
    """Make the table of units that were not free to choose, and count their requests by route: of those that were seen
    before the period, and of the others.
    """
    connection.execute(_STUCK)
    logs_from = question.logs_from or _first(connection)
    for number, period in enumerate(question.periods):
        if period.stickiness_seconds and period.earlier_stickiness:
            connection.execute(_ADD_STUCK, {"period": number, **_times(period, logs_from or period.start)})
    left_out = _rows(connection, _LEFT_OUT)
    seen, others = ({route: n for was_seen, route, n in left_out if was_seen is which} for which in (True, False))
    return seen, others


def _first(connection: DuckDBPyConnection) -> datetime | None:
    """When the first request was received, in the window or before."""
    first = _rows(connection, "SELECT min(received) FROM requests")[0][0]
    return first and _aware(first)


def _times(period: Period, logs_from: datetime) -> dict[str, datetime]:
    stuck = timedelta(seconds=period.earlier_stickiness)
    return {
        "stuck_since": utc(period.start - stuck),
        "start": utc(period.start),
        "end": utc(period.end),
        "free_since": utc(max(period.start, min(period.start, logs_from) + stuck)),
    }


def _first_seen(
    connection: DuckDBPyConnection, question: Question, cells: Mapping[Cell, Mapping[str, Sums]]
) -> dict[Cell, int]:
    """Choices by period, route and variant."""
    sticky = {number for number, period in enumerate(question.periods) if period.stickiness_seconds}
    found = {cell: int(sums[ERRORS].n) for cell, sums in cells.items() if cell[0] not in sticky}
    if sticky:
        rows = _rows(connection, _FIRST_SEEN)
        found |= {(number, route, variant): n for number, route, variant, n in rows if number in sticky}
    return found


def _mixed(connection: DuckDBPyConnection) -> dict[tuple[int, str], int]:
    return {(period, route): n for period, route, n in _rows(connection, _MIXED)}


# Sums -----------------------------------------------------------------------------------------------------------------

_STRETCHES = """
    CREATE TABLE stretches AS SELECT unit, period, route, variant, step, {columns} FROM chosen GROUP BY ALL
"""
_COLUMNS = """
    count(*)::DOUBLE AS requests,
    count(*) FILTER (status >= 500)::DOUBLE AS errors,
    count(milliseconds)::DOUBLE AS answered,
    coalesce(sum(milliseconds), 0) / 1000 AS seconds,
    sum(bytes)::DOUBLE AS bytes
"""
_SLOWER = "count(*) FILTER (milliseconds > {milliseconds})::DOUBLE AS slower{number}"

_STEPS = """
    SELECT period, route, variant, step, {sums} FROM (
        SELECT *, {running} FROM {stretches} WINDOW until AS (PARTITION BY unit, period, route, variant ORDER BY step)
    )
    GROUP BY ALL ORDER BY ALL
"""
_RUNNING = "sum({column}) OVER until AS {column}_"
_SUMS = "count(*) FILTER ({n} > 0), sum({n}), sum({y}), sum({n} * {n}), sum({n} * {y}), sum({y} * {y})"
# What the sums over units grow by in this step: N * N - (N - n) * (N - n), and so on, N being what the unit has so far.
_GROWTH = """
    count(*) FILTER ({n} > 0 AND {n} = {n}_), sum({n}), sum({y}), sum({n} * (2 * {n}_ - {n})),
    sum({n} * {y}_ + {y} * {n}_ - {n} * {y}), sum({y} * (2 * {y}_ - {y}))
"""


def _metrics(question: Question) -> dict[str, _Columns]:
    slower = {slower_than(limit): ("answered", f"slower{n}") for n, limit in enumerate(question.slower_than)}
    return {
        ERRORS: ("requests", "errors"),
        LATENCY: ("answered", "seconds"),
        BYTES: ("requests", "bytes"),
        **slower,
    }


def _columns(question: Question) -> str:
    """What stands in the columns of ``_metrics``."""
    slower = (
        _SLOWER.format(milliseconds=round(1000 * limit, 6), number=n) for n, limit in enumerate(question.slower_than)
    )
    return ", ".join((_COLUMNS, *slower))


def _steps(
    connection: DuckDBPyConnection, question: Question, joined: Outcomes | None
) -> tuple[dict[Step, dict[str, Sums]], dict[Step, dict[str, Sums]]]:
    """Of each step alone, and of its period up to its end."""
    connection.execute(_STRETCHES.format(columns=_columns(question)))
    metrics = _metrics(question)
    found = _summed(connection, "stretches", metrics)
    for name in joined.by_name if joined else ():
        of_name = "(SELECT * FROM outcome_stretches WHERE name = $name)"
        more = _summed(connection, of_name, {name: ("outcomes", "total")}, {"name": name})
        for step, pairs in found.items():
            pairs[name] = more[step][name] if step in more else (Sums(), Sums())
    steps: dict[Step, dict[str, Sums]] = {}
    so_far: dict[Step, dict[str, Sums]] = {}
    totals: dict[Cell, dict[str, Sums]] = defaultdict(dict)
    for step, pairs in found.items():
        total = totals[step[:3]]
        total |= {metric: total.get(metric, Sums()) + growth for metric, (_, growth) in pairs.items()}
        steps[step] = {metric: own for metric, (own, _) in pairs.items()}
        so_far[step] = dict(total)
    return steps, so_far


def _summed(
    connection: DuckDBPyConnection,
    stretches: str,
    metrics: Mapping[str, _Columns],
    values: Mapping[str, Any] | None = None,
) -> dict[Step, dict[str, tuple[Sums, Sums]]]:
    """Of each step alone, and how much the sums so far grow by in it; in their order."""
    query = _STEPS.format(
        stretches=stretches,
        running=", ".join(
            _RUNNING.format(column=column) for column in sorted({c for pair in metrics.values() for c in pair})
        ),
        sums=", ".join(form.format(n=n, y=y) for n, y in metrics.values() for form in (_SUMS, _GROWTH)),
    )
    found: dict[Step, dict[str, tuple[Sums, Sums]]] = {}
    for period, route, variant, step, *sums in _rows(connection, query, values):
        each = _each(sums)
        found[period, route, variant, _aware(step)] = dict(zip(metrics, zip(each, each, strict=True), strict=True))
    return found


def _each(values: Sequence[Any]) -> Iterator[Sums]:
    """Sums of the columns that _SUMS or _GROWTH made."""
    for start in range(0, len(values), 6):
        units, n, y, nn, ny, yy = values[start : start + 6]
        yield Sums(units=units, n=n, y=y, nn=nn, ny=ny, yy=yy)


# Paths ---------------------------------------------------------------------------------------------------------------

_MOST = """
    CREATE TABLE most AS
    SELECT path, count(*) AS of_path FROM chosen WHERE path <> ''
    GROUP BY path ORDER BY of_path DESC, path LIMIT $paths
"""
_PATHS = """
    SELECT path, variant, {sums} FROM (
        SELECT unit, variant, most.path, of_path, {columns}
        FROM chosen LEFT JOIN most USING (path) GROUP BY ALL
    )
    GROUP BY path, variant, of_path ORDER BY of_path DESC NULLS LAST, path, variant
"""


def _paths(connection: DuckDBPyConnection, question: Question) -> dict[tuple[str, str], dict[str, Sums]]:
    connection.execute(_MOST, {"paths": MOST_PATHS})
    metrics = _metrics(question)
    sums = ", ".join(_SUMS.format(n=n, y=y) for n, y in metrics.values())
    rows = _rows(connection, _PATHS.format(sums=sums, columns=_columns(question)))
    return {
        (path or OTHER_PATHS, variant): dict(zip(metrics, _each(values), strict=True))
        for path, variant, *values in rows
    }


# Quantiles ------------------------------------------------------------------------------------------------------------

_LATENCIES = """
    SELECT route, variant, milliseconds, count(*) FROM chosen WHERE milliseconds IS NOT NULL GROUP BY ALL ORDER BY ALL
"""
_QUANTILES = """
    CREATE TABLE quantiles AS SELECT
        unnest($routes)::VARCHAR AS route, unnest($variants)::VARCHAR AS variant, unnest($limits)::BIGINT[] AS limits
"""
_WITHIN = """
    SELECT route, variant, {sums} FROM (
        SELECT route, variant, count(*)::DOUBLE AS answered, {within}
        FROM chosen JOIN quantiles USING (route, variant) WHERE milliseconds IS NOT NULL GROUP BY unit, route, variant
    )
    GROUP BY ALL
"""


def _latencies(connection: DuckDBPyConnection) -> dict[tuple[str, str], Latencies]:
    counts: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for route, variant, milliseconds, n in _rows(connection, _LATENCIES):
        counts[route, variant][milliseconds] = n
    found = {key: Latencies(counts=by_milliseconds) for key, by_milliseconds in counts.items()}
    limits = [[round(1000 * each.quantile(position)) for position in POSITIONS] for each in found.values()]
    connection.execute(
        _QUANTILES,
        {"routes": [route for route, _ in found], "variants": [variant for _, variant in found], "limits": limits},
    )
    numbers = range(1, len(POSITIONS) + 1)
    query = _WITHIN.format(
        sums=", ".join(_SUMS.format(n="answered", y=f"within{n}") for n in numbers),
        within=", ".join(f"count(*) FILTER (milliseconds <= limits[{n}])::DOUBLE AS within{n}" for n in numbers),
    )
    for route, variant, *values in _rows(connection, query):
        within = dict(zip(POSITIONS, _each(values), strict=True))
        found[route, variant] = replace(found[route, variant], within=within)
    return found
