"""A Lambda function as a variant's target."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

__all__ = ["permit_invocation"]


def permit_invocation(
    name: str, arn: str, target_group: aws.lb.TargetGroup, opts: pulumi.ResourceOptions
) -> aws.lambda_.Permission:
    """Let the target group, and nothing else of the load balancing service, invoke the function. Without it the group
    does not take the function as a target (API RegisterTargets).
    """
    *function, qualifier = arn.rsplit(":", 1) if arn.count(":") > 6 else (arn, None)
    return aws.lambda_.Permission(
        name,
        action="lambda:InvokeFunction",
        function=function[0],
        qualifier=qualifier,
        principal="elasticloadbalancing.amazonaws.com",
        source_arn=target_group.arn,
        opts=opts,
    )
