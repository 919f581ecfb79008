"""Look-ups of what exists already, as plain values, before any resource is registered.

What does not fit (no such VPC, one zone only, an instance type that no zone offers) is reported like any other
problem of the config, so that nothing is half built.
"""

from __future__ import annotations

import functools
import ipaddress
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pulumi_aws as aws

from abtest.experiment import ConfigError, Experiment, Source
from abtest.experiment.checks.variants import TARGET_NETWORKS
from abtest.experiment.limits import ZONES
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Launch, Network

__all__ = ["Subnet", "Surroundings", "look_up"]

T = TypeVar("T")


@dataclass(frozen=True)
class Subnet:
    """A subnet and its availability zone."""

    id: str
    zone: str
    vpc_id: str
    has_ipv6: bool


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What exists already. ``images`` and ``launch_subnets`` are by variant, for those that launch instances."""

    vpc_id: str
    vpc_cidrs: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    images: Mapping[str, str] = field(default_factory=dict)
    launch_subnets: Mapping[str, tuple[Subnet, ...]] = field(default_factory=dict)
    zone_id: str | None = None


class _NotFoundError(Exception):
    """A look-up failed; its text says how."""


def look_up(experiment: Experiment, source: Source) -> Surroundings:
    """Ask AWS for what the config names. Raises ConfigError with every look-up that fails."""
    report = Report(source)
    network = _network(experiment, report)
    zones_of, image_for = functools.cache(_zones_of), functools.cache(_image_for)  # one question a type
    images: dict[str, str] = {}
    launch_subnets: dict[str, tuple[Subnet, ...]] = {}
    for name, variant in experiment.variants.items():
        launch = variant.targets.launch
        if launch is None:
            continue
        path: Path = ("variants", name, "targets", "launch", "instanceType")
        try:
            launch_subnets[name] = _fitting(launch, network.subnets, zones_of(launch.instance_type), report, path)
            if not report.is_broken(path):
                images[name] = launch.ami or image_for(launch.instance_type)
        except _NotFoundError as error:
            report.error(path, f"{launch.instance_type} cannot be looked up: {error}")
    for name, variant in experiment.variants.items():
        _check_addresses(
            variant.targets.ip_addresses or (), network, report, ("variants", name, "targets", "ipAddresses")
        )
    zone_id = _zone_id(experiment, report)
    if report.has_errors:
        raise ConfigError(report.sorted())
    return Surroundings(
        vpc_id=network.vpc_id,
        vpc_cidrs=network.vpc_cidrs,
        subnets=network.subnets,
        images=images,
        launch_subnets=launch_subnets,
        zone_id=zone_id,
    )


def _ask(invoke: Callable[[], T]) -> T:
    """Call a provider function; its failure becomes one line. The SDK raises a bare Exception for it, nothing finer."""
    try:
        return invoke()
    except Exception as error:
        if type(error) is not Exception:
            raise
        words = str(error).partition(" failed: ")[2] or str(error)
        raise _NotFoundError(" ".join(words.removesuffix(" ()").split())) from error


# Network ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    vpc_id: str
    vpc_cidrs: tuple[str, ...]
    subnets: tuple[Subnet, ...]


_NOTHING = _Found("", (), ())


def _network(experiment: Experiment, report: Report) -> _Found:
    network = experiment.network
    try:
        subnets = tuple(map(_subnet, network.subnet_ids or ()))
    except _NotFoundError as error:
        report.error(("network", "subnetIds"), f"a subnet cannot be found: {error}")
        return _NOTHING
    try:
        # Subnets that are named say which VPC is meant, unless the VPC is named too.
        named = network.vpc_id or (subnets[0].vpc_id if subnets and network.vpc_tags is None else None)
        if named:
            vpc = _ask(lambda: aws.ec2.get_vpc(id=named))
        elif network.vpc_tags:
            vpc = _ask(lambda: aws.ec2.get_vpc(tags=dict(network.vpc_tags or {})))
        else:
            vpc = _ask(lambda: aws.ec2.get_vpc(default=True))
    except _NotFoundError as error:
        report.error(*_no_vpc(network, error))
        return _NOTHING
    if not subnets:
        try:
            subnets = _find_subnets(network, vpc.id)
        except _NotFoundError as error:
            report.error(("network",), f"the subnets of {vpc.id} cannot be listed: {error}")
            return _NOTHING
    cidrs = {vpc.cidr_block, *(a.cidr_block for a in vpc.cidr_block_associations or ())} - {""}
    found = _Found(vpc.id, tuple(sorted(cidrs)), tuple(sorted(subnets, key=lambda s: (s.zone, s.id))))
    _check_subnets(network, found, report)
    return found


def _no_vpc(network: Network, error: _NotFoundError) -> tuple[Path, str]:
    if network.vpc_id or network.subnet_ids:
        return ("network", "vpcId" if network.vpc_id else "subnetIds"), f"the VPC cannot be found: {error}"
    if network.vpc_tags:
        tags = ", ".join(f"{key}={value}" for key, value in network.vpc_tags.items())
        return ("network", "vpcTags"), f"the tags {tags} must find exactly one VPC: {error}"
    return ("network",), f"there is no default VPC to use ({error}); give vpcId or vpcTags"


def _subnet(subnet_id: str) -> Subnet:
    found = _ask(lambda: aws.ec2.get_subnet(id=subnet_id))
    return Subnet(found.id, found.availability_zone, found.vpc_id, bool(found.ipv6_cidr_block))


def _find_subnets(network: Network, vpc_id: str) -> tuple[Subnet, ...]:
    filters = [{"name": "vpc-id", "values": [vpc_id]}]
    if network.subnet_tags is None and network.vpc_id is None and network.vpc_tags is None:
        # The default VPC has one default subnet a zone; others that somebody added are not meant.
        filters.append({"name": "default-for-az", "values": ["true"]})
    tags = dict(network.subnet_tags or {})
    found = _ask(lambda: aws.ec2.get_subnets(filters=filters, tags=tags or None))  # type: ignore[arg-type]
    return tuple(map(_subnet, found.ids))


def _check_subnets(network: Network, found: _Found, report: Report) -> None:
    key = "subnetIds" if network.subnet_ids else "subnetTags" if network.subnet_tags else None
    path: Path = ("network", key) if key else ("network",)
    zones: dict[str, list[str]] = defaultdict(list)
    for subnet in found.subnets:
        zones[subnet.zone].append(subnet.id)
        if subnet.vpc_id != found.vpc_id:
            report.also(path, f"{subnet.id} is in {subnet.vpc_id}, not in {found.vpc_id}; take subnets of one VPC")
    for zone, ids in sorted(zones.items()):
        if len(ids) > 1:
            report.also(
                path,
                f"{' and '.join(ids)} are in one availability zone, {zone}; a load balancer takes one subnet a zone "
                f"({ZONES.source}): list the ones to use in subnetIds, or find them by subnetTags",
            )
    if len(zones) < ZONES.low:
        there = f"only in {', '.join(zones)}" if zones else "nowhere: no subnet was found"
        report.also(
            path,
            f"the subnets of {found.vpc_id} lie {there}, but a load balancer needs at least {ZONES.low} availability "
            f"zones ({ZONES.source})",
        )
    without = [subnet.id for subnet in found.subnets if not subnet.has_ipv6]
    if network.ip_address_type != "ipv4" and without:
        report.also(
            ("network", "ipAddressType"),
            f"{network.ip_address_type} needs subnets with an IPv6 block; {', '.join(without)} has none",
        )


def _check_addresses(addresses: Sequence[str], network: _Found, report: Report, path: Path) -> None:
    """What the offline check could only doubt: an address outside the private ranges must be in the VPC."""
    blocks = [ipaddress.ip_network(cidr) for cidr in network.vpc_cidrs]
    for n, text in enumerate(addresses):
        address = ipaddress.ip_address(text)
        if address.version == 4 and blocks and not any(address in block for block in (*TARGET_NETWORKS, *blocks)):
            report.error(
                (*path, n),
                f"{text} is not private, and not in the VPC's {', '.join(network.vpc_cidrs)} (API RegisterTargets)",
            )


# Instances --------------------------------------------------------------------------------------------------------

_IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}"


def _image_for(instance_type: str) -> str:
    """Amazon Linux 2023 for the instance type's architecture, by its public SSM parameter.

    Source: Amazon Linux 2023 user guide, "Launching AL2023 using the SSM parameter".
    """
    found = _ask(lambda: aws.ec2.get_instance_type(instance_type=instance_type)).supported_architectures
    architecture = next((a for a in ("arm64", "x86_64") if a in found), None)
    if architecture is None:
        raise _NotFoundError(f"Amazon Linux does not run on {', '.join(found)}; give ami")
    return _ask(lambda: aws.ssm.get_parameter(name=_IMAGE_PARAMETER.format(architecture))).value


def _zones_of(instance_type: str) -> frozenset[str]:
    """The zones in which the instance type can be started: not every zone has every type."""
    filters = [{"name": "instance-type", "values": [instance_type]}]
    found = _ask(
        lambda: aws.ec2.get_instance_type_offerings(location_type="availability-zone", filters=filters)  # type: ignore[arg-type]
    )
    return frozenset(found.locations)


def _fitting(
    launch: Launch, subnets: tuple[Subnet, ...], offered: frozenset[str], report: Report, path: Path
) -> tuple[Subnet, ...]:
    """The subnets whose zones offer the instance type."""
    fitting = tuple(subnet for subnet in subnets if subnet.zone in offered)
    if subnets and not fitting:
        zones = ", ".join(subnet.zone for subnet in subnets)
        there = f"offered in {', '.join(sorted(offered))}" if offered else "not offered in this region"
        report.error(path, f"{launch.instance_type} is in none of the zones {zones}; it is {there}")
    return fitting


# DNS --------------------------------------------------------------------------------------------------------------


def _zone_id(experiment: Experiment, report: Report) -> str | None:
    dns = experiment.dns
    if dns is None:
        return None
    try:
        return _ask(lambda: aws.route53.get_zone(name=dns.zone, private_zone=dns.private_zone)).zone_id
    except _NotFoundError as error:
        report.error(("dns", "zone"), f"the hosted zone {dns.zone} cannot be found: {error}")
        return None
