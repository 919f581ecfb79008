"""CloudWatch as a source: on moto, and on answers that moto does not give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.cloudwatch.models import Statistics, cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from abtest.readout.cloudwatch import ALL_ROUTES, CloudWatchError, point_seconds, read_cloudwatch
from abtest.readout.periods import Period
from abtest.readout.question import Question
from abtest.readout.sums import Sums
from abtest.readout.table import ERRORS, LATENCY, Lines, Table, Targets, slower_than
from abtest.rollout import session
from abtest.rollout.session import AwsError
from tests.configs import source
from tests.readout.log_lines import OURS, group

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: An hour that CloudWatch still has by the minute.
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 3 * HOUR
GROUPS = {"a": [group("a")], "b": [group("b")]}


def period(start: datetime = START, end: datetime = START + HOUR) -> Period:
    return Period(start=start, end=end, weights={"a": 50, "b": 50}, stickiness_seconds=0, earlier_stickiness=0)


def question(*periods: Period, step_seconds: int = 3600, limits: Sequence[float] = ()) -> Question:
    return Question(periods=periods or (period(),), variants={}, step_seconds=step_seconds, slower_than=limits)


def read(
    cloudwatch: Any,
    asked: Question | None = None,
    groups: Mapping[str, Sequence[str]] = GROUPS,
    custom: Sequence[str] = (),
) -> Table:
    return read_cloudwatch(cloudwatch, asked or question(), load_balancer=OURS, groups=groups, custom=custom)


def of_all(table: Table, metric: str, variant: str = "a", number: int = 0) -> Sums:
    return table.cells[number, ALL_ROUTES, variant][metric]


def _more_statistics(self: Statistics, statistic: str, known: Any = Statistics.get_statistics_for_type) -> Any:
    """As moto, and quantiles and trimmed counts too, which it does not know."""
    values = sorted(self.metric_single_values_list)
    if statistic.startswith("p"):
        return values[ceil(float(statistic[1:]) / 100 * len(values)) - 1]
    if statistic.startswith("TC("):
        return sum(value > float(statistic[3:-2]) for value in values)
    return known(self, statistic)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("cloudwatch", region_name="us-east-1")
        yield client
        client.close()


@pytest.fixture
def cloudwatch(client: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a CloudWatch that has nothing yet."""
    monkeypatch.setattr(Statistics, "get_statistics_for_type", _more_statistics)
    cloudwatch_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].reset()
    return client


def put(cloudwatch: Any, name: str, *values: float, at: datetime = START, arn: str | None = group("a")) -> None:
    """Values of the load balancer's metric, in the minute that begins then."""
    dimensions = {"LoadBalancer": OURS} | ({"TargetGroup": arn.rpartition(":")[2]} if arn else {})
    put_own(cloudwatch, "AWS/ApplicationELB", name, dimensions, *values, at=at)


def put_own(
    cloudwatch: Any, namespace: str, name: str, dimensions: Mapping[str, str], *values: float, at: datetime = START
) -> None:
    of = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    data = [{"MetricName": name, "Dimensions": of, "Timestamp": at, "Value": value} for value in values]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


# Figures --------------------------------------------------------------------------------------------------------------


def test_requests_errors_and_times_are_those_of_the_variants_target_group(cloudwatch: Any) -> None:
    put(cloudwatch, "RequestCount", 30, 20)
    put(cloudwatch, "HTTPCode_Target_5XX_Count", 2)
    put(cloudwatch, "TargetResponseTime", 0.25, 0.5, 1)
    put(cloudwatch, "RequestCount", 7, arn=group("b"))
    table = read(cloudwatch, question(limits=[0.5]))
    assert of_all(table, ERRORS) == Sums(units=0, n=50, y=2)
    assert of_all(table, LATENCY) == Sums(n=3, y=1.75)
    assert of_all(table, slower_than(0.5)) == Sums(n=3, y=1)
    assert of_all(table, ERRORS, "b") == Sums(n=7, y=0)
    assert table.lines == Lines()
    assert table.first_seen == {}, "without clients nothing is known of their choices"


def test_another_load_balancers_metrics_are_not_taken(cloudwatch: Any) -> None:
    put_own(
        cloudwatch,
        "AWS/ApplicationELB",
        "RequestCount",
        {"LoadBalancer": "app/other/1", "TargetGroup": group("a").rpartition(":")[2]},
        5,
    )
    assert read(cloudwatch).cells == {}


def test_a_variant_whose_group_was_replaced_has_what_both_groups_had(cloudwatch: Any) -> None:
    put(cloudwatch, "RequestCount", 10)
    put(cloudwatch, "RequestCount", 5, arn=group("a", "older"))
    both = {"a": [group("a"), group("a", "older")]}
    assert of_all(read(cloudwatch, groups=both), ERRORS).n == 15


def test_quantiles_are_those_of_the_whole_window(cloudwatch: Any) -> None:
    for minute, seconds in enumerate([0.1] * 50 + [0.2] * 9 + [3.0]):
        put(cloudwatch, "TargetResponseTime", seconds, at=START + minute * MINUTE)
    assert read(cloudwatch).described == {"a": {0.5: 0.1, 0.9: 0.2, 0.99: 3.0}}


def test_quantiles_of_two_groups_are_not_put_together(cloudwatch: Any) -> None:
    both = {"a": [group("a"), group("a", "older")]}
    put(cloudwatch, "TargetResponseTime", 0.1)
    assert read(cloudwatch, groups=both).described["a"][0.5] == 0.1
    put(cloudwatch, "TargetResponseTime", 0.4, arn=group("a", "older"))
    assert read(cloudwatch, groups=both).described == {}


def test_the_load_balancers_own_errors_belong_to_no_variant(cloudwatch: Any) -> None:
    put(cloudwatch, "HTTPCode_ELB_502_Count", 3, arn=None)
    put(cloudwatch, "HTTPCode_ELB_504_Count", 1, arn=None, at=START + 5 * MINUTE)
    table = read(cloudwatch)
    assert table.unattributed == {502: 3, 504: 1}
    assert table.cells == {}


def test_targets_are_as_at_their_worst(cloudwatch: Any) -> None:
    for minute, (healthy, unhealthy) in enumerate([(2, 0), (1, 1), (2, 0)]):
        put(cloudwatch, "HealthyHostCount", healthy, at=START + minute * MINUTE)
        put(cloudwatch, "UnHealthyHostCount", unhealthy, at=START + minute * MINUTE)
    put(cloudwatch, "UnHealthyHostCount", 0, 2, at=START + 9 * MINUTE)  # what all nodes agree on counts
    assert read(cloudwatch).targets == {"a": Targets(fewest_healthy=1, most_unhealthy=1)}


def test_custom_metrics_are_the_mean_of_what_was_put_for_a_variant(cloudwatch: Any) -> None:
    put_own(cloudwatch, "Shop/Ranker", "Clicks", {"Variant": "a"}, 1, 0, 0)
    put_own(cloudwatch, "Shop/Ranker", "Clicks", {"Variant": "b"}, 1, 1)
    put_own(cloudwatch, "Shop/Ranker", "Clicks", {"Variant": "b", "Page": "home"}, 1)
    table = read(cloudwatch, custom=["Shop/Ranker/Clicks"])
    assert of_all(table, "Shop/Ranker/Clicks", "a") == Sums(n=3, y=1)
    assert of_all(table, "Shop/Ranker/Clicks", "b") == Sums(n=2, y=2)
    assert table.window is None, "there was no request"


@pytest.mark.parametrize("text", ["Clicks", "/Clicks", "Ranker/"])
def test_a_custom_metric_without_namespace_or_name_is_refused(cloudwatch: Any, text: str) -> None:
    with pytest.raises(CloudWatchError, match=f"{text}: expected a metric as NAMESPACE/NAME"):
        read(cloudwatch, custom=[text])


# Time -----------------------------------------------------------------------------------------------------------------


def test_steps_are_apart_and_so_far_grows_within_its_period(cloudwatch: Any) -> None:
    for minutes, requests in ((0, 4), (20, 1), (40, 2), (61, 8)):
        put(cloudwatch, "RequestCount", requests, at=START + minutes * MINUTE)
    put(cloudwatch, "TargetResponseTime", 0.5, at=START)
    asked = question(period(), period(START + HOUR, START + 2 * HOUR), step_seconds=1800)
    table = read(cloudwatch, asked)
    keys = [(0, ALL_ROUTES, "a", START), (0, ALL_ROUTES, "a", START + 30 * MINUTE), (1, ALL_ROUTES, "a", START + HOUR)]
    assert [(key, sums[ERRORS].n) for key, sums in table.steps.items()] == list(zip(keys, [5, 2, 8], strict=True))
    assert [(key, sums[ERRORS].n) for key, sums in table.so_far.items()] == list(zip(keys, [5, 7, 8], strict=True))
    assert table.so_far[keys[1]][LATENCY] == Sums(n=1, y=0.5), "what grew by nothing in a step stays"
    assert [of_all(table, ERRORS, number=number).n for number in (0, 1)] == [7, 8]
    assert table.window == (START, START + 62 * MINUTE)


def test_a_minute_in_which_the_split_changed_counts_for_no_split(cloudwatch: Any) -> None:
    seconds = timedelta(seconds=20)
    for minutes in range(4):
        put(cloudwatch, "RequestCount", 10**minutes, at=START + minutes * MINUTE)
        put(cloudwatch, "HTTPCode_ELB_503_Count", 10**minutes, at=START + minutes * MINUTE, arn=None)
    changed = START + 2 * MINUTE + seconds
    table = read(cloudwatch, question(period(START + seconds, changed - seconds), period(changed, START + 5 * MINUTE)))
    assert [of_all(table, ERRORS, number=number).n for number in (0, 1)] == [10, 1000]
    assert table.unattributed == {503: 1010}


def test_without_a_period_nothing_is_asked() -> None:
    asked = Question(periods=(), variants={})
    assert read_cloudwatch(None, asked, load_balancer=OURS, groups=GROUPS) == Table(lines=Lines())


def test_points_are_the_shortest_that_are_kept_and_are_not_too_many() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def seconds(ago: timedelta, length: timedelta) -> int:
        return point_seconds(now - ago, now - ago + length, now)

    assert seconds(DAY, DAY) == 60
    assert seconds(14 * DAY, DAY) == 60
    assert seconds(15 * DAY, HOUR) == 300
    assert seconds(2 * DAY, 2 * DAY) == 300
    assert seconds(62 * DAY, 5 * DAY) == 300
    assert seconds(62 * DAY, 6 * DAY) == 3600
    assert seconds(63 * DAY, HOUR) == 3600


# How it is asked ------------------------------------------------------------------------------------------------------


@contextmanager
def answering(cloudwatch: Any, *answers: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """These answers to what is asked, which is yielded."""
    calls = asked_of(cloudwatch)
    with Stubber(cloudwatch) as stubber:
        for answer in answers:
            stubber.add_response("get_metric_data", answer)
        yield calls
        stubber.assert_no_pending_responses()


def asked_of(cloudwatch: Any) -> list[dict[str, Any]]:
    """What is asked of the client from now on."""
    calls: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        calls.append(params)

    cloudwatch.meta.events.register("provide-client-params.cloudwatch.GetMetricData", note)
    return calls


def requests_of_a(cloudwatch: Any, *values: float, first: int = 0, status: str = "Complete") -> dict[str, Any]:
    """A result for a's requests, under the id by which they are asked for."""
    with answering(cloudwatch, {"MetricDataResults": []}) as calls:
        read(cloudwatch)
    (number,) = (
        query["Id"]
        for query in calls[0]["MetricDataQueries"]
        if query["MetricStat"]["Metric"]["MetricName"] == "RequestCount"
        and {"Name": "TargetGroup", "Value": group("a").rpartition(":")[2]}
        in query["MetricStat"]["Metric"]["Dimensions"]
    )
    times = [START + (first + n) * MINUTE for n in range(len(values))]
    return {"Id": number, "StatusCode": status, "Timestamps": times, "Values": list(values)}


def test_every_page_is_read(cloudwatch: Any) -> None:
    first = requests_of_a(cloudwatch, 1, 2, status="PartialData")
    last = requests_of_a(cloudwatch, 4, first=2)
    pages = {"MetricDataResults": [first], "NextToken": "more"}, {"MetricDataResults": [last]}
    with answering(cloudwatch, *pages) as calls:
        table = read(cloudwatch)
    assert of_all(table, ERRORS).n == 7
    assert [call.get("NextToken") for call in calls] == [None, "more"]


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
def test_a_part_of_the_data_is_not_taken_for_all_of_it(cloudwatch: Any, status: str) -> None:
    part = requests_of_a(cloudwatch, 1, status=status)
    says = rf"only a part of AWS/ApplicationELB/RequestCount \({status}\): try again"
    with answering(cloudwatch, {"MetricDataResults": [part]}), pytest.raises(CloudWatchError, match=says):
        read(cloudwatch)


def test_no_call_asks_for_more_than_500_metrics(cloudwatch: Any) -> None:
    arns = [group("a", str(number)) for number in range(60)]
    for arn in arns:
        put(cloudwatch, "RequestCount", 1, arn=arn)
        put(cloudwatch, "HealthyHostCount", 2, arn=arn)
    calls = asked_of(cloudwatch)
    table = read(cloudwatch, question(period(end=START + 3 * MINUTE)), {"a": arns})
    assert [len(call["MetricDataQueries"]) for call in calls] == [500, 4 + 60 * 9 - 500]
    assert of_all(table, ERRORS).n == 60
    assert table.targets["a"].fewest_healthy == 120


def test_points_begin_where_cloudwatchs_do_and_quantiles_have_one(cloudwatch: Any) -> None:
    calls = asked_of(cloudwatch)
    read(cloudwatch)
    read(cloudwatch, question(period(START + timedelta(seconds=5), START + timedelta(minutes=90, seconds=1))))
    exact, call = calls
    assert (exact["StartTime"], exact["EndTime"]) == (START, START + HOUR)
    assert (call["StartTime"], call["EndTime"]) == (START, START + 91 * MINUTE)
    periods = {query["MetricStat"]["Stat"]: query["MetricStat"]["Period"] for query in call["MetricDataQueries"]}
    assert (periods["Sum"], periods["p50"], periods["p99"]) == (60, 91 * 60, 91 * 60)


def test_what_both_metrics_need_is_asked_for_once(cloudwatch: Any) -> None:
    calls = asked_of(cloudwatch)
    read(cloudwatch, question(limits=[0.5, 1]))
    queries = [str(query["MetricStat"]) for query in calls[0]["MetricDataQueries"]]
    assert len(queries) == len(set(queries))


def test_a_refusal_is_told_with_the_permission_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "-")
    said = "User: arn:aws:iam::123456789012:user/me is not authorized to perform: cloudwatch:GetMetricData"

    def refused() -> None:
        with (
            session.client(source({"aws:region": "us-east-1"}), "cloudwatch") as cloudwatch,
            Stubber(cloudwatch) as stubber,
        ):
            stubber.add_client_error("get_metric_data", "AccessDenied", said)
            read(cloudwatch)

    with pytest.raises(AwsError, match=f"^AWS does not allow GetMetricData; grant it, .*: {said}$"):
        refused()
