"""CloudWatch alarms of the variants and of the load balancer.

The load balancer reports nothing where there is nothing to report (ALB guide, "CloudWatch metrics"). So an expression
fills gaps with 0 and judges no window that has too few requests, and a point that is missing all the same is fine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment import types as config
from abtest.stack.load_balancer import Front
from abtest.stack.tags import tags_of
from abtest.stack.variant import Variant

if TYPE_CHECKING:
    from pulumi_aws import cloudwatch

__all__ = ["NAMESPACE", "WINDOW", "Alarms", "Metric", "Watch", "of_load_balancer", "of_variant"]

TYPE = "abtest:stack:Alarms"

NAMESPACE = "AWS/ApplicationELB"

#: Seconds that are judged as one.
WINDOW = 300

#: A variant with 1 % of the requests gets none of so many once in 20,000 times. No alarm knows the share itself; below
#: 1 % of share there is none for this.
MANY_REQUESTS = 1000
LEAST_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What the load balancer counts for a target group, or for all of them."""

    name: str
    statistic: str = "Sum"
    of_all: bool = False


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What one alarm looks at: an expression over metrics by their ids. It goes off when ``breaching`` of the last
    ``windows`` are beyond the limit: not the newest alone, which may be incomplete, its gaps filled with 0 (CloudWatch
    guide, "Using metric math", FILL).
    """

    name: str
    says: str
    expression: str
    metrics: Mapping[str, Metric]
    beyond: Literal["GreaterThanThreshold", "LessThanOrEqualToThreshold"] = "GreaterThanThreshold"
    limit: float = 0
    window: int = WINDOW
    breaching: int = 2
    windows: int = 3
    warm_up_minutes: int | None = None


REQUESTS = Metric(name="RequestCount")


def of_variant(variant: str, limits: config.Alarms, *, has_share: bool, is_function: bool = False) -> tuple[Watch, ...]:
    """The alarms of a variant, which may have a share of the main split.

    None knows a weight, so that a shift stays one update of the listener. A share of 1 % that begins or ends makes or
    removes one alarm: a variant without a share has no traffic, and an alarm for that would keep it from gaining any.
    """
    errors, failed = {"errors": Metric(name="HTTPCode_Target_5XX_Count")}, "FILL(errors, 0)"
    if is_function:  # what a function fails with is no answer of its own: the load balancer says 502
        errors["failed"], failed = Metric(name="LambdaUserError"), "(FILL(errors, 0) + FILL(failed, 0))"
    always = (
        Watch(
            name="errors",
            says=f"{_percent(limits.max_error_rate)} of the requests to {variant} fail with a 5xx of its targets.",
            expression=f"IF(FILL(requests, 0) >= {limits.min_requests}, {failed} / requests, 0)",
            metrics={"requests": REQUESTS, **errors},
            limit=limits.max_error_rate,
        ),
        Watch(
            name="latency",
            says=f"More than 1 % of the requests to {variant} take longer than {limits.max_p99_seconds:g} s.",
            expression=f"IF(FILL(requests, 0) >= {limits.min_requests}, seconds, 0)",
            metrics={"requests": REQUESTS, "seconds": Metric(name="TargetResponseTime", statistic="p99")},
            limit=limits.max_p99_seconds,
        ),
        Watch(
            name="unhealthy",
            says=f"A target of {variant} is unhealthy for five minutes.",
            expression="FILL(hosts, 0)",
            # Each node of the load balancer has a view of its own; the least is what all agree on, all the time.
            metrics={"hosts": Metric(name="UnHealthyHostCount", statistic="Minimum")},
            breaching=1,
            windows=1,
        ),
    )
    return (*always, _no_traffic(variant)) if has_share else always


def _no_traffic(variant: str) -> Watch:
    """Of many requests to the load balancer, not one reaches the variant. The alarm is made when the share begins, and
    warms up until no window from before counts.
    """
    window = 3 * WINDOW
    return Watch(
        name="no-traffic",
        says=f"{variant} has a share of the main split, but got none of {MANY_REQUESTS} requests or more.",
        expression=f"IF(FILL(total, 0) >= {MANY_REQUESTS}, FILL(own, 0) / total, 1)",
        metrics={"own": REQUESTS, "total": Metric(name="RequestCount", of_all=True)},
        beyond="LessThanOrEqualToThreshold",
        window=window,
        breaching=1,
        windows=1,
        warm_up_minutes=2 * window // 60,
    )


def of_load_balancer(limits: config.Alarms) -> Watch:
    """The share of the load balancer's own errors. RequestCount leaves out what no target could be chosen for, such as
    the 503s of an empty group, so it alone would be no whole; a 502 or 504 is in both.
    """
    everything = "(FILL(requests, 0) + FILL(errors, 0))"
    return Watch(
        name="errors",
        says=f"{_percent(limits.max_error_rate)} of all requests fail with a 5xx of the load balancer itself.",
        expression=f"IF({everything} >= {limits.min_requests}, FILL(errors, 0) / {everything}, 0)",
        metrics={"requests": REQUESTS, "errors": Metric(name="HTTPCode_ELB_5XX_Count")},
        limit=limits.max_error_rate,
    )


def _percent(rate: float) -> str:
    return f"More than {100 * rate:g} %"


class Alarms(pulumi.ComponentResource):
    """The alarms of each variant, and one of the load balancer, if it is the stack's own: what happens on somebody
    else's is mostly not this stack's traffic. They come after the listener: where its update is refused, none is made.
    """

    def __init__(
        self,
        name: str,
        limits: config.Alarms,
        experiment: Experiment,
        load_balancer: Front,
        variants: Mapping[str, Variant],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        self._experiment, self._topics = experiment, [limits.sns_topic_arn] if limits.sns_topic_arn else None
        self._child = pulumi.ResourceOptions(parent=self, depends_on=list(after))
        self._all = {"LoadBalancer": load_balancer.arn_suffix}
        is_own = experiment.listener.arn is None
        if is_own:
            self._alarm(name, of_load_balancer(limits), self._all)
        for variant, component in variants.items():
            own = {**self._all, "TargetGroup": component.target_group.arn_suffix}
            has_share = experiment.weights.get(variant, 0) >= LEAST_SHARE * sum(experiment.weights.values())
            is_function = experiment.variants[variant].targets.is_function
            for watch in of_variant(variant, limits, has_share=has_share and is_own, is_function=is_function):
                self._alarm(f"{name}-{variant}", watch, own, variant)
        self.register_outputs({})

    def _alarm(self, name: str, watch: Watch, own: Mapping[str, pulumi.Input[str]], variant: str | None = None) -> None:
        result: cloudwatch.MetricAlarmMetricQueryArgsDict = {
            "id": "result",
            "expression": watch.expression,
            "label": watch.name,
            "return_data": True,
        }
        aws.cloudwatch.MetricAlarm(
            f"{name}-{watch.name}",
            alarm_description=watch.says,
            metric_queries=[result, *(self._metric(key, watch, own) for key in watch.metrics)],
            comparison_operator=watch.beyond,
            threshold=watch.limit,
            evaluation_periods=watch.windows,
            datapoints_to_alarm=watch.breaching,
            treat_missing_data="notBreaching",
            warm_up_configuration=_warm_up(watch.warm_up_minutes),
            alarm_actions=self._topics,
            ok_actions=self._topics,
            tags=tags_of(self._experiment, variant=variant),
            opts=self._child,
        )

    def _metric(
        self, key: str, watch: Watch, own: Mapping[str, pulumi.Input[str]]
    ) -> cloudwatch.MetricAlarmMetricQueryArgsDict:
        metric = watch.metrics[key]
        return {
            "id": key,
            "metric": {
                "namespace": NAMESPACE,
                "metric_name": metric.name,
                "dimensions": self._all if metric.of_all else own,
                "stat": metric.statistic,
                "period": watch.window,
            },
        }


def _warm_up(minutes: int | None) -> cloudwatch.MetricAlarmWarmUpConfigurationArgsDict | None:
    if minutes is None:
        return None
    return {"warm_up_period_duration_in_minutes": minutes, "only_start_evaluating_after_warm_up_period_ends": True}
