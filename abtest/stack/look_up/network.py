"""The existing VPC and subnets."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import pulumi_aws as aws
from msgspec import Struct

from abtest.experiment import Experiment
from abtest.experiment.limits import SMALLEST_SUBNET_PREFIX, TARGET_NETWORKS, ZONES
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Network
from abtest.stack.look_up.ask import NotFoundError, ask

__all__ = ["FoundNetwork", "Subnet", "check_addresses", "find_network"]


class Subnet(Struct, frozen=True):
    """A subnet, its availability zone and its IPv4 block (empty without one)."""

    id: str
    zone: str
    vpc_id: str
    cidr: str
    has_ipv6: bool


class FoundNetwork(Struct, frozen=True):
    """``vpc_cidrs`` are the VPC's IPv4 blocks; ``subnets`` are in the order of their zones, as are ``target_subnets``,
    those of what the program starts.
    """

    vpc_id: str
    vpc_cidrs: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    target_subnets: tuple[Subnet, ...]


_NOTHING = FoundNetwork("", (), (), ())


def find_network(experiment: Experiment, report: Report) -> FoundNetwork:
    """The VPC and its subnets. What does not fit is reported, and what could be found is returned."""
    network = experiment.network
    try:
        subnets = tuple(map(_subnet, network.subnet_ids or ()))
    except NotFoundError as error:
        report.error(("network", "subnetIds"), f"a subnet cannot be found: {error}")
        return _NOTHING
    try:
        # Subnets that are named say which VPC is meant, unless the VPC is named too.
        named = network.vpc_id or (subnets[0].vpc_id if subnets and network.vpc_tags is None else None)
        if named:
            vpc = ask(lambda: aws.ec2.get_vpc(id=named))
        elif network.vpc_tags:
            vpc = ask(lambda: aws.ec2.get_vpc(tags=dict(network.vpc_tags or {})))
        else:
            vpc = ask(lambda: aws.ec2.get_vpc(default=True))
    except NotFoundError as error:
        report.error(*_no_vpc(network, error))
        return _NOTHING
    if not subnets:
        try:
            subnets = _find_subnets(network, vpc.id)
        except NotFoundError as error:
            report.error(("network",), f"the subnets of {vpc.id} cannot be listed: {error}")
            return _NOTHING
    cidrs = {vpc.cidr_block, *(a.cidr_block for a in vpc.cidr_block_associations or ())} - {""}
    subnets = _in_order(subnets)
    found = FoundNetwork(vpc.id, tuple(sorted(cidrs)), subnets, _target_subnets(network, vpc.id, report) or subnets)
    _check_subnets(network, found, report)
    _check_target_subnets(network, found, report)
    return found


def _in_order(subnets: Iterable[Subnet]) -> tuple[Subnet, ...]:
    return tuple(sorted(subnets, key=lambda s: (s.zone, s.id)))


def _no_vpc(network: Network, error: NotFoundError) -> tuple[Path, str]:
    if network.vpc_id or network.subnet_ids:
        return ("network", "vpcId" if network.vpc_id else "subnetIds"), f"the VPC cannot be found: {error}"
    if network.vpc_tags:
        tags = ", ".join(f"{key}={value}" for key, value in network.vpc_tags.items())
        return ("network", "vpcTags"), f"the tags {tags} must find exactly one VPC: {error}"
    return ("network",), f"there is no default VPC to use ({error}); give vpcId or vpcTags"


def _subnet(subnet_id: str) -> Subnet:
    found = ask(lambda: aws.ec2.get_subnet(id=subnet_id))
    return Subnet(found.id, found.availability_zone, found.vpc_id, found.cidr_block, bool(found.ipv6_cidr_block))


def _find_subnets(network: Network, vpc_id: str) -> tuple[Subnet, ...]:
    # The default VPC has one default subnet a zone; others that somebody added are not meant.
    only_default = network.subnet_tags is None and network.vpc_id is None and network.vpc_tags is None
    return _tagged_subnets(vpc_id, network.subnet_tags or {}, only_default=only_default)


def _tagged_subnets(vpc_id: str, tags: Mapping[str, str], *, only_default: bool = False) -> tuple[Subnet, ...]:
    """The subnets of a VPC that have these tags."""
    filters = [{"name": "vpc-id", "values": [vpc_id]}]
    if only_default:
        filters.append({"name": "default-for-az", "values": ["true"]})
    found = ask(lambda: aws.ec2.get_subnets(filters=filters, tags=dict(tags) or None))  # type: ignore[arg-type]
    return tuple(map(_subnet, found.ids))


def _target_subnets(network: Network, vpc_id: str, report: Report) -> tuple[Subnet, ...]:
    """Where instances and tasks are started; empty where the config does not say."""
    ids, tags = network.target_subnet_ids, network.target_subnet_tags
    if ids is None and tags is None:
        return ()
    path: Path = ("network", "targetSubnetTags" if ids is None else "targetSubnetIds")
    try:
        found = _in_order(map(_subnet, ids) if ids is not None else _tagged_subnets(vpc_id, tags or {}))
    except NotFoundError as error:
        report.error(path, f"a subnet cannot be found: {error}")
        return ()
    if not found:
        report.error(path, f"no subnet of {vpc_id} has these tags")
    return found


def _check_target_subnets(network: Network, found: FoundNetwork, report: Report) -> None:
    """A target in a zone where the load balancer has no subnet gets no requests, and does not become healthy: it is
    unused, with the reason Target.NotInUse (API TargetHealth).
    """
    path: Path = ("network", "targetSubnetTags" if network.target_subnet_ids is None else "targetSubnetIds")
    zones = sorted({subnet.zone for subnet in found.subnets})
    for subnet in found.target_subnets if found.target_subnets != found.subnets else ():
        if subnet.vpc_id != found.vpc_id:
            report.also(path, f"{subnet.id} is in {subnet.vpc_id}, not in {found.vpc_id}; take subnets of one VPC")
        elif subnet.zone not in zones:
            report.also(
                path,
                f"{subnet.id} is in {subnet.zone}, where the load balancer has no subnet: no request would reach what "
                f"runs there (API TargetHealth, Target.NotInUse); take subnets of {', '.join(zones)}, or give the load "
                "balancer a subnet there",
            )


def _check_subnets(network: Network, found: FoundNetwork, report: Report) -> None:
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
                f"{' and '.join(ids)} are in one availability zone, {zone}; a load balancer takes one subnet per zone "
                f"({ZONES.source}): list the ones to use in subnetIds, or find them by subnetTags",
            )
    if len(zones) < ZONES.low:
        there = f"only in {', '.join(zones)}" if zones else "nowhere: no subnet was found"
        report.also(
            path,
            f"the subnets of {found.vpc_id} lie {there}, but a load balancer needs at least {ZONES.low} availability "
            f"zones ({ZONES.source})",
        )
    small = [s.id for s in found.subnets if s.cidr and ipaddress.ip_network(s.cidr).prefixlen > SMALLEST_SUBNET_PREFIX]
    if small:
        report.also(
            path,
            f"{', '.join(small)} is smaller than /{SMALLEST_SUBNET_PREFIX}; a load balancer needs that much in each, "
            f"and 8 free addresses ({ZONES.source})",
        )
    without = [subnet.id for subnet in found.subnets if not subnet.has_ipv6]
    if network.ip_address_type != "ipv4" and without:
        report.also(
            ("network", "ipAddressType"),
            f"{network.ip_address_type} needs subnets with an IPv6 block; without one: {', '.join(without)}",
        )


def check_addresses(addresses: Sequence[str], network: FoundNetwork, report: Report, path: Path) -> None:
    """What the offline check could only doubt: an address outside the private ranges must be in the VPC."""
    blocks = [ipaddress.ip_network(cidr) for cidr in network.vpc_cidrs]
    for n, text in enumerate(addresses):
        address = ipaddress.ip_address(text)
        if address.version == 4 and blocks and not any(address in block for block in (*TARGET_NETWORKS, *blocks)):
            report.error(
                (*path, n),
                f"{text} is not private, and not in the VPC's {', '.join(network.vpc_cidrs)} (API RegisterTargets)",
            )
