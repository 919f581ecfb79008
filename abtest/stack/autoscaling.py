"""An Auto Scaling group of a variant, and what it scales by."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment.types import Launch
from abtest.stack.launch import of_architecture
from abtest.stack.look_up import Launchable
from abtest.stack.tags import tags_of
from abtest.stack.timeouts import beyond_drain

if TYPE_CHECKING:
    from abtest.stack.variant import Variant

__all__ = ["launch_group", "scale_by_requests", "template_of"]


def template_of(
    variant: str,
    experiment: Experiment,
    launch: Launch,
    launchable: Launchable,
    security_group: aws.ec2.SecurityGroup,
    opts: pulumi.ResourceOptions,
) -> aws.ec2.LaunchTemplate:
    # As with single instances, a newer default image is no reason to replace any: it is for the next template.
    image = launchable.image
    # Nor are other tags: volumes keep those that their template was made with.
    kept = ["tagSpecifications", *([] if launch.ami else ["imageId", "blockDeviceMappings[0].deviceName"])]
    tags = tags_of(experiment, variant=variant)
    public_ip = None if launch.public_ip is None else str(launch.public_ip).lower()
    return aws.ec2.LaunchTemplate(
        of_architecture(f"abtest-{variant}", launchable),
        image_id=image.id,
        instance_type=launch.instance_type,
        iam_instance_profile={"name": launch.instance_profile} if launch.instance_profile else None,
        key_name=launch.key_name,
        user_data=base64.b64encode(launchable.user_data.encode()).decode(),
        metadata_options={"http_endpoint": "enabled", "http_tokens": "required"},
        block_device_mappings=[
            {
                "device_name": image.root_device,
                "ebs": {"encrypted": "true", "volume_type": "gp3", "volume_size": launch.root_volume_gb},
            }
        ],
        network_interfaces=[
            {
                "device_index": 0,
                "associate_public_ip_address": public_ip,
                "security_groups": [security_group.id],
                "delete_on_termination": "true",
            }
        ],
        # An Auto Scaling group gives its tags to instances only, not to their volumes (Auto Scaling API Tag).
        tag_specifications=[{"resource_type": "volume", "tags": tags}],
        tags=tags,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=kept)),
    )


def launch_group(
    variant: str,
    experiment: Experiment,
    launch: Launch,
    launchable: Launchable,
    template: aws.ec2.LaunchTemplate,
    target_group: aws.lb.TargetGroup,
    opts: pulumi.ResourceOptions,
) -> aws.autoscaling.Group:
    """A group that registers its instances itself. The hook after it waits until `min` of them are in service, so what
    forwards to the target group comes after that. Not until the load balancer calls them healthy: before anything
    forwards to them, it does not check them.
    """
    name = f"abtest-{variant}"
    return aws.autoscaling.Group(
        name,
        min_size=launch.min,
        max_size=launch.max,  # the desired number in between is left to scaling
        # The provider would also wait when `min` changes, for exactly as many instances as its state says: in vain, if
        # the group has scaled (hashicorp/terraform-provider-aws internal/service/autoscaling/group.go).
        wait_for_capacity_timeout="0",
        vpc_zone_identifiers=[subnet.id for subnet in launchable.subnets],
        target_group_arns=[target_group.arn],
        health_check_type="ELB",
        health_check_grace_period=launch.health_check_grace_seconds,
        # By its number: with $Latest a refresh could not be rolled back (Auto Scaling API RefreshPreferences).
        launch_template={"id": template.id, "version": template.latest_version.apply(str)},
        # Both said as 100, a new instance is in service before an old one leaves, one after the other (same).
        instance_refresh={
            "strategy": "Rolling",
            "preferences": {"min_healthy_percentage": 100, "max_healthy_percentage": 100, "auto_rollback": True},
        },
        # The template has no tags of instances: other tags would be another version, and so other instances.
        tags=[
            {"key": key, "value": value, "propagate_at_launch": True}
            for key, value in tags_of(experiment, variant=variant, name=name).items()
        ],
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                # With another target group it would leave the old one before what forwards there does.
                replace_on_changes=["targetGroupArns"],
                # The provider's own limit is 10 minutes, in which the instances have to be gone
                # (hashicorp/terraform-provider-aws internal/service/autoscaling/group.go, drainGroup).
                custom_timeouts=beyond_drain(experiment.variants[variant], delete=10),
            ),
        ),
    )


def scale_by_requests(
    experiment: Experiment,
    variants: Mapping[str, Variant],
    balancer_suffix: pulumi.Input[str],
    after: Sequence[pulumi.Resource],
) -> None:
    """So many instances that each has about as many requests per minute, in the groups that something forwards to. AWS
    counts requests of a target group that its load balancer forwards to, no sooner: ``after`` is what forwards. What a
    rollback takes out keeps its policy: an update that touches the forwards alone could not take it away.
    """
    for name, variant in variants.items():
        launch, group = experiment.variants[name].targets.launch, variant.autoscaling_group
        is_used = experiment.is_forwarded(name)
        if launch is not None and launch.requests_per_target is not None and group is not None and is_used:
            aws.autoscaling.Policy(
                f"abtest-{name}",
                autoscaling_group_name=group.name,
                policy_type="TargetTrackingScaling",
                target_tracking_configuration={
                    "predefined_metric_specification": {
                        "predefined_metric_type": "ALBRequestCountPerTarget",
                        "resource_label": variant.requests_behind(balancer_suffix),
                    },
                    "target_value": launch.requests_per_target,
                },
                opts=pulumi.ResourceOptions(parent=variant, depends_on=after),
            )
