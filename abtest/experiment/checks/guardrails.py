"""What keeps an update from hurting: guardrails, and variants that are held."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from abtest.experiment.checks.values import check_unique
from abtest.experiment.problems import Report, nearest
from abtest.experiment.types import Experiment, MetricLimits

__all__ = ["check_guardrails", "suspension_problem"]

#: Guardrails are suspended in an emergency, not for good.
LONGEST_SUSPENSION = timedelta(hours=24)


def check_guardrails(experiment: Experiment, report: Report) -> None:
    if experiment.guardrails is None and not report.has_errors:
        report.warning(
            (),
            "there are no abtest:guardrails, so any update may send all clients to a variant that answers nobody; "
            "{} takes the defaults",
        )
    if experiment.guardrails is not None and experiment.guardrails.suspend is not None:
        _check_suspension(experiment.guardrails.suspend.until, report)
    if experiment.guardrails is not None and experiment.guardrails.metrics is not None:
        _check_metrics(experiment.guardrails.metrics, experiment, report)
    if experiment.guardrails is not None and experiment.guardrails.require_healthy:
        _check_min_healthy(experiment, report)
    if experiment.held and experiment.guardrails is None:
        report.warning(("held",), "only the guardrails keep these from gaining share; add abtest:guardrails")
    for n, name in enumerate(experiment.held):
        if name not in experiment.variants:
            report.error(("held", n), f"there is no variant {name}; {nearest(name, experiment.variants)}")
        elif name == experiment.control:
            report.error(("held", n), f"{name} is the control, which a rollback sends all clients to; remove it")
    check_unique(experiment.held, report, ("held",))


def _check_metrics(metrics: MetricLimits, experiment: Experiment, report: Report) -> None:
    path = ("guardrails", "metrics")
    if metrics.error_rate is None and metrics.slower_than is None and not report.holds_broken(path):
        report.warning(path, "there is no limit in it; add errorRate or slowerThan, each with worseBy")
    elif experiment.access_logs is None and not report.is_broken(("accessLogs",)):
        report.warning(
            path, "a ramp has no access logs to analyse; add abtest:accessLogs, or pass --logs to `abtest ramp`"
        )


def _check_min_healthy(experiment: Experiment, report: Report) -> None:
    """A variant whose targets can never be so many would be refused every gain."""
    if experiment.control not in experiment.variants:
        return
    short = [
        (most, name)
        for name, variant in experiment.variants.items()
        if (most := variant.targets.most) is not None
        and most < experiment.least_healthy(name)
        and not report.holds_broken(("variants", name, "targets"))
    ]
    if short:
        most, name = min(short)
        report.error(
            ("guardrails", "minHealthy"),
            f"{experiment.least_healthy(name)} is more than the targets of {name}, at most {most}, so {name} could "
            f"never gain share; take {most}{' or less' * (most > 1)}",
        )


def _check_suspension(until: str, report: Report) -> None:
    path = ("guardrails", "suspend", "until")
    if not report.is_broken(path) and (problem := suspension_problem(until, datetime.now(UTC))):
        report.error(path, problem)


def suspension_problem(until: str, now: datetime) -> str | None:
    """Why a suspension may not end then."""
    try:
        ends = _instant(until)
    except ValueError:
        return f"{until} is not a valid time; write one such as {now:%Y-%m-%dT%H:%M:%SZ}"
    if ends <= now:
        return f"{until} is over, so the guardrails are no longer suspended; remove abtest:guardrails.suspend"
    latest = now + LONGEST_SUSPENSION
    return f"{until} is more than 24 hours ahead; {latest:%Y-%m-%dT%H:%M:%SZ} is the latest" if ends > latest else None


def _instant(text: str) -> datetime:
    """A time in either form of limits.INSTANT. Raises ValueError for a day that no calendar has."""
    day, clock, zone = re.findall(r"^(\S{10})[T ](\d\d:\d\d:\d\d)[.\d]* ?(Z|[+-]\d\d:?\d\d)", text)[0]
    return datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone == 'Z' else zone}")
