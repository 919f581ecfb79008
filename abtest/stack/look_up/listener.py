"""Somebody else's listener, and the load balancer that it belongs to."""

from __future__ import annotations

import pulumi_aws as aws
from msgspec import Struct
from msgspec.structs import replace

from abtest.experiment import Experiment
from abtest.experiment.problems import Report
from abtest.experiment.types import IpAddressType
from abtest.stack.look_up.ask import NotFoundError, ask

__all__ = ["FoundListener", "FoundLoadBalancer", "behind", "find_listener"]


class FoundLoadBalancer(Struct, frozen=True, kw_only=True):
    """What is there and stays as it is. ``security_groups`` are ids."""

    arn: str
    arn_suffix: str
    name: str
    dns_name: str
    zone_id: str
    vpc_id: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    ip_address_type: IpAddressType


class FoundListener(Struct, frozen=True, kw_only=True):
    """A listener that this stack only adds rules to."""

    arn: str
    protocol: str
    port: int
    load_balancer: FoundLoadBalancer


def find_listener(experiment: Experiment, report: Report) -> FoundListener | None:
    """The listener that the config names; None without one, or where it cannot be found, which is reported."""
    arn = experiment.listener.arn
    if arn is None:
        return None
    try:
        listener = ask(lambda: aws.lb.get_listener(arn=arn))
        balancer = ask(lambda: aws.lb.get_load_balancer(arn=listener.load_balancer_arn))
    except NotFoundError as error:
        report.error(("listener", "arn"), f"the listener cannot be found: {error}")
        return None
    ip_address_type: IpAddressType = balancer.ip_address_type or "ipv4"  # type: ignore[assignment]
    _check(experiment, listener.protocol, ip_address_type, report)
    return FoundListener(
        arn=arn,
        protocol=listener.protocol,
        port=int(listener.port),
        load_balancer=FoundLoadBalancer(
            arn=balancer.arn,
            arn_suffix=balancer.arn_suffix,
            name=balancer.name,
            dns_name=balancer.dns_name,
            zone_id=balancer.zone_id,
            vpc_id=balancer.vpc_id,
            subnets=tuple(sorted(balancer.subnets)),
            security_groups=tuple(sorted(balancer.security_groups)),
            ip_address_type=ip_address_type,
        ),
    )


def _check(experiment: Experiment, protocol: str, ip_address_type: str, report: Report) -> None:
    """What only the listener tells whether AWS takes it."""
    for name, variant in experiment.variants.items():
        if variant.protocol_version != "HTTP1" and protocol != "HTTPS":
            report.error(
                ("variants", name, "protocolVersion"),
                f"{variant.protocol_version} needs an HTTPS listener, and this one speaks {protocol} "
                "(ALB guide load-balancer-target-groups)",
            )
        if ip_address_type == "ipv4" and any(":" in address for address in variant.targets.ip_addresses or ()):
            report.error(
                ("variants", name, "targets", "ipAddresses"),
                "IPv6 targets need a dual-stack load balancer, and this one is ipv4 (API CreateTargetGroup)",
            )
    for name, rule in experiment.rules.items():
        if protocol == "HTTPS" and rule.redirect is not None and rule.redirect.protocol == "HTTP":
            report.error(
                ("rules", name, "redirect", "protocol"),
                "a redirect cannot lead from HTTPS to HTTP, and this listener speaks HTTPS (API RedirectActionConfig)",
            )


def behind(listener: FoundListener, experiment: Experiment) -> Experiment:
    """The experiment in the network of a load balancer that is there."""
    there = listener.load_balancer
    network = replace(
        experiment.network,
        vpc_id=there.vpc_id,
        subnet_ids=there.subnets,
        ip_address_type=there.ip_address_type,
    )
    return replace(experiment, network=network)
