"""The Application Load Balancer: the stack's own, or somebody else's."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.stack.access_logs import AccessLogs
from abtest.stack.look_up import FoundLoadBalancer, Surroundings
from abtest.stack.network import Network
from abtest.stack.tags import tags_of

__all__ = ["Front", "LoadBalancer"]

TYPE = "abtest:stack:LoadBalancer"


@dataclass(frozen=True, kw_only=True)
class Front:
    """What the rest of the stack knows of the load balancer, whosever it is."""

    arn: pulumi.Output[str]
    arn_suffix: pulumi.Output[str]
    name: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]
    serves_ipv6: bool

    @classmethod
    def of(cls, found: aws.lb.LoadBalancer | FoundLoadBalancer, ip_address_type: str) -> Front:
        names = ("arn", "arn_suffix", "name", "dns_name", "zone_id")
        outputs = {name: pulumi.Output.from_input(getattr(found, name)) for name in names}
        return cls(**outputs, serves_ipv6=ip_address_type != "ipv4")


class LoadBalancer(pulumi.ComponentResource):
    """The load balancer itself; what it does with a request is in ``Routing``."""

    load_balancer: aws.lb.LoadBalancer

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        surroundings: Surroundings,
        network: Network,
        access_logs: AccessLogs | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        self.load_balancer = aws.lb.LoadBalancer(
            name,
            load_balancer_type="application",
            internal=experiment.network.internal,
            ip_address_type=experiment.network.ip_address_type,
            subnets=[subnet.id for subnet in surroundings.network.subnets],
            security_groups=[network.security_group.id],
            idle_timeout=experiment.idle_timeout_seconds,
            enable_http2=True,
            # Request smuggling: odd headers are dropped, ambiguous requests closed after the answer.
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=experiment.deletion_protection,
            enable_waf_fail_open=experiment.waf.fail_open if experiment.waf else None,
            access_logs=access_logs.settings if access_logs else None,
            tags=tags_of(experiment),
            # AWS alone would refuse only after everything in front of the load balancer is deleted.
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=experiment.deletion_protection,
                depends_on=list(access_logs.ready) if access_logs else None,
            ),
        )
        self.register_outputs({"arn": self.load_balancer.arn, "dns_name": self.load_balancer.dns_name})
