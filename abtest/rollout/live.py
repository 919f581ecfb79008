"""What the deployed load balancer does, as the load balancing API tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from abtest.experiment import Experiment
from abtest.experiment.types import Guardrails
from abtest.rollout.redaction import hide
from abtest.rollout.session import AwsError
from abtest.routing import Route, RoutingTable
from abtest.routing.conditions import UnsupportedError

__all__ = ["Health", "Live", "health_of", "is_healthy", "load_balancer_of", "main_listener", "read_live"]

# As abtest/stack/tags.py writes them.
EXPERIMENT, VARIANT, RULE = "abtest:experiment", "abtest:variant", "abtest:rule"
CONTROL, HELD, GUARDRAILS = "abtest:control", "abtest:held", "abtest:guardrails"
STACK = "abtest:stack"


@dataclass(frozen=True, kw_only=True)
class Live:
    """A deployed listener. ``table`` has secrets as the stack file has them: a token is ``<token>``. On somebody else's
    listener ``others`` are the rules that are not this stack's, ``is_begun`` is whether the main split stands there,
    and there is no ``load_balancer`` (``app/NAME/ID``): how that one does is not this stack's affair.

    ``overrides`` are the priorities of the rules that force a variant. ``groups`` are the target groups that some rule
    forwards to, by variant, ``weights`` those of the main split. ``held``, ``control`` and ``rails`` are what the tags
    say of the listener, or of the rule that is the split.
    """

    listener_arn: str
    table: RoutingTable
    overrides: frozenset[int]
    groups: Mapping[str, str]
    held: frozenset[str]
    weights: Mapping[str, int] = field(default_factory=dict)
    control: str | None = None
    rails: Guardrails | None = None
    others: tuple[Route, ...] = ()
    is_begun: bool = True
    load_balancer: str | None = None

    def standing(self) -> Live:
        """Itself. Raises AwsError where the main split is not there."""
        if not self.is_begun:
            raise AwsError(
                f"{self.listener_arn}: no rule there is the main split of this stack: it is gone, it lost its tags, or "
                "the stack file says another place. Put the file back, or bring the rule back: pulumi up --refresh"
            )
        return self

    @property
    def whole(self) -> RoutingTable:
        """All rules of the listener, whosever they are."""
        return self.with_others(self.table)

    def with_others(self, table: RoutingTable) -> RoutingTable:
        """A table of this stack as it is on this listener: among the rules of others, and with its default action."""
        *rules, default = table.routes
        if not default.is_split:
            default = self.table.routes[-1]
        return replace(table, routes=(*sorted([*rules, *self.others], key=lambda r: r.priority or 0), default))


def read_live(elbv2: Any, experiment: Experiment, listener_arn: str | None = None, stack: str = "") -> Live:
    """The main listener of the experiment: the one that it names, or that is found by its tags; or another one, that is
    named here. ``stack`` (``Source.full_name``) tells whose rules are the stack's own on somebody else's listener.
    Raises AwsError.
    """
    named = listener_arn or experiment.listener.arn
    listener = _listener(elbv2, named) if named else _find(elbv2, experiment)
    arn = listener["ListenerArn"]
    rules = _all(elbv2, "describe_rules", "Rules", ListenerArn=arn)
    tags = _tags(elbv2, (arn, *(rule["RuleArn"] for rule in rules if not rule["IsDefault"])))
    own, split = rules, None
    if experiment.listener.arn is not None:
        own = [rule for rule in rules if rule["IsDefault"] or tags.get(rule["RuleArn"], {}).get(STACK) == stack]
        split = next((rule["RuleArn"] for rule in own if CONTROL in tags.get(rule["RuleArn"], {})), "")
    variants = {group: found[VARIANT] for group, found in _tags(elbv2, _groups(own)).items() if VARIANT in found}
    names = {rule: found[RULE] for rule, found in tags.items() if RULE in found}
    try:
        table = RoutingTable.from_described(listener, rules, variants, names, split)
    except UnsupportedError as error:
        raise AwsError(f"{arn}: {error}") from None
    of_split = tags.get(split or arn, {})
    table, ours = hide(table, experiment), {rule["Priority"] for rule in own}
    return Live(
        listener_arn=arn,
        table=replace(table, routes=tuple(route for route in table.routes if route.label in ours)),
        others=tuple(route for route in table.routes if route.label not in ours),
        is_begun=split != "",
        load_balancer=None if experiment.listener.arn else load_balancer_of(arn),
        overrides=frozenset(int(rule["Priority"]) for rule in own if VARIANT in tags.get(rule["RuleArn"], {})),
        groups={name: group for group, name in variants.items()},
        weights=_weights(own, split, variants),
        held=frozenset(of_split.get(HELD, "").split()),
        control=of_split.get(CONTROL),
        rails=Guardrails.of_tag(of_split[GUARDRAILS]) if GUARDRAILS in of_split else None,
    )


def _weights(rules: Iterable[Mapping[str, Any]], split: str | None, variants: Mapping[str, str]) -> dict[str, int]:
    """Those of the main split: the rule of that ARN, or the default action."""
    mains = (rule for rule in rules if (rule["IsDefault"] if split is None else rule["RuleArn"] == split))
    groups = [group for rule in mains for group in _targets(rule)]
    return {variants.get(group["TargetGroupArn"], group["TargetGroupArn"]): group.get("Weight", 1) for group in groups}


@dataclass(frozen=True)
class Health:
    """Healthy targets of a group, and all of them; targets that are draining do not count."""

    healthy: int
    total: int

    def __str__(self) -> str:
        return f"{self.healthy}/{self.total}"


def health_of(elbv2: Any, group_arn: str) -> Health:
    """As the load balancer sees it at this moment."""
    found = elbv2.describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
    states = [target["TargetHealth"] for target in found]
    # Also unhealthy.draining: it gets no new requests, and finishes those in flight (API TargetHealth).
    draining = sum(state["State"].endswith("draining") for state in states)
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


def load_balancer_of(listener_arn: str) -> str:
    """``app/NAME/ID``, as access logs and the dimensions of CloudWatch's metrics have it (ALB guide, "Access logs",
    "CloudWatch metrics").
    """
    return "/".join(listener_arn.split("/")[1:4])


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


def _groups(rules: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ARNs of the target groups that rules forward to."""
    return sorted({group["TargetGroupArn"] for rule in rules for group in _targets(rule)})


def _targets(rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a rule forwards to."""
    actions = [action for action in rule["Actions"] if action["Type"] == "forward"]
    configs = [action.get("ForwardConfig") or {"TargetGroups": [action]} for action in actions]
    return [group for config in configs for group in config["TargetGroups"]]
