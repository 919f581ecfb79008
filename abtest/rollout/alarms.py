"""CloudWatch alarms of a deployed stack: by what they look at, whoever made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Alarm", "alarms_of"]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm that looks at a variant, or at the load balancer as a whole (``variant`` is None).

    ``reason`` is CloudWatch's own: what it saw, and which threshold that crossed.
    """

    name: str
    variant: str | None
    state: Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
    reason: str


def alarms_of(cloudwatch: Any, groups: Mapping[str, str], load_balancer: str | None) -> tuple[Alarm, ...]:
    """Every metric alarm that looks at a target group in ``groups`` (variant -> ARN), or at ``load_balancer``
    (``app/NAME/ID``) without any target group; one that compares variants is there once for each.

    Composite alarms are left out: they look at nothing but other alarms.
    """
    variants = {arn.rpartition(":")[2]: name for name, arn in groups.items()}
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm"])
    return tuple(
        Alarm(name=found["AlarmName"], variant=variant, state=found["StateValue"], reason=found.get("StateReason", ""))
        for page in pages
        for found in page["MetricAlarms"]
        for variant in _looks_at(found, variants, load_balancer)
    )


def _looks_at(alarm: Mapping[str, Any], variants: Mapping[str, str], load_balancer: str | None) -> Iterator[str | None]:
    """The variants that an alarm looks at, or None for the load balancer.

    Dimensions name a resource by the end of its ARN (ALB guide, "CloudWatch metrics").
    """
    stats = (query["MetricStat"] for query in alarm.get("Metrics", ()) if "MetricStat" in query)
    metrics = [alarm, *(stat["Metric"] for stat in stats)]
    seen = {(d["Name"], d["Value"]) for metric in metrics for d in metric.get("Dimensions", ())}
    groups = sorted(value for name, value in seen if name == "TargetGroup")
    if groups:
        yield from (variants[group] for group in groups if group in variants)
    elif ("LoadBalancer", load_balancer) in seen:
        yield None
