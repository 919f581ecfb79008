"""Alarms and the dashboard: what goes off when, what they look at, and what a shift leaves alone.

No embedded AWS evaluates metric math, so a small evaluator stands in, with the rules of the CloudWatch guide ("Using
metric math", "Configuring how CloudWatch alarms treat missing data").
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from abtest.experiment.types import Alarms
from abtest.local import Deployment, Resource
from abtest.local.clients import Clients, Inputs
from abtest.local.resources import create
from abtest.stack.alarms import Watch, of_load_balancer, of_variant
from abtest.stack.dashboard import _console, dashboard_name
from tests.configs import ROOT, VARIANT, config
from tests.deployed import deploy

# Metric math ------------------------------------------------------------------------------------------------------

#: Window -> value; a window without a value is missing.
Series = dict[int, float]
Value = Series | float


class Evaluator:
    """An expression over series. ``fills_nothing``: whether FILL also fills a series that has no value at all, which
    the guide leaves open.
    """

    def __init__(self, series: Mapping[str, Series], windows: int, *, fills_nothing: bool) -> None:
        self._series, self._windows, self._fills_nothing = series, range(windows), fills_nothing

    def of(self, expression: str) -> Series:
        value = self._value(ast.parse(expression, mode="eval").body)
        assert isinstance(value, dict)
        return value

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            assert isinstance(node.value, int | float)
            return node.value
        if isinstance(node, ast.Name):
            return self._series[node.id]
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        arguments = [self._value(argument) for argument in node.args]
        return self._fill(*arguments) if node.func.id == "FILL" else self._if(*arguments)

    def _fill(self, series: Value, value: Value) -> Series:
        assert isinstance(series, dict)
        assert not isinstance(value, dict)
        return {n: series.get(n, value) for n in self._windows} if series or self._fills_nothing else {}

    def _if(self, condition: Value, then: Value, otherwise: Value) -> Series:
        """A missing value is 0 where the condition holds, and drops the point where it does not."""
        assert isinstance(condition, dict)
        found = {}
        for n, holds in condition.items():
            if holds:
                found[n] = _at(then, n)
            elif not isinstance(otherwise, dict) or n in otherwise:
                found[n] = _at(otherwise, n)
        return found

    def _arithmetic(self, node: ast.BinOp) -> Series:
        """A missing value is 0; a division by zero drops the point."""
        left, right = self._value(node.left), self._value(node.right)
        points = {n for side in (left, right) if isinstance(side, dict) for n in side}
        if isinstance(node.op, ast.Add):
            return {n: _at(left, n) + _at(right, n) for n in points}
        assert isinstance(node.op, ast.Div)
        return {n: _at(left, n) / _at(right, n) for n in points if _at(right, n)}

    def _comparison(self, node: ast.Compare) -> Series:
        left = self._value(node.left)
        (bound,) = node.comparators
        assert isinstance(node.ops[0], ast.GtE)
        assert isinstance(left, dict)
        return {n: float(value >= _at(self._value(bound), n)) for n, value in left.items()}


def _at(value: Value, n: int) -> float:
    return value.get(n, 0) if isinstance(value, dict) else value


def goes_off(watch: Watch, counts: Mapping[str, Sequence[float | None]], *, fills_nothing: bool) -> bool:
    """Whether the alarm is in ALARM after these values (None: no data), of which the last are the newest."""
    windows = max(map(len, counts.values()))
    series = {name: {n: v for n, v in enumerate(counts[name]) if v is not None} for name in watch.metrics}
    found = Evaluator(series, windows, fills_nothing=fills_nothing).of(watch.expression)
    # The newest points that are there; missing ones are within the limit (notBreaching).
    newest = [value for _, value in sorted(found.items())][-watch.windows :]
    is_beyond: Callable[[float], bool] = {
        "GreaterThanThreshold": lambda value: value > watch.limit,
        "LessThanOrEqualToThreshold": lambda value: value <= watch.limit,
    }[watch.beyond]
    return sum(map(is_beyond, newest)) >= watch.breaching


@pytest.fixture(params=[True, False], ids=["FILL fills nothing", "FILL leaves nothing"])
def alarm(request: pytest.FixtureRequest) -> Callable[..., bool]:
    """Whether an alarm of variant b, or "load balancer", goes off with these values of its metrics."""

    def found(name: str, **counts: Sequence[float | None]) -> bool:
        return goes_off(WATCHES[name], counts, fills_nothing=request.param)

    return found


LIMITS = Alarms(max_error_rate=0.01, max_p99_seconds=0.5, min_requests=100)
WATCHES = {
    **{watch.name: watch for watch in of_variant("b", LIMITS, has_share=True)},
    "function": of_variant("b", LIMITS, has_share=True, is_function=True)[0],
    "load balancer": of_load_balancer(LIMITS),
}

# What goes off -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WATCHES)
@pytest.mark.parametrize("fills_nothing", [True, False])
def test_no_alarm_goes_off_for_want_of_requests(name: str, fills_nothing: bool) -> None:  # noqa: FBT001
    watch = WATCHES[name]
    for silence in ([None] * 5, [0] * 5, [None, 0, None, None, 0]):
        assert not goes_off(watch, dict.fromkeys(watch.metrics, silence), fills_nothing=fills_nothing)


def test_failures_of_more_than_the_allowed_share_set_it_off(alarm: Callable[..., bool]) -> None:
    assert alarm("errors", requests=[1000] * 3, errors=[11] * 3)
    assert not alarm("errors", requests=[1000] * 3, errors=[10] * 3)
    assert not alarm("errors", requests=[1000] * 3, errors=[None] * 3)


def test_what_a_function_fails_with_counts_beside_what_it_answers(alarm: Callable[..., bool]) -> None:
    assert alarm("function", requests=[1000] * 3, errors=[5] * 3, failed=[6] * 3)
    assert alarm("function", requests=[1000] * 3, errors=[None] * 3, failed=[11] * 3)
    assert not alarm("function", requests=[1000] * 3, errors=[5] * 3, failed=[5] * 3)


def test_two_failures_of_three_requests_do_not(alarm: Callable[..., bool]) -> None:
    assert not alarm("errors", requests=[3] * 5, errors=[2] * 5)
    assert not alarm("latency", requests=[3] * 5, seconds=[9.0] * 5)
    assert not alarm("load balancer", requests=[3] * 5, errors=[2] * 5)


def test_the_sample_is_judged_from_its_first_size_on(alarm: Callable[..., bool]) -> None:
    assert alarm("errors", requests=[100] * 3, errors=[2] * 3)
    assert not alarm("errors", requests=[99] * 3, errors=[99] * 3)


def test_one_bad_window_is_none_and_two_of_three_are_enough(alarm: Callable[..., bool]) -> None:
    assert not alarm("errors", requests=[500] * 5, errors=[None, None, None, 50, None])
    assert alarm("errors", requests=[500] * 5, errors=[None, None, 50, None, 50])


def test_a_newest_window_without_data_hides_nothing(alarm: Callable[..., bool]) -> None:
    assert alarm("errors", requests=[500, 500, 500, None], errors=[50, 50, 50, None])


def test_an_alarm_is_over_when_the_requests_stop(alarm: Callable[..., bool]) -> None:
    assert not alarm("errors", requests=[500, 500, 500, None, None], errors=[50, 50, 50, None, None])
    assert not alarm("latency", requests=[500, 500, 500, None, None], seconds=[2, 2, 2, None, None])


def test_slow_answers_set_it_off(alarm: Callable[..., bool]) -> None:
    assert alarm("latency", requests=[500] * 3, seconds=[0.51] * 3)
    assert not alarm("latency", requests=[500] * 3, seconds=[0.5] * 3)
    assert not alarm("latency", requests=[500] * 3, seconds=[None] * 3)


def test_an_unhealthy_target_sets_it_off(alarm: Callable[..., bool]) -> None:
    assert alarm("unhealthy", hosts=[0, 1])
    assert not alarm("unhealthy", hosts=[1, 0])


def test_the_load_balancers_errors_count_where_no_target_was_chosen(alarm: Callable[..., bool]) -> None:
    """An empty group answers 503, which is in no RequestCount."""
    assert alarm("load balancer", requests=[None] * 3, errors=[500] * 3)
    assert alarm("load balancer", requests=[1000] * 3, errors=[20] * 3)
    assert not alarm("load balancer", requests=[1000] * 3, errors=[10] * 3)


def test_a_variant_without_traffic_sets_it_off_where_there_is_traffic(alarm: Callable[..., bool]) -> None:
    assert alarm("no-traffic", own=[None, None], total=[5000, 1000])
    assert alarm("no-traffic", own=[40, None], total=[5000, 1000])
    assert not alarm("no-traffic", own=[None, 1], total=[5000, 5000])
    assert not alarm("no-traffic", own=[None, None], total=[5000, 999])


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.floats(0, 1e6)), min_size=1, max_size=6),
    st.booleans(),
)
def test_a_small_sample_is_never_judged(windows: list[tuple[int, int, float]], fills_nothing: bool) -> None:  # noqa: FBT001
    requests, errors, seconds = (list(column) for column in zip(*windows, strict=True))
    counts: dict[str, list[Any]] = {"requests": requests, "errors": errors, "seconds": seconds}
    for name in ("errors", "latency"):
        assert not goes_off(WATCHES[name], counts, fills_nothing=fills_nothing)


# What is deployed --------------------------------------------------------------------------------------------------


def alarms(deployment: Deployment) -> dict[str, Resource]:
    return deployment.of_type(":MetricAlarm")


def dashboard(deployment: Deployment) -> Resource:
    return deployment.of_type("dashboard:Dashboard")["abtest"]


def groups(alarm: Mapping[str, Any]) -> set[str]:
    """The target groups that a described alarm looks at."""
    stats = [query["MetricStat"] for query in alarm["Metrics"] if "MetricStat" in query]
    return {d["Value"] for stat in stats for d in stat["Metric"]["Dimensions"] if d["Name"] == "TargetGroup"}


def changed(before: Deployment, after: Deployment) -> set[str]:
    """Names of what is there on one side alone, or differs."""
    was, now = ({r.urn: r for r in deployment.resources} for deployment in (before, after))
    return {urn.split("::")[-1] for urn in was.keys() | now.keys() if was.get(urn) != now.get(urn)}


def test_prod_has_four_alarms_a_variant_and_one_of_the_load_balancer(prod: Deployment) -> None:
    kinds = ("errors", "latency", "no-traffic", "unhealthy")
    assert set(alarms(prod)) == {"abtest-errors", *(f"abtest-{v}-{kind}" for v in "ab" for kind in kinds)}


def test_the_embedded_aws_takes_them_and_tells_what_they_look_at(prod: Deployment) -> None:
    with mock_aws():
        aws = Clients("us-east-1")
        for made in [*alarms(prod).values(), dashboard(prod)]:
            create(aws, made.type, made.name, Inputs(made.type, dict(made.inputs)), {})
        described = aws.cloudwatch.describe_alarms()["MetricAlarms"]
        assert len(aws.cloudwatch.list_dashboards()["DashboardEntries"]) == 1
    arns = {name: arn.split(":")[-1] for name, arn in prod.outputs["target_group_arns"].items()}
    assert len(described) == 9
    for found in described:
        variant = found["AlarmName"].split("-")[1]
        assert groups(found) == ({arns[variant]} if variant in arns else set())
        assert found["TreatMissingData"] == "notBreaching"
        assert [query["ReturnData"] for query in found["Metrics"]].count(True) == 1
        assert len({query["MetricStat"]["Period"] for query in found["Metrics"] if "MetricStat" in query}) == 1


def test_no_traffic_is_measured_against_the_whole_load_balancer(prod: Deployment) -> None:
    queries = {query["id"]: query for query in alarms(prod)["abtest-b-no-traffic"].inputs["metricQueries"]}
    assert set(queries["total"]["metric"]["dimensions"]) == {"LoadBalancer"}
    assert set(queries["own"]["metric"]["dimensions"]) == {"LoadBalancer", "TargetGroup"}


def test_each_tells_the_topic_when_it_begins_and_when_it_is_over(prod: Deployment) -> None:
    for alarm in alarms(prod).values():
        assert alarm.inputs["alarmActions"] == alarm.inputs["okActions"]
        assert alarm.inputs["alarmActions"] == ["arn:aws:sns:us-east-1:123456789012:on-call"]
    assert all("alarmActions" not in alarm.inputs for alarm in alarms(deploy(config(alarms={}))).values())


def test_each_tells_its_experiment_and_variant_and_has_its_component_as_parent(prod: Deployment) -> None:
    for name, alarm in alarms(prod).items():
        assert alarm.inputs["tags"]["abtest:experiment"] == "ranker-2026-11"
        assert alarm.inputs["tags"].get("abtest:variant") == (None if name == "abtest-errors" else name.split("-")[1])
        assert alarm.parent.endswith("abtest:stack:Alarms::abtest")
        assert "name" not in alarm.inputs


@pytest.mark.parametrize("said", ["my.models-dev", "models-dev"])
def test_the_dashboards_name_has_only_what_cloudwatch_takes(said: str) -> None:
    """API PutDashboard."""
    assert dashboard_name(said) == said.replace(".", "-")


def test_none_is_made_before_the_listener_is_updated(prod: Deployment) -> None:
    """The guard may refuse that update."""
    listener = prod.of_type(":Listener")["listener-443"].urn
    assert all(listener in alarm.depends_on for alarm in alarms(prod).values())


def test_without_the_key_there_is_nothing_and_with_it_nothing_else_changes(dev: Deployment) -> None:
    assert not [r for r in dev.resources if "cloudwatch" in r.type]
    assert "dashboard_url" not in dev.outputs
    before, after = deploy(config()), deploy(config(alarms={}))
    added = {r.name for r in after.resources if "cloudwatch" in r.type}
    assert len(added) == 10
    assert changed(before, after) == added


def test_without_the_key_the_program_loads_nothing_of_cloudwatch() -> None:
    code = "import sys, abtest.stack; print('pulumi_aws.cloudwatch.metric_alarm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_shift_leaves_every_alarm_and_the_dashboard_alone() -> None:
    before, after = (deploy(config(weights={"a": 100 - b, "b": b}, alarms={})) for b in (10, 25))
    assert changed(before, after) == {"listener-80"}


def test_a_share_that_begins_or_ends_takes_one_alarm_along() -> None:
    """A variant without a share has no traffic: that must be no reason to refuse it one."""
    warm, live = (deploy(config(weights={"a": 100 - b, "b": b}, alarms={})) for b in (0, 10))
    assert changed(warm, live) == {"listener-80", "abtest-b-no-traffic"}
    assert "abtest-b-no-traffic" not in alarms(warm)


def test_an_alarm_for_no_traffic_starts_when_no_window_from_before_the_share_counts() -> None:
    (watch,) = (watch for watch in WATCHES.values() if watch.name == "no-traffic")
    assert watch.warm_up_minutes is not None
    assert watch.warm_up_minutes * 60 >= 2 * watch.window * watch.windows
    made = alarms(deploy(config(alarms={})))["abtest-b-no-traffic"].inputs["warmUpConfiguration"]
    assert made == {"warmUpPeriodDurationInMinutes": 30, "onlyStartEvaluatingAfterWarmUpPeriodEnds": True}


def test_a_new_experiment_changes_tags_alone() -> None:
    before, after = (deploy(config(experiment=name, alarms={})) for name in ("ranker", "next"))
    for was, now in zip(before.resources, after.resources, strict=True):
        if "cloudwatch" in was.type:
            assert was.urn == now.urn
            assert {k: v for k, v in was.inputs.items() if k != "tags"} == {
                k: v for k, v in now.inputs.items() if k != "tags"
            }
            assert "ranker" not in was.name


# The dashboard -----------------------------------------------------------------------------------------------------


def widgets(deployment: Deployment) -> list[dict[str, Any]]:
    """The graphs of the dashboard."""
    found = json.loads(dashboard(deployment).inputs["dashboardBody"])["widgets"]
    return [widget for widget in found if widget["type"] == "metric"]


def test_the_dashboard_has_the_variants_side_by_side(prod: Deployment) -> None:
    titles = [graph["properties"]["title"] for graph in widgets(prod)]
    assert titles == [
        "requests in five minutes",
        "share of the requests, %",
        "requests that fail with a 5xx, %",
        "healthy targets",
        "response time p50, s",
        "response time p90, s",
        "response time p99, s",
    ]
    for graph in widgets(prod):
        shown = [line[-1] for line in graph["properties"]["metrics"] if line[-1].get("visible", True)]
        assert [line["label"] for line in shown] == ["a", "b"]
        assert len({line["color"] for line in shown}) == 2


def test_a_graph_is_as_cloudwatch_wants_it() -> None:
    """API, "Dashboard Body Structure and Syntax"; an id has no hyphen and begins with a small letter."""
    names = {"v-1": VARIANT, "2-v": VARIANT}
    for graph in widgets(deploy(config(variants=names, weights=dict.fromkeys(names, 1), alarms={}))):
        lines = graph["properties"]["metrics"]
        ids = [line[-1]["id"] for line in lines]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch("[a-z][a-zA-Z0-9_]*", key) for key in ids)
        for line in lines:
            assert (len(line) == 1) == ("expression" in line[-1])
            used = set(re.findall(r"\b[a-z]\d+", line[-1].get("expression", "")))
            assert used <= set(ids)
        assert graph["properties"]["region"] == "us-east-1"


def test_the_limits_are_drawn_where_they_hold(prod: Deployment) -> None:
    drawn = {
        graph["properties"]["title"]: graph["properties"]["annotations"]["horizontal"][0]["value"]
        for graph in widgets(prod)
        if "annotations" in graph["properties"]
    }
    assert drawn == {"requests that fail with a 5xx, %": 1.0, "response time p99, s": 0.5}


def test_the_dashboard_has_the_load_balancers_name_and_an_address(prod: Deployment) -> None:
    name = prod.described["LoadBalancers"][0]["LoadBalancerName"]
    assert prod.outputs["dashboard_url"] == (
        f"https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards/dashboard/{name}"
    )


@pytest.mark.parametrize(
    ("arn", "console"),
    [
        ("arn:aws:elasticloadbalancing:eu-west-1:1:x", "eu-west-1.console.aws.amazon.com"),
        ("arn:aws-cn:elasticloadbalancing:cn-north-1:1:x", "cn-north-1.console.amazonaws.cn"),
        ("arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:1:x", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_each_partition_has_a_console_of_its_own(arn: str, console: str) -> None:
    assert _console(arn) == console
