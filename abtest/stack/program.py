"""The whole stack: components put together, and what it exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_random as random

from abtest.experiment import Experiment
from abtest.stack.access_logs import AccessLogs
from abtest.stack.alarms import Alarms
from abtest.stack.dashboard import Dashboard
from abtest.stack.dns import Record
from abtest.stack.hooks import Hooks, bindings
from abtest.stack.listener import Own, Routing
from abtest.stack.load_balancer import Front, LoadBalancer
from abtest.stack.look_up import FoundListener, Surroundings
from abtest.stack.network import Network
from abtest.stack.variant import Variant

__all__ = ["build"]

#: Logical names hold no name of an experiment: the next one on the same stack changes tags and the salt, nothing else.
NAME = "abtest"


def build(experiment: Experiment, surroundings: Surroundings, hooks: Hooks | None = None) -> Mapping[str, Any]:
    """Register every resource. Returns the stack's exports by name."""
    of_variants, of_rules = bindings(hooks)
    listener = surroundings.listener
    exports: dict[str, Any] = {}
    network = None
    place: Own | FoundListener
    bucket: pulumi.Input[str] | None
    if listener is None:
        network = Network(NAME, experiment, surroundings)
        front, place, bucket = _own(experiment, surroundings, network)
    else:
        front, place = Front.of(listener.load_balancer, listener.load_balancer.ip_address_type), listener
        logs = experiment.access_logs
        bucket = logs.bucket if logs is not None else None  # where its owner has them written
    if bucket is not None:
        exports["access_logs_bucket"] = bucket
    variants = {name: Variant(name, experiment, surroundings, network, of_variants) for name in experiment.variants}
    routing = Routing(NAME, experiment, place, variants, of_rules)
    scaled = {name: v.autoscaling_group for name, v in variants.items() if v.autoscaling_group is not None}
    if scaled:
        from abtest.stack.autoscaling import scale_by_requests

        exports["autoscaling_groups"] = {name: group.name for name, group in scaled.items()}
        scale_by_requests(experiment, variants, front.arn_suffix, routing.forwards)
    before_clients = [*routing.forwards]
    if experiment.waf is not None:
        from abtest.stack.waf import Firewall

        before_clients.append(Firewall(f"{NAME}-waf", experiment.waf, front).association)
    if experiment.services:
        from abtest.stack.ecs import services_of

        services = services_of(NAME, experiment, surroundings, variants, front.arn_suffix, routing.forwards)
        before_clients += [component.service for component in services.values()]
        exports["ecs_services"] = {name: component.service.name for name, component in services.items()}
    salt = random.RandomId(f"{NAME}-salt", byte_length=8, keepers={"experiment": experiment.experiment})
    host = _host(experiment) or front.dns_name
    if experiment.dns is not None and surroundings.zone_id is not None:
        record = Record(f"{NAME}-dns", experiment.dns, surroundings.zone_id, experiment, front, before_clients)
        exports["fqdn"] = record.fqdn
        host = front.dns_name if record.fqdn.startswith("*") else record.fqdn
    if routing.override_token is not None:
        exports["override_token"] = routing.override_token
    if experiment.alarms is not None:
        Alarms(NAME, experiment.alarms, experiment, front, variants, [routing.split])
        # A name that no other stack has: the load balancer's, or with somebody else's the stack's own.
        called = f"{pulumi.get_project()}-{pulumi.get_stack()}" if listener else front.name
        exports["dashboard_url"] = Dashboard(NAME, experiment.alarms, front, called, variants).url
    if experiment.guardrails is not None and (suspension := experiment.guardrails.suspend) is not None:
        exports["guardrails_suspended"] = {"reason": suspension.reason, "until": suspension.until}
    groups = {name: component.security_group for name, component in variants.items()}
    own = {"load_balancer": network.security_group.id} if network else {}
    return {
        "alb_dns_name": front.dns_name,
        "url": _url(experiment, listener, host),
        "listener_arn": routing.listener_arn,
        "load_balancer_arn": front.arn,
        "target_group_arns": {name: component.target_group.arn for name, component in variants.items()},
        "weights": dict(experiment.weights),
        "security_group_ids": {**own, **{name: group.id for name, group in groups.items() if group is not None}},
        "assignment_salt": salt.hex,
        **exports,
    }


def _own(
    experiment: Experiment, surroundings: Surroundings, network: Network
) -> tuple[Front, Own, pulumi.Input[str] | None]:
    """A load balancer of the stack's own, and the bucket of its access logs, if it has any."""
    logs = experiment.access_logs
    access_logs = AccessLogs(NAME, logs, experiment, network) if logs is not None else None
    balancer = LoadBalancer(NAME, experiment, surroundings, network, access_logs).load_balancer
    front = Front.of(balancer, experiment.network.ip_address_type)
    own = Own(load_balancer_arn=balancer.arn, ways=[*network.ingress, *network.egress])
    return front, own, access_logs.bucket if access_logs is not None else None


def _host(experiment: Experiment) -> str | None:
    """The host by which somebody else's listener knows the split's requests, if it is one."""
    split = experiment.listener.split
    hosts = split.when.host or () if split else ()
    return next((host for host in hosts if "*" not in host and "?" not in host), None)


def _url(experiment: Experiment, listener: FoundListener | None, host: pulumi.Input[str]) -> pulumi.Output[str]:
    own = experiment.listener
    protocol, port = (listener.protocol, listener.port) if listener else (own.protocol, own.listens_on)
    shown = "" if port == (443 if protocol == "HTTPS" else 80) else f":{port}"
    return pulumi.Output.concat(protocol.lower(), "://", host, shown)
