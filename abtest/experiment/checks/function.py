"""Lambda functions as targets: what AWS has for addresses alone is refused."""

from __future__ import annotations

from collections.abc import Mapping

from abtest.experiment.checks.values import check_region, given
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import HealthCheck, Secret, Variant

__all__ = ["check_function"]


_NO_PORT = "has no port (API CreateTargetGroup)"
_NO_PROTOCOL = "is invoked without a protocol (API CreateTargetGroup)"
_ALONE = "is the one target of its group, so there is none to choose (API TargetGroupAttribute)"
_NO_ATTRIBUTE = "has no such attribute (API TargetGroupAttribute)"

#: What is said of targets with an address -> why not of a function.
_OF_ADDRESSES = {
    "port": _NO_PORT,
    "serving": _NO_PORT,
    "protocol": _NO_PROTOCOL,
    "protocol_version": _NO_PROTOCOL,
    "load_balancing": _ALONE,
    "anomaly_mitigation": _ALONE,
    "deregistration_delay_seconds": _NO_ATTRIBUTE,
    "slow_start_seconds": _NO_ATTRIBUTE,
}


def check_function(variant: Variant, arn: str, report: Report, path: Path, region: str | None) -> None:
    _refuse(given(variant, Variant(targets=variant.targets)), _OF_ADDRESSES, report, path)
    check = given(variant.health_check, HealthCheck())
    _refuse(check, {"port": _NO_PORT, "protocol": _NO_PROTOCOL}, report, (*path, "healthCheck"))
    where = (*path, "targets", "lambdaArn")
    check_region(arn, region, "function", report, where)
    if not isinstance(arn, Secret) and not report.is_broken(where):
        _check_qualifier(arn, report, where)


def _refuse(said: Mapping[str, str], why: Mapping[str, str], report: Report, path: Path) -> None:
    for field, reason in why.items():
        if field in said:
            report.error((*path, said[field]), f"a Lambda function {reason}; take {said[field]} out")


def _check_qualifier(arn: str, report: Report, where: Path) -> None:
    qualifier = arn.split(":")[7:]
    if qualifier == ["$LATEST"]:
        report.error(
            where,
            "AWS does not allow a permission to invoke $LATEST (Lambda API AddPermission); name a version or an alias",
        )
    elif not qualifier:
        report.warning(
            where,
            "without a version or an alias, the model changes under the experiment with every update of the function; "
            f"name one, such as {arn}:1",
        )
