"""The edge of the stack: network, listener, override header, DNS record, tags."""

from __future__ import annotations

from collections.abc import Sequence

from abtest.experiment import limits
from abtest.experiment.checks.rules import check_header_name
from abtest.experiment.checks.values import check_cidr, check_unique
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Experiment, Secret

__all__ = ["check_access_logs", "check_dns", "check_listener", "check_network", "check_override", "check_tags"]


def check_network(experiment: Experiment, report: Report) -> None:
    network = experiment.network
    for id_key, ids, tags_key, tags in (
        ("vpcId", network.vpc_id, "vpcTags", network.vpc_tags),
        ("subnetIds", network.subnet_ids, "subnetTags", network.subnet_tags),
        ("targetSubnetIds", network.target_subnet_ids, "targetSubnetTags", network.target_subnet_tags),
    ):
        if ids is not None and tags is not None:
            report.error(("network", tags_key), f"stands beside {id_key}; give one of the two")
        elif tags is not None and not tags:
            report.error(
                ("network", tags_key), "names no tag, so it would find everything; give a tag, or remove the key"
            )
    if network.subnet_ids is not None:
        path: Path = ("network", "subnetIds")
        check_unique(network.subnet_ids, report, path)
        if len(network.subnet_ids) < limits.ZONES.low:
            report.error(
                path,
                f"{len(network.subnet_ids)} subnet, but a load balancer needs at least {limits.ZONES.low}, in "
                f"different availability zones ({limits.ZONES.source})",
            )
    _check_target_subnets(experiment, report)
    if network.internal:
        _check_internal(network.ip_address_type, report, ("network", "ipAddressType"))
    _check_ingress(network.ingress_cidrs, report, network.ip_address_type)


def _check_internal(ip_address_type: str, report: Report, path: Path) -> None:
    """AWS contradicts itself: ipv6.deny_all_igw_traffic is there for internal load balancers with IPv6."""
    if ip_address_type == "dualstack-without-public-ipv4":
        report.error(path, f"{ip_address_type} does not go with internal: true, which has no public address at all")
    elif ip_address_type == "dualstack":
        report.warning(
            path,
            "AWS may refuse dualstack with internal: true: API CreateLoadBalancer says that internal load balancers "
            "use ipv4, API LoadBalancerAttribute knows internal ones with IPv6",
        )


def _check_target_subnets(experiment: Experiment, report: Report) -> None:
    ids, tags = experiment.network.target_subnet_ids, experiment.network.target_subnet_tags
    path: Path = ("network", "targetSubnetTags" if ids is None else "targetSubnetIds")
    if ids is not None:
        check_unique(ids, report, path)
        if not ids:
            report.error(path, "is empty, so nothing could be started; list a subnet, or remove the key")
    if (ids or tags) and not any(variant.targets.starts for variant in experiment.variants.values()):
        report.warning(path, "changes nothing: the stack starts no instances and no tasks of its own")


def _check_ingress(cidrs: Sequence[str], report: Report, ip_address_type: str) -> None:
    path: Path = ("network", "ingressCidrs")
    if not cidrs:
        report.error(path, "is empty, so no client could reach the load balancer; list a CIDR block")
    check_unique(cidrs, report, path)
    for n, cidr in enumerate(cidrs):
        if not isinstance(cidr, Secret) and not report.is_broken((*path, n)):
            check_cidr(cidr, report, (*path, n))
    if ip_address_type != "ipv4" and not any(":" in cidr for cidr in cidrs):
        report.warning(path, f"admits no IPv6 client, though ipAddressType is {ip_address_type}; add ::/0")


def check_listener(experiment: Experiment, report: Report) -> None:
    listener, path = experiment.listener, ("listener",)
    if listener.arn is not None:
        return
    if listener.split is not None:
        report.error(
            (*path, "split"),
            "needs arn: on a listener of the stack's own the split is the default action, so take it out",
        )
    if not listener.is_https:
        if listener.ssl_policy is not None:
            report.error((*path, "sslPolicy"), "needs certificateArn: without a certificate the listener is plain HTTP")
        if listener.redirect_http:
            report.error((*path, "redirectHttp"), "needs certificateArn: there is no HTTPS listener to redirect to")
        if listener.port == 443:
            report.error(
                (*path, "port"),
                "443 without certificateArn would serve plain HTTP on the port of HTTPS; add it, or take port 80",
            )
        return
    if listener.port == 80:
        report.error((*path, "port"), "80 with certificateArn would serve HTTPS on the port of HTTP; take 443")


def check_override(experiment: Experiment, report: Report) -> None:
    override = experiment.override
    if override is None:
        return
    if not isinstance(override.header, Secret):
        check_header_name(override.header, report, ("override", "header"))
    if override.secret and not experiment.listener.is_https:
        report.warning(
            ("override", "secret"),
            "the token travels in the clear on a plain HTTP listener; give abtest:listener.certificateArn",
        )


def check_dns(experiment: Experiment, report: Report) -> None:
    dns = experiment.dns
    if dns is None:
        return
    if (dns.weight is None) != (dns.set_identifier is None):
        missing = "setIdentifier" if dns.set_identifier is None else "weight"
        report.error(
            ("dns",),
            f"{missing} is missing; a weighted record has weight and setIdentifier (Route 53 API ResourceRecordSet)",
        )
    if isinstance(dns.name, Secret) or isinstance(dns.zone, Secret):
        return
    name, zone = (text.rstrip(".").lower() for text in (dns.name, dns.zone))
    if name != zone and not name.endswith(f".{zone}"):
        report.error(("dns", "name"), f"{dns.name} is not in the zone {dns.zone}; it must end with .{zone}")


def check_tags(experiment: Experiment, report: Report) -> None:
    if len(experiment.tags) > limits.TAGS.high:
        report.error(
            ("tags",), f"{len(experiment.tags)} tags, at most {limits.TAGS.high} are allowed ({limits.TAGS.source})"
        )


def check_access_logs(experiment: Experiment, report: Report) -> None:
    logs = experiment.access_logs
    if logs is None or logs.bucket is None:
        return
    for key, is_set in (("retainDays", logs.retain_days is not None), ("deleteWithStack", logs.delete_with_stack)):
        if is_set:
            report.error(
                ("accessLogs", key),
                "cannot be combined with bucket; an existing bucket keeps its own rules, so remove one of them",
            )
