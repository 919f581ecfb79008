"""What the load balancing API says of a deployment, as the balancer needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from abtest.routing import RoutingTable

__all__ = ["Deployed", "HealthCheck", "Listener", "TargetGroup"]


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """Times in seconds. ``matcher`` is AWS's: "200", "200,202" or "200-299,301"."""

    path: str
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str

    def passes(self, status: int) -> bool:
        ranges = (part.partition("-") for part in self.matcher.split(","))
        return any(int(low) <= status <= int(high or low) for low, _, high in ranges)


@dataclass(frozen=True, kw_only=True)
class TargetGroup:
    """``targets`` are the registered ids, each with its port; a Lambda function has port 0. ``health_check`` is None
    where it is switched off.
    """

    arn: str
    variant: str
    protocol_version: str
    algorithm: str
    health_check: HealthCheck | None
    targets: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Listener:
    """The shares of ``table`` are by target group ARN. ``headers`` are those that it sets in answers, ``says_server``
    is whether its own answers have ``Server``.
    """

    protocol: str
    port: int
    table: RoutingTable
    headers: tuple[tuple[str, str], ...] = ()
    says_server: bool = True


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A load balancer. ``name`` is its id in access logs (app/NAME/ID); the listener of the split comes first."""

    name: str
    dns_name: str
    idle_timeout: float
    drops_invalid_headers: bool
    listeners: tuple[Listener, ...]
    groups: Mapping[str, TargetGroup]

    @classmethod
    def from_described(cls, described: Mapping[str, Any]) -> Self:
        """Read ``Deployment.described``."""
        balancer = described["LoadBalancers"][0]
        attributes = described["Attributes"][balancer["LoadBalancerArn"]]
        listeners = [_listener(given, described) for given in described["Listeners"]]
        listeners.sort(key=lambda listener: (listener.table.split.action.kind != "forward", listener.port))
        groups = {given["TargetGroupArn"]: _group(given, described) for given in described["TargetGroups"]}
        return cls(
            name=balancer["LoadBalancerArn"].partition("loadbalancer/")[2],
            dns_name=balancer["DNSName"],
            idle_timeout=int(attributes["idle_timeout.timeout_seconds"]),
            drops_invalid_headers=attributes["routing.http.drop_invalid_header_fields.enabled"] == "true",
            listeners=tuple(listeners),
            groups=groups,
        )


def _listener(given: Mapping[str, Any], described: Mapping[str, Any]) -> Listener:
    names = {arn: tags["abtest:rule"] for arn, tags in described["Tags"].items() if "abtest:rule" in tags}
    split = next((arn for arn, tags in described["Tags"].items() if "abtest:control" in tags), None)
    table = RoutingTable.from_described(given, described["Rules"][given["ListenerArn"]], names=names, split=split)
    attributes = described["Attributes"][given["ListenerArn"]]
    return Listener(
        protocol=given["Protocol"],
        port=given["Port"],
        table=table,
        headers=tuple(_headers(attributes)),
        says_server=attributes.get("routing.http.response.server.enabled") != "false",
    )


_HEADER = re.compile(r"routing\.http\.response\.(\w+)\.header_value")


def _headers(attributes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """An empty value is a header that is not set. Source: ALB guide, "HTTP header modification"."""
    for key, value in sorted(attributes.items()):
        if value and (found := _HEADER.fullmatch(key)):
            yield found[1].replace("_", "-").title(), value


def _group(given: Mapping[str, Any], described: Mapping[str, Any]) -> TargetGroup:
    arn = given["TargetGroupArn"]
    targets = tuple((t["Target"]["Id"], t["Target"].get("Port", 0)) for t in described["TargetHealth"][arn])
    return TargetGroup(
        arn=arn,
        variant=described["Tags"][arn]["abtest:variant"],
        protocol_version=given.get("ProtocolVersion", "HTTP1"),
        algorithm=described["Attributes"][arn]["load_balancing.algorithm.type"],
        # Without a target there is somebody else who registers one (targets: external), or a Fargate service, whose
        # tasks do not run on the embedded AWS; here one is assumed.
        targets=targets or (("external", given["Port"]),),
        health_check=_health_check(given) if given["HealthCheckEnabled"] else None,
    )


def _health_check(given: Mapping[str, Any]) -> HealthCheck:
    return HealthCheck(
        path=given["HealthCheckPath"],
        interval=given["HealthCheckIntervalSeconds"],
        timeout=given["HealthCheckTimeoutSeconds"],
        healthy_threshold=given["HealthyThresholdCount"],
        unhealthy_threshold=given["UnhealthyThresholdCount"],
        matcher=given["Matcher"].get("HttpCode") or given["Matcher"]["GrpcCode"],
    )
