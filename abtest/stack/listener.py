"""What the load balancer does with a request: listeners, the weighted split, rules and the override.

To the engine a listener is its port and a rule its priority. So renaming, reordering and swapping rules are updates in
place, never a second rule on a priority that is still taken (PriorityInUse).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from abtest.experiment import Experiment
from abtest.experiment.types import Override, ResponseHeaders, Rule
from abtest.stack.actions import conditions, fixed_response, forward, header_condition, redirect
from abtest.stack.hooks import Binding
from abtest.stack.look_up import FoundListener
from abtest.stack.tags import tags_of
from abtest.stack.variant import Variant

if TYPE_CHECKING:
    from pulumi_aws import lb

__all__ = ["Own", "Routing"]

TYPE = "abtest:stack:Routing"


@dataclass(frozen=True, kw_only=True)
class Own:
    """A load balancer of the stack's own, which has no listener yet. ``ways`` open the way to and from it."""

    load_balancer_arn: pulumi.Output[str]
    ways: Sequence[pulumi.Resource]


class Routing(pulumi.ComponentResource):
    """The listener with the main split as its default action, its rules, and the redirect of port 80. On somebody
    else's listener the split is a rule like the others. ``split`` is the resource that has it.
    """

    listener_arn: pulumi.Output[str]
    split: aws.lb.Listener | aws.lb.ListenerRule
    certificates: tuple[aws.lb.ListenerCertificate, ...]
    rules: tuple[aws.lb.ListenerRule, ...]
    override_token: pulumi.Output[str] | None

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        place: Own | FoundListener,
        variants: Mapping[str, Variant],
        hooks: Binding = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        self._experiment, self._variants, self._hooks = experiment, variants, hooks
        self._arns = {variant: component.target_group.arn for variant, component in variants.items()}
        # Somebody else's listener has other rules too: a tag says which are this stack's.
        self._stack = None if isinstance(place, Own) else f"{pulumi.get_project()}/{pulumi.get_stack()}"
        if isinstance(place, Own):
            self.split = self._main_listener(place)
            self.listener_arn = self.split.arn
        else:
            self.listener_arn = pulumi.Output.from_input(place.arn)
            self.split = self._split_rule()
        self.certificates = tuple(map(self._certificate, sorted(experiment.listener.certificate_arns)))
        self.override_token = None
        overrides: list[aws.lb.ListenerRule] = []
        if experiment.override is not None:
            overrides = self._override(name, experiment.override)
        self.rules = (*overrides, *(self._rule(rule_name, rule) for rule_name, rule in experiment.rules_in_order()))
        if isinstance(place, Own) and experiment.listener.redirects_port_80:
            self._redirect_listener(place)
        self.register_outputs({"listener_arn": self.listener_arn})

    @property
    def forwards(self) -> Sequence[pulumi.Resource]:
        """What is there once everything routes."""
        return [self.split, *self.certificates, *self.rules]

    def _after(self, weights: Iterable[str], *more: pulumi.Resource, hooks: Binding = None) -> pulumi.ResourceOptions:
        """Options of what forwards: it comes after every target of the groups that it names (which come after the way
        to them is open), and goes before them.
        """
        variants = [self._variants[name] for name in weights]
        targets = [each for variant in variants for each in variant.attachments]
        return pulumi.ResourceOptions(parent=self, depends_on=[*targets, *more], hooks=hooks)

    def _split(self) -> lb.ListenerRuleActionArgsDict:
        return forward(self._experiment.weights, self._arns, self._experiment.stickiness_seconds)

    def _main_listener(self, place: Own) -> aws.lb.Listener:
        experiment, listener = self._experiment, self._experiment.listener
        return aws.lb.Listener(
            f"listener-{listener.listens_on}",
            load_balancer_arn=place.load_balancer_arn,
            port=listener.listens_on,
            protocol=listener.protocol,
            certificate_arn=listener.certificate_arn,
            ssl_policy=listener.policy,
            default_actions=[self._split()],
            routing_http_response_server_enabled=listener.says_server,
            **_header_inputs(listener.response_headers),
            tags=tags_of(experiment, is_split=True),
            opts=self._after(experiment.weights, *place.ways, hooks=self._hooks),
        )

    def _certificate(self, arn: str) -> aws.lb.ListenerCertificate:
        return aws.lb.ListenerCertificate(
            f"certificate-{arn.rpartition('/')[2]}",
            listener_arn=self.listener_arn,
            certificate_arn=arn,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _redirect_listener(self, place: Own) -> None:
        """Port 80 sends everybody to the HTTPS listener. It changes its ways only once that one is complete, so that
        moving from 80 to 443 and back leaves no moment without an answer.
        """
        port = self._experiment.listener.listens_on
        aws.lb.Listener(
            "listener-80",
            load_balancer_arn=place.load_balancer_arn,
            port=80,
            protocol="HTTP",
            routing_http_response_server_enabled=self._experiment.listener.says_server,
            default_actions=[
                {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": str(port), "status_code": "HTTP_301"}}
            ],
            tags=tags_of(self._experiment),
            opts=self._after((), *self.forwards),
        )

    def _split_rule(self) -> aws.lb.ListenerRule:
        experiment, split = self._experiment, self._experiment.listener.split
        if split is None:
            raise ValueError("an existing listener without a split")  # the config is checked
        tags = tags_of(experiment, is_split=True, stack=self._stack)
        return self._listener_rule(split.priority, conditions(split.when), self._split(), experiment.weights, tags)

    def _rule(self, name: str, rule: Rule) -> aws.lb.ListenerRule:
        weights = self._experiment.forward_weights(rule)
        if rule.redirect is not None:
            action = redirect(rule.redirect)
        elif rule.respond is not None:
            action = fixed_response(rule.respond)
        else:
            action = forward(weights, self._arns, self._experiment.stickiness_of(rule))
        return self._listener_rule(
            rule.priority,
            conditions(rule.when),
            action,
            weights,
            tags_of(self._experiment, rule=name, stack=self._stack),
        )

    def _listener_rule(
        self,
        priority: int,
        when: list[lb.ListenerRuleConditionArgsDict],
        action: lb.ListenerRuleActionArgsDict,
        weights: Iterable[str],
        tags: dict[str, str],
    ) -> aws.lb.ListenerRule:
        return aws.lb.ListenerRule(
            f"rule-{priority}",
            listener_arn=self.listener_arn,
            priority=priority,
            conditions=when,
            actions=[action],
            tags=tags,
            opts=self._after(weights, hooks=self._hooks),
        )

    def _override(self, name: str, override: Override) -> list[aws.lb.ListenerRule]:
        """One rule a variant, before all others. A forced tester gets no cookie, and so stays in no group."""
        if override.secret:
            # Lower case, since header values are compared without regard to case. The id of a RandomPassword does
            # not hold its value, and the provider marks the value as secret.
            token = random.RandomPassword(
                f"{name}-override", length=32, special=False, upper=False, opts=pulumi.ResourceOptions(parent=self)
            )
            self.override_token = pulumi.Output.secret(token.result)
        rules = []
        for variant, priority in self._experiment.override_priorities.items():
            value = (
                pulumi.Output.concat(self.override_token, "-", variant) if self.override_token is not None else variant
            )
            rules.append(
                self._listener_rule(
                    priority,
                    [header_condition(override.header, [value])],
                    forward({variant: 1}, self._arns, stickiness_seconds=0),
                    [variant],
                    tags_of(self._experiment, variant=variant),
                )
            )
        return rules


def _header_inputs(headers: ResponseHeaders | None) -> dict[str, Any]:
    """The listener's inputs for response headers, whose names follow from the headers'. A header that is not named is
    left as it is: to the provider an empty text is no change (hashicorp/terraform-provider-aws 42513).
    """
    if headers is None:
        return {}
    return {f"routing_http_response_{name}_header_value": value for name, value in headers.values.items()}
