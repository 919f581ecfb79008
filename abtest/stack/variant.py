"""A variant: its target group and what answers behind it."""

from __future__ import annotations

import ipaddress

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment.types import Launch, Targets
from abtest.stack.hooks import OfVariants
from abtest.stack.look_up import Launchable, Surroundings
from abtest.stack.network import Network, SecurityGroupRule, open_port, ports_of
from abtest.stack.tags import tags_of

__all__ = ["Variant"]

TYPE = "abtest:stack:Variant"


class Variant(pulumi.ComponentResource):
    """A target group with its targets.

    ``attachments`` is what a forward to this variant depends on: before it, the group has no target, and requests
    sent there would be answered with 503. They in turn come after ``openings``, the security group rules that open the
    way. The targets of a Fargate service come after the forward (abtest/stack/ecs.py).
    """

    target_group: aws.lb.TargetGroup
    attachments: tuple[aws.lb.TargetGroupAttachment, ...]
    openings: tuple[SecurityGroupRule, ...]
    security_group: aws.ec2.SecurityGroup | None

    def __init__(
        self,
        variant: str,
        experiment: Experiment,
        surroundings: Surroundings,
        network: Network,
        hooks: OfVariants,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name = f"abtest-{variant}"
        super().__init__(TYPE, name, None, opts)
        self._name, self._variant, self._experiment, self._surroundings = name, variant, experiment, surroundings
        self._config = experiment.variants[variant]
        self._child = pulumi.ResourceOptions(parent=self)
        self._attached = pulumi.ResourceOptions(parent=self, hooks=hooks.attached)
        self.security_group, self.openings = None, ()
        self.target_group = self._target_group(pulumi.ResourceOptions(parent=self, hooks=hooks.group))
        targets = self._config.targets
        if targets.launch is not None:
            self.security_group, self.openings = self._open_to(network)
            launchable = surroundings.launchables[variant]
            self.attachments = self._launch(targets.launch, launchable, self.security_group)
        elif targets.ecs is not None:
            self.security_group, self.openings = self._open_to(network)
            self.attachments = ()
        else:
            ids = targets.instance_ids or targets.ip_addresses or ()
            self.attachments = tuple(self._attach(target, target, zone=self._zone(target)) for target in ids)
        self.register_outputs({"target_group_arn": self.target_group.arn})

    def _target_group(self, options: pulumi.ResourceOptions) -> aws.lb.TargetGroup:
        config, health = self._config, self._config.health
        # Autonamed: AWS does not give a group away while a rule uses its name, so a fixed one could not be replaced.
        return aws.lb.TargetGroup(
            self._name,
            port=config.target_port,
            protocol=config.protocol,
            protocol_version=config.protocol_version,
            target_type=_target_type(config.targets),
            ip_address_type="ipv6" if any(":" in a for a in config.targets.ip_addresses or ()) else "ipv4",
            vpc_id=self._surroundings.network.vpc_id,
            load_balancing_algorithm_type=config.load_balancing,
            deregistration_delay=config.deregistration_delay_seconds,
            slow_start=config.slow_start_seconds,
            health_check={
                "enabled": True,
                "path": health.path,
                "port": str(health.port),
                "protocol": health.protocol,
                "interval": health.interval_seconds,
                "timeout": health.timeout_seconds,
                "healthy_threshold": health.healthy_threshold,
                "unhealthy_threshold": health.unhealthy_threshold,
                "matcher": health.matcher,
            },
            tags=tags_of(self._experiment, variant=self._variant),
            opts=options,
        )

    def _zone(self, target: str) -> str | None:
        """AWS knows the zone of what is in the VPC; an address outside is for all zones (API TargetDescription)."""
        if self._config.targets.ip_addresses is None or ":" in target:
            return None
        address = ipaddress.ip_address(target)
        return None if any(address in ipaddress.ip_network(b) for b in self._surroundings.network.vpc_cidrs) else "all"

    def _attach(self, key: str, target: pulumi.Input[str], zone: str | None = None) -> aws.lb.TargetGroupAttachment:
        return aws.lb.TargetGroupAttachment(
            f"{self._name}-{key}",
            target_group_arn=self.target_group.arn,
            target_id=target,
            port=self._config.target_port,
            availability_zone=zone,
            opts=self._attached,
        )

    def _open_to(self, network: Network) -> tuple[aws.ec2.SecurityGroup, tuple[SecurityGroupRule, ...]]:
        """The security group of instances or tasks: only the load balancer gets in."""
        tags = tags_of(self._experiment, variant=self._variant)
        group = aws.ec2.SecurityGroup(
            self._name,
            # Another description would be another group.
            description=f"{'Tasks' if self._config.targets.ecs else 'Instances'} of a variant of the A/B test",
            vpc_id=self._surroundings.network.vpc_id,
            tags=tags_of(self._experiment, variant=self._variant, name=self._name),
            opts=self._child,
        )
        ingress, egress = aws.vpc.SecurityGroupIngressRule, aws.vpc.SecurityGroupEgressRule
        balancer = network.security_group
        rules: list[SecurityGroupRule] = []
        for port in ports_of(self._config):
            rules += [
                open_port(ingress, f"{self._name}-from-lb-{port}", group, balancer, port, tags=tags, opts=self._child),
                open_port(egress, f"{self._name}-to-{port}", balancer, group, port, tags=tags, opts=self._child),
            ]
        for everywhere in ("0.0.0.0/0", "::/0"):  # model servers fetch packages and weights when they start
            rules.append(
                open_port(egress, f"{self._name}-to-{everywhere}", group, everywhere, None, tags=tags, opts=self._child)
            )
        return group, tuple(rules)

    def _launch(
        self, launch: Launch, launchable: Launchable, group: aws.ec2.SecurityGroup
    ) -> tuple[aws.lb.TargetGroupAttachment, ...]:
        # Another type or another script means another instance: replaced, the new one before the old one leaves.
        # Otherwise the provider would stop the running one. A newer default image is no reason to replace anything,
        # but another architecture needs another image, so it is another instance by name.
        image = launchable.image
        key = f"{image.architecture}-" if image.architecture == "arm64" else ""
        options = pulumi.ResourceOptions(
            parent=self,
            depends_on=self.openings,
            replace_on_changes=["instanceType", "userData"],
            ignore_changes=None if launch.ami else ["ami"],
        )
        attachments = []
        for n, subnet in enumerate(launchable.subnets, 1):
            instance = aws.ec2.Instance(
                f"{self._name}-{key}{n}",
                ami=image.id,
                instance_type=launch.instance_type,
                subnet_id=subnet.id,
                vpc_security_group_ids=[group.id],
                iam_instance_profile=launch.instance_profile,
                key_name=launch.key_name,
                user_data=launchable.user_data,
                user_data_replace_on_change=True,
                metadata_options={"http_endpoint": "enabled", "http_tokens": "required"},
                # Without a size of ours the volume is as large as the image asks for.
                root_block_device={"encrypted": True, "volume_type": "gp3", "volume_size": launch.root_volume_gb},
                tags=tags_of(self._experiment, variant=self._variant, name=f"{self._name}-{n}"),
                opts=options,
            )
            attachments.append(self._attach(str(n), instance.id))
        return tuple(attachments)


def _target_type(targets: Targets) -> str:
    if targets.external is not None:
        return targets.external
    return "ip" if targets.ip_addresses is not None or targets.ecs is not None else "instance"
