"""The load balancer's security group: who may reach it, and whom it may reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment.limits import TARGET_NETWORKS
from abtest.experiment.types import Variant
from abtest.stack.look_up import Surroundings
from abtest.stack.tags import tags_of

__all__ = ["Network", "SecurityGroupRule", "open_port", "ports_of"]

TYPE = "abtest:stack:Network"

SecurityGroupRule = aws.vpc.SecurityGroupIngressRule | aws.vpc.SecurityGroupEgressRule


class Network(pulumi.ComponentResource):
    """Admits ``ingressCidrs`` on the listener's ports only; talks to the variants' ports and health-check ports only.

    Instances and tasks that the program starts have security groups of their own, which their variant opens to it.
    """

    security_group: aws.ec2.SecurityGroup
    ingress: tuple[SecurityGroupRule, ...]
    egress: tuple[SecurityGroupRule, ...]

    def __init__(
        self, name: str, experiment: Experiment, surroundings: Surroundings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = tags_of(experiment)
        self.security_group = aws.ec2.SecurityGroup(
            name,
            description="Load balancer of the A/B test",
            vpc_id=surroundings.network.vpc_id,
            tags=tags_of(experiment, name=name),
            opts=child,
        )
        # Rules are named by what they say, so that adding or removing one leaves the others alone.
        self.ingress = tuple(
            open_port(
                aws.vpc.SecurityGroupIngressRule,
                f"{name}-from-{cidr}-{port}",
                self.security_group,
                cidr,
                port,
                tags=tags,
                opts=child,
            )
            for port in experiment.listener.ports
            for cidr in experiment.network.ingress_cidrs
        )
        self.egress = tuple(
            open_port(
                aws.vpc.SecurityGroupEgressRule,
                f"{name}-to-{cidr}-{port}",
                self.security_group,
                cidr,
                port,
                tags=tags,
                opts=child,
            )
            for cidr, port in sorted(set(_destinations(experiment, surroundings)))
        )
        self.register_outputs({"security_group_id": self.security_group.id})


def open_port(
    direction: type[SecurityGroupRule],
    name: str,
    group: aws.ec2.SecurityGroup,
    peer: str | aws.ec2.SecurityGroup,
    port: int | None,
    *,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> SecurityGroupRule:
    """Let a security group's members and ``peer``, a CIDR block or another group (or its id), talk on a port (None: on
    all).
    """
    cidr = peer if isinstance(peer, str) and not peer.startswith("sg-") else None
    return direction(
        name,
        security_group_id=group.id,
        ip_protocol="-1" if port is None else "tcp",
        from_port=port,
        to_port=port,
        cidr_ipv4=cidr if cidr and ":" not in cidr else None,
        cidr_ipv6=cidr if cidr and ":" in cidr else None,
        referenced_security_group_id=None if cidr else peer if isinstance(peer, str) else peer.id,
        tags=tags,
        opts=opts,
    )


def ports_of(variant: Variant) -> tuple[int, ...]:
    """The ports that the load balancer uses on a variant's targets."""
    health = variant.health_check.port
    port = variant.target_port
    return (port,) if health in {"traffic-port", port} else (port, int(health))


def _destinations(experiment: Experiment, surroundings: Surroundings) -> Iterator[tuple[str, int]]:
    """Block and port of every target whose security group is not the program's own."""
    for variant in experiment.variants.values():
        targets = variant.targets
        if targets.starts or targets.is_function:
            continue
        if targets.ip_addresses is not None:
            blocks = [f"{address}/{ipaddress.ip_address(address).max_prefixlen}" for address in targets.ip_addresses]
        elif targets.external == "ip":
            blocks = sorted({*surroundings.network.vpc_cidrs, *map(str, TARGET_NETWORKS)})
        else:
            blocks = list(surroundings.network.vpc_cidrs)
        for block in blocks:
            for port in ports_of(variant):
                yield block, port
