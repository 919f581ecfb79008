"""What launched instances need of AWS: an image, and subnets whose zones offer their type."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path as FilePath

import pulumi_aws as aws
from msgspec import Struct

from abtest.experiment import Experiment
from abtest.experiment.files import read_script
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Launch, Variant
from abtest.stack.look_up.ask import NotFoundError, ask
from abtest.stack.look_up.network import Subnet

__all__ = ["Image", "Launchable", "find_launchables", "sample_user_data", "spread"]


class Image(Struct, frozen=True):
    """A machine image. ``architecture`` is None for an image that the config names; ``root_device`` is Amazon Linux's
    unless asked for.
    """

    id: str
    architecture: str | None = None
    root_device: str = "/dev/xvda"


class Launchable(Struct, frozen=True):
    """What the instances of a variant start with. ``subnets`` holds one for each of them, or all that fit for an Auto
    Scaling group.
    """

    image: Image
    subnets: tuple[Subnet, ...]
    user_data: str


def find_launchables(
    experiment: Experiment, subnets: tuple[Subnet, ...], report: Report, folder: FilePath
) -> Mapping[str, Launchable]:
    """By variant, for those that launch instances. What does not fit is reported."""
    zones_of, image_for = functools.cache(_zones_of), functools.cache(_image_for)  # one question a type
    found: dict[str, Launchable] = {}
    for name, variant in experiment.variants.items():
        launch = variant.targets.launch
        if launch is None:
            continue
        path: Path = ("variants", name, "targets", "launch", "instanceType")
        try:
            offered = zones_of(launch.instance_type)
            fitting = tuple(subnet for subnet in subnets if subnet.zone in offered)
            if not offered:
                report.error(path, f"{launch.instance_type} is not offered in this region")
            elif subnets and not fitting:
                zones, there = (", ".join(sorted(found)) for found in ({s.zone for s in subnets}, offered))
                report.error(path, f"{launch.instance_type} is in none of the zones {zones}; it is offered in {there}")
            if not fitting:
                continue
            image = _own_image(launch.ami, launch) if launch.ami else image_for(launch.instance_type)
        except NotFoundError as error:
            report.error(path, f"{launch.instance_type} cannot be started: {error}")
            continue
        script = launch.user_data_file
        user_data = _with_unix_lines(read_script(folder, script)) if script else sample_user_data(name, variant)
        found[name] = Launchable(image, fitting if launch.scales else spread(name, launch.count, fitting), user_data)
    return found


def _with_unix_lines(script: bytes) -> str:
    """A shell takes the CR of a line end for a part of the command."""
    return script.decode().replace("\r\n", "\n")


def spread(variant: str, count: int, subnets: tuple[Subnet, ...]) -> tuple[Subnet, ...]:
    """A subnet for each instance: evenly, and so that few instances move when a subnet comes or goes.

    Each instance takes, of the subnets with the fewest so far, the one that a hash of both ranks highest (rendezvous
    hashing, Thaler and Ravishankar 1998). By position in a list, one new subnet would move them all.
    """
    used: Counter[str] = Counter()
    chosen = []
    for n in range(count):
        fewest = min(used[subnet.id] for subnet in subnets)
        free = [subnet for subnet in subnets if used[subnet.id] == fewest]
        best = max(free, key=lambda subnet: hashlib.sha256(f"{variant}/{n}/{subnet.id}".encode()).digest())
        used[best.id] += 1
        chosen.append(best)
    return tuple(chosen)


def _own_image(ami: str, launch: Launch) -> Image:
    """An image that the config names. Only a launch template has to name its root device."""
    if not launch.scales:
        return Image(ami)
    try:
        # A deprecated image can be started (EC2 guide, "Deprecate an Amazon EC2 AMI").
        found = ask(lambda: aws.ec2.get_ami(filters=[{"name": "image-id", "values": [ami]}], include_deprecated=True))
    except NotFoundError as error:
        raise NotFoundError(f"image {ami}: {error}") from error
    return Image(ami, root_device=found.root_device_name)


_IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}"


def _image_for(instance_type: str) -> Image:
    """Amazon Linux 2023 for the instance type's architecture, by its public SSM parameter.

    Source: Amazon Linux 2023 user guide, "Launching AL2023 using the SSM parameter".
    """
    found = ask(lambda: aws.ec2.get_instance_type(instance_type=instance_type)).supported_architectures
    architecture = next((a for a in ("arm64", "x86_64") if a in found), None)
    if architecture is None:
        raise NotFoundError(f"Amazon Linux does not run on {', '.join(found)}; give ami")
    return Image(ask(lambda: aws.ssm.get_parameter(name=_IMAGE_PARAMETER.format(architecture))).value, architecture)


def _zones_of(instance_type: str) -> frozenset[str]:
    """The zones in which the instance type can be started: not every zone has every type."""
    filters = [{"name": "instance-type", "values": [instance_type]}]
    offerings: Callable[..., aws.ec2.GetInstanceTypeOfferingsResult] = aws.ec2.get_instance_type_offerings
    return frozenset(ask(lambda: offerings(location_type="availability-zone", filters=filters)).locations)


def sample_user_data(variant: str, config: Variant) -> str:
    """A start-up script for Amazon Linux 2023 that runs the sample model server as a service."""
    server = resources.files("abtest").joinpath("sample", "server.py").read_text(encoding="utf-8")
    return f"""#!/bin/bash
set -euo pipefail
install -d /opt/abtest
cat > /opt/abtest/server.py <<'END_OF_SERVER'
{server.rstrip()}
END_OF_SERVER
cat > /etc/systemd/system/abtest-sample.service <<'END_OF_UNIT'
[Unit]
Description=Sample model server, version {variant}
After=network-online.target
[Service]
ExecStart=/usr/bin/python3 /opt/abtest/server.py --port {config.target_port} --version={variant}
Restart=always
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
[Install]
WantedBy=multi-user.target
END_OF_UNIT
systemctl daemon-reload
systemctl enable --now abtest-sample.service
"""
