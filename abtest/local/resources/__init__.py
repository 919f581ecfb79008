"""Each resource type of the program as calls of the AWS API: inputs in the provider's names, outputs in the same."""

from __future__ import annotations

from typing import Any

from abtest.local.clients import Clients, Inputs
from abtest.local.resources import autoscaling, cloudwatch, containers, ec2, functions, load_balancing, other, s3
from abtest.local.resources.making import Created, Makers

__all__ = ["CREATE", "RegexConditions", "create"]

#: rule ARN -> its conditions, for rules with regular expressions, which moto does not know
RegexConditions = dict[str, list[dict[str, Any]]]

CREATE: Makers = {
    **ec2.MAKERS,
    **autoscaling.MAKERS,
    **functions.MAKERS,
    **load_balancing.MAKERS,
    **cloudwatch.MAKERS,
    **containers.MAKERS,
    **s3.MAKERS,
    **other.MAKERS,
}


def create(aws: Clients, token: str, name: str, inputs: Inputs, regex: RegexConditions) -> Created:
    """Make one resource. Raises KeyError for an unknown type, ClientError for what moto refuses."""
    made = CREATE[token](aws, name, inputs)
    inputs.finish()
    conditions = made[1].pop("regexConditions", None)
    if conditions is not None:
        regex[made[0]] = conditions
    return made
