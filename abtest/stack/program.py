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
from abtest.stack.load_balancer import LoadBalancer
from abtest.stack.look_up import Surroundings
from abtest.stack.network import Network
from abtest.stack.routing import Routing
from abtest.stack.variant import Variant

__all__ = ["build"]

#: Logical names hold no name of an experiment: the next one on the same stack changes tags and the salt, nothing else.
NAME = "abtest"


def build(experiment: Experiment, surroundings: Surroundings, hooks: Hooks | None = None) -> Mapping[str, Any]:
    """Register every resource. Returns the stack's exports by name."""
    network = Network(NAME, experiment, surroundings)
    of_variants, forwarded = bindings(hooks)
    variants = {name: Variant(name, experiment, surroundings, network, of_variants) for name in experiment.variants}
    exports: dict[str, Any] = {}
    access_logs = None
    if experiment.access_logs is not None:
        access_logs = AccessLogs(NAME, experiment.access_logs, experiment, network)
        exports["access_logs_bucket"] = access_logs.bucket
    load_balancer = LoadBalancer(NAME, experiment, surroundings, network, access_logs)
    routing = Routing(NAME, experiment, network, load_balancer, variants, forwarded)
    forwards = [routing.listener, *routing.rules]
    services: list[pulumi.Resource] = []
    if any(variant.targets.ecs for variant in experiment.variants.values()):
        from abtest.stack.ecs import services_of

        found = services_of(NAME, experiment, surroundings, variants, load_balancer.load_balancer.arn_suffix, forwards)
        services = [component.service for component in found.values()]
        exports["ecs_services"] = {name: component.service.name for name, component in found.items()}
    salt = random.RandomId(f"{NAME}-salt", byte_length=8, keepers={"experiment": experiment.experiment})
    alb = load_balancer.load_balancer
    host: pulumi.Input[str] = alb.dns_name
    if experiment.dns is not None and surroundings.zone_id is not None:
        after = [*forwards, *services]
        record = Record(f"{NAME}-dns", experiment.dns, surroundings.zone_id, experiment, load_balancer, after)
        exports["fqdn"] = record.fqdn
        host = alb.dns_name if record.fqdn.startswith("*") else record.fqdn
    if routing.override_token is not None:
        exports["override_token"] = routing.override_token
    if experiment.alarms is not None:
        Alarms(NAME, experiment.alarms, experiment, load_balancer, variants, [routing.listener])
        exports["dashboard_url"] = Dashboard(NAME, experiment.alarms, load_balancer, variants).url
    if experiment.guardrails is not None and (override := experiment.guardrails.override) is not None:
        exports["guardrails_override"] = {"reason": override.reason, "until": override.until}
    groups = {name: component.security_group for name, component in variants.items()}
    return {
        "alb_dns_name": alb.dns_name,
        "url": _url(experiment, host),
        "listener_arn": routing.listener.arn,
        "load_balancer_arn": alb.arn,
        "target_group_arns": {name: component.target_group.arn for name, component in variants.items()},
        "weights": dict(experiment.weights),
        "security_group_ids": {
            "load_balancer": network.security_group.id,
            **{name: group.id for name, group in groups.items() if group is not None},
        },
        "assignment_salt": salt.hex,
        **exports,
    }


def _url(experiment: Experiment, host: pulumi.Input[str]) -> pulumi.Output[str]:
    listener = experiment.listener
    port = "" if listener.listens_on == (443 if listener.is_https else 80) else f":{listener.listens_on}"
    return pulumi.Output.concat(listener.protocol.lower(), "://", host, port)
