"""The web ACL in front of the load balancer."""

from __future__ import annotations

from abtest.experiment.checks.values import check_region
from abtest.experiment.problems import Report
from abtest.experiment.types import Experiment

__all__ = ["check_waf"]


def check_waf(experiment: Experiment, report: Report, region: str | None) -> None:
    if experiment.waf is not None:
        check_region(experiment.waf.web_acl_arn, region, "web ACL", report, ("waf", "webAclArn"))
