"""Variants: target groups, their health checks and their targets."""

from __future__ import annotations

import ipaddress
from pathlib import Path as FilePath

from abtest.experiment import limits
from abtest.experiment.checks.function import check_function
from abtest.experiment.checks.launch import check_launch
from abtest.experiment.checks.serving import check_serving
from abtest.experiment.checks.values import check_unique, given
from abtest.experiment.limits import TARGET_NETWORKS
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Experiment, Secret, Targets, Variant

__all__ = ["check_variants"]


def check_variants(experiment: Experiment, report: Report, folder: FilePath, region: str | None) -> None:
    if len(experiment.variants) > limits.TARGET_GROUPS:
        report.error(
            ("variants",),
            f"{len(experiment.variants)} variants, but a load balancer has at most {limits.TARGET_GROUPS} "
            "target groups (ALB guide load-balancer-limits)",
        )
    seen: dict[tuple[str, int], str] = {}
    for name, variant in experiment.variants.items():
        path: Path = ("variants", name)
        if "--" in f"abtest-{name}-":
            report.warning(
                path,
                'its target group\'s name would hold "--", which AWS may refuse; use single hyphens, inside the name',
            )
        check_serving(variant, report, path)
        if variant.targets.lambda_arn is not None:
            check_function(variant, variant.targets.lambda_arn, report, path, region)
        _check_health(variant, report, (*path, "healthCheck"))
        _check_protocol(experiment, variant, report, path)
        _check_slow_start(variant, report, path)
        _check_anomaly_mitigation(variant, report, path)
        _check_targets(experiment, variant, report, (*path, "targets"), folder)
        for target in _named(variant.targets):
            other = seen.setdefault((target, variant.target_port), name)
            if other != name and not isinstance(target, Secret):
                port = f" port {variant.target_port}" if variant.target_port else ""
                report.warning(
                    (*path, "targets"), f"{target}{port} answers for {other} too, so the two cannot be told apart"
                )


def _named(targets: Targets) -> tuple[str, ...]:
    """What exists already."""
    return targets.instance_ids or targets.ip_addresses or ((targets.lambda_arn,) if targets.lambda_arn else ())


def _check_health(variant: Variant, report: Report, path: Path) -> None:
    health = variant.health_check
    if health.timeout_seconds >= health.interval_seconds and not report.is_broken((*path, "timeoutSeconds")):
        report.error(
            (*path, "timeoutSeconds"),
            f"{health.timeout_seconds} s is not below the interval of {health.interval_seconds} s "
            f"({limits.HEALTH_TIMEOUT.source}); lower it or raise intervalSeconds",
        )
    if (
        health.matcher is not None
        and not report.is_broken((*path, "matcher"))
        and not report.is_broken((*path[:2], "protocolVersion"))
        and not isinstance(health.matcher, Secret)
    ):
        _check_matcher(health.matcher, variant, report, (*path, "matcher"))


def _check_matcher(matcher: str, variant: Variant, report: Report, path: Path) -> None:
    limit = limits.GRPC_MATCHER if variant.protocol_version == "GRPC" else limits.HTTP_MATCHER
    passing: set[int] = set()
    for part in matcher.split(","):
        low, _, high = part.partition("-")
        first, last = int(low), int(high or low)
        wrong = [code for code in (first, last) if not limit.low <= code <= limit.high]
        if wrong:
            report.error(path, f"{wrong[0]} is not within {limit}: {limit.what} ({limit.source})")
        elif first > last:
            report.error(path, f'"{part}" ends before it starts; write "{last}-{first}"')
        elif not passing.isdisjoint(codes := range(first, last + 1)):
            report.warning(path, f"{part} repeats a status that is already in {matcher}; remove one of the two")
        else:
            passing.update(codes)


def _check_protocol(experiment: Experiment, variant: Variant, report: Report, path: Path) -> None:
    listener = experiment.listener
    if variant.protocol_version != "HTTP1" and not listener.is_https and listener.arn is None:
        report.error(
            (*path, "protocolVersion"),
            f"{variant.protocol_version} needs an HTTPS listener: give abtest:listener.certificateArn "
            "(ALB guide load-balancer-target-groups)",
        )


def _check_slow_start(variant: Variant, report: Report, path: Path) -> None:
    seconds, where = variant.slow_start_seconds, (*path, "slowStartSeconds")
    if 0 < seconds < limits.SLOW_START_LEAST:
        report.error(
            where,
            f"{seconds} is below {limits.SLOW_START_LEAST}; slow start is 0 (off) or "
            f"{limits.SLOW_START_LEAST} to {limits.SLOW_START.high} seconds ({limits.SLOW_START.source})",
        )
    elif seconds and variant.load_balancing != "round_robin":
        report.error(
            where,
            f"slow start needs loadBalancing: round_robin, this variant has {variant.load_balancing} "
            "(ALB guide edit-target-group-attributes)",
        )


def _check_anomaly_mitigation(variant: Variant, report: Report, path: Path) -> None:
    if variant.anomaly_mitigation and variant.load_balancing != "weighted_random":
        report.error(
            (*path, "anomalyMitigation"),
            f"needs loadBalancing: weighted_random, this variant has {variant.load_balancing} "
            "(API TargetGroupAttribute)",
        )
    elif variant.anomaly_mitigation and 0 < (count := variant.targets.most or 0) < limits.ANOMALY_TARGETS:
        report.warning(
            (*path, "anomalyMitigation"),
            f"does nothing for {count} target{'s' * (count != 1)}: anomalies are looked for among "
            f"{limits.ANOMALY_TARGETS} healthy ones or more (ALB guide load-balancer-target-groups)",
        )


def _check_targets(experiment: Experiment, variant: Variant, report: Report, path: Path, folder: FilePath) -> None:
    targets = variant.targets
    kinds = given(targets, Targets()).values()
    if len(kinds) != 1:
        every = ", ".join(Targets.__struct_encode_fields__)
        has = f"{' and '.join(kinds)} are given" if kinds else "nothing is given"
        if kinds or not report.holds_broken(path):
            report.error(path, f"{has}; give exactly one of {every}")
        return
    for key, values in (("instanceIds", targets.instance_ids), ("ipAddresses", targets.ip_addresses)):
        if values is not None:
            _check_list(values, report, (*path, key))
    if targets.ip_addresses:
        _check_addresses(experiment, targets.ip_addresses, report, (*path, "ipAddresses"))
    if targets.launch:
        check_launch(variant, targets.launch, report, (*path, "launch"), folder)


def _check_list(values: tuple[str, ...], report: Report, path: Path) -> None:
    if not values:
        report.error(
            path, "is empty, so nothing would answer; list a target, or use external for targets registered elsewhere"
        )
    check_unique(values, report, path)


def _check_addresses(experiment: Experiment, addresses: tuple[str, ...], report: Report, path: Path) -> None:
    versions: set[int] = set()
    for n, text in enumerate(addresses):
        if isinstance(text, Secret) or report.is_broken((*path, n)):
            continue
        try:
            address = ipaddress.ip_address(text if "%" not in text else "")
        except ValueError:
            report.error(
                (*path, n), f'"{text}" is not a valid IP address; write one such as 10.0.1.20, without a port or a mask'
            )
            continue
        versions.add(address.version)
        if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
            report.error(
                (*path, n), f"{text} cannot be a target: it must be in the VPC or a private range (API RegisterTargets)"
            )
        elif address.version == 4 and not any(address in network for network in TARGET_NETWORKS):
            report.warning(
                (*path, n),
                f"{text} is in no private range; AWS takes it only from a block of the VPC (API RegisterTargets)",
            )
    if len(versions) > 1:
        report.error(
            path, "IPv4 and IPv6 addresses cannot share a target group; make two variants (API CreateTargetGroup)"
        )
    elif 6 in versions and experiment.network.ip_address_type == "ipv4" and experiment.listener.arn is None:
        report.error(path, "IPv6 targets need abtest:network.ipAddressType: dualstack (API CreateTargetGroup)")
