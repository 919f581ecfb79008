"""Which alarms belong to which variant, on a mocked CloudWatch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from abtest.rollout.alarms import Alarm, alarms_of

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
A, B, OTHER = (f"targetgroup/abtest-{name}/73e2d6bc24d8a067" for name in ("a", "b", "other"))
GROUPS = {"a": f"{ARN}:{A}", "b": f"{ARN}:{B}"}
BALANCER = "app/abtest/50dc6c495c0c9188"


@pytest.fixture
def cloudwatch() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("cloudwatch", region_name="us-east-1")
        yield client
        client.close()


def dimensions(group: str | None = None, balancer: str = BALANCER) -> list[dict[str, str]]:
    of_group = [{"Name": "TargetGroup", "Value": group}] if group else []
    return [*of_group, {"Name": "LoadBalancer", "Value": balancer}]


def put(cloudwatch: Any, name: str, *groups: str, **metric: Any) -> None:
    """An alarm on a metric; of several groups, on what metric math makes of them."""
    found = {"Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count"}
    if len(groups) > 1:
        stats = [
            {"Metric": {**found, "Dimensions": dimensions(group)}, "Period": 60, "Stat": "Sum"} for group in groups
        ]
        math = {"Id": "e", "Expression": "m0 - m1", "ReturnData": True}
        metric["Metrics"] = [
            math,
            *({"Id": f"m{n}", "MetricStat": stat, "ReturnData": False} for n, stat in enumerate(stats)),
        ]
    elif not metric:
        metric = {**found, "Period": 60, "Statistic": "Sum", "Dimensions": dimensions(*groups)}
    cloudwatch.put_metric_alarm(
        AlarmName=name, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", **metric
    )


def owners(cloudwatch: Any, balancer: str | None = BALANCER) -> list[tuple[str, str | None]]:
    return [(alarm.name, alarm.variant) for alarm in alarms_of(cloudwatch, GROUPS, balancer)]


def test_an_alarm_belongs_to_the_variant_whose_group_it_looks_at(cloudwatch: Any) -> None:
    put(cloudwatch, "of-a", A)
    put(cloudwatch, "of-b", B)
    put(cloudwatch, "of-another-stack", OTHER)
    assert owners(cloudwatch) == [("of-a", "a"), ("of-b", "b")]


def test_an_alarm_on_metric_math_belongs_to_every_variant_in_it(cloudwatch: Any) -> None:
    put(cloudwatch, "b-against-a", A, B)
    put(cloudwatch, "b-against-others", B, OTHER)
    assert owners(cloudwatch) == [("b-against-a", "a"), ("b-against-a", "b"), ("b-against-others", "b")]


def test_an_alarm_without_a_group_is_the_load_balancers(cloudwatch: Any) -> None:
    metric = {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "HTTPCode_ELB_5XX_Count",
        "Period": 60,
        "Statistic": "Sum",
    }
    put(cloudwatch, "own", Dimensions=dimensions(), **metric)
    put(cloudwatch, "foreign", Dimensions=dimensions(balancer="app/other/1"), **metric)
    put(cloudwatch, "of-nothing", **metric)
    assert owners(cloudwatch) == [("own", None)]
    assert owners(cloudwatch, None) == []


def test_an_alarm_has_its_state_and_cloudwatchs_reason(cloudwatch: Any) -> None:
    put(cloudwatch, "of-b", B)
    cloudwatch.set_alarm_state(AlarmName="of-b", StateValue="ALARM", StateReason="5 was over 1")
    assert alarms_of(cloudwatch, GROUPS, BALANCER) == (
        Alarm(name="of-b", variant="b", state="ALARM", reason="5 was over 1"),
    )


def test_metric_alarms_are_asked_for_page_by_page() -> None:
    client = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106 no secret
    first, second = ({"AlarmName": name, "StateValue": "OK", "Dimensions": dimensions(A)} for name in ("one", "two"))
    asked = {"AlarmTypes": ["MetricAlarm"]}
    with Stubber(client) as stub:
        stub.add_response("describe_alarms", {"MetricAlarms": [first], "NextToken": "more"}, asked)
        stub.add_response("describe_alarms", {"MetricAlarms": [second]}, {**asked, "NextToken": "more"})
        assert owners(client) == [("one", "a"), ("two", "a")]
    client.close()
