"""Alarms and the dashboard."""

from __future__ import annotations

from typing import Any

from abtest.local.clients import ACCOUNT, Clients, Inputs, tag_list
from abtest.local.resources.making import Created, Makers, physical_name

__all__ = ["MAKERS"]


def _metric_alarm(aws: Clients, name: str, inputs: Inputs) -> Created:
    alarm = physical_name(name)
    warm_up = inputs.take("warmUpConfiguration")
    aws.cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Metrics=[_metric_query(query) for query in inputs.take("metricQueries")],
        **inputs.some(
            AlarmDescription="alarmDescription",
            ComparisonOperator="comparisonOperator",
            Threshold="threshold",
            EvaluationPeriods="evaluationPeriods",
            DatapointsToAlarm="datapointsToAlarm",
            TreatMissingData="treatMissingData",
            AlarmActions="alarmActions",
            OKActions="okActions",
        ),
        **({"WarmUpConfiguration": _capitalized(warm_up)} if warm_up else {}),
        Tags=tag_list(inputs.take("tags")),
    )
    return alarm, {"arn": f"arn:{aws.partition}:cloudwatch:{aws.region}:{ACCOUNT}:alarm:{alarm}"}


def _metric_query(query: dict[str, Any]) -> dict[str, Any]:
    taken = Inputs(f"metric query {query['id']}", query)
    metric = taken.take("metric")
    made = taken.some(Id="id", Expression="expression", Label="label")
    made["ReturnData"] = taken.take("returnData", default=False)
    taken.finish()
    if metric:
        parts = Inputs(f"metric {query['id']}", metric)
        dimensions = [{"Name": name, "Value": value} for name, value in parts.take("dimensions").items()]
        made["MetricStat"] = {
            "Metric": {**parts.some(Namespace="namespace", MetricName="metricName"), "Dimensions": dimensions},
            **parts.some(Stat="stat", Period="period"),
        }
        parts.finish()
    return made


def _capitalized(values: dict[str, Any]) -> dict[str, Any]:
    return {key[0].upper() + key[1:]: value for key, value in values.items()}


def _dashboard(aws: Clients, _: str, inputs: Inputs) -> Created:
    name = inputs.take("dashboardName")
    aws.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=inputs.take("dashboardBody"))
    return name, {"dashboardArn": f"arn:{aws.partition}:cloudwatch::{ACCOUNT}:dashboard/{name}"}


MAKERS: Makers = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": _metric_alarm,
    "aws:cloudwatch/dashboard:Dashboard": _dashboard,
}
