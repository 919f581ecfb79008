"""The existing ECS clusters that variants name."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment.problems import Path, Report
from abtest.stack.look_up.ask import NotFoundError, ask

__all__ = ["find_clusters"]


def find_clusters(experiment: Experiment, report: Report) -> Mapping[str, str]:
    """ARNs by name. What is not there is reported."""
    found: dict[str, str] = {}
    for variant, service in experiment.services.items():
        name = service.cluster
        if name is None or name in found:
            continue
        path: Path = ("variants", variant, "targets", "ecs", "cluster")
        try:
            found[name] = _arn(name)
        except NotFoundError as error:
            report.error(path, f"the cluster {name} cannot be found: {error}; make it, or leave cluster out")
    return found


def _arn(name: str) -> str:
    cluster = ask(lambda: aws.ecs.get_cluster(cluster_name=name))
    if cluster.status != "ACTIVE":
        raise NotFoundError(f"its status is {cluster.status}")
    return cluster.arn
