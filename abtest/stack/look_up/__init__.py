"""Look-ups of what exists already, as plain values, before any resource is registered.

What does not fit (no such VPC, one zone only, an instance type that no zone offers) is reported like any other
problem of the config, so that nothing is half built.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi_aws as aws
from msgspec import Struct, field

from abtest.experiment import ConfigError, Experiment, Source
from abtest.experiment.problems import Report
from abtest.stack.config import shown_as_list
from abtest.stack.look_up.ask import NotFoundError, UnreachableError, ask
from abtest.stack.look_up.clusters import find_clusters
from abtest.stack.look_up.instances import Image, Launchable, find_launchables
from abtest.stack.look_up.listener import FoundListener, FoundLoadBalancer, behind, find_listener
from abtest.stack.look_up.network import FoundNetwork, Subnet, check_addresses, find_network

__all__ = [
    "FoundListener",
    "FoundLoadBalancer",
    "FoundNetwork",
    "Image",
    "Launchable",
    "Subnet",
    "Surroundings",
    "look_up",
]


class Surroundings(Struct, frozen=True, kw_only=True):
    """What exists already. ``launchables`` is by variant, for those that launch instances; ``clusters`` are the ARNs of
    ECS clusters by name; ``listener`` is somebody else's, if the split goes there.
    """

    network: FoundNetwork
    launchables: Mapping[str, Launchable] = field(default_factory=dict)
    clusters: Mapping[str, str] = field(default_factory=dict)
    zone_id: str | None = None
    listener: FoundListener | None = None


def look_up(experiment: Experiment, source: Source) -> Surroundings:
    """Ask AWS for what the config names. Raises pulumi.RunError with every look-up that fails."""
    with shown_as_list():
        return _look_up(experiment, source)


def _look_up(experiment: Experiment, source: Source) -> Surroundings:
    report = Report(source)
    try:
        listener = find_listener(experiment, report)
        if listener is not None:
            experiment = behind(listener, experiment)
        elif report.has_errors:
            raise ConfigError(report.sorted())
        network = find_network(experiment, report)
        launchables = find_launchables(experiment, network.target_subnets, report, source.project.folder)
        clusters = find_clusters(experiment, report)
        zone_id = _zone_id(experiment, report)
    except UnreachableError as error:
        report.error((), f"AWS cannot be asked: {error}; check the credentials, their permissions and aws:region")
        raise ConfigError(report.sorted()) from error
    for name, variant in experiment.variants.items():
        addresses = variant.targets.ip_addresses or ()
        check_addresses(addresses, network, report, ("variants", name, "targets", "ipAddresses"))
    if report.has_errors:
        raise ConfigError(report.sorted())
    return Surroundings(network=network, launchables=launchables, clusters=clusters, zone_id=zone_id, listener=listener)


def _zone_id(experiment: Experiment, report: Report) -> str | None:
    dns = experiment.dns
    if dns is None:
        return None
    try:
        return ask(lambda: aws.route53.get_zone(name=dns.zone, private_zone=dns.private_zone)).zone_id
    except NotFoundError as error:
        report.error(("dns", "zone"), f"the hosted zone {dns.zone} cannot be found: {error}")
        return None
