"""An experiment on somebody else's listener: what it needs, and what is its owner's."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from abtest.experiment.checks.rules import check_when
from abtest.experiment.checks.values import check_region, given
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Experiment, Listener, Network

__all__ = ["check_existing"]

#: Network keys that still count: they are about what the program starts.
_OF_TARGETS = {"target_subnet_ids", "target_subnet_tags"}


def check_existing(experiment: Experiment, report: Report, region: str | None) -> None:
    listener, path = experiment.listener, ("listener",)
    if listener.arn is None:
        return
    check_region(listener.arn, region, "listener", report, (*path, "arn"))
    if listener.split is None:
        report.error(
            (*path, "split"), "missing; on an existing listener the split is a rule: split: {priority: 100, when: {…}}"
        )
    else:
        check_when(listener.split.when, report, (*path, "split", "when"))
        for name, rule in experiment.rules.items():
            if rule.priority == listener.split.priority and not report.is_broken(("rules", name, "priority")):
                report.error(
                    ("rules", name, "priority"),
                    f"{rule.priority} is taken by abtest:listener.split; priorities are unique (API CreateRule)",
                )
    for where in _of_the_owner(experiment):
        report.error(
            where, "belongs to the existing listener's owner (abtest:listener.arn) and cannot be set here; remove it"
        )
    if experiment.override is not None:
        report.error(
            ("override",),
            "takes the priorities 1 to n, before the rules of whoever owns the listener; force a variant by a rule of "
            "your own, with a header that only testers know",
        )
    logs = experiment.access_logs
    if logs is not None and logs.bucket is None:
        report.error(
            ("accessLogs",),
            "the existing load balancer's owner configures its logs; name their bucket: {bucket: …, prefix: …}",
        )


def _of_the_owner(experiment: Experiment) -> Iterator[Path]:
    """The keys that are given, and cannot have an effect on what somebody else owns."""
    for name, key in given(experiment.listener, Listener()).items():
        if name not in {"arn", "split"}:
            yield ("listener", key)
    for name, key in given(experiment.network, Network()).items():
        if name not in _OF_TARGETS:
            yield ("network", key)
    usual = replace(experiment, waf=None, deletion_protection=False, idle_timeout_seconds=60)
    for key in given(experiment, usual).values():
        yield (key,)
