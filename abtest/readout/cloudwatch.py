"""CloudWatch as a source: what the load balancer counts for each target group, and metrics of the model servers' own.

It knows no clients, so that all Sums have ``units=0``: rates, means and quantiles, by which nothing can be judged.
Sources: ALB guide, "CloudWatch metrics"; CloudWatch API, "GetMetricData"; CloudWatch guide, "Statistics definitions".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from abtest.readout.periods import Period
from abtest.readout.question import Question
from abtest.readout.steps import step_seconds
from abtest.readout.sums import Sums
from abtest.readout.table import ERRORS, LATENCY, POSITIONS, Cell, Lines, Step, Table, Targets, slower_than

__all__ = ["ALL_ROUTES", "CloudWatchError", "point_seconds", "read_cloudwatch"]

#: A target group's metrics are of every route that leads to it.
ALL_ROUTES = "all routes"

_NAMESPACE = "AWS/ApplicationELB"
#: What the load balancer answers where a target fails it. Its other errors come before a target is chosen.
_OWN_ANSWERS = (500, 502, 503, 504)
#: In one call.
_MOST_SERIES = 500
#: The seconds of a point, and how long such points are kept; those of an hour are for 15 months.
_KEPT = {60: timedelta(days=15), 300: timedelta(days=63)}
_MOST_POINTS = 1440

_Points = Mapping[datetime, float]
_Dimensions = tuple[tuple[str, str], ...]
_Key = TypeVar("_Key", Cell, Step)


class CloudWatchError(Exception):
    """CloudWatch cannot say what it is asked; the text says what to do."""


def read_cloudwatch(
    cloudwatch: Any,
    question: Question,
    *,
    load_balancer: str,
    groups: Mapping[str, Sequence[str]],
    custom: Sequence[str] = (),
) -> Table:
    """What CloudWatch has of the question's periods, by variant. Needs ``cloudwatch:GetMetricData``.

    ``load_balancer`` is ``app/NAME/ID``; ``groups`` are each variant's target groups by ARN, several after a
    replacement. ``custom`` are metrics as NAMESPACE/NAME, so called in the table too, whose one dimension, ``Variant``,
    is the variant's name.

    Only points that are wholly within a period count. Errors are those of targets alone. A variant that had requests in
    several groups has no quantiles: those of one group cannot be added to another's.

    Raises CloudWatchError, and what boto3 raises where AWS refuses to answer.
    """
    if not question.periods:
        return Table(lines=Lines())
    balancer = (("LoadBalancer", load_balancer),)
    asked = {
        variant: _asked(
            [(*balancer, ("TargetGroup", arn.rpartition(":")[2])) for arn in arns],
            question.slower_than,
            {text: _Series(*_parsed(text), (("Variant", variant),)) for text in custom},
        )
        for variant, arns in groups.items()
    }
    answers = {status: _Series(_NAMESPACE, f"HTTPCode_ELB_{status}_Count", balancer) for status in _OWN_ANSWERS}
    window = _Window.over(question.periods, datetime.now(UTC))
    found = _Found(window=window, points=_ask(cloudwatch, [*answers.values(), *chain(*asked.values())], window))
    traffic = found.traffic(asked.values())
    length = question.step_seconds or step_seconds(traffic, window.seconds)
    cells: dict[Cell, Mapping[str, Sums]] = {}
    steps: dict[Step, Mapping[str, Sums]] = {}
    so_far: dict[Step, Mapping[str, Sums]] = {}
    for variant, each in asked.items():
        for (number, at), sums in found.sums(each):
            cell = (number, ALL_ROUTES, variant)
            step = (*cell, _floor(at, length))
            _add(cells, cell, sums)
            _add(steps, step, sums)
            so_far[step] = cells[cell]
    return Table(
        lines=Lines(),
        window=traffic,
        cells=cells,
        step_seconds=length,
        steps=steps,
        so_far=so_far,
        described={variant: quantiles for variant, each in asked.items() if (quantiles := found.quantiles(each))},
        unattributed={status: count for status, series in answers.items() if (count := found.count(series))},
        targets={variant: targets for variant, each in asked.items() if (targets := found.targets(each))},
    )


def _parsed(text: str) -> tuple[str, str]:
    """Namespace and name; a namespace may hold slashes."""
    namespace, _, name = text.rpartition("/")
    if not (namespace and name):
        raise CloudWatchError(f"{text}: expected a metric as NAMESPACE/NAME, such as Ranker/Clicks")
    return namespace, name


def _add(to: dict[_Key, Mapping[str, Sums]], key: _Key, sums: Mapping[str, Sums]) -> None:
    before = to.get(key)
    to[key] = {metric: before[metric] + more for metric, more in sums.items()} if before else sums


# What is asked --------------------------------------------------------------------------------------------------------


class _Series(NamedTuple):
    """A statistic of a metric: a value for each point, or one for the window as a whole."""

    namespace: str
    name: str
    dimensions: _Dimensions
    statistic: str = "Sum"
    is_whole: bool = False


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What a variant's figures are made of: a series for each of its target groups.

    ``ratios`` are, by metric, what n and y are the sums of.
    """

    ratios: Mapping[str, tuple[Sequence[_Series], Sequence[_Series]]]
    quantiles: Mapping[float, Sequence[_Series]]
    healthy: Sequence[_Series]
    unhealthy: Sequence[_Series]

    def __iter__(self) -> Iterator[_Series]:
        return chain(*chain(*self.ratios.values()), *self.quantiles.values(), self.healthy, self.unhealthy)


def _asked(groups: Sequence[_Dimensions], limits: Iterable[float], custom: Mapping[str, _Series]) -> _Asked:
    def each(name: str, statistic: str = "Sum", *, is_whole: bool = False) -> list[_Series]:
        return [_Series(_NAMESPACE, name, group, statistic, is_whole) for group in groups]

    time = "TargetResponseTime"
    answered = each(time, "SampleCount")
    return _Asked(
        ratios={
            ERRORS: (each("RequestCount"), each("HTTPCode_Target_5XX_Count")),
            LATENCY: (answered, each(time)),
            # The trimmed count is of the values over its lower bound.
            **{slower_than(limit): (answered, each(time, f"TC({limit:g}:)")) for limit in limits},
            **{name: ([total._replace(statistic="SampleCount")], [total]) for name, total in custom.items()},
        },
        # Quantiles of shorter times cannot be put together.
        quantiles={position: each(time, f"p{100 * position:g}", is_whole=True) for position in POSITIONS},
        # Each node of the load balancer has a view of its own.
        healthy=each("HealthyHostCount", "Minimum"),
        unhealthy=each("UnHealthyHostCount", "Minimum"),
    )


# When -----------------------------------------------------------------------------------------------------------------


def point_seconds(start: datetime, end: datetime, now: datetime) -> int:
    """The shortest points that are still kept of that time, and are not too many."""
    for seconds, kept in _KEPT.items():
        if now - start < kept and end - start <= timedelta(seconds=seconds * _MOST_POINTS):
            return seconds
    return 3600


def _floor(at: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // seconds * seconds, UTC)


@dataclass(frozen=True, kw_only=True)
class _Window:
    """The periods, and the time around them that begins and ends with a point.

    Points begin at the start that is asked for (boto3#3457), which CloudWatch rounds down to where those do that it
    has kept; from another start, one for the whole window would become two.
    """

    periods: Sequence[Period]
    start: datetime
    end: datetime
    seconds: int

    @classmethod
    def over(cls, periods: Sequence[Period], now: datetime) -> _Window:
        start, end = periods[0].start, periods[-1].end
        seconds = point_seconds(start, end, now)
        last = timedelta(seconds=seconds, microseconds=-1)
        return cls(periods=periods, start=_floor(start, seconds), end=_floor(end + last, seconds), seconds=seconds)

    def number(self, at: datetime) -> int | None:
        """The period that a point is wholly within."""
        until = at + timedelta(seconds=self.seconds)
        found = (n for n, period in enumerate(self.periods) if period.start <= at and until <= period.end)
        return next(found, None)


# What there is --------------------------------------------------------------------------------------------------------


def _ask(cloudwatch: Any, series: Iterable[_Series], window: _Window) -> dict[_Series, dict[datetime, float]]:
    """Each series' points. Those without traffic are not there."""
    distinct = list(dict.fromkeys(series))
    found: dict[_Series, dict[datetime, float]] = {each: {} for each in distinct}
    status = {}
    for start in range(0, len(distinct), _MOST_SERIES):
        batch = {f"m{n}": each for n, each in enumerate(distinct[start : start + _MOST_SERIES])}
        pages = cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[_query(name, each, window) for name, each in batch.items()],
            StartTime=window.start,
            EndTime=window.end,
        )
        for result in chain.from_iterable(page["MetricDataResults"] for page in pages):
            each = batch[result["Id"]]
            status[each] = result["StatusCode"]
            times = (at.astimezone(UTC) for at in result["Timestamps"])
            found[each].update(zip(times, result["Values"], strict=True))
    # On any page but the last, a part of the data is as it should be.
    for each, code in status.items():
        if code != "Complete":
            raise CloudWatchError(f"CloudWatch has only a part of {each.namespace}/{each.name} ({code}): try again")
    return found


def _query(name: str, series: _Series, window: _Window) -> dict[str, Any]:
    whole = round((window.end - window.start).total_seconds())
    metric = {
        "Namespace": series.namespace,
        "MetricName": series.name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in series.dimensions],
    }
    stat = {"Metric": metric, "Period": whole if series.is_whole else window.seconds, "Stat": series.statistic}
    return {"Id": name, "MetricStat": stat}


@dataclass(frozen=True, kw_only=True)
class _Found:
    window: _Window
    points: Mapping[_Series, Mapping[datetime, float]]

    def added(self, series: Iterable[_Series]) -> dict[tuple[int, datetime], float]:
        """These together, by period and beginning of each point."""
        total: dict[tuple[int, datetime], float] = defaultdict(float)
        for each in series:
            for at, value in self.points[each].items():
                number = self.window.number(at)
                if number is not None:
                    total[number, at] += value
        return total

    def count(self, series: _Series) -> int:
        return round(sum(self.added([series]).values()))

    def sums(self, asked: _Asked) -> Iterator[tuple[tuple[int, datetime], dict[str, Sums]]]:
        """Each point at which there was something, in their order."""
        ratios = {metric: (self.added(n), self.added(y)) for metric, (n, y) in asked.ratios.items()}
        for point in sorted({point for pair in ratios.values() for side in pair for point in side}):
            yield point, {metric: Sums(n=n.get(point, 0), y=y.get(point, 0)) for metric, (n, y) in ratios.items()}

    def quantiles(self, asked: _Asked) -> dict[float, float]:
        values = {
            position: [value for each in series for value in self.points[each].values()]
            for position, series in asked.quantiles.items()
        }
        return {position: found[0] for position, found in values.items() if len(found) == 1}

    def targets(self, asked: _Asked) -> Targets | None:
        healthy, unhealthy = self.added(asked.healthy), self.added(asked.unhealthy)
        if not healthy:
            return None
        return Targets(
            fewest_healthy=round(min(healthy.values())), most_unhealthy=round(max(unhealthy.values(), default=0))
        )

    def traffic(self, asked: Iterable[_Asked]) -> tuple[datetime, datetime] | None:
        """From the first point with requests to the end of the last one."""
        times = [at for each in asked for _, at in self.added(each.ratios[ERRORS][0])]
        return (min(times), max(times) + timedelta(seconds=self.window.seconds)) if times else None
