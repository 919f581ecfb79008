"""Single instances of a variant."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment.types import Launch
from abtest.stack.look_up import Launchable
from abtest.stack.tags import tags_of

__all__ = ["launch_instances", "of_architecture"]


def launch_instances(
    variant: str,
    experiment: Experiment,
    launch: Launch,
    launchable: Launchable,
    security_group: aws.ec2.SecurityGroup,
    opts: pulumi.ResourceOptions,
) -> tuple[aws.ec2.Instance, ...]:
    # Another type or another script means another instance: replaced, the new one before the old one leaves.
    # Otherwise the provider would stop the running one. A newer default image is no reason to replace anything,
    # but another architecture needs another image, so it is another instance by name.
    # Another size of the volume means another instance too: AWS cannot shrink a volume (EC2 API ModifyVolume), and the
    # file system grows into a larger one when an instance starts.
    own = pulumi.ResourceOptions(
        replace_on_changes=["instanceType", "userData"],
        ignore_changes=None if launch.ami else ["ami"],
        replacement_trigger=launch.root_volume_gb or 0,
    )
    options = pulumi.ResourceOptions.merge(opts, own)
    name = f"abtest-{variant}"
    return tuple(
        aws.ec2.Instance(
            f"{of_architecture(name, launchable)}-{n}",
            ami=launchable.image.id,
            instance_type=launch.instance_type,
            subnet_id=subnet.id,
            associate_public_ip_address=launch.public_ip,
            vpc_security_group_ids=[security_group.id],
            iam_instance_profile=launch.instance_profile,
            key_name=launch.key_name,
            user_data=launchable.user_data,
            user_data_replace_on_change=True,
            metadata_options={"http_endpoint": "enabled", "http_tokens": "required"},
            # Without a size of ours the volume is as large as the image asks for.
            root_block_device={"encrypted": True, "volume_type": "gp3", "volume_size": launch.root_volume_gb},
            tags=(tags := tags_of(experiment, variant=variant, name=f"{name}-{n}")),
            volume_tags=tags,
            opts=options,
        )
        for n, subnet in enumerate(launchable.subnets, 1)
    )


def of_architecture(name: str, launchable: Launchable) -> str:
    """A name with the architecture of the default image, where that is not the usual one."""
    return f"{name}-arm64" if launchable.image.architecture == "arm64" else name
