"""The Route 53 record."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment.types import Dns
from abtest.stack.load_balancer import Front

__all__ = ["Record"]

TYPE = "abtest:stack:Record"


class Record(pulumi.ComponentResource):
    """An alias of the load balancer: A, and AAAA when it serves IPv6. It comes once there is something that answers."""

    fqdn: str

    def __init__(
        self,
        name: str,
        dns: Dns,
        zone_id: str,
        experiment: Experiment,
        load_balancer: Front,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        self.fqdn = dns.name.rstrip(".").lower()
        for kind in ("A", "AAAA") if load_balancer.serves_ipv6 else ("A",):
            aws.route53.Record(
                f"{name}-{kind.lower()}",
                zone_id=zone_id,
                name=self.fqdn,
                type=kind,
                set_identifier=dns.set_identifier,
                weighted_routing_policies=None if dns.weight is None else [{"weight": dns.weight}],
                aliases=[
                    {
                        "name": load_balancer.dns_name,
                        "zone_id": load_balancer.zone_id,
                        # Route 53 calls a load balancer unhealthy as soon as one of its groups has no healthy
                        # target: a warm, still empty variant would take the name down (Route 53 guide, "Evaluate
                        # target health").
                        "evaluate_target_health": False,
                    }
                ],
                # Route 53 takes no weighted record beside a simple one of the same name: the old one must go first.
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(after), delete_before_replace=True),
            )
        self.register_outputs({"fqdn": self.fqdn})
