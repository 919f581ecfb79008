"""Alarms: what could never go off, or would go off for nothing."""

from __future__ import annotations

import math

from abtest.experiment.checks.values import elsewhere
from abtest.experiment.problems import Report
from abtest.experiment.types import Alarms, Experiment

__all__ = ["check_alarms"]


def check_alarms(experiment: Experiment, report: Report, region: str | None) -> None:
    alarms = experiment.alarms
    if alarms is None:
        return
    _check_sample(alarms, report)
    _check_time(alarms, experiment.idle_timeout_seconds, report)
    topic, path = alarms.sns_topic_arn, ("alarms", "snsTopicArn")
    if topic is not None and (there := elsewhere(topic, region, report, path)):
        report.error(
            path,
            f"the topic is in {there}, the stack in {region}; an alarm only notifies topics of its own region "
            "(CloudWatch API PutMetricAlarm)",
        )


def _check_sample(alarms: Alarms, report: Report) -> None:
    rate, requests = alarms.max_error_rate, alarms.min_requests
    if rate and requests * rate < 1 and not report.holds_broken(("alarms",)):
        report.warning(
            ("alarms", "minRequests"),
            f"of {requests} requests a single failed one is {100 / requests:g} %, over maxErrorRate {rate:g}; "
            f"take {math.ceil(1 / rate)} or more",
        )


def _check_time(alarms: Alarms, idle_timeout: int, report: Report) -> None:
    if alarms.max_p99_seconds >= idle_timeout and not report.is_broken(("idleTimeoutSeconds",)):
        report.warning(
            ("alarms", "maxP99Seconds"),
            f"{alarms.max_p99_seconds:g} s is not below idleTimeoutSeconds {idle_timeout}, so the load balancer gives "
            "up on a request (504) before the alarm counts it as slow; lower it or raise idleTimeoutSeconds",
        )
