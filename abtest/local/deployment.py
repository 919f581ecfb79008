"""A stack deployed on the embedded AWS, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi.runtime import rpc

from abtest.experiment import Experiment, Source, find_project, load, stack_file
from abtest.experiment.problems import Problem
from abtest.experiment.types import Secret
from abtest.local.assumed import create_assumed
from abtest.local.clients import Clients
from abtest.local.embedded import embedded_aws
from abtest.local.program import DeployError, EmbeddedAws, Monitor, Resource, plain, run_program
from abtest.local.resources import RegexConditions

__all__ = ["DeployError", "Deployment", "Resource", "deploy", "describe"]

_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Deployment:
    """A stack as it stands on the embedded AWS.

    ``resources`` are in the order of their URNs. ``described`` is what the load balancing API says afterwards:
    load balancers, listeners, rules (by listener ARN), target groups, target health (by target group ARN), attributes
    and tags (by ARN), with regular expressions, which moto cannot hold, put back into their rules.
    """

    experiment: Experiment
    source: Source
    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any] = field(repr=False)
    secret_outputs: frozenset[str]
    assumed: tuple[str, ...]
    warnings: tuple[Problem, ...]
    described: Mapping[str, Any] = field(repr=False)

    def of_type(self, suffix: str) -> dict[str, Resource]:
        """Resources whose type ends with ``suffix``, by logical name."""
        return {r.name: r for r in self.resources if r.type.endswith(suffix)}


def deploy(
    stack: str | Mapping[str, Any],
    *,
    assume: bool = True,
    on_resource: Callable[[str, str], None] = lambda _type, _name: None,
) -> Deployment:
    """Deploy a stack file (by name or path) or a config (``{"abtest:weights": {...}, ...}``) on a fresh embedded AWS.

    ``assume`` first creates what the config names as existing. ``on_resource`` is told each resource's type and name.
    Raises ConfigError for a mistake in the config, DeployError for what the embedded AWS refuses.
    """
    source = _source(stack)
    experiment, warnings = load(source)
    _refuse_unreadable(experiment)
    aws = Clients(source.setting("aws:region") or _DEFAULT_REGION)
    with embedded_aws():
        _refuse_region(aws.region)
        assumed = create_assumed(aws, experiment) if assume else ()
        monitor = Monitor(EmbeddedAws(aws, on_resource))
        run_program(source, monitor)
        described = describe(aws.elbv2, monitor.embedded.regex)
    outputs = {key: plain(value) for key, value in monitor.outputs.items()}
    return Deployment(
        experiment=experiment,
        source=source,
        resources=tuple(sorted(monitor.registered, key=lambda r: r.urn)),
        outputs=outputs,
        secret_outputs=frozenset(key for key, value in monitor.outputs.items() if rpc.is_rpc_secret(value)),
        assumed=assumed,
        warnings=warnings,
        described=described,
    )


def _refuse_unreadable(experiment: Experiment) -> None:
    """Most encrypted texts pass through as they are; not those that resources are named or made by."""
    network, listener = experiment.network, experiment.listener
    targets = [variant.targets for variant in experiment.variants.values()]
    texts = [text for each in targets for text in (*(each.ip_addresses or ()), each.lambda_arn)]
    services = experiment.services.values()
    texts += [arn for service in services for arn in (*service.secrets.values(), *service.task_policy_arns)]
    if any(isinstance(text, Secret) for text in (*texts, *network.ingress_cidrs, *listener.certificate_arns)):
        raise DeployError(
            "encrypted addresses or ARNs (ipAddresses, lambdaArn, ingressCidrs, certificateArns, secrets, "
            "taskPolicyArns) cannot be deployed here: only Pulumi decrypts"
        )


def _refuse_region(region: str) -> None:
    from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

    if region not in RegionsAndZonesBackend.zones:
        raise DeployError(
            f"the embedded AWS does not have the region {region}; "
            f"try a copy of the stack file with another one, such as aws:region: {_DEFAULT_REGION}"
        )


def _source(stack: str | Mapping[str, Any]) -> Source:
    if isinstance(stack, str):
        return Source.from_file(*stack_file(stack))
    return Source.from_values(stack, find_project(Path()))


def describe(elb: Any, regex: RegexConditions) -> dict[str, Any]:
    """The load balancing API's descriptions of everything deployed, unchanged and in a fixed order."""
    balancers = elb.describe_load_balancers()["LoadBalancers"]
    listeners = [
        listener
        for balancer in balancers
        for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    ]
    groups = elb.describe_target_groups()["TargetGroups"]
    rules = {ls["ListenerArn"]: elb.describe_rules(ListenerArn=ls["ListenerArn"])["Rules"] for ls in listeners}
    for found in rules.values():
        found.sort(key=lambda rule: (rule["IsDefault"], int(rule["Priority"]) if not rule["IsDefault"] else 0))
        for rule in found:
            rule["Conditions"] = regex.get(rule["RuleArn"], rule["Conditions"])
    arns = [group["TargetGroupArn"] for group in groups]
    health = {arn: elb.describe_target_health(TargetGroupArn=arn) for arn in arns}
    tagged = [*arns, *(rule["RuleArn"] for found in rules.values() for rule in found if not rule["IsDefault"])]
    attributes = {
        **{
            b["LoadBalancerArn"]: elb.describe_load_balancer_attributes(LoadBalancerArn=b["LoadBalancerArn"])
            for b in balancers
        },
        **{ls["ListenerArn"]: elb.describe_listener_attributes(ListenerArn=ls["ListenerArn"]) for ls in listeners},
        **{arn: elb.describe_target_group_attributes(TargetGroupArn=arn) for arn in arns},
    }
    return {
        "LoadBalancers": balancers,
        "Listeners": sorted(listeners, key=lambda listener: listener["Port"]),
        "Rules": rules,
        "TargetGroups": sorted(groups, key=lambda group: group["TargetGroupName"]),
        "TargetHealth": {arn: sorted(found["TargetHealthDescriptions"], key=_target) for arn, found in health.items()},
        "Attributes": {arn: _by_key(found["Attributes"]) for arn, found in attributes.items()},
        "Tags": {arn: _by_key(elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]) for arn in tagged},
    }


def _target(health: dict[str, Any]) -> tuple[str, int]:
    """Moto registers the instances of a group in the order of a set."""
    return health["Target"]["Id"], health["Target"].get("Port", 0)


def _by_key(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["Key"]: pair["Value"] for pair in pairs}
