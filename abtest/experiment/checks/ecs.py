"""Fargate services: what ECS refuses, and what would only show when no task starts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from abtest.experiment import limits
from abtest.experiment.checks.values import check_unique, elsewhere
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Ecs, Experiment, Secret

__all__ = ["check_ecs"]

#: Names of variables. Model servers count tokens, and have tokenizers: neither is a secret.
_LIKE_A_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN(?![A-Z])|API_?KEY|PRIVATE_KEY|CREDENTIAL", re.IGNORECASE)
_LIKE_A_PLACE = re.compile(r"_(FILE|PATH|DIR|ARN|UR[IL])$", re.IGNORECASE)


def check_ecs(experiment: Experiment, report: Report, region: str | None) -> None:
    for name, service in experiment.services.items():
        path = ("variants", name, "targets", "ecs")
        if not report.is_broken(path):
            _check_forward(experiment, name, report)
            _check_image(service, report, (*path, "image"))
            _check_size(service, report, path)
            _check_count(service, report, path)
            _check_variables(service, report, path)
            _check_secrets(service, report, (*path, "secrets"), region)
            _check_policies(service.task_policy_arns, report, (*path, "taskPolicyArns"))
            _check_way_out(experiment, service, report, (*path, "publicIp"))


def _check_forward(experiment: Experiment, name: str, report: Report) -> None:
    """A rollback takes a variant out of the split, and holds it: its service is there, and stays."""
    if not experiment.is_forwarded(name):
        report.error(
            ("variants", name, "targets", "ecs"),
            "nothing forwards to it, but ECS makes a service only behind a target group that a listener uses "
            f"(ECS API CreateService); add {name}: 0 to abtest:weights",
        )


def _check_image(service: Ecs, report: Report, path: Path) -> None:
    """A task that starts later, as scaling and repairs do, takes what the tag means by then."""
    if isinstance(service.image, Secret) or report.is_broken(path):
        return
    _, scheme, rest = service.image.partition("://")
    tag = service.image.rpartition("/")[2].partition(":")[2]
    if scheme:
        report.error(path, f"an image has no scheme; write {rest}")
    elif "@" not in service.image and tag in {"", "latest"}:
        said = "has no tag, which means latest" if not tag else "is the newest of its day"
        report.warning(
            path,
            f"{service.image} {said}, so two tasks of a variant may run different models; name a version, or a digest",
        )


def _check_size(service: Ecs, report: Report, path: Path) -> None:
    sizes = limits.FARGATE_MEMORY[service.cpu]
    if service.memory in sizes or report.is_broken((*path, "cpu")):
        return
    step = f" in steps of {sizes[1] - sizes[0]}" if isinstance(sizes, range) else ""
    said = f"{sizes[0]} to {sizes[-1]} MiB{step}" if step else f"{', '.join(map(str, sizes))} MiB"
    report.error(
        (*path, "memory"),
        f"{service.memory} does not go with cpu: {service.cpu}, which takes {said} ({limits.TASK_MEMORY.source})",
    )


def _check_count(service: Ecs, report: Report, path: Path) -> None:
    scaling = service.autoscaling
    if scaling is None:
        return
    if scaling.min > scaling.max and not report.holds_broken((*path, "autoscaling")):
        report.error((*path, "autoscaling", "min"), f"{scaling.min} is over max: {scaling.max}; lower it, or raise max")
    if service.count != 1:
        report.error(
            (*path, "count"), "cannot be combined with autoscaling, which sets the number of tasks; remove one of them"
        )


def _check_variables(service: Ecs, report: Report, path: Path) -> None:
    for name, value in service.environment.items():
        where = (*path, "environment", name)
        if name in service.secrets:
            report.error(where, "is in secrets too; remove one of them (ECS guide, specifying sensitive data)")
        elif name in limits.SECRET_VARIABLES:
            report.error(
                where,
                "would be readable for everybody who may describe the task definition (Security Hub, ECS.8); give the "
                "container its rights by taskPolicyArns, or the value by secrets",
            )
        elif isinstance(value, Secret) or report.places.is_encrypted(where):
            report.error(
                where,
                "is encrypted here, but would stand in the clear in the task definition; put the value into Secrets "
                "Manager or the Parameter Store, and its ARN into secrets",
            )
        elif value and not value.startswith("/") and _LIKE_A_SECRET.search(name) and not _LIKE_A_PLACE.search(name):
            report.warning(
                where,
                "looks like a secret, and would stand in the clear in the task definition; put the value into Secrets "
                "Manager or the Parameter Store, and its ARN into secrets",
            )


def _check_secrets(service: Ecs, report: Report, path: Path, region: str | None) -> None:
    for name, arn in service.secrets.items():
        if there := elsewhere(arn, region, report, (*path, name)):
            report.warning(
                (*path, name),
                f"is in {there}, the stack in {region}: no task would start while {there} is out of reach",
            )


def _check_policies(arns: Sequence[str], report: Report, path: Path) -> None:
    check_unique(arns, report, path)
    if len(arns) > limits.TASK_POLICIES.high:
        report.error(
            path,
            f"{len(arns)} policies, but a role takes {limits.TASK_POLICIES} ({limits.TASK_POLICIES.source}); put some "
            "into one",
        )
    elif len(arns) > limits.TASK_POLICIES_SURE:
        report.warning(
            path, f"{len(arns)} policies; above {limits.TASK_POLICIES_SURE} AWS must raise the account's quota"
        )


def _check_way_out(experiment: Experiment, service: Ecs, report: Report, path: Path) -> None:
    """The subnets of a load balancer that faces the internet are public: out of them leads a public address alone."""
    network = experiment.network
    is_apart = network.target_subnet_ids is not None or network.target_subnet_tags is not None
    if not (service.public_ip or network.internal or is_apart or experiment.listener.arn):
        report.warning(
            path,
            "false, but in the load balancer's public subnets a task needs an address to fetch its image. Say true, or "
            "name private subnets in abtest:network.targetSubnetIds (docs/targets.md)",
        )
