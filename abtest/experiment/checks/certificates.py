"""The certificates of the HTTPS listener: the default one, and further ones by name (SNI)."""

from __future__ import annotations

from abtest.experiment import limits
from abtest.experiment.checks.values import check_region, check_unique
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Experiment, Secret

__all__ = ["check_certificates"]


def check_certificates(experiment: Experiment, report: Report, region: str | None) -> None:
    listener = experiment.listener
    if listener.certificate_arn is not None:
        check_region(listener.certificate_arn, region, "certificate", report, ("listener", "certificateArn"))
    path: Path = ("listener", "certificateArns")
    if listener.certificate_arns and listener.certificate_arn is None:
        report.error(path, "needs certificateArn, the one for clients that ask for no name, or for another one")
    check_unique(listener.certificate_arns, report, path)
    for n, arn in enumerate(listener.certificate_arns):
        check_region(arn, region, "certificate", report, (*path, n))
        if arn == listener.certificate_arn and not isinstance(arn, Secret):
            report.error((*path, n), "is certificateArn already; list only the additional ones")
    if len(listener.certificate_arns) > limits.CERTIFICATES.high:
        report.warning(
            path,
            f"{len(listener.certificate_arns)} certificates, but a load balancer has {limits.CERTIFICATES.high} "
            f"besides its default ones unless AWS raises the quota ({limits.CERTIFICATES.source})",
        )
