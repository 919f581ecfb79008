"""Checks of ``aws:region``, which every other region in a config is compared with."""

from __future__ import annotations

import re

from abtest.experiment.limits import REGION, REGIONS
from abtest.experiment.problems import Report, nearest

__all__ = ["checked_region"]


def checked_region(region: str | None, report: Report) -> str | None:
    """The stack's region, if it can be one. A region that is newer than the known ones is a warning."""
    path = ("aws:region",)
    if not region or region in REGIONS:
        return region or None
    meant = nearest(region, REGIONS)
    remedy = meant if meant.startswith("did") else f"write {REGION}"
    if re.fullmatch(REGION.pattern, region):
        report.warning(path, f'"{region}" is not a known region of AWS; {remedy}')
        return region
    report.error(path, f'"{region}" is not a region of AWS; {remedy} ({REGION.source})')
    return None
