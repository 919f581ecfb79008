"""What one value alone cannot show: checks between the keys of a config.

Everything that AWS documents as refused is an error, with the limit and the remedy. Where AWS is silent it is a
warning. A value that the loader has reported is not looked at again.
"""

from __future__ import annotations

from pathlib import Path as FilePath

from abtest.experiment.checks.alarms import check_alarms
from abtest.experiment.checks.certificates import check_certificates
from abtest.experiment.checks.ecs import check_ecs
from abtest.experiment.checks.edge import (
    check_access_logs,
    check_dns,
    check_listener,
    check_network,
    check_override,
    check_tags,
)
from abtest.experiment.checks.existing import check_existing
from abtest.experiment.checks.guardrails import check_guardrails
from abtest.experiment.checks.headers import check_headers
from abtest.experiment.checks.region import checked_region
from abtest.experiment.checks.rules import check_rules
from abtest.experiment.checks.serving import check_idle_timeout
from abtest.experiment.checks.split import check_split
from abtest.experiment.checks.variants import check_variants
from abtest.experiment.checks.waf import check_waf
from abtest.experiment.problems import Report
from abtest.experiment.types import Experiment

__all__ = ["check"]


def check(experiment: Experiment, report: Report, folder: FilePath, region: str | None) -> None:
    """Report every problem between the values of ``experiment``; files it names are looked for in ``folder``."""
    region = checked_region(region, report)
    check_split(experiment, report)
    check_variants(experiment, report, folder, region)
    check_idle_timeout(experiment, report)
    check_ecs(experiment, report, region)
    check_rules(experiment, report)
    check_network(experiment, report)
    check_listener(experiment, report)
    check_existing(experiment, report, region)
    check_certificates(experiment, report, region)
    check_headers(experiment, report)
    check_waf(experiment, report, region)
    check_override(experiment, report)
    check_dns(experiment, report)
    check_access_logs(experiment, report)
    check_tags(experiment, report)
    check_guardrails(experiment, report)
    check_alarms(experiment, report, region)
