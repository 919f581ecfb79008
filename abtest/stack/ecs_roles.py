"""What a Fargate task may do in AWS: the role that starts it, and the role that its container has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from abtest.experiment.types import Ecs

__all__ = ["execution_role", "task_role"]

#: A private registry of ECR: account, region and repository, in its IPv4 and dual-stack addresses (ECR guide, "Private
#: registry").
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)/"
    r"(?P<repository>[^:@]+)"
)

#: What reads a secret, by the service that keeps it, and what that service shows to KMS when a customer's key decrypts
#: it (Secrets Manager guide and Systems Manager guide, "Encryption context").
_STORES = {
    "secretsmanager": ("secretsmanager:GetSecretValue", "SecretARN"),
    "ssm": ("ssm:GetParameters", "PARAMETER_ARN"),
}

Statement = dict[str, Any]


def execution_role(
    name: str,
    config: Ecs,
    cluster_arn: pulumi.Output[str],
    logs: aws.cloudwatch.LogGroup,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
    """The role by which ECS fetches the image and the secrets, and writes the log. Its policy comes before the task."""
    role = aws.iam.Role(name, assume_role_policy=_for_tasks(cluster_arn), tags=tags, opts=opts)
    statements = [_writes(logs), *_pulls(config.image, cluster_arn), *_reads(config.secrets)]
    policy = aws.iam.RolePolicy(
        name,
        role=role.name,
        policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements}),
        opts=opts,
    )
    return role, policy


def task_role(
    name: str, config: Ecs, cluster_arn: pulumi.Output[str], tags: Mapping[str, str], opts: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, list[aws.iam.RolePolicyAttachment]]:
    """The role of the container: what the config names, and nothing else."""
    role = aws.iam.Role(name, assume_role_policy=_for_tasks(cluster_arn), tags=tags, opts=opts)
    return role, [
        aws.iam.RolePolicyAttachment(f"{name}-{arn.partition(':iam::')[2]}", role=role.name, policy_arn=arn, opts=opts)
        for arn in config.task_policy_arns
    ]


def _for_tasks(cluster_arn: pulumi.Output[str]) -> pulumi.Output[str]:
    """Tasks of this account and region alone may take a role (ECS guide, "Task IAM role", the confused deputy). No
    narrower: the guide says that a cluster cannot be named.
    """
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                    "Condition": {
                        # arn:aws:ecs:us-east-1:123456789012:cluster/name
                        "ArnLike": {"aws:SourceArn": cluster_arn.apply(lambda arn: f"{arn.rpartition(':')[0]}:*")},
                        "StringEquals": {"aws:SourceAccount": cluster_arn.apply(lambda arn: arn.split(":")[4])},
                    },
                }
            ],
        }
    )


def _writes(logs: aws.cloudwatch.LogGroup) -> Statement:
    return {
        "Sid": "WriteLogs",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": pulumi.Output.concat(logs.arn, ":*"),
    }


def _pulls(image: str, cluster_arn: pulumi.Output[str]) -> Iterator[Statement]:
    """Rights for an image in ECR; any other registry is asked without an account."""
    found = _ECR.match(image)
    if found is None:
        return
    repository = "ecr:{region}:{account}:repository/{repository}".format(**found.groupdict())
    # A token is for the whole registry (ECR API GetAuthorizationToken).
    yield {"Sid": "EnterRegistry", "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
    yield {
        "Sid": "PullImage",
        "Effect": "Allow",
        "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        "Resource": cluster_arn.apply(lambda arn: f"arn:{arn.split(':')[1]}:{repository}"),
    }


def _reads(secrets: Mapping[str, str]) -> Iterator[Statement]:
    """Rights for these secrets alone. Their ARN may go on with key, stage and version (ECS guide, "Pass Secrets Manager
    secrets through environment variables").
    """
    kept = [":".join(arn.split(":")[:7]) for arn in secrets.values()]
    for store, (action, context) in _STORES.items():
        arns = sorted({arn for arn in kept if arn.split(":")[2] == store})
        if arns:
            yield {"Effect": "Allow", "Action": action, "Resource": arns}
            yield {
                "Effect": "Allow",
                "Action": "kms:Decrypt",
                "Resource": "*",
                "Condition": {"StringEquals": {f"kms:EncryptionContext:{context}": arns}},
            }
