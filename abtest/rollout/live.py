"""What the deployed load balancer does, as the load balancing API tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abtest.experiment import Experiment
from abtest.rollout.hidden import hide
from abtest.rollout.session import AwsError
from abtest.routing import RoutingTable

__all__ = ["Health", "Live", "health_of", "is_healthy", "main_listener", "read_live"]

# As abtest/stack/tags.py writes them.
EXPERIMENT, VARIANT, RULE = "abtest:experiment", "abtest:variant", "abtest:rule"
CONTROL, HELD = "abtest:control", "abtest:held"


@dataclass(frozen=True, kw_only=True)
class Live:
    """A deployed listener. ``table`` has secrets as the stack file has them: a token is ``<token>``.

    ``overrides`` are the priorities of the rules that force a variant. ``groups`` are the target groups that some rule
    forwards to, by variant, ``held`` and ``control`` what the listener's tags say. ``rewrites`` says, in words, which
    rules change host or path before they forward: no stack file asks for that.
    """

    listener_arn: str
    table: RoutingTable
    overrides: frozenset[int]
    groups: Mapping[str, str]
    held: frozenset[str]
    control: str | None = None
    rewrites: tuple[str, ...] = ()


def read_live(elbv2: Any, experiment: Experiment, listener_arn: str | None = None) -> Live:
    """The main listener of the experiment, found by its tags, or the one that is named. Raises AwsError."""
    listener = _listener(elbv2, listener_arn) if listener_arn else _find(elbv2, experiment)
    rules = _all(elbv2, "describe_rules", "Rules", ListenerArn=listener["ListenerArn"])
    own_rules = (rule["RuleArn"] for rule in rules if not rule["IsDefault"])
    of_rules = _tags(elbv2, (listener["ListenerArn"], *own_rules))
    of_groups = _tags(elbv2, _groups(rules))
    names = {arn: tags[RULE] for arn, tags in of_rules.items() if RULE in tags}
    variants = {arn: tags[VARIANT] for arn, tags in of_groups.items() if VARIANT in tags}
    of_listener = of_rules.get(listener["ListenerArn"], {})
    forcing = {arn for arn, tags in of_rules.items() if VARIANT in tags}
    try:
        table = RoutingTable.from_described(listener, rules, variants, names)
    except KeyError as error:
        raise AwsError(f"{listener['ListenerArn']}: a rule has {error}, which is not known here") from error
    overrides = frozenset(int(rule["Priority"]) for rule in rules if rule["RuleArn"] in forcing)
    return Live(
        listener_arn=listener["ListenerArn"],
        table=hide(table, experiment),
        overrides=overrides,
        groups={name: arn for arn, name in variants.items()},
        held=frozenset(of_listener.get(HELD, "").split()),
        control=of_listener.get(CONTROL),
        rewrites=tuple(
            f"rule {rule['Priority']}: the load balancer rewrites host or path, the stack file does not"
            for rule in rules
            if rule.get("Transforms")
        ),
    )


@dataclass(frozen=True)
class Health:
    """Targets of a group that are healthy, of those that are not on their way out."""

    healthy: int
    total: int

    def __str__(self) -> str:
        return f"{self.healthy}/{self.total}"


def health_of(elbv2: Any, group_arn: str) -> Health:
    """As the load balancer sees it at this moment."""
    found = elbv2.describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
    states = [target["TargetHealth"] for target in found]
    draining = sum(state["State"] == "draining" for state in states)
    return Health(sum(map(is_healthy, states)), len(states) - draining)


def is_healthy(health: Mapping[str, Any]) -> bool:
    """Whether a target is taken for healthy: of a Lambda function that is not checked, nothing else is known (API
    TargetHealth).
    """
    return health["State"] == "healthy" or health.get("Reason") == "Target.HealthCheckDisabled"


# Finding the listener -------------------------------------------------------------------------------------------------


def _listener(elbv2: Any, arn: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = elbv2.describe_listeners(ListenerArns=[arn])["Listeners"][0]
    return found


def main_listener(elbv2: Any, load_balancer_arn: str) -> str | None:
    """The listener of a load balancer that does not only redirect, the one that was there first; None without any."""
    found = _all(elbv2, "describe_listeners", "Listeners", LoadBalancerArn=load_balancer_arn)
    return next((ls["ListenerArn"] for ls in found if not _only_redirects(ls)), None)


def _find(elbv2: Any, experiment: Experiment) -> Mapping[str, Any]:
    """The one listener, of the one load balancer with the experiment's tag, that can be the main one."""
    arns = [each["LoadBalancerArn"] for each in _all(elbv2, "describe_load_balancers", "LoadBalancers")]
    tagged = [arn for arn, tags in _tags(elbv2, arns).items() if tags.get(EXPERIMENT) == experiment.experiment]
    listeners = [ls for arn in tagged for ls in _all(elbv2, "describe_listeners", "Listeners", LoadBalancerArn=arn)]
    main = [listener for listener in listeners if not _only_redirects(listener)] or listeners
    whose = f"the tag {EXPERIMENT} = {experiment.experiment}"
    if not main:
        raise AwsError(
            f"no load balancer in {elbv2.meta.region_name} has {whose} and listens; deploy the stack (pulumi up), "
            "or name its listener: --listener ARN"
        )
    if len(tagged) == 1:
        main = [listener for listener in main if listener["Port"] == experiment.listener.listens_on] or main
        if len(main) == 1:
            return main[0]
    choices = "".join(f"\n  {ls['ListenerArn']} ({ls['Protocol']}, port {ls['Port']})" for ls in main)
    raise AwsError(
        f"several listeners belong to load balancers with {whose}; name yours (pulumi stack output listener_arn): "
        f"--listener ARN{choices}"
    )


def _only_redirects(listener: Mapping[str, Any]) -> bool:
    """Whether it is the one on port 80 that sends everybody to the main one."""
    kinds: list[str] = [action["Type"] for action in listener["DefaultActions"]]
    return listener["Port"] == 80 and kinds == ["redirect"]


def _all(elbv2: Any, operation: str, key: str, **given: str) -> list[dict[str, Any]]:
    """Everything that an operation lists, page by page."""
    found: list[dict[str, Any]] = elbv2.get_paginator(operation).paginate(**given).build_full_result().get(key, [])
    return found


def _tags(elbv2: Any, arns: Iterable[str]) -> dict[str, dict[str, str]]:
    """Tags by ARN. A call takes 20 ARNs (API DescribeTags)."""
    arns = list(arns)
    return {
        found["ResourceArn"]: {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
        for start in range(0, len(arns), 20)
        for found in elbv2.describe_tags(ResourceArns=arns[start : start + 20])["TagDescriptions"]
    }


def _groups(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ARNs of the target groups that rules forward to."""
    actions = [action for rule in rules for action in rule["Actions"] if action["Type"] == "forward"]
    configs = [action.get("ForwardConfig") or {"TargetGroups": [action]} for action in actions]
    return sorted({group["TargetGroupArn"] for config in configs for group in config["TargetGroups"]})
