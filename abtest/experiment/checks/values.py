"""Checks of values that stand in several places of a config."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Secret, Section

__all__ = ["check_cidr", "check_region", "check_unique", "elsewhere", "given"]

_CIDR = re.compile(r"(?P<address>[0-9a-fA-F.:]+)(?P<prefix>/\d+)?")


def given(section: Section, usual: Section) -> dict[str, str]:
    """The keys that say something, by field: a default that is written out does not."""
    keys = zip(section.__struct_fields__, section.__struct_encode_fields__, strict=True)
    return {field: key for field, key in keys if getattr(section, field) != getattr(usual, field)}


def check_cidr(value: str, report: Report, path: Path) -> None:
    """A CIDR block with its prefix, without host bits (API SourceIpConditionConfig; the provider's own check)."""
    match = _CIDR.fullmatch(value)
    try:
        network = ipaddress.ip_network(value if match else "", strict=False)
    except ValueError:
        report.error(path, f'"{value}" is not a valid CIDR block; write one such as 10.0.0.0/16 or 2001:db8::/32')
        return
    if match and not match["prefix"]:
        report.error(path, f"{value} has no prefix; for one address write {value}/{network.max_prefixlen}")
    elif match and network.network_address != ipaddress.ip_address(match["address"]):
        report.error(path, f"{value} has host bits set; for that block write {network}")


def check_unique(values: Sequence[str], report: Report, path: Path) -> None:
    """No value twice; addresses and blocks by what they mean: ::/0 is 0::/0."""
    seen = set()
    for n, value in enumerate(values):
        if isinstance(value, Secret):
            continue
        try:
            key: object = ipaddress.ip_network(value)
        except ValueError:
            key = value
        if key in seen:
            report.error((*path, n), f"{value} is listed twice; remove one")
        seen.add(key)


def check_region(arn: str, region: str | None, what: str, report: Report, path: Path) -> None:
    """What an ARN names is in the stack's region."""
    if there := elsewhere(arn, region, report, path):
        report.error(path, f"the {what} is in {there}, the stack in {region}; it must be in the load balancer's region")


def elsewhere(arn: str, region: str | None, report: Report, path: Path) -> str:
    """The region of what an ARN names if it is not the stack's; empty where it is of none (IAM), or one of the two is
    not known here.
    """
    if isinstance(arn, Secret) or report.is_broken(path):
        return ""
    there = arn.split(":")[3]
    return there if region and there != region else ""
