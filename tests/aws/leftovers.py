"""What a run of the acceptance suite has left in the account."""

from __future__ import annotations

from tests.aws.account import Account
from tests.aws.stand import RUN_TAG

__all__ = ["leftovers"]


def leftovers(account: Account, run: str) -> list[str]:
    """The ARNs of everything with the run's tag. The tagging API goes on naming instances that are terminated, and what
    ECS keeps of what is deleted.
    """
    with account.client("resourcegroupstaggingapi") as tagging:
        pages = tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": RUN_TAG, "Values": [run]}])
        found = [mapping["ResourceARN"] for page in pages for mapping in page["ResourceTagMappingList"]]
    instances = [arn.rpartition("/")[2] for arn in found if ":instance/" in arn]
    with account.client("ec2") as ec2:
        filters = [
            {"Name": "instance-id", "Values": instances},
            {"Name": "instance-state-name", "Values": ["terminated"]},
        ]
        pages = ec2.get_paginator("describe_instances").paginate(Filters=filters) if instances else ()
        gone = {i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]}
    # A task definition that is deregistered, and a cluster that is deleted, are named for a while (ECS API).
    return sorted(
        arn
        for arn in found
        if arn.rpartition("/")[2] not in gone and ":task-definition/" not in arn and ":ecs:" not in arn
    )
