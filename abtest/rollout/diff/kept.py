"""Settings and resources that remain at AWS after they are removed from the stack file."""

from __future__ import annotations

from collections.abc import Iterator

from abtest.experiment import Experiment
from abtest.experiment.types import Listener

__all__ = ["keeps_log_bucket", "kept_checks", "kept_headers"]


def kept_headers(before: Listener, after: Listener) -> tuple[str, ...]:
    """The listener attributes that stay (hashicorp/terraform-provider-aws 42513). Another port is another listener,
    which has none of them.
    """
    was, now = before.response_headers, after.response_headers
    if was is None or before.listens_on != after.listens_on:
        return ()
    gone = [name for name in was.values if now is None or name not in now.values]
    return tuple(f"routing.http.response.{name}.header_value" for name in gone)


def kept_checks(before: Experiment, after: Experiment) -> Iterator[str]:
    """The variants whose function stays health checked: the block is optional and computed
    (hashicorp/terraform-provider-aws, internal/service/elbv2/target_group.go). Another function has another group.
    """
    for name in sorted(before.variants.keys() & after.variants.keys()):
        was, now = before.variants[name], after.variants[name]
        if was.targets.lambda_arn == now.targets.lambda_arn and was.is_checked and not now.is_checked:
            yield name


def keeps_log_bucket(before: Experiment, after: Experiment) -> bool:
    """Whether the load balancer stops logging into the stack's own bucket, which stays with its logs."""
    was, now = before.access_logs, after.access_logs
    if was is None or was.bucket is not None or was.delete_with_stack:
        return False
    return now is None or now.bucket is not None
