"""A variant: its target group and what answers behind it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment.types import Launch, Targets
from abtest.experiment.types import Variant as VariantConfig
from abtest.stack.hooks import OfVariants
from abtest.stack.launch import launch_instances
from abtest.stack.look_up import Surroundings
from abtest.stack.network import Network, SecurityGroupRule, open_port, ports_of
from abtest.stack.tags import tags_of

if TYPE_CHECKING:
    from pulumi_aws import lb

__all__ = ["Variant"]

TYPE = "abtest:stack:Variant"


class Variant(pulumi.ComponentResource):
    """A target group with its targets.

    ``attachments`` is what a forward to this variant depends on: before it, the group has no target, and requests
    sent there would be answered with 503. They in turn come after ``openings``, the security group rules that open the
    way. The targets of a Fargate service come after the forward (abtest/stack/ecs.py).
    """

    target_group: aws.lb.TargetGroup
    attachments: tuple[pulumi.Resource, ...]
    openings: tuple[SecurityGroupRule, ...]
    security_group: aws.ec2.SecurityGroup | None
    autoscaling_group: aws.autoscaling.Group | None

    def __init__(
        self,
        variant: str,
        experiment: Experiment,
        surroundings: Surroundings,
        network: Network | None,
        hooks: OfVariants,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name = f"abtest-{variant}"
        super().__init__(TYPE, name, None, opts)
        self._name, self._variant, self._experiment, self._surroundings = name, variant, experiment, surroundings
        self._config = experiment.variants[variant]
        self._child = pulumi.ResourceOptions(parent=self)
        self._hooks = hooks
        self.security_group, self.openings = None, ()
        self.autoscaling_group = None
        self.target_group = self._target_group()
        targets = self._config.targets
        if targets.launch is not None:
            self.attachments = self._launch(targets.launch, network)
        elif targets.lambda_arn is not None:
            self.attachments = (self._attach_function(targets.lambda_arn),)
        elif targets.ecs is not None:
            self.security_group, self.openings = self._open_to(network)
            self.attachments = ()
        else:
            ids = targets.instance_ids or targets.ip_addresses or ()
            self.attachments = tuple(self._attach(target, target, zone=self._zone(target)) for target in ids)
        self.register_outputs({"target_group_arn": self.target_group.arn})

    def requests_behind(self, balancer_suffix: pulumi.Input[str]) -> pulumi.Output[str]:
        """What its requests are called where something scales by them: the last parts of the load balancer's ARN and of
        the target group's (Auto Scaling API PredefinedMetricSpecification).
        """
        return pulumi.Output.concat(balancer_suffix, "/", self.target_group.arn_suffix)

    def _target_group(self) -> aws.lb.TargetGroup:
        targets = self._config.targets
        # Autonamed: AWS does not give a group away while a rule uses its name, so a fixed one could not be replaced.
        return aws.lb.TargetGroup(
            self._name,
            target_type=_target_type(targets),
            health_check=self._health_check(),
            **({} if targets.is_function else self._how_to_reach()),
            tags=tags_of(self._experiment, variant=self._variant),
            # A group holds one function; another one needs another group (ALB guide lambda-functions).
            opts=pulumi.ResourceOptions(parent=self, hooks=self._hooks.group, replacement_trigger=targets.lambda_arn),
        )

    def _health_check(self) -> lb.TargetGroupHealthCheckArgsDict | None:
        """The health check; None for a function that is not checked, which is AWS's default for functions."""
        config, health = self._config, self._config.health
        if not config.is_checked:
            return None
        found: lb.TargetGroupHealthCheckArgsDict = {
            "enabled": True,
            "path": health.path,
            "interval": health.interval_seconds,
            "timeout": health.timeout_seconds,
            "healthy_threshold": health.healthy_threshold,
            "unhealthy_threshold": health.unhealthy_threshold,
            "matcher": health.matcher,
        }
        if not config.targets.is_function:
            found |= {"port": str(health.port), "protocol": health.protocol}
        return found

    def _how_to_reach(self) -> dict[str, Any]:
        """What a target group says of targets that have an address (API CreateTargetGroup, TargetGroupAttribute)."""
        config = self._config
        return {
            "port": config.target_port,
            "protocol": config.protocol,
            "protocol_version": config.protocol_version,
            "ip_address_type": "ipv6" if any(":" in a for a in config.targets.ip_addresses or ()) else "ipv4",
            "vpc_id": self._surroundings.network.vpc_id,
            "load_balancing_algorithm_type": config.load_balancing,
            "load_balancing_anomaly_mitigation": _anomaly_mitigation(config),
            "deregistration_delay": config.deregistration_delay_seconds,
            "slow_start": config.slow_start_seconds,
        }

    def _zone(self, target: str) -> str | None:
        """AWS knows the zone of what is in the VPC; an address outside is for all zones (API TargetDescription)."""
        if self._config.targets.ip_addresses is None or ":" in target:
            return None
        address = ipaddress.ip_address(target)
        return None if any(address in ipaddress.ip_network(b) for b in self._surroundings.network.vpc_cidrs) else "all"

    def _attach(
        self,
        key: str,
        target: pulumi.Input[str],
        zone: str | None = None,
        after: Sequence[pulumi.Resource] = (),
        *,
        drains: bool = False,
    ) -> aws.lb.TargetGroupAttachment:
        """``drains``: the target ends with its attachment, which only deregisters it."""
        hooks = self._hooks.launched if drains else self._hooks.attached
        return aws.lb.TargetGroupAttachment(
            f"{self._name}-{key}",
            target_group_arn=self.target_group.arn,
            target_id=target,
            port=self._config.target_port or None,
            availability_zone=zone,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after, hooks=hooks),
        )

    def _attach_function(self, arn: str) -> pulumi.Resource:
        from abtest.stack.function import permit_invocation

        return self._attach("function", arn, after=[permit_invocation(self._name, arn, self.target_group, self._child)])

    def _launch(self, launch: Launch, network: Network | None) -> tuple[pulumi.Resource, ...]:
        self.security_group, self.openings = self._open_to(network)
        variant, experiment, security_group = self._variant, self._experiment, self.security_group
        launchable = self._surroundings.launchables[variant]
        if not launch.scales:
            opts = pulumi.ResourceOptions(parent=self, depends_on=self.openings)
            instances = launch_instances(variant, experiment, launch, launchable, security_group, opts)
            # Only if there is something to wait for: a hook on the deletion makes `pulumi destroy` want --run-program
            # (pulumi/pulumi pkg/engine/destroy.go).
            drains = self._config.deregistration_delay_seconds > 0
            return tuple(self._attach(str(n), each.id, drains=drains) for n, each in enumerate(instances, 1))
        from abtest.stack.autoscaling import launch_group, template_of

        template = template_of(variant, experiment, launch, launchable, security_group, self._child)
        opts = pulumi.ResourceOptions(parent=self, depends_on=self.openings, hooks=self._hooks.attached)
        self.autoscaling_group = launch_group(
            variant, experiment, launch, launchable, template, self.target_group, opts
        )
        return (self.autoscaling_group,)

    def _open_to(self, network: Network | None) -> tuple[aws.ec2.SecurityGroup, tuple[SecurityGroupRule, ...]]:
        """The security group of instances or tasks: only the load balancer gets in."""
        tags = tags_of(self._experiment, variant=self._variant)
        group = aws.ec2.SecurityGroup(
            self._name,
            # The same for tasks: another description would be another group, and cut off the targets in the old one.
            description="Instances of a variant of the A/B test",
            vpc_id=self._surroundings.network.vpc_id,
            tags=tags_of(self._experiment, variant=self._variant, name=self._name),
            opts=self._child,
        )
        ingress, egress = aws.vpc.SecurityGroupIngressRule, aws.vpc.SecurityGroupEgressRule
        rules: list[SecurityGroupRule] = []
        for port in ports_of(self._config):
            if network is not None:
                lb = network.security_group
                rules += [
                    open_port(ingress, f"{self._name}-from-lb-{port}", group, lb, port, tags=tags, opts=self._child),
                    open_port(egress, f"{self._name}-to-{port}", lb, group, port, tags=tags, opts=self._child),
                ]
            elif (listener := self._surroundings.listener) is not None:
                # What somebody else's load balancer may reach is its owner's to say.
                rules += [
                    open_port(ingress, f"{self._name}-from-{lb}-{port}", group, lb, port, tags=tags, opts=self._child)
                    for lb in listener.load_balancer.security_groups
                ]
        for everywhere in ("0.0.0.0/0", "::/0"):  # model servers fetch packages and weights when they start
            rules.append(
                open_port(egress, f"{self._name}-to-{everywhere}", group, everywhere, None, tags=tags, opts=self._child)
            )
        return group, tuple(rules)


def _anomaly_mitigation(config: VariantConfig) -> str | None:
    """Always said where it may be on: what is left out, the provider leaves as it is."""
    if config.load_balancing != "weighted_random":
        return None
    return "on" if config.anomaly_mitigation else "off"


def _target_type(targets: Targets) -> str:
    if targets.external is not None:
        return targets.external
    if targets.is_function:
        return "lambda"
    return "ip" if targets.ip_addresses is not None or targets.ecs is not None else "instance"
